package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestTheSameProgramMakesTheSameImage(t *testing.T) {
	first, err := pack([]byte("program"), "/step", "65532")
	if err != nil {
		t.Fatal(err)
	}
	second, err := pack([]byte("program"), "/step", "65532")
	if err != nil {
		t.Fatal(err)
	}
	one, err := first.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if two, err := second.Digest(); err != nil || one != two {
		t.Errorf("%s and %s (%v)", one, two, err)
	}
}

func TestAnImageRunsItsProgramAsNobody(t *testing.T) {
	image, err := pack([]byte("program"), "/step", "65532")
	if err != nil {
		t.Fatal(err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if file.Config.User != "65532" || len(file.Config.Entrypoint) != 1 || file.Config.Entrypoint[0] != "/step" || !file.Created.Equal(epoch) {
		t.Errorf("got %+v", file)
	}
}

func TestALayerHasAProgramAndAFolderToWriteTo(t *testing.T) {
	layer, err := layerOf([]byte("program"), "/step")
	if err != nil {
		t.Fatal(err)
	}
	content, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]int64{}
	archive := tar.NewReader(content)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		modes[header.Name] = header.Mode
		if !header.ModTime.Equal(epoch) {
			t.Errorf("%s was made at %s", header.Name, header.ModTime)
		}
		if body, _ := io.ReadAll(archive); header.Name == "step" && !bytes.Equal(body, []byte("program")) {
			t.Errorf("the program is %q", body)
		}
	}
	if modes["step"] != 0o755 || modes["tmp/"] != 0o1777 {
		t.Errorf("got %v", modes)
	}
}
