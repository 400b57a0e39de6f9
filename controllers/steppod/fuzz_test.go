package steppod

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/hostile"
)

// FuzzText shows that no text comes out of cleaning or cutting that harms a terminal or a page, is no text, or is longer
// than it may be.
func FuzzText(f *testing.F) {
	for _, seed := range append(hostile.Texts, "", "plain", "<b>&\"\\", strings.Repeat("a", 300), strings.Repeat("<", 300), strings.Repeat("\xff", 90)) {
		f.Add(seed, 256)
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(limit, len(ellipsis)) % 8192
		limit = max(limit, len(ellipsis))
		for what, got := range map[string]string{"Cut": Cut(text, limit), "Line": Line(text, limit), "Clean and Cut": Cut(Clean(text), limit)} {
			if size := jsonSize(t, got); size > limit {
				t.Errorf("%s of %q to %d takes %d bytes", what, text, limit, size)
			}
		}
		clean := Clean(text)
		if Clean(clean) != clean {
			t.Errorf("cleaning %q twice changes it", text)
		}
		if flaw := hostile.Flaw(clean); flaw != "" {
			t.Errorf("%q is cleaned to %q: %s", text, clean, flaw)
		}
		if line := Line(text, limit); hostile.LineFlaw(line) != "" {
			t.Errorf("a line of %q is %q: %s", text, line, hostile.LineFlaw(line))
		}
		if hostile.Flaw(text) == "" && strings.TrimSpace(text) != clean {
			t.Errorf("%q is harmless, and is cleaned to %q", text, clean)
		}
	})
}

// jsonSize is the number of bytes of a text in JSON; HTML is escaped, as the API server does.
func jsonSize(t *testing.T, text string) int {
	t.Helper()
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return len(encoded) - 2
}

// FuzzRead shows that every Pod can be read, whatever its status says and however it was forged; that only the order's own
// is; and that what it says is fit to be written down.
func FuzzRead(f *testing.F) {
	for i, pod := range []*corev1.Pod{
		lived(), lived(runs), lived(terminated(1, "", "x"), failed), lived(failed), lived(gated), lived(deleted(0, 0)),
		lived(runs, deleted(0, 0)), lived(stoppedAs("Cancelled"), failed), lived(bound, phase(corev1.PodFailed, "Evicted", "")), {},
	} {
		encoded, err := json.Marshal(pod)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded, hostile.Texts[i])
	}
	f.Fuzz(func(t *testing.T, encoded []byte, text string) {
		pod := &corev1.Pod{}
		if json.Unmarshal(encoded, pod) != nil {
			t.Skip()
		}
		if report, isOurs := Read(pod, testOrder()); isOurs && (!Owned(pod, "uid-1") || pod.Name != Name("add-dark-mode", "uid-1", report.Step, report.Epoch)) {
			t.Errorf("it is taken for %v", report.Attempt)
		}
		// Whatever is in it, it claims to be ours, and says that text wherever a Pod can say one.
		ours := lived()
		pod.Name, pod.Labels, pod.OwnerReferences = ours.Name, ours.Labels, ours.OwnerReferences
		say(pod, text)
		before := pod.DeepCopy()
		report, ok := Read(pod, testOrder())
		again, _ := Read(pod, testOrder())
		if !ok || !reflect.DeepEqual(report, again) || !reflect.DeepEqual(before, pod) {
			t.Fatal("it is not read, or read as two things, or changed")
		}
		checkReport(t, pod, &report)
		checkTrimmed(t, pod)
	})
}

// say puts a text, which JSON could not carry if it is none, into all that a node or a scheduler can say of a Pod.
func say(pod *corev1.Pod, text string) {
	if text == "" {
		return
	}
	pod.Status.Message = text
	for i := range pod.Status.Conditions {
		pod.Status.Conditions[i].Message = text
	}
	for i := range pod.Status.ContainerStatuses {
		state := &pod.Status.ContainerStatuses[i].State
		if state.Terminated != nil {
			state.Terminated.Message = text
		}
		if state.Waiting != nil {
			state.Waiting.Message = text
		}
	}
}

// codesOfEnds are the codes that an end can have: the closed list of the API, without reasons for waiting.
var codesOfEnds = []v1alpha1.ErrorCode{
	v1alpha1.CodeNonZeroExit, v1alpha1.CodeOOMKilled, v1alpha1.CodeTimeout, v1alpha1.CodeEvicted, v1alpha1.CodeNotAdmitted, v1alpha1.CodeDeleted,
	v1alpha1.CodeLost, v1alpha1.CodeStartTimeout, v1alpha1.CodeStartError, v1alpha1.CodeCancelled, v1alpha1.CodeSpecChanged, v1alpha1.CodeSuperseded,
}

func checkReport(t *testing.T, pod *corev1.Pod, report *Report) {
	t.Helper()
	late := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	switch end := report.Ended(late); {
	case end == nil:
		if !report.LostAt.IsZero() {
			t.Error("it is lost at a time, and has not ended by then")
		}
	case report.Waiting != nil && report.End != nil:
		t.Error("it has ended and waits")
	case end.Verdict == Succeeded && (end.Code != "" || pod.Status.Phase != corev1.PodSucceeded):
		t.Errorf("it succeeded as %q with the phase %q", end.Code, pod.Status.Phase)
	case end.Verdict != Succeeded && (!slices.Contains(codesOfEnds, end.Code) || end.Message == ""):
		t.Errorf("it did not succeed, and nobody knows why: %q, %q", end.Code, end.Message)
	case pod.Status.Phase == corev1.PodSucceeded && end.Verdict != Succeeded:
		t.Errorf("a Pod that succeeded reads as %+v", end)
	default:
		checkText(t, "its message", end.Message, MaxErrorMessage, hostile.LineFlaw)
		checkText(t, "its output", end.Output, MaxOutput, hostile.Flaw)
	}
	if w := report.Waiting; w != nil {
		checkText(t, "why it waits", w.Message, MaxErrorMessage, hostile.LineFlaw)
		if w.Code == "" {
			t.Error("it waits for a reason without a code")
		}
	}
}

func checkText(t *testing.T, what, text string, limit int, flaw func(string) string) {
	t.Helper()
	if problem, size := flaw(text), jsonSize(t, text); problem != "" || size > limit {
		t.Errorf("%s: %s, %d bytes: %.100q", what, problem, size, text)
	}
}

// FuzzBuild shows that whatever an order asks for, its Pod is one container that cannot run a second time by itself, that
// is known for whose it is, and in which nobody but the operator has set what is the operator's.
func FuzzBuild(f *testing.F) {
	for _, spec := range []string{
		`{"steps":[{"name":"build","run":{"image":"registry/agent:1"}}]}`,
		`{"params":[{"name":"git-ref","value":"$(WORKORDER_UID) $$ \u0000"}],"steps":[{"name":"build","timeoutSeconds":60,"run":{"image":"i","env":[{"name":"A","value":"$(PARAM_GIT_REF)"}],"args":["\u001b"]}}]}`,
		`{"pod":{"labels":{"workorders.dev/epoch":"9","a":"b"},"annotations":{"workorders.dev/stopped":"Cancelled"},"volumes":[{"name":"v"},{"name":"w","secret":{}}]},"steps":[{"name":"build","run":{"resources":{"limits":{"cpu":"1"}},"securityContext":{"privileged":true}}}]}`,
	} {
		f.Add([]byte(spec), int64(3), int64(2), "v1-x")
		f.Add([]byte(spec), int64(-1), int64(0), "\x00")
	}
	f.Fuzz(func(t *testing.T, encoded []byte, epoch, attempt int64, hash string) {
		order := testOrder()
		order.Spec = v1alpha1.WorkOrderSpec{}
		if json.Unmarshal(encoded, &order.Spec) != nil || len(order.Spec.Steps) == 0 || order.Spec.Steps[0].Run == nil {
			t.Skip()
		}
		step, before := &order.Spec.Steps[0], order.DeepCopy()
		pod := Build(order, step, &v1alpha1.StepStatus{Name: step.Name, Epoch: epoch, Attempt: attempt, SpecHash: hash}, nil)
		if !reflect.DeepEqual(before, order) {
			t.Error("the order was changed")
		}
		if _, err := json.Marshal(pod); err != nil {
			t.Errorf("it cannot be sent: %v", err)
		}
		if len(validation.IsDNS1123Label(step.Name)) == 0 && 0 < epoch && epoch <= MaxEpoch && len(validation.IsDNS1123Label(pod.Name)) > 0 {
			t.Errorf("its name is %q", pod.Name)
		}
		report, isOurs := Read(pod, order)
		if want := (Attempt{step.Name, epoch}); !isOurs || report.Attempt != want || report.SpecHash != hash || !report.Held || report.Stopped != "" || report.End != nil {
			t.Errorf("it reads as %+v, ours: %v", report, isOurs)
		}
		checkBuilt(t, order, pod)
	})
}

func checkBuilt(t *testing.T, order *v1alpha1.WorkOrder, pod *corev1.Pod) {
	t.Helper()
	spec := &pod.Spec
	if len(spec.Containers)+len(spec.InitContainers)+len(spec.EphemeralContainers) != 1 || spec.RestartPolicy != corev1.RestartPolicyNever || spec.NodeName != "" ||
		spec.Containers[0].RestartPolicy != nil || spec.Containers[0].Lifecycle != nil || spec.HostNetwork || spec.HostPID || spec.HostIPC {
		t.Errorf("it can do more than run one container once: %+v", spec)
	}
	for _, volume := range spec.Volumes {
		if volume.HostPath != nil {
			t.Error("it reaches into its node")
		}
	}
	own := 0
	for key := range pod.Annotations {
		if strings.HasPrefix(key, "workorders.dev/") {
			own++
		}
	}
	for key := range pod.Labels {
		if strings.HasPrefix(key, "workorders.dev/") {
			own++
		}
	}
	if own != 5 || len(pod.Finalizers) != 1 || len(pod.OwnerReferences) != 1 {
		t.Errorf("%d labels and annotations are ours: %v %v", own, pod.Labels, pod.Annotations)
	}
	env := spec.Containers[0].Env
	for i, param := range order.Spec.Params {
		if got := env[6+i]; expand(got.Value) != param.Value {
			t.Errorf("%q arrives as %q", param.Value, expand(got.Value))
		}
	}
}
