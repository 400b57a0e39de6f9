package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/ko/pkg/build"
)

// epoch is when everything in an image was made: always the same time.
var epoch = time.Unix(0, 0).UTC()

// archive is what was written.
type archive struct {
	bytes  int64
	digest string
	lists  []string // of what is in it, an SPDX document a platform, and one of all
}

// pack compiles the program for each platform and writes the archive.
func pack(ctx context.Context, s spec) (archive, error) {
	tag, err := name.NewTag(s.name)
	if err != nil {
		return archive{}, fmt.Errorf("%q is no image name; try workorders.dev/operator:dev: %w", s.name, err)
	}
	scratch, err := name.NewTag("scratch") // What the base is said to be.
	if err != nil {
		return archive{}, err
	}
	base, err := nothing(s.platforms)
	if err != nil {
		return archive{}, err
	}
	lists := filepath.Dir(s.out)
	builder, err := build.NewGo(ctx, s.dir,
		build.WithBaseImages(func(context.Context, string) (name.Reference, build.Result, error) { return scratch, base, nil }),
		build.WithPlatforms(s.platforms...),
		build.WithUser("65532:65532"), // A number, so that the kubelet can see that it is not root.
		build.WithTrimpath(true),
		build.WithDefaultFlags([]string{"-buildvcs=false"}),
		build.WithDefaultLdflags([]string{"-s", "-w"}),
		build.WithCreationTime(v1.Time{Time: epoch}),
		build.WithKoDataCreationTime(v1.Time{Time: epoch}),
		build.WithDefaultEnv([]string{"CGO_ENABLED=0"}),
		build.WithSBOMDir(lists),
	)
	if err != nil {
		return archive{}, err
	}
	image, err := builder.Build(ctx, build.StrictScheme+s.program)
	if err != nil {
		return archive{}, fmt.Errorf("%s cannot be packed: %w", s.program, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return archive{}, err
	}
	written := archive{digest: digest.String()}
	if written.bytes, err = write(s.out, tag, image); err != nil {
		return archive{}, fmt.Errorf("write %s: %w", s.out, err)
	}
	written.lists, err = filepath.Glob(filepath.Join(lists, filepath.Base(s.program)+"-*.spdx.json"))
	return written, err
}

// nothing is the image that others begin with: empty, for each platform.
func nothing(platforms []string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		platform, err := v1.ParsePlatform(p)
		if err != nil {
			return nil, fmt.Errorf("%q is no platform; try linux/arm64: %w", p, err)
		}
		image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{
			OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
			RootFS: v1.RootFS{Type: "layers"},
		})
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return index, nil
}

// write makes an OCI archive, a layout of files, packed: skopeo, podman and ctr read it. It is renamed when it is
// finished, so that nobody sees half of one.
func write(out string, tag name.Tag, image build.Result) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "image-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	files, err := layout.Write(dir, empty.Index)
	if err != nil {
		return 0, err
	}
	named := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          tag.String(),
		"org.opencontainers.image.ref.name": tag.TagStr(),
	})
	switch image := image.(type) {
	case v1.ImageIndex:
		err = files.AppendIndex(image, named)
	case v1.Image:
		err = files.AppendImage(image, named)
	default:
		err = fmt.Errorf("%T is no image", image)
	}
	if err != nil {
		return 0, err
	}
	size, err := packed(dir, out+".new")
	if err != nil {
		os.Remove(out + ".new")
		return 0, err
	}
	return size, os.Rename(out+".new", out)
}

// packed writes the files of a folder, in order and all of the same time, into a tar archive.
func packed(dir, out string) (int64, error) {
	file, err := os.Create(out)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	tarball := tar.NewWriter(file)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: filepath.ToSlash(below), Mode: 0o644, Size: info.Size(), ModTime: epoch, Format: tar.FormatUSTAR}
		if err := tarball.WriteHeader(header); err != nil {
			return err
		}
		content, err := os.Open(path)
		if err != nil {
			return err
		}
		defer content.Close()
		_, err = io.Copy(tarball, content)
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := tarball.Close(); err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), file.Close()
}
