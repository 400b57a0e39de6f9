package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// turn is all that one decision may look at. Nothing in it is ever changed.
type turn struct {
	order *v1alpha1.WorkOrder
	world World
	now   time.Time
}

func (t *turn) status() *v1alpha1.WorkOrderStatus { return &t.order.Status }

// spec is the spec of a step, or nil if the order has no such step (any more).
func (t *turn) spec(name string) *v1alpha1.Step {
	for i := range t.order.Spec.Steps {
		if t.order.Spec.Steps[i].Name == name {
			return &t.order.Spec.Steps[i]
		}
	}
	return nil
}

// runnable is the spec of a step if it can be started: it exists and says what to do.
func (t *turn) runnable(name string) *v1alpha1.Step {
	if spec := t.spec(name); spec != nil && (spec.Run != nil || spec.Wait != nil) {
		return spec
	}
	return nil
}

// pod is the Pod of a step's epoch, if there is one.
func (t *turn) pod(step *v1alpha1.StepStatus) (steppod.Report, bool) {
	report, found := t.world.Pods[attempt(step)]
	return report, found
}

// end is how the Pod of a step's epoch ended; nil while it has not, or has yet to be made.
func (t *turn) end(step *v1alpha1.StepStatus) *steppod.End {
	report, found := t.pod(step)
	switch {
	case !found && t.status().Cancelled && t.world.Refusals[attempt(step)].Seal:
		// Not even its name can be taken: a cancellation does not wait for a quota. Should a Pod appear, it is stopped.
		return &steppod.End{Verdict: steppod.Stopped, Code: v1alpha1.CodeCancelled, Message: "it was stopped before its Pod was made"}
	case !found:
		return nil
	}
	end := report.Ended(t.now)
	if end != nil && end.Verdict == steppod.Stopped && t.status().Cancelled {
		cancelled := *end
		cancelled.Code = v1alpha1.CodeCancelled
		return &cancelled
	}
	if end != nil && t.edited(step.Name, report.SpecHash) {
		outdated := *end // It did what is not asked for any more.
		outdated.Verdict = steppod.Stopped
		if end.Code != v1alpha1.CodeLost { // It may run still, so nobody may say that it was stopped.
			outdated.Code, outdated.Message = v1alpha1.CodeSpecChanged, "its spec was changed"
		}
		return &outdated
	}
	return end
}

// edited says whether a step is no longer the one of which that digest was made.
func (t *turn) edited(name, hash string) bool {
	if t.order.Generation != t.status().ObservedGeneration || t.status().Cancelled || StateOf(t.status()).Stalled != nil {
		return false // The edit is read first, and one that cannot run, or comes too late, changes nothing.
	}
	spec := t.spec(name)
	return spec != nil && !steppod.SameSpec(spec, hash)
}

// finished says whether the order has come to its end.
func (t *turn) finished() bool { return outcome(t.status().Phase) != "" }

// mayStart says whether anything may be started at all in the given state of the order.
func (t *turn) mayStart(state *v1alpha1.OrderState) bool {
	return t.order.DeletionTimestamp == nil && state.Outcome == "" && state.Stalled == nil && !state.Suspended && !state.Cancelled
}

// time is the time of the transition that this turn makes: whole seconds that never go back, whatever the clock does.
func (t *turn) time() metav1.Time {
	now := t.now.Truncate(time.Second)
	if last := t.status().LastEventTime; last != nil && now.Before(last.Time) {
		now = last.Time
	}
	return metav1.NewTime(now)
}

func attempt(step *v1alpha1.StepStatus) steppod.Attempt {
	return steppod.Attempt{Step: step.Name, Epoch: step.Epoch}
}

// settled says whether nothing more will happen to a step by itself. A phase that is not known, from a later operator
// perhaps, is not settled: an order must not end because it was not understood.
func settled(step *v1alpha1.StepStatus) bool {
	switch step.Phase {
	case v1alpha1.StepSucceeded, v1alpha1.StepFailed, v1alpha1.StepSkipped, v1alpha1.StepBlocked, v1alpha1.StepCancelled:
		return true
	case v1alpha1.StepPending, v1alpha1.StepRunning, v1alpha1.StepBackoff:
	}
	return false
}

// done says whether what needs the step may go on.
func done(step *v1alpha1.StepStatus) bool {
	return step.Phase == v1alpha1.StepSucceeded || step.Phase == v1alpha1.StepSkipped
}
