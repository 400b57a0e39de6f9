package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheSamplesAreInOrder(t *testing.T) {
	files, err := filepath.Glob("../../../config/samples/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents, others, err := Read(data)
		if err != nil || len(documents)+others == 0 {
			t.Errorf("%s: %d orders, %v", file, len(documents), err)
		}
		for _, document := range documents {
			if found, err := document.Check(); err != nil || len(found) > 0 {
				t.Errorf("%s: %v, %v", file, found, err)
			}
		}
	}
}

// told is what is found in a file, a line each.
func told(t *testing.T, text string) (lines []string) {
	t.Helper()
	documents, _, err := Read([]byte(text))
	if err != nil {
		return []string{err.Error()}
	}
	for _, document := range documents {
		found, err := document.Check()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			lines = append(lines, fmt.Sprintf("%d %s: %s", f.Line, f.Field, f.Message))
		}
	}
	return lines
}

const head = "apiVersion: workorders.dev/v1alpha1\nkind: WorkOrder\nmetadata: {name: x}\n"

func TestWhatIsWrongIsSaidByLine(t *testing.T) {
	for _, test := range []struct {
		what, text string
		want       []string // The beginnings of what is said.
	}{
		{"an unknown field", head + "spec:\n  stratgy: Graph\n  steps: [{name: a, wait: {seconds: 1}}]\n", []string{"5 spec.stratgy: this field is not known"}},
		{"a wrong type", head + "spec:\n  steps:\n  - name: a\n    wait:\n      seconds: soon\n", []string{"8 spec.steps[0].wait.seconds: must be of type integer"}},
		{"no steps", head + "spec: {steps: []}\n", []string{"4 spec.steps: should have at least 1 items"}},
		{"a rule of the API", head + "spec:\n  steps:\n  - name: a\n    wait: {seconds: 1}\n  - name: b\n    dependsOn: [a]\n    wait: {seconds: 1}\n", []string{"4 spec: dependsOn belongs to a Graph"}},
		{"two steps of one name", head + "spec:\n  steps:\n  - {name: a, wait: {seconds: 1}}\n  - {name: a, wait: {seconds: 1}}\n", []string{"7 spec.steps[1]: Duplicate value"}},
		{
			"a circle", head + "spec:\n  strategy: Graph\n  steps:\n  - name: a\n    dependsOn:\n    - b\n    wait: {seconds: 1}\n  - {name: b, dependsOn: [a], wait: {seconds: 1}}\n",
			[]string{"9 spec.steps[0].dependsOn[0]: the steps depend on each other in a circle"},
		},
		{"an expression", head + "spec:\n  steps:\n  - {name: a, wait: {seconds: 1}}\n  - name: b\n    when: steps[\"a\"].otput == \"x\"\n    wait: {seconds: 1}\n", []string{"8 spec.steps[1].when: "}},
		{"a wrong version and a wrong name", "apiVersion: workorders.dev/v1\nkind: WorkOrder\nmetadata:\n  name: A_B\nspec: {steps: [{name: a, wait: {seconds: 1}}]}\n", []string{"1 apiVersion: this must be workorders.dev/v1alpha1", "4 metadata.name: a name is made of"}},
		{"a name that is too long", "apiVersion: workorders.dev/v1alpha1\nkind: WorkOrder\nmetadata: {name: " + strings.Repeat("x", 64) + "}\nspec: {steps: [{name: a, wait: {seconds: 1}}]}\n", []string{"1 : the name of a work order has at most 63 characters"}},
		{"what is hardly meant", head + "spec:\n  params: [{name: p, value: x}]\n  steps:\n  - name: a\n    run:\n      image: x\n      command: [sh, -c, \"echo $(PARAM_P)\"]\n", []string{"10 spec.steps[0].run.command[2]: the shell would run"}},
		{"no YAML", "a: [\n", []string{"this is no YAML"}},
		{"a label that is no text", "apiVersion: workorders.dev/v1alpha1\nkind: WorkOrder\nmetadata:\n  name: x\n  labels: {version: 1.4}\nspec: {steps: [{name: a, wait: {seconds: 1}}]}\n", []string{"5 metadata.labels: the value of version is no text"}},
		{"metadata that cannot be read", "apiVersion: workorders.dev/v1alpha1\nkind: WorkOrder\nmetadata:\n  name: x\n  finalizers: 5\nspec: {steps: [{name: a, wait: {seconds: 1}}]}\n", []string{"3 metadata: this cannot be read"}},
		{"a field twice", head + "spec:\n  steps: [{name: a, wait: {seconds: 1}}]\n  steps: [{name: b, wait: {seconds: 1}}]\n", []string{"the object from line 1 on cannot be read: "}},
		{"an index for a name", head + "spec:\n  steps[-1]: x\n  steps: [{name: a, wait: {seconds: 1}}]\n", []string{"6 spec.steps[-1]: this field is not known"}},
		{"no object", "- a\n", []string{"line 1: this is no object of Kubernetes"}},
		{"the second of two", head + "spec: {steps: [{name: a, wait: {seconds: 1}}]}\n---\n" + head + "spec: {steps: [{name: a}]}\n", []string{"9 spec.steps[0]: a step does one thing"}},
	} {
		lines := told(t, test.text)
		if len(lines) != len(test.want) {
			t.Errorf("%s: got %q, want %q", test.what, lines, test.want)
			continue
		}
		for i := range lines {
			if !strings.HasPrefix(lines[i], test.want[i]) {
				t.Errorf("%s: got %q, want %q", test.what, lines[i], test.want[i])
			}
		}
	}
}

// An API server makes the name before it asks the rules.
func TestANameCanBeLeftToTheServer(t *testing.T) {
	for generated, sound := range map[string]bool{"release-": true, strings.Repeat("a", 80) + "-": true, "Release-": false, "-x": false} {
		documents, _, err := Read([]byte("apiVersion: workorders.dev/v1alpha1\nkind: WorkOrder\nmetadata: {generateName: " + generated + "}\nspec: {steps: [{name: only, wait: {seconds: 0}}]}\n"))
		if err != nil {
			t.Fatal(err)
		}
		found, err := documents[0].Check()
		if err != nil || len(found) == 0 != sound {
			t.Errorf("%s: %v, %v", generated, found, err)
		}
		if order, err := documents[0].Order(); err != nil || order.Name != "" {
			t.Errorf("%s: and the order is called %q, %v", generated, order.Name, err)
		}
	}
}

func TestOtherObjectsOfAFileAreLeftAlone(t *testing.T) {
	documents, others, err := Read([]byte("---\n---\nkind: ConfigMap\n---\n" + head + "spec: {}\n"))
	if err != nil || others != 1 || len(documents) != 1 || documents[0].Name() != "x" || documents[0].Line != 5 {
		t.Errorf("got %v, %d others, %v", documents, others, err)
	}
	if diff := cmp.Diff([]string{"spec", "steps", "3", "run"}, split("spec.steps[3].run")); diff != "" {
		t.Error(diff)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(head + "spec: {steps: [{name: a, wait: {seconds: 1}}]}\n"))
	f.Add([]byte("a: &a [*a]\n---\nkind: WorkOrder\nmetadata: {name: [x]}\nspec: {steps: {a: 1}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, _, err := Read(data)
		if err != nil {
			return
		}
		for _, document := range documents {
			if _, err := document.Check(); err != nil {
				t.Errorf("%q: %v", data, err)
			}
		}
	})
}
