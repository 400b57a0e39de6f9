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
	// graph is that of the order's spec, and rerun what of the saved status has to run again; nil if nothing has.
	graph graph
	rerun *rerun
}

func newTurn(order *v1alpha1.WorkOrder, world World, now time.Time) *turn {
	t := &turn{order: order, world: world, now: now, graph: graphOf(&order.Spec)}
	state := StateOf(&order.Status)
	t.rerun = t.findRerun(order.Status.Steps, &state)
	return t
}

func (t *turn) status() *v1alpha1.WorkOrderStatus { return &t.order.Status }

// pod is the Pod of a step's epoch, if there is one.
func (t *turn) pod(step *v1alpha1.StepStatus) (steppod.Report, bool) {
	report, found := t.world.Pods[attempt(step)]
	return report, found
}

// end is how the Pod of a step's epoch ended; nil while it has not, or has yet to be made.
func (t *turn) end(step *v1alpha1.StepStatus) *steppod.End {
	report, found := t.pod(step)
	unwanted := t.unwanted(step)
	switch {
	case !found && unwanted != "" && t.world.Refusals[attempt(step)].Seal:
		// Not even its name can be taken: that does not wait for a quota. Should a Pod appear, it is stopped.
		return steppod.StoppedFor(unwanted)
	case !found:
		return nil
	}
	end := report.Ended(t.now)
	switch {
	case end == nil:
		return nil
	case end.Code == v1alpha1.CodeLost && (t.rerun.holds(step.Name) || outdated(&report, step)):
		lost := *end // It may run still, so nobody may say that it was stopped. But it counts against no budget.
		lost.Verdict = steppod.Stopped
		return &lost
	case outdated(&report, step):
		return with(end, steppod.StoppedFor(v1alpha1.CodeSuperseded)) // It did what was not asked for.
	case end.Verdict == steppod.Stopped && unwanted != "":
		return with(end, steppod.StoppedFor(unwanted))
	}
	return end
}

// with is an end with another verdict, code and message.
func with(end, verdict *steppod.End) *steppod.End {
	changed := *end
	changed.Verdict, changed.Code, changed.Message = verdict.Verdict, verdict.Code, verdict.Message
	return &changed
}

// outdated says whether a Pod was made from another spec than the one that its epoch stands for.
func outdated(pod *steppod.Report, step *v1alpha1.StepStatus) bool {
	return !pod.Sealed && steppod.Differ(pod.SpecHash, step.SpecHash)
}

// unwanted is why the present attempt of a running step must not go on; empty if it may.
func (t *turn) unwanted(step *v1alpha1.StepStatus) v1alpha1.ErrorCode {
	pod, found := t.pod(step)
	switch status := t.status(); {
	case step.Removed:
		return v1alpha1.CodeRemoved
	case status.Cancelled && !step.Finally:
		return v1alpha1.CodeCancelled
	case status.Expired && !step.Finally:
		return v1alpha1.CodeDeadlineExceeded
	case t.rerun.holds(step.Name):
		return t.rerun.why(step.Name)
	case step.Finally && (!found || pod.Sealed) && !t.now.Before(t.overdue(step)):
		return v1alpha1.CodeTimeout
	}
	return ""
}

// overdue is when a step of finally that never got a Pod is given up: it must not hold up the order's end for ever.
func (t *turn) overdue(step *v1alpha1.StepStatus) time.Time {
	limit := int64(steppod.FinallyTimeout)
	if n := t.graph.node(step.Name); n != nil && n.TimeoutSeconds != nil {
		limit = *n.TimeoutSeconds
	}
	if step.StartTime == nil {
		return t.now
	}
	return step.StartTime.Add(time.Duration(limit) * time.Second)
}

// finished says whether the order has come to its end.
func (t *turn) finished() bool { return outcome(t.status().Phase) != "" }

// deadline is when the order has taken too long; zero if it cannot, any more.
func (t *turn) deadline() time.Time {
	status, limit := t.status(), t.order.Spec.ActiveDeadlineSeconds
	if limit == nil || status.StartTime == nil || t.finished() || windingDown(status.Cancelled, status.Expired) || mainOver(status.Steps) {
		return time.Time{}
	}
	since := status.StartTime
	if status.ActiveSince != nil {
		since = status.ActiveSince
	}
	return since.Add(time.Duration(*limit) * time.Second)
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

// windingDown says whether an order is being brought to its end: its steps are stopped, and only finally runs.
func windingDown(cancelled, expired bool) bool { return cancelled || expired }

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

// mainOver says whether all steps but those of finally are settled.
func mainOver(steps []v1alpha1.StepStatus) bool {
	for i := range steps {
		if step := &steps[i]; !step.Finally && !settled(step) {
			return false
		}
	}
	return true
}
