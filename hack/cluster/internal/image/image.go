// Package image packs a static Go program into a container image without a container engine and without a
// registry: the same sources make the same bytes.
package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Spec is an image to make.
type Spec struct {
	Package string // folder of a main package
	Name    string // with tag
	Out     string // the tarball
	User    string // numeric, so that runAsNonRoot can be checked
}

// epoch is when everything in an image was made: always the same time.
var epoch = time.Unix(0, 0).UTC()

// Build compiles the package and writes a tarball that `docker load` and `ctr images import` understand.
func Build(ctx context.Context, spec Spec) error {
	tag, err := name.NewTag(spec.Name)
	if err != nil {
		return fmt.Errorf("%q is no image name; try workorders.dev/step:dev: %w", spec.Name, err)
	}
	dir, err := filepath.Abs(spec.Package)
	if err != nil {
		return err
	}
	program, err := compile(ctx, dir)
	if err != nil {
		return err
	}
	// Named after the folder, which is what people see in a list of processes.
	image, err := pack(program, "/"+filepath.Base(dir), spec.User)
	if err != nil {
		return err
	}
	return write(spec.Out, tag, image)
}

func compile(ctx context.Context, dir string) ([]byte, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no folder %s; give the folder of a main package", dir)
	}
	aside, err := os.MkdirTemp("", "image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(aside)
	out := filepath.Join(aside, "program")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", out, ".")
	command.Dir = dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s does not compile: %w\n%s", dir, err, strings.TrimSpace(string(output)))
	}
	program, err := os.ReadFile(out)
	if err != nil || !bytes.HasPrefix(program, []byte("\x7fELF")) {
		return nil, fmt.Errorf("%s is not a main package; give the folder of a program", dir)
	}
	return program, nil
}

// pack makes an image of one layer: the program, a /tmp, and names for the two users.
func pack(program []byte, at, user string) (v1.Image, error) {
	layer, err := layerOf(program, at)
	if err != nil {
		return nil, err
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "hack/cluster image"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Created = v1.Time{Time: epoch}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{at}
	config.Config.User = user
	config.Config.WorkingDir = "/"
	config.Config.Env = []string{"PATH=/", "HOME=/tmp"}
	return mutate.ConfigFile(image, config)
}

func layerOf(program []byte, at string) (v1.Layer, error) {
	var files bytes.Buffer
	archive := tar.NewWriter(&files)
	passwd := "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"
	group := "root:x:0:\nnonroot:x:65532:\n"
	for _, entry := range []struct {
		name    string
		mode    int64
		content []byte
	}{
		{"etc/", 0o755, nil},
		{"etc/group", 0o644, []byte(group)},
		{"etc/passwd", 0o644, []byte(passwd)},
		{"tmp/", 0o1777, nil},
		{strings.TrimPrefix(path.Clean(at), "/"), 0o755, program},
	} {
		header := &tar.Header{Name: entry.name, Mode: entry.mode, Size: int64(len(entry.content)), ModTime: epoch, Format: tar.FormatUSTAR}
		header.Typeflag = tar.TypeReg
		if strings.HasSuffix(entry.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(entry.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	content := files.Bytes()
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
}

// write renames the finished file, so that a reader never sees half of one.
func write(out string, tag name.Tag, image v1.Image) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	if err := tarball.WriteToFile(out+".new", tag, image); err != nil {
		os.Remove(out + ".new")
		return fmt.Errorf("cannot write %s: %w", out, err)
	}
	return os.Rename(out+".new", out)
}
