package plan_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// What an attempt is given, what it may take, and what may follow from its end. All of it is as the user's documentation
// has it.

// made checks what an attempt's Pod is given. One that a frozen operator makes for an attempt that is over does not count:
// it is stopped.
func (l *laws) made(c *cluster, pod *corev1.Pod) {
	order, a := c.order, attemptOf(pod)
	if order == nil || order.DeletionTimestamp != nil || steppod.Sealed(pod) {
		return
	}
	if c.place > 0 && order.Status.StartTime == nil {
		l.breach("%v has a Pod, and the order waits for a place to run", a)
	}
	status, spec := statusOf(&order.Status, a.Step), specOf(&order.Spec, a.Step)
	switch {
	case status == nil || spec == nil || status.Phase != v1alpha1.StepRunning || status.Epoch != a.Epoch:
		return
	case status.SpecHash != pod.Annotations[steppod.AnnotationSpecHash] || order.Generation != order.Status.ObservedGeneration:
		return // It was edited, and the Pod may be made from either spec.
	case meta.IsStatusConditionTrue(order.Status.Conditions, v1alpha1.ConditionStalled):
		return // The spec that it was edited into cannot run: nobody makes a Pod from that, but a frozen operator from the one before.
	}
	want, got := map[string]string{}, map[string]string{}
	for _, input := range inputsOf(&order.Spec, spec) {
		other := statusOf(&order.Status, input)
		want[steppod.Variable("STEP", input)+"_OUTPUT"] = other.Output
		if source := (steppod.Attempt{Step: input, Epoch: other.Epoch}); !l.wrote(source, other.Output) {
			l.breach("%v gets %q as the output of %v, which wrote something else", a, other.Output, source)
		}
	}
	if len(spec.Inputs) > 0 {
		l.seen[sawInputs]++
	}
	for _, v := range pod.Spec.Containers[0].Env {
		if strings.HasPrefix(v.Name, "STEP_") {
			got[v.Name] = strings.ReplaceAll(v.Value, "$$", "$") // As Kubernetes does.
		}
	}
	if !maps.Equal(want, got) {
		l.breach("%v gets %q, and the outputs of its inputs are %q", a, got, want)
	}
	l.limited(pod, spec, status.Finally)
	l.shares(c, pod)
}

// wrote says whether an output, as the status has it, is that of an attempt: all of it, or its beginning; of an object all,
// but for its blanks.
func (l *laws) wrote(a steppod.Attempt, output string) bool {
	pod := l.truth[a]
	if !didSucceed(pod) || tooLarge(terminated(pod).Message) {
		return output == ""
	}
	said, compact := written(terminated(pod)), &bytes.Buffer{}
	if json.Compact(compact, []byte(said)) == nil {
		return output == said || output == compact.String()
	}
	return jsonSize(output) <= 1<<10 && isCut(output, said)
}

// written is what a container wrote, made safe to show. Half a character at its beginning is what the kubelet left of one.
func written(end *corev1.ContainerStateTerminated) string {
	return strings.TrimLeft(steppod.Clean(end.Message), "\uFFFD")
}

// isCut says whether a text is all of another or, with an ellipsis, its beginning.
func isCut(text, of string) bool {
	beginning, cut := strings.CutSuffix(text, "…")
	return text == of || cut && strings.HasPrefix(of, beginning)
}

// limited checks that an attempt may take as long as its step says.
func (l *laws) limited(pod *corev1.Pod, spec *v1alpha1.Step, finally bool) {
	var want int64
	if finally {
		want = 600
	}
	if spec.TimeoutSeconds != nil {
		want = *spec.TimeoutSeconds
	}
	if got := pod.Spec.ActiveDeadlineSeconds; (got != nil) != (want > 0) || got != nil && *got != want {
		l.breach("%v may take %s s, and its timeout is %d", attemptOf(pod), encode(got), want)
	}
}

// shares checks that the Pods of an order with a workspace have it, once it is there, and all on one node.
func (l *laws) shares(c *cluster, pod *corev1.Pod) {
	wanted := c.order.Spec.Workspace != nil
	if wanted {
		l.seen[sawWorkspace]++
	}
	mounted := slices.ContainsFunc(pod.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/workspace" })
	together := pod.Spec.Affinity != nil && pod.Spec.Affinity.PodAffinity != nil
	if mounted != wanted || together != wanted || wanted && !c.shared {
		l.breach("the workspace of %v: wanted %v, mounted %v, on one node %v, there %v", attemptOf(pod), wanted, mounted, together, c.shared)
	}
}

// inputsOf are the steps of which a step gets the outputs.
func inputsOf(spec *v1alpha1.WorkOrderSpec, step *v1alpha1.Step) []string {
	if len(step.Inputs) > 0 {
		return step.Inputs
	}
	needs, _ := needsOf(spec, step.Name)
	return needs
}

// didSucceed says whether the container of a Pod did what it was to do, though its node may have noticed only when the
// deadline was over.
func didSucceed(pod *corev1.Pod) bool {
	if pod == nil || pod.Status.Phase == corev1.PodSucceeded {
		return pod != nil
	}
	end := terminated(pod)
	return ranOut(pod) && end.ExitCode == 0 && inTime(pod, end)
}

// ranOut says whether a Pod whose container had started was ended by its own deadline and by nobody else. Who deletes it once
// its container has ended does not end it.
func ranOut(pod *corev1.Pod) bool {
	end := terminated(pod)
	if end == nil || pod.Status.Reason != "DeadlineExceeded" || pod.Annotations[steppod.AnnotationStopped] != "" {
		return false
	}
	return pod.DeletionTimestamp == nil || end.FinishedAt.Time.Before(pod.DeletionTimestamp.Add(-time.Duration(*pod.DeletionGracePeriodSeconds)*time.Second))
}

func inTime(pod *corev1.Pod, end *corev1.ContainerStateTerminated) bool {
	return end.FinishedAt.Time.Before(pod.Status.StartTime.Add(time.Duration(*pod.Spec.ActiveDeadlineSeconds) * time.Second))
}

// told checks what an event says of a Pod that said how it ended: its exit code, its output, and that it took too long.
func (l *laws) told(a steppod.Attempt, pod *corev1.Pod, r *v1alpha1.StepResult, code v1alpha1.ErrorCode, current bool) {
	end := terminated(pod)
	if end == nil {
		return
	}
	if r.ExitCode != nil && *r.ExitCode != end.ExitCode {
		l.breach("I3: %v ended with exit code %d and is said to have with %d", a, end.ExitCode, *r.ExitCode)
	}
	overlong := ranOut(pod) && !inTime(pod, end)
	switch {
	case overlong:
		l.seen[sawTimeout]++
	case ranOut(pod):
		l.seen[sawLateNews]++
	}
	if overlong != (code == v1alpha1.CodeTimeout) && current && pod.DeletionTimestamp == nil {
		l.breach("%v took longer than its timeout: %v, and it is said to be %s, %s", a, overlong, r.Phase, code)
	}
	large := tooLarge(end.Message)
	if large && current {
		l.seen[sawTooLarge]++
	}
	if current && r.Phase == v1alpha1.StepSucceeded && large || code == v1alpha1.CodeResultsTooLarge && !large {
		l.breach("%v is said to be %s, %s, and its results are %q", a, r.Phase, code, end.Message)
	}
	if r.Phase == v1alpha1.StepSucceeded && !isCut(r.Output, written(end)) {
		l.breach("I3: the output of %v is %q, and it wrote %q", a, r.Output, end.Message)
	}
}

// tooLarge says whether an output is a JSON object that the status has no room for.
func tooLarge(output string) bool {
	compact, object := &bytes.Buffer{}, map[string]any{}
	if json.Unmarshal([]byte(output), &object) != nil || json.Compact(compact, []byte(output)) != nil {
		return false
	}
	return jsonSize(compact.String()) > 1<<10
}

// budgets checks what follows from an attempt that failed by itself: another one, unless its exit code is one for which there
// is none, or it had enough of them.
func (l *laws) budgets(order *v1alpha1.WorkOrder, was, step *v1alpha1.StepStatus) {
	if was.Phase != v1alpha1.StepRunning || was.Epoch != step.Epoch || step.Error == nil || step.ExitCode == nil || !isFailure(step.Error.Code) {
		return
	}
	limit, hopeless := retryOf(&order.Spec, step.Name)
	final := slices.Contains(hopeless, *step.ExitCode)
	if final && was.Retries < limit {
		l.seen[sawFinalExit]++
	}
	failsFast := order.Spec.FailFast && step.Message != ""
	switch again := step.Phase == v1alpha1.StepBackoff; {
	case again && (final || was.Retries >= limit):
		l.breach("%s starts again after exit code %d, its retry %d of %d, and %v are not retried", step.Name, *step.ExitCode, was.Retries+1, limit, hopeless)
	case step.Phase == v1alpha1.StepFailed && !final && was.Retries < limit && !failsFast:
		l.breach("%s was given up after exit code %d, with %d of %d retries used, and %v are not retried", step.Name, *step.ExitCode, was.Retries, limit, hopeless)
	}
}

func isFailure(code v1alpha1.ErrorCode) bool {
	return slices.Contains([]v1alpha1.ErrorCode{v1alpha1.CodeNonZeroExit, v1alpha1.CodeOOMKilled, v1alpha1.CodeTimeout, v1alpha1.CodeResultsTooLarge}, code)
}

// retryOf is how often a step is started again after a failure, and after which exit codes never: its own word before the
// order's.
func retryOf(spec *v1alpha1.WorkOrderSpec, name string) (limit int32, hopeless []int32) {
	words := []*v1alpha1.Retry{spec.Retry}
	if step := specOf(spec, name); step != nil {
		words = append(words, step.Retry)
	}
	for _, word := range words {
		if word != nil && word.Limit != nil {
			limit = *word.Limit
		}
		if word != nil && word.NonRetryableExitCodes != nil {
			hopeless = word.NonRetryableExitCodes
		}
	}
	return limit, hopeless
}

// retried checks in the log that no step starts again by itself after an exit code for which there is no other try.
func (l *laws) retried(before *v1alpha1.WorkOrder, e *v1alpha1.ProgressEventSpec) {
	if e.Rewind == nil || e.Rewind.Reason != v1alpha1.RewindFailed {
		return
	}
	for _, again := range e.Rewind.Steps {
		step := statusOf(&before.Status, again.Step)
		if step == nil || again.NewEpoch == step.Epoch || step.Error == nil || step.ExitCode == nil || !isFailure(step.Error.Code) {
			continue // It closes a gap in the log, or its failure does not count.
		}
		if _, hopeless := retryOf(&before.Spec, step.Name); slices.Contains(hopeless, *step.ExitCode) {
			l.breach("%s starts again, and exit code %d is not retried", step.Name, *step.ExitCode)
		}
	}
}

func specOf(spec *v1alpha1.WorkOrderSpec, name string) *v1alpha1.Step {
	for _, list := range [][]v1alpha1.Step{spec.Steps, spec.Finally} {
		if at := slices.IndexFunc(list, func(s v1alpha1.Step) bool { return s.Name == name }); at >= 0 {
			return &list[at]
		}
	}
	return nil
}

func statusOf(status *v1alpha1.WorkOrderStatus, name string) *v1alpha1.StepStatus {
	if at := slices.IndexFunc(status.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == name }); at >= 0 {
		return &status.Steps[at]
	}
	return nil
}
