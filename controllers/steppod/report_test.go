package steppod

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// lived is the Pod of build's third epoch after all of that has happened to it.
func lived(life ...func(*corev1.Pod)) *corev1.Pod {
	order := testOrder()
	pod := Build(order, &order.Spec.Steps[0], second, nil)
	pod.CreationTimestamp = metav1.NewTime(noon)
	pod.Status.Phase = corev1.PodPending
	for _, happen := range life {
		happen(pod)
	}
	return pod
}

func bound(p *corev1.Pod) { p.Spec.NodeName = "node" }

func runs(p *corev1.Pod) {
	bound(p)
	p.Status.Phase = corev1.PodRunning
	containerState(p).Running = &corev1.ContainerStateRunning{}
}

func containerState(p *corev1.Pod) *corev1.ContainerState {
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "injected"}, {Name: ContainerName}}
	return &p.Status.ContainerStatuses[1].State
}

// terminated: the container ended a minute after noon.
func terminated(code int32, reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		bound(p)
		containerState(p).Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message, FinishedAt: metav1.NewTime(noon.Add(time.Minute))}
	}
}

func phase(phase corev1.PodPhase, reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason, p.Status.Message = phase, reason, message }
}

func failed(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }

// deleted: somebody asked for the deletion so long after noon, with so much grace.
func deleted(after time.Duration, grace int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.DeletionTimestamp = &metav1.Time{Time: noon.Add(after + time.Duration(grace)*time.Second)}
		p.DeletionGracePeriodSeconds = &grace
	}
}

func stoppedAs(code string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Annotations = map[string]string{AnnotationStopped: code}
		p.Spec.ActiveDeadlineSeconds = ptr(int64(1))
	}
}

func lasting(seconds int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = &seconds }
}

func since(start time.Time) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.StartTime = &metav1.Time{Time: start} }
}

func targeted(message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Message: message})
	}
}

func gated(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: GateSealed}} }

type life = []func(*corev1.Pod)

// at is when the containers of these lives end.
var at = noon.Add(time.Minute)

// ends are the lives of Pods and what is told of their end; nil as long as they have not ended.
var ends = []struct {
	when string
	life life
	want *End
}{
	{"it is new", life{}, nil},
	{"it has no status at all", life{phase("", "", "")}, nil},
	{"it runs", life{runs}, nil},
	{"its node does not answer", life{runs, phase(corev1.PodUnknown, "NodeLost", "")}, nil},
	{"its container has ended, and the Pod not yet", life{runs, terminated(0, "Completed", "x")}, nil},
	{"it is being deleted and still runs", life{runs, deleted(time.Minute, 30)}, nil},

	{"it succeeded", life{terminated(0, "Completed", " out\x1b\n"), phase(corev1.PodSucceeded, "", "")},
		&End{Verdict: Succeeded, Output: "out", ExitCode: ptr(int32(0)), Finished: at}},
	{"it succeeded while it was stopped", life{terminated(0, "", ""), stoppedAs("Cancelled"), phase(corev1.PodSucceeded, "", "")},
		&End{Verdict: Succeeded, ExitCode: ptr(int32(0)), Finished: at}},
	{"it succeeded and nobody says how", life{phase(corev1.PodSucceeded, "", "")}, &End{Verdict: Succeeded}},

	{"its container failed", life{terminated(3, "Error", "oh no"), failed},
		&End{Verdict: Failed, Code: v1alpha1.CodeNonZeroExit, Message: "exit code 3", Output: "oh no", ExitCode: ptr(int32(3)), Finished: at}},
	{"there is no such command", life{terminated(128, "StartError", "exec: not found"), failed},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeStartError, Message: "its node could not start the container: exec: not found"}},
	{"its kubelet was killed while it started the container", life{terminated(128, "StartError", "failed to create shim task: context canceled"), failed},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeStartError, Message: "its node could not start the container: failed to create shim task: context canceled"}},
	{"it used too much memory", life{terminated(137, "OOMKilled", ""), failed},
		&End{Verdict: Failed, Code: v1alpha1.CodeOOMKilled, Message: "it used more memory than its limit", ExitCode: ptr(int32(137)), Finished: at}},
	{"it took too long", life{func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = ptr(int64(60)) }, terminated(143, "", ""), phase(corev1.PodFailed, "DeadlineExceeded", "")},
		&End{Verdict: Failed, Code: v1alpha1.CodeTimeout, Message: "it took longer than its timeout of 60 s", ExitCode: ptr(int32(143)), Finished: at}},
	{"it was done before its deadline, and the kubelet heard of it late", life{lasting(61), since(noon), terminated(0, "Completed", "done"), phase(corev1.PodFailed, "DeadlineExceeded", "")},
		&End{Verdict: Succeeded, Output: "done", ExitCode: ptr(int32(0)), Finished: at}},
	{"it had failed before its deadline, and the kubelet heard of it late", life{lasting(61), since(noon), terminated(3, "Error", ""), phase(corev1.PodFailed, "DeadlineExceeded", "")},
		&End{Verdict: Failed, Code: v1alpha1.CodeNonZeroExit, Message: "exit code 3", ExitCode: ptr(int32(3)), Finished: at}},
	{"it was told to end at its deadline, and ended well", life{lasting(60), since(noon), terminated(0, "Completed", ""), phase(corev1.PodFailed, "DeadlineExceeded", "")},
		&End{Verdict: Failed, Code: v1alpha1.CodeTimeout, Message: "it took longer than its timeout of 60 s", ExitCode: ptr(int32(0)), Finished: at}},
	{"it was told to end as it was not wanted, and ended well", life{since(noon), terminated(0, "Completed", ""), stoppedAs("Cancelled"), phase(corev1.PodFailed, "DeadlineExceeded", "")},
		&End{Verdict: Stopped, Code: v1alpha1.CodeCancelled, Message: "the order was cancelled", ExitCode: ptr(int32(0)), Finished: at}},
	{"it failed, and was deleted after that", life{terminated(3, "", ""), failed, deleted(2*time.Minute, 30)},
		&End{Verdict: Failed, Code: v1alpha1.CodeNonZeroExit, Message: "exit code 3", ExitCode: ptr(int32(3)), Finished: at}},

	{"its time was over before a container lived", life{bound, phase(corev1.PodFailed, "DeadlineExceeded", "")},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeStartTimeout, Message: "its container did not start before the step's timeout"}},
	{"its node evicted it", life{terminated(137, "", ""), phase(corev1.PodFailed, "Evicted", "low on memory")},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeEvicted, Message: "its Pod was evicted: low on memory", ExitCode: ptr(int32(137)), Finished: at}},
	{"it was preempted", life{terminated(143, "", ""), failed, targeted("preempted by a higher priority"), deleted(0, 30)},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeEvicted, Message: "its Pod was evicted: preempted by a higher priority", ExitCode: ptr(int32(143)), Finished: at}},
	{"its node shut down", life{terminated(143, "", ""), phase(corev1.PodFailed, "Terminated", "")},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeEvicted, Message: "its Pod was evicted", ExitCode: ptr(int32(143)), Finished: at}},
	{"its node was lost", life{bound, phase(corev1.PodFailed, "NodeLost", "")}, &End{Verdict: Disrupted, Code: v1alpha1.CodeLost, Message: "its node was lost"}},
	{"its node refused it", life{bound, phase(corev1.PodFailed, "OutOfcpu", "no cpu left")},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeNotAdmitted, Message: "the node refused its Pod: OutOfcpu: no cpu left"}},
	{"its node refused it and says no more", life{bound, phase(corev1.PodFailed, "OutOfcpu", "")},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeNotAdmitted, Message: "the node refused its Pod: OutOfcpu"}},
	{"its node does not know its container", life{terminated(137, unknownEnd, "?"), failed},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeLost, Message: "the node does not know how its container ended", Output: "?", Finished: at}},
	{"it failed and nothing else is known", life{failed}, &End{Verdict: Disrupted, Code: v1alpha1.CodeLost, Message: "the node does not know how its container ended"}},
	{"it was deleted before it had a node", life{deleted(0, 0)}, &End{Verdict: Disrupted, Code: v1alpha1.CodeDeleted, Message: "its Pod was deleted before it ran"}},
	{"it was deleted while it ran", life{terminated(143, "", ""), failed, deleted(30*time.Second, 30)},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeDeleted, Message: "its Pod was deleted while it ran", ExitCode: ptr(int32(143)), Finished: at}},
	{"it was deleted in the second in which it ended", life{terminated(143, "", ""), failed, deleted(time.Minute, 30)},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeDeleted, Message: "its Pod was deleted while it ran", ExitCode: ptr(int32(143)), Finished: at}},
	{"it was deleted while it ran, and the kubelet is done with it", life{terminated(143, "", ""), failed, deleted(2*time.Minute, 0)},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeDeleted, Message: "its Pod was deleted while it ran", ExitCode: ptr(int32(143)), Finished: at}},
	{"it failed by itself before it was deleted, and the kubelet is done with it", life{terminated(3, "", ""), failed, deleted(2*time.Minute, 0)},
		&End{Verdict: Failed, Code: v1alpha1.CodeNonZeroExit, Message: "exit code 3", ExitCode: ptr(int32(3)), Finished: at}},

	{"it was to be stopped, but was not, and failed by itself", life{bound, terminated(3, "", ""), stoppedAs("StartTimeout"), lasting(60), failed},
		&End{Verdict: Failed, Code: v1alpha1.CodeNonZeroExit, Message: "exit code 3", ExitCode: ptr(int32(3)), Finished: at}},
	{"it was stopped as it did not start, but had long failed by itself", life{bound, terminated(3, "", ""), stoppedAs("StartTimeout"), failed},
		&End{Verdict: Failed, Code: v1alpha1.CodeNonZeroExit, Message: "exit code 3", ExitCode: ptr(int32(3)), Finished: at}},
	{"it was stopped as it did not start, but had long failed by itself, and was deleted then", life{bound, terminated(3, "", ""), stoppedAs("StartTimeout"), failed, deleted(2*time.Minute, 30)},
		&End{Verdict: Failed, Code: v1alpha1.CodeNonZeroExit, Message: "exit code 3", ExitCode: ptr(int32(3)), Finished: at}},
	{"it was stopped as it did not start, but ran, and was deleted meanwhile", life{bound, terminated(143, "", ""), stoppedAs("StartTimeout"), failed, deleted(30*time.Second, 30)},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeDeleted, Message: "its Pod was deleted while it ran", ExitCode: ptr(int32(143)), Finished: at}},
	{"it was stopped as it did not start, and then did", life{bound, terminated(143, "", ""), stoppedAs("StartTimeout"), phase(corev1.PodFailed, "DeadlineExceeded", "")},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeStartTimeout, Message: "its container did not start in time", ExitCode: ptr(int32(143)), Finished: at}},
	{"it was stopped as it did not start", life{bound, stoppedAs("StartTimeout"), phase(corev1.PodFailed, "DeadlineExceeded", "")},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeStartTimeout, Message: "its container did not start in time"}},
	{"it was stopped as it did not start, and had no node", life{stoppedAs("StartTimeout"), deleted(0, 0)},
		&End{Verdict: Disrupted, Code: v1alpha1.CodeStartTimeout, Message: "its container did not start in time"}},
	{"its order was cancelled", life{terminated(143, "", "bye"), stoppedAs("Cancelled"), phase(corev1.PodFailed, "DeadlineExceeded", "")},
		&End{Verdict: Stopped, Code: v1alpha1.CodeCancelled, Message: "the order was cancelled", Output: "bye", ExitCode: ptr(int32(143)), Finished: at}},
	{"its step was edited", life{stoppedAs("SpecChanged"), deleted(0, 0)}, &End{Verdict: Stopped, Code: v1alpha1.CodeSpecChanged, Message: "its spec, or what it depends on, was changed"}},
	{"it was not wanted", life{stoppedAs("Superseded"), deleted(0, 0)}, &End{Verdict: Stopped, Code: v1alpha1.CodeSuperseded, Message: "it was not wanted any more"}},
	{"it was stopped for a reason of tomorrow", life{stoppedAs("Boredom"), deleted(0, 0)}, &End{Verdict: Stopped, Code: v1alpha1.CodeSuperseded, Message: "it was not wanted any more"}},
	{"it only takes a name", life{gated}, &End{Verdict: Stopped, Code: v1alpha1.CodeSuperseded, Message: "it was stopped before its Pod was made"}},
}

func TestEveryWayInWhichAPodEndsIsTold(t *testing.T) {
	for _, test := range ends {
		report, ours := Read(lived(test.life...), testOrder())
		if diff := cmp.Diff(test.want, report.End); diff != "" || !ours {
			t.Errorf("when %s: (ours: %v)\n%s", test.when, ours, diff)
		}
	}
}

func TestAPodThatWasDeletedByForceIsLostAMinuteLater(t *testing.T) {
	report, _ := Read(lived(runs, deleted(time.Minute, 0)), testOrder())
	if want := noon.Add(2 * time.Minute); !report.LostAt.Equal(want) || report.End != nil {
		t.Errorf("lost at %v, ended as %+v", report.LostAt, report.End)
	}
	for when, life := range map[string][]func(*corev1.Pod){
		"it has grace":           {runs, deleted(time.Minute, 30)},
		"it said how it ended":   {terminated(0, "", ""), phase(corev1.PodSucceeded, "", ""), deleted(time.Minute, 0)},
		"it never had a node":    {deleted(time.Minute, 0)},
		"nobody has deleted it":  {runs},
		"its grace is not known": {runs, deleted(time.Minute, 0), func(p *corev1.Pod) { p.DeletionGracePeriodSeconds = nil }},
	} {
		if report, _ := Read(lived(life...), testOrder()); !report.LostAt.IsZero() {
			t.Errorf("it is lost when %s", when)
		}
	}
}

func TestAPodSaysWhyItDoesNotStart(t *testing.T) {
	waits := func(reason, message string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			bound(p)
			containerState(p).Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
		}
	}
	unschedulable := func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes\nfit"}}
	}
	for _, test := range []struct {
		when string
		life func(*corev1.Pod)
		want *v1alpha1.StepError
	}{
		{"nothing is known", bound, nil},
		{"its container is being made", waits("ContainerCreating", ""), nil},
		{"no node fits", unschedulable, &v1alpha1.StepError{Code: v1alpha1.CodeUnschedulable, Message: "0/3 nodes fit"}},
		{"its image is not there", waits("ErrImagePull", "not\x1b found"), &v1alpha1.StepError{Code: v1alpha1.CodeImagePull, Message: "not found"}},
		{"and again", waits("ImagePullBackOff", ""), &v1alpha1.StepError{Code: v1alpha1.CodeImagePull, Message: "ImagePullBackOff"}},
		{"a Secret is missing", waits("CreateContainerConfigError", "secret \"x\" not found"), &v1alpha1.StepError{Code: v1alpha1.CodeContainerConfig, Message: "secret \"x\" not found"}},
		{"it runs after all", runs, nil},
	} {
		report, _ := Read(lived(test.life), testOrder())
		if diff := cmp.Diff(test.want, report.Waiting); diff != "" || report.End != nil {
			t.Errorf("when %s: %s", test.when, diff)
		}
	}
}

func TestAPodIsNotStoppedBeforeAllIsDoneThatStopsIt(t *testing.T) {
	annotated := func(p *corev1.Pod) { p.Annotations = map[string]string{AnnotationStopped: "Cancelled"} }
	for _, test := range []struct {
		when string
		life []func(*corev1.Pod)
		want v1alpha1.ErrorCode
	}{
		{"nobody stopped it", []func(*corev1.Pod){runs}, ""},
		{"it has no node and was not deleted", []func(*corev1.Pod){annotated}, ""},
		{"it has no node and was deleted", []func(*corev1.Pod){annotated, deleted(0, 0)}, "Cancelled"},
		{"it has a node and no deadline", []func(*corev1.Pod){runs, annotated}, ""},
		{"it has a node and the deadline of its step", []func(*corev1.Pod){runs, annotated, func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = ptr(int64(60)) }}, ""},
		{"it has a node and a deadline", []func(*corev1.Pod){runs, stoppedAs("Cancelled")}, "Cancelled"},
		{"it got its node between the two", []func(*corev1.Pod){runs, annotated, deleted(0, 30)}, "Cancelled"},
	} {
		if report, _ := Read(lived(test.life...), testOrder()); report.Stopped != test.want {
			t.Errorf("when %s: got %q, want %q", test.when, report.Stopped, test.want)
		}
	}
}

func TestOnlyTheOrdersOwnPodsAreRead(t *testing.T) {
	for when, change := range map[string]func(*corev1.Pod){
		"another order's uid is the owner's":   func(p *corev1.Pod) { p.OwnerReferences[0].UID = "uid-0" },
		"its owner does not control it":        func(p *corev1.Pod) { p.OwnerReferences[0].Controller = nil },
		"it has no owner":                      func(p *corev1.Pod) { p.OwnerReferences = nil },
		"it has another name":                  func(p *corev1.Pod) { p.Name += "0" },
		"its label says another epoch":         func(p *corev1.Pod) { p.Labels[LabelEpoch] = "4" },
		"its label says no epoch":              func(p *corev1.Pod) { p.Labels[LabelEpoch] = "three" },
		"its label says another step":          func(p *corev1.Pod) { p.Labels[LabelStep] = "test" },
		"it has no labels":                     func(p *corev1.Pod) { p.Labels = nil },
		"its epoch does not fit into a number": func(p *corev1.Pod) { p.Labels[LabelEpoch] = "99999999999999999999" },
	} {
		if report, ours := Read(lived(runs, change), testOrder()); ours {
			t.Errorf("when %s: read as %+v", when, report)
		}
	}
	if _, ours := Read(&corev1.Pod{}, &v1alpha1.WorkOrder{}); ours {
		t.Error("an empty Pod is an empty order's")
	}
	want := Report{Attempt: Attempt{"build", 3}, Name: Name("add-dark-mode", "uid-1", "build", 3), Created: noon, Bound: true, Started: true, Held: true, SpecHash: "v1-x"}
	if report, ours := Read(lived(runs), testOrder()); !ours || !cmp.Equal(want, report) {
		t.Errorf("ours: %v, %s", ours, cmp.Diff(want, report))
	}
}
