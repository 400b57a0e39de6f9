package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// tiny is a program of one line.
func tiny(t *testing.T) spec {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/tiny\n\ngo 1.26\n",
		"main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return spec{
		dir: dir, program: "example.com/tiny", name: "example.com/tiny:1",
		platforms: []string{"linux/amd64", "linux/arm64"}, out: filepath.Join(t.TempDir(), "tiny.tar"),
	}
}

// unpacked are the images in an archive, by platform.
func unpacked(t *testing.T, file string) map[string]v1.Image {
	t.Helper()
	dir := t.TempDir()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(header.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		part, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, part, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	top, err := files.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Annotations["io.containerd.image.name"] != "example.com/tiny:1" {
		t.Fatalf("the archive holds %+v", manifest.Manifests)
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]v1.Image{}
	for _, m := range inner.Manifests {
		if images[m.Platform.String()], err = index.Image(m.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return images
}

// binary is the program in an image.
func binary(t *testing.T, image v1.Image, at string) []byte {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for archive := tar.NewReader(content); ; {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimPrefix(header.Name, "/") == at {
				program, err := io.ReadAll(archive)
				if err != nil {
					t.Fatal(err)
				}
				return program
			}
		}
	}
	t.Fatalf("there is no %s", at)
	return nil
}

func TestAnImageHoldsOneStaticProgramForEachPlatformWhichRunsAsNobody(t *testing.T) {
	s := tiny(t)
	if _, err := pack(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	machines := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}
	images := unpacked(t, s.out)
	if len(images) != len(machines) {
		t.Errorf("it holds %d images", len(images))
	}
	for platform, image := range images {
		file, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if file.Config.User != "65532:65532" || !slices.Equal(file.Config.Entrypoint, []string{"/ko-app/tiny"}) || file.OS+"/"+file.Architecture != platform {
			t.Errorf("%s: %+v", platform, file)
		}
		program, err := elf.NewFile(bytes.NewReader(binary(t, image, "ko-app/tiny")))
		if err != nil {
			t.Fatal(err)
		}
		libraries, err := program.ImportedLibraries()
		if err != nil || len(libraries) > 0 || program.Machine != machines[platform] {
			t.Errorf("%s: for %s, with the libraries %v (%v)", platform, program.Machine, libraries, err)
		}
	}
}

func TestTheSameSourcesMakeTheSameBytes(t *testing.T) {
	one, other := tiny(t), tiny(t) // In different folders.
	for _, s := range []spec{one, other} {
		if _, err := pack(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	first, err := os.ReadFile(one.out)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(other.out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("the archives differ")
	}
}

func TestWhatIsInAnImageIsListed(t *testing.T) {
	s := tiny(t)
	made, err := pack(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.lists) != 3 { // One a platform, and one of all.
		t.Errorf("lists: %v", made.lists)
	}
	for _, list := range made.lists {
		content, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			SPDXVersion string `json:"spdxVersion"`
			Packages    []struct{ Name string }
		}
		if err := json.Unmarshal(content, &document); err != nil || !strings.HasPrefix(document.SPDXVersion, "SPDX-") || len(document.Packages) == 0 {
			t.Errorf("%s: %v, %+v", list, err, document)
		}
	}
}

func TestWhatCannotBePackedIsNamed(t *testing.T) {
	for what, change := range map[string]func(*spec){
		"no image name": func(s *spec) { s.name = "Example.com/Tiny:1" },
		"no platform":   func(s *spec) { s.platforms = []string{"linux/amd64/v1/x"} },
		"cannot be packed": func(s *spec) {
			if err := os.WriteFile(filepath.Join(s.dir, "main.go"), []byte("package main\n\nfunc main() { nonsense }\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		s := tiny(t)
		change(&s)
		if _, err := pack(t.Context(), s); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("wanted an error with %q, got %v", what, err)
		}
		if _, err := os.Stat(s.out); err == nil {
			t.Errorf("%s: and still there is an archive", what)
		}
	}
}
