package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
)

// specOf reads a spec. A step that says nothing else has a run.
func specOf(t *testing.T, text string) *v1alpha1.WorkOrderSpec {
	t.Helper()
	spec := &v1alpha1.WorkOrderSpec{}
	if err := yaml.UnmarshalStrict([]byte(text), spec); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for _, list := range [][]v1alpha1.Step{spec.Steps, spec.Finally} {
		for i := range list {
			if list[i].Run == nil && list[i].Wait == nil {
				list[i].Run = podStep("").Run
			}
		}
	}
	return spec
}

// told are problems as lines of "field: message".
func told(problems []Problem) []string {
	lines := []string{}
	for _, p := range problems {
		lines = append(lines, p.Field.String()+": "+p.Message)
	}
	return lines
}

// faults are specs, and what is wrong with each.
var faults = []struct {
	when, spec string
	problems   []string
}{
	{"a graph is fine", `{strategy: Graph, steps: [{name: c, dependsOn: [a, b], inputs: [b], when: steps.a.output != ""}, {name: b, dependsOn: [a]}, {name: a}], finally: [{name: z, inputs: [c]}]}`, nil},
	{"a sequence is fine", `{params: [{name: p}], steps: [{name: a}, {name: b}, {name: c, inputs: [a], when: params.p == steps.b.output}]}`, nil},
	{"two steps wait for each other", `{strategy: Graph, steps: [{name: a, dependsOn: [b]}, {name: b, dependsOn: [a]}]}`,
		[]string{"spec.steps[0].dependsOn[0]: the steps depend on each other in a circle: a → b → a; take one of these dependencies out"}},
	{"a circle is behind another step", `{strategy: Graph, steps: [{name: z, dependsOn: [c]}, {name: a}, {name: b, dependsOn: [a, d]}, {name: c, dependsOn: [b]}, {name: d, dependsOn: [c]}]}`,
		[]string{"spec.steps[3].dependsOn[0]: the steps depend on each other in a circle: c → b → d → c; take one of these dependencies out"}},
	{"there are two circles, and a step that needs one that there is not", `{strategy: Graph, steps: [{name: a, dependsOn: [x, b]}, {name: b, dependsOn: [a]}, {name: x, dependsOn: [why]}, {name: d, dependsOn: [e]}, {name: e, dependsOn: [f]}, {name: f, dependsOn: [d]}]}`,
		[]string{
			`spec.steps[2].dependsOn[0]: step "x" depends on "why", and there is no such step`,
			"spec.steps[0].dependsOn[1]: the steps depend on each other in a circle: a → b → a; take one of these dependencies out",
			"spec.steps[3].dependsOn[0]: the steps depend on each other in a circle: d → e → f → d; take one of these dependencies out",
		}},
	{"a step waits for itself", `{strategy: Graph, steps: [{name: a, dependsOn: [a]}]}`,
		[]string{`spec.steps[0].dependsOn[0]: step "a" depends on itself: take its own name out of dependsOn`}},
	{"a name is misspelt", `{strategy: Graph, rewinds: [{step: bild, toEpoch: 2}], steps: [{name: test, dependsOn: [biuld, nothing]}, {name: build}]}`,
		[]string{
			`spec.steps[0].dependsOn[0]: step "test" depends on "biuld", and there is no such step (did you mean "build"?)`,
			`spec.steps[0].dependsOn[1]: step "test" depends on "nothing", and there is no such step`,
			`spec.rewinds[0].step: rewinds names "bild", and there is no such step (did you mean "build"?)`,
		}},
	{"a sequence has dependencies", `{steps: [{name: a}, {name: b, dependsOn: [a]}]}`,
		[]string{`spec.steps[1].dependsOn: step "b" has dependsOn, which belongs to a Graph: set strategy: Graph, or leave dependsOn out`}},
	{"finally is depended on, and depends", `{strategy: Graph, steps: [{name: a, dependsOn: [z]}], finally: [{name: z, dependsOn: [a]}]}`,
		[]string{
			`spec.steps[0].dependsOn[0]: step "a" depends on "z", which is of finally and runs after it`,
			`spec.finally[0].dependsOn: step "z" of finally depends on nothing, as it runs after all steps: leave dependsOn out`,
		}},
	{"names are taken, within finally too", `{steps: [{name: a}, {name: b}], finally: [{name: b}, {name: a}, {name: b}]}`,
		[]string{
			`spec.finally[0].name: two steps are called "b": rename one`,
			`spec.finally[1].name: two steps are called "a": rename one`,
		}},
	{"inputs come too late, or never", `{steps: [{name: a, inputs: [b, a, x]}, {name: b}], finally: [{name: w, inputs: [a, z]}, {name: z}]}`,
		[]string{
			`spec.steps[0].inputs[0]: step "a" takes "b" as an input, which comes after it: list "b" first, or take it out of inputs`,
			`spec.steps[0].inputs[1]: step "a" takes its own output as an input: take its name out of inputs`,
			`spec.steps[0].inputs[2]: step "a" takes "x" as an input, and there is no such step`,
			`spec.finally[0].inputs[1]: step "w" takes "z" as an input, which does not come before it, as steps of finally run side by side after all others: take it out of inputs`,
		}},
	{"an input is nothing that the step depends on", `{strategy: Graph, steps: [{name: a}, {name: b, inputs: [a]}]}`,
		[]string{`spec.steps[1].inputs[0]: step "b" takes "a" as an input, which does not come before it: add it to dependsOn, or take it out of inputs`}},
	{"conditions do not compile", `{strategy: Graph, steps: [{name: a, when: 1 +}, {name: b, when: steps.a.output == ""}, {name: c, dependsOn: [a], when: steps.a.output}]}`,
		[]string{
			`spec.steps[0].when: step "a": when does not compile: `,
			`spec.steps[1].when: step "b": when does not compile: step "a" does not come before this step: add it to dependsOn, or list it earlier in a Sequence`,
			`spec.steps[2].when: step "c": when does not compile: it must be true or false, but this is of type string: compare it with something`,
		}},
	{"a volume is mounted over the workspace", `{workspace: {storage: 1Gi}, steps: [{name: a, run: {image: i, volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /workspace/}]}}]}`,
		[]string{`spec.steps[0].run.volumeMounts[1].mountPath: step "a" mounts a volume at /workspace, where the workspace is: mount it elsewhere`}},
	{"a volume is called as the workspace's is", `{workspace: {storage: 1Gi}, pod: {volumes: [{name: v, emptyDir: {}}, {name: workspace, emptyDir: {}}]}, steps: [{name: a}]}`,
		[]string{`spec.pod.volumes[1].name: a volume of pod is called "workspace", as the one of the workspace is: rename it`}},
	{"a volume is called workspace, and there is none", `{pod: {volumes: [{name: workspace, emptyDir: {}}]}, steps: [{name: a}]}`, nil},
	{"several things are wrong with a step", `{steps: [{name: a, run: {image: ""}, inputs: [b], when: params.p}]}`,
		[]string{
			`spec.steps[0].run.image: step "a" has no image: set run.image`,
			`spec.steps[0].inputs[0]: step "a" takes "b" as an input, and there is no such step`,
			`spec.steps[0].when: step "a": when does not compile: there is no param "p": add it to params`,
		}},
}

func TestEveryProblemIsToldWithItsField(t *testing.T) {
	for _, test := range faults {
		t.Run(test.when, func(t *testing.T) {
			o := newOrder()
			o.Spec = *specOf(t, test.spec)
			problems := Problems(o)
			got := told(problems)
			for i := range min(len(got), len(test.problems)) {
				if strings.HasPrefix(got[i], test.problems[i]) { // What follows is the expression's business.
					got[i] = test.problems[i]
				}
			}
			if diff := cmp.Diff(append([]string{}, test.problems...), got); diff != "" {
				t.Error(diff)
			}
			switch stall := Check(o); {
			case len(test.problems) == 0 && stall != nil:
				t.Errorf("and yet the order says %+v", stall)
			case len(test.problems) > 0 && (stall == nil || !strings.HasPrefix(problems[0].Message, strings.TrimSuffix(stall.Message, "…"))):
				t.Errorf("the order does not say the first, but %+v", stall)
			}
		})
	}
}

func TestNamesThatDifferInTwoLettersAtMostMayBeMeant(t *testing.T) {
	known := []string{"build", "deploy", "test"}
	for name, meant := range map[string]string{
		"build": "build", "bild": "build", "buidl": "build", "Build-": "build", "": "", "b": "", "tes": "test", "depoly": "deploy", "release": "", "best": "test",
	} {
		want := ""
		if meant != "" {
			want = fmt.Sprintf(" (did you mean %q?)", meant)
		}
		if got := Nearest(name, known); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if d := distance(strings.Repeat("ab", 20), strings.Repeat("ba", 20)); d != 2 {
		t.Errorf("one letter moved from the front to the end are %d", d)
	}
}

// To compare thousands of names with hundreds takes seconds, which the operator does not have.
func TestOnlyTheFirstProblemsCarryAHint(t *testing.T) {
	o := newOrder()
	o.Spec = v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph}
	for i := range maxSteps {
		step := podStep(strings.Repeat("ab", 18) + fmt.Sprint("-", i))
		for j := range maxNeeds {
			step.DependsOn = append(step.DependsOn, strings.Repeat("ba", 18)+fmt.Sprint("-", j))
		}
		o.Spec.Steps = append(o.Spec.Steps, step)
	}
	problems := Problems(o)
	if len(problems) != maxSteps*maxNeeds {
		t.Errorf("%d problems", len(problems))
	}
	for i, p := range problems {
		if hinted := strings.Contains(p.Message, "did you mean"); hinted != (i < maxHints) {
			t.Fatalf("problem %d: %s", i, p.Message)
		}
	}
}

func TestAProblemIsTheSameOneWhereverItsStepIs(t *testing.T) {
	identities := func(text string) []Identity {
		o := newOrder()
		o.Spec = *specOf(t, text)
		var list []Identity
		for _, p := range Problems(o) {
			list = append(list, p.Identity())
		}
		return list
	}
	before := identities(`{strategy: Graph, steps: [{name: a, dependsOn: [c]}, {name: b, dependsOn: [a]}, {name: c, dependsOn: [b]}, {name: d, dependsOn: [ex]}, {name: e, when: steps.ex.epoch == 1}]}`)
	if len(before) != 3 {
		t.Fatalf("%+v", before)
	}
	moved := identities(`{strategy: Graph, steps: [{name: e, when: steps.ex.epoch == 1}, {name: f}, {name: c, dependsOn: [b]}, {name: d, dependsOn: [f, ex]}, {name: a, dependsOn: [c]}, {name: b, dependsOn: [a]}]}`)
	for _, id := range moved {
		if !slices.Contains(before, id) {
			t.Errorf("%+v is taken for another than %+v", id, before)
		}
	}
	for _, text := range []string{
		`{strategy: Graph, steps: [{name: d, dependsOn: [fx]}]}`,
		`{strategy: Graph, steps: [{name: f, dependsOn: [ex]}]}`,
		`{strategy: Graph, steps: [{name: d, inputs: [ex]}]}`,
		`{strategy: Graph, steps: [{name: e, when: steps.ex.epoch == 2}]}`,
		`{strategy: Graph, steps: [{name: a, dependsOn: [b]}, {name: b, dependsOn: [a]}]}`,
	} {
		if id := identities(text); len(id) != 1 || slices.Contains(before, id[0]) {
			t.Errorf("%s: %+v", text, id)
		}
	}
}
