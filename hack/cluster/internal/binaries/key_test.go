package binaries

import (
	"os"
	"path/filepath"
	"testing"
)

func TestVersionIsTheOneRequired(t *testing.T) {
	for name, content := range map[string]string{
		"in a block":   "module m\n\nrequire (\n\tk8s.io/api v0.36.3\n\tk8s.io/kubernetes v1.36.3\n)\n",
		"on one line":  "module m\n\nrequire k8s.io/kubernetes v1.36.3 // indirect\n",
		"not replaced": "require k8s.io/kubernetes v1.36.3\nreplace k8s.io/kubernetes => ../kubernetes\n",
	} {
		if got, err := Version([]byte(content)); err != nil || got != "v1.36.3" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if _, err := Version([]byte("module m\n")); err == nil {
		t.Error("a go.mod without Kubernetes has a version of it")
	}
}

func TestKeyChangesWithWhatIsBuilt(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]string{}
	keyIs := func(when, version string, isNew bool) {
		t.Helper()
		key, err := Key(dir, version)
		if err != nil {
			t.Fatal(err)
		}
		if earlier, known := seen[key]; known == isNew {
			t.Errorf("%s: the key %s is new: %v (first seen: %s)", when, key, !known, earlier)
		}
		seen[key] = when
	}
	write("go.mod", "module m\n")
	write("go.sum", "sum\n")
	write("kubernetes/main.go", "package main\n")
	keyIs("at first", "v1.2.3", true)
	keyIs("again", "v1.2.3", false)
	keyIs("with another version", "v1.2.4", true)
	write("kubernetes/other.go", "package main\n")
	keyIs("with another file", "v1.2.3", true)
	write("go.sum", "other\n")
	keyIs("with another sum", "v1.2.3", true)
	write("main.go", "package main\n")
	keyIs("when only this program has changed", "v1.2.3", false)
}

func TestKubernetesIsToldItsVersion(t *testing.T) {
	const want = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"
	if got := linkerFlags("v1.36.3"); got != want {
		t.Errorf("got %s", got)
	}
}
