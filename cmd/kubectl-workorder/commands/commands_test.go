package commands

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

// run runs the plugin without a cluster.
func run(t *testing.T, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	var o, e bytes.Buffer
	code = Run(args, strings.NewReader(stdin), &o, &e)
	return code, o.String(), e.String()
}

const orderFile = `apiVersion: workorders.dev/v1alpha1
kind: WorkOrder
metadata: {name: x}
spec:
  params: [{name: version, value: "1"}]
  steps:
  - {name: a, wait: {seconds: 1}}
  - {name: b, wait: {seconds: 1}}
`

func TestWhatMakesNoSenseIsRefusedWithTheWayOut(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
		says string
	}{
		{"wach x", 2, `there is no command "wach" (did you mean "watch"?)`},
		{"frobnicate", 2, `see kubectl workorder --help`},
		{"watch", 2, "name the orders to watch, or choose them with -l"},
		{"watch x -l a=b", 2, "and not both"},
		{"watch x --frob", 2, "unknown flag: --frob: see kubectl workorder watch --help"},
		{"status", 2, "accepts 1 arg(s), received 0: write kubectl workorder status NAME"},
		{"status x -o wide", 2, "-o wide is not known here: write -o json"},
		{"list --sort-by size", 2, "write age, name or phase"},
		{"logs x --epoch 2", 2, "name the step too"},
		{"replay x --speed 0", 2, "write a number above 0"},
		{"run", 2, "name the file with -f"},
		{"run -f - --param version", 2, "write it as name=value"},
		{"run -f - --param vesrion=2", 2, `no param "vesrion" (did you mean "version"?)`},
		{"watch x -A", 2, "-A goes with -l"},
		{"wait x --timeout -1s", 2, "is no time to wait"},
		{"validate", 2, "name the file with -f"},
		{"graph", 2, "name an order, or a file with -f"},
		{"status x", 1, "no cluster is configured: set KUBECONFIG"},
		{"watch x", 1, "no cluster is configured"},
		{"list -s http://127.0.0.1:1", 1, "the cluster does not answer"},
		{"run -f /does/not/exist", 1, "no such file"},
	} {
		code, out, errOut := run(t, orderFile, strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(errOut, test.says) || out != "" || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: exit code %d, said %q and %q; want %d and %q, on one line", test.args, code, out, errOut, test.code, test.says)
		}
	}
}

func TestWhatNeedsNoClusterWorksWithoutOne(t *testing.T) {
	for args, says := range map[string]string{
		"":                      "Watch orders advance",
		"watch --help":          "Exit code: 0 all have succeeded",
		"version":               "workorders.dev/v1alpha1",
		"validate -f -":         "x is in order",
		"graph -f -":            "b  after a",
		"graph -f - -o dot":     `"a" -> "b"`,
		"graph -f - -o mermaid": "s0 --> s1",
		"completion bash":       "kubectl-workorder",
	} {
		code, out, errOut := run(t, orderFile, strings.Fields(args)...)
		if code != 0 || !strings.Contains(out, says) || errOut != "" {
			t.Errorf("%s: exit code %d, said %q and %q; want %q", args, code, out, errOut, says)
		}
	}
	code, out, _ := run(t, strings.Replace(orderFile, "seconds: 1", "second: 1", 1), "validate", "-f", "-")
	if code != 1 || !strings.HasPrefix(out, "-:7: spec.steps[0].wait.") {
		t.Errorf("exit code %d, said %q", code, out)
	}
	if code, _, errOut := run(t, strings.Replace(orderFile, "params:", "parms:", 1), "run", "-f", "-"); code != 1 || !strings.Contains(errOut, "-:5: spec.parms: this field is not known") {
		t.Errorf("exit code %d, said %q", code, errOut)
	}
	file := filepath.Join(t.TempDir(), "two.yaml")
	if err := os.WriteFile(file, []byte(orderFile+"---\n"+orderFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := run(t, "", "run", "-f", file); code != 1 || !strings.Contains(errOut, "holds 2 work orders, and one is wanted") {
		t.Errorf("exit code %d, said %q", code, errOut)
	}
}

func TestNumbersAreWrittenAsRanges(t *testing.T) {
	for want, sequences := range map[string][]int64{"": nil, "4": {4}, "4-6": {4, 5, 6}, "1, 3-4, 9": {1, 3, 4, 9}} {
		var events []*v1alpha1.ProgressEvent
		for _, n := range sequences {
			events = append(events, &v1alpha1.ProgressEvent{Spec: v1alpha1.ProgressEventSpec{Sequence: n}})
		}
		if got := numbers(events); got != want {
			t.Errorf("%v: got %q, want %q", sequences, got, want)
		}
	}
}

func TestARewindAsksForTheNextEpoch(t *testing.T) {
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
	order.Status.Steps = []v1alpha1.StepStatus{{Name: "plan", Epoch: 3}, {Name: "publish", Phase: v1alpha1.StepPending}}
	said, err := rewound(order, "plan", "a\nreason")
	if err != nil || order.Spec.Rewinds[0] != (v1alpha1.RewindRequest{Step: "plan", ToEpoch: 4}) || !strings.Contains(said, "epoch 4") ||
		order.Annotations[causeAnnotation] != "rewind of plan: a reason" {
		t.Errorf("%v, %q, %v", order, said, err)
	}
	if said, err := rewound(order, "plan", ""); err != nil || len(order.Spec.Rewinds) != 1 || !strings.Contains(said, "already") {
		t.Errorf("a second time: %v, %q, %v", order.Spec.Rewinds, said, err)
	}
	order.Status.Steps[0].Epoch = 4
	if _, err := rewound(order, "plan", ""); err != nil || order.Spec.Rewinds[0].ToEpoch != 5 {
		t.Errorf("later: %v, %v", order.Spec.Rewinds, err)
	}
	order.Status.Steps = append(order.Status.Steps, v1alpha1.StepStatus{Name: "skipped", Phase: v1alpha1.StepSkipped})
	if said, err := rewound(order, "skipped", ""); err != nil || !strings.Contains(said, "epoch 1") {
		t.Errorf("one that was passed over can be asked for: %q, %v", said, err)
	}
	for step, says := range map[string]string{"pln": `did you mean "plan"?`, "zzz": "status x shows which there are", "publish": "has not started"} {
		if _, err := rewound(order, step, ""); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", step, err, says)
		}
	}
	order.Status.Cancelled = true
	if _, err := rewound(order, "plan", ""); err == nil || !strings.Contains(err.Error(), "cannot be rewound") {
		t.Errorf("what is cancelled: %v", err)
	}
}

func TestAnEndIsOneOnlyIfNothingIsAboutToRunAgain(t *testing.T) {
	now := metav1.Now()
	for _, test := range []struct {
		when  string
		order func(*v1alpha1.WorkOrder)
		want  bool
	}{
		{"it has finished", func(*v1alpha1.WorkOrder) {}, true},
		{"it has not", func(o *v1alpha1.WorkOrder) { o.Status.CompletionTime = nil }, false},
		{"an edit was not read yet", func(o *v1alpha1.WorkOrder) { o.Generation = 2 }, false},
		{"a rewind was read, and has not begun", func(o *v1alpha1.WorkOrder) { o.Spec.Rewinds = []v1alpha1.RewindRequest{{Step: "a", ToEpoch: 2}} }, false},
		{"a rewind is over", func(o *v1alpha1.WorkOrder) { o.Spec.Rewinds = []v1alpha1.RewindRequest{{Step: "a", ToEpoch: 1}} }, true},
		{"it was cancelled and is to be rewound", func(o *v1alpha1.WorkOrder) {
			o.Status.Cancelled, o.Spec.Rewinds = true, []v1alpha1.RewindRequest{{Step: "a", ToEpoch: 2}}
		}, true},
		{"it cannot run and is to be rewound", func(o *v1alpha1.WorkOrder) { o.Spec.Rewinds = []v1alpha1.RewindRequest{{Step: "b", ToEpoch: 2}} }, true},
		{"it is being deleted", func(o *v1alpha1.WorkOrder) { o.Generation, o.DeletionTimestamp = 2, &now }, true},
	} {
		order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
		order.Spec.Steps = []v1alpha1.Step{{Name: "a", Wait: &v1alpha1.Wait{}}}
		order.Status = v1alpha1.WorkOrderStatus{ObservedGeneration: 1, CompletionTime: &now, Steps: []v1alpha1.StepStatus{{Name: "a", Epoch: 1, Phase: v1alpha1.StepSucceeded}}}
		test.order(order)
		if got := finished(order); got != test.want {
			t.Errorf("%s: %t", test.when, got)
		}
	}
}

func TestWhatCannotBeWrittenIsNoSuccess(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("SKIPPED: this system has no /dev/full")
	}
	defer full.Close()
	var errOut bytes.Buffer
	if code := Run([]string{"graph", "-f", "-"}, strings.NewReader(orderFile), full, &errOut); code != 1 || !strings.Contains(errOut.String(), "no space left") {
		t.Errorf("exit code %d, said %q", code, errOut.String())
	}
}
