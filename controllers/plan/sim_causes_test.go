package plan_test

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// explained checks, when the operator has nothing to do for now, that no step waits without a cause that people are told:
// by its own entry, or by the order's message and conditions. What the cause is follows from the user's documentation
// and not from the rules.
func (l *laws) explained(c *cluster) {
	o := c.order
	if o == nil || o.DeletionTimestamp != nil || o.Status.CompletionTime != nil || o.Status.Sequence == 0 {
		return
	}
	l.placed(c)
	if o.Spec.Cancel && o.Generation == o.Status.ObservedGeneration && slices.Contains(restful, readyReason(o)) {
		l.breach("the order is to be cancelled, and it is held: %s", encode(o.Status))
	}
	for i := range o.Status.Steps {
		step := &o.Status.Steps[i]
		switch step.Phase {
		case v1alpha1.StepRunning:
			l.startExplained(c, step)
		case v1alpha1.StepBackoff:
			if step.Error == nil || step.NotBefore == nil {
				l.breach("%s waits to start again, and it says neither why nor until when: %s", step.Name, encode(step))
			}
		case v1alpha1.StepBlocked:
			if step.Message == "" {
				l.breach("%s is blocked, and it does not say by what", step.Name)
			}
		case v1alpha1.StepPending:
			if step.Error == nil && !step.Removed && !l.pendingExplained(o, step) {
				l.breach("%s waits, and nothing says for what: %s", step.Name, encode(o.Status))
			}
		case v1alpha1.StepSucceeded, v1alpha1.StepFailed, v1alpha1.StepSkipped, v1alpha1.StepCancelled:
		}
	}
}

// startExplained checks a running step whose container does not run: it says why, unless its Pod was made only just now.
func (l *laws) startExplained(c *cluster, step *v1alpha1.StepStatus) {
	if step.PodName == "" || step.Error != nil || l.held(c.order) {
		return
	}
	pod := c.pods[step.PodName]
	if pod == nil {
		l.breach("%s has no Pod, and it does not say why: %s", step.Name, encode(c.order.Status))
		return
	}
	if report, ours := steppod.Read(pod, c.order); ours && !report.Started && report.Waiting != nil && report.Stopped == "" {
		l.breach("the Pod of %s says %s, and the step does not", step.Name, report.Waiting.Code)
	}
}

// restful are the reasons for which an order waits until people let it go on, and ending those for which it only ends.
var (
	restful = []string{v1alpha1.ReasonSuspended, v1alpha1.ReasonQueued, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonTooLarge}
	ending  = []string{v1alpha1.ReasonCancelling, v1alpha1.ReasonDeadlineExceeded}
)

// held says whether what keeps the whole order from going on is told.
func (l *laws) held(o *v1alpha1.WorkOrder) bool {
	return o.Status.Message != "" && slices.Contains(slices.Concat(restful, ending), readyReason(o))
}

// readyReason is why an order is not ready, if it says more than that.
func readyReason(o *v1alpha1.WorkOrder) string {
	ready := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Message == "" {
		return ""
	}
	return ready.Reason
}

// pendingExplained says whether there is a cause for which a step has not started, and people can see it.
func (l *laws) pendingExplained(o *v1alpha1.WorkOrder, step *v1alpha1.StepStatus) bool {
	if l.held(o) {
		return true
	}
	needs, finally := needsOf(&o.Spec, step.Name)
	before, running := allBefore(&o.Spec, step.Name), runningSteps(&o.Status)
	for i := range o.Status.Steps {
		other := &o.Status.Steps[i]
		switch {
		case slices.Contains(needs, other.Name) && !settledPhase(other.Phase), finally && !other.Finally && !settledPhase(other.Phase):
			return true // That one is on the way, or says itself for what it waits.
		case !finally && other.Name != step.Name && !slices.Contains(before, other.Name):
			// It waits for nothing of that one but room.
		case (other.Outdated || asks(o, other)) && (other.Phase == v1alpha1.StepRunning || strings.Contains(o.Status.Message, "and all that comes after run again")):
			return true // What runs of it is being stopped, to run again with all that comes after it.
		}
	}
	return o.Spec.Parallelism != nil && running >= int(*o.Spec.Parallelism) && strings.Contains(o.Status.Message, "as parallelism is ")
}

// asks says whether somebody wants a step to be at a later epoch.
func asks(o *v1alpha1.WorkOrder, step *v1alpha1.StepStatus) bool {
	return slices.ContainsFunc(o.Spec.Rewinds, func(r v1alpha1.RewindRequest) bool { return r.Step == step.Name && r.ToEpoch > step.Epoch })
}
