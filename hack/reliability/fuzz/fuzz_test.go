package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryTargetIsFoundOnceAndNoneOfAnotherModule(t *testing.T) {
	root := t.TempDir()
	for file, content := range map[string]string{
		"b/b_test.go":              "package b\n\nfunc FuzzTwo(f *testing.F) {\n}\n\nfunc FuzzOne(f *testing.F) {\n}\n",
		"a/deep/a_test.go":         "func FuzzA(f *testing.F) {\n",
		"a/a.go":                   "func FuzzNoTest(f *testing.F) {\n",
		"a/other_test.go":          "// func FuzzComment(f *testing.F) {\nfunc TestX(t *testing.T) {\n",
		"module/go.mod":            "module other\n",
		"module/m_test.go":         "func FuzzElsewhere(f *testing.F) {\n",
		".hidden/h_test.go":        "func FuzzHidden(f *testing.F) {\n",
		"a/testdata/src/t_test.go": "func FuzzData(f *testing.F) {\n",
	} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	got, err := targets(".")
	want := []target{{"a/deep", "FuzzA"}, {"b", "FuzzOne"}, {"b", "FuzzTwo"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(target{})); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := targets("module"); err != nil {
		t.Error("the folder that it is asked for is a module, and is looked at all the same:", err)
	}
	if _, err := targets(".hidden/nothing"); err == nil {
		t.Error("there is nothing there, and nobody says so")
	}
}

func TestTheTargetsOfThisModuleAreFound(t *testing.T) {
	found, err := targets("../../..")
	if err != nil || len(found) < 10 {
		t.Errorf("%d targets are found: %v, %v", len(found), found, err)
	}
}

func TestOnlyNewInputsAreCounted(t *testing.T) {
	var c count
	for _, step := range []struct {
		line string
		want int
	}{
		{"fuzz: elapsed: 0s, gathering baseline coverage: 0/90 completed", 0},
		{"fuzz: elapsed: 2s, gathering baseline coverage: 70/90 completed", 0},
		{"fuzz: elapsed: 3s, gathering baseline coverage: 90/90 completed, now fuzzing with 2 workers", 0},
		{"fuzz: elapsed: 3s, execs: 95 (20/sec), new interesting: 0 (total: 90)", 5},
		{"fuzz: elapsed: 1m3s, execs: 58967 (1134/sec), new interesting: 42 (total: 254)", 58877},
		{"PASS", 58877},
	} {
		c.read(step.line)
		if got := c.fresh(); got != step.want {
			t.Errorf("after %q: %d", step.line, got)
		}
	}
}
