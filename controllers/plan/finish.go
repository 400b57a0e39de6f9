package plan

import (
	"fmt"

	"workorders.dev/operator/api/v1alpha1"
)

// finish ends an order of which every step is settled. How finally went changes nothing about how it ends.
func finish(t *turn) *Transition {
	status := t.status()
	list := present(status.Steps)
	if t.finished() || count(status.Steps, settled) < len(status.Steps) || len(list) == 0 && !status.Cancelled {
		return nil
	}
	end := func(kind v1alpha1.EventType, outcome v1alpha1.Outcome, message string) *Transition {
		d := t.begin(kind)
		d.state.Outcome, d.state.Stalled, d.state.Queued = outcome, nil, 0
		d.state.CompletionTime = &d.event.Time
		d.say("%s", message+aftermath(list))
		return d.commit()
	}
	failed := count(list, func(s *v1alpha1.StepStatus) bool { return !s.Finally && !done(s) })
	switch progress := fmt.Sprintf("%d of %s", count(list, done), steps(len(list))); {
	case status.Cancelled:
		return end(v1alpha1.EventCancelled, v1alpha1.OutcomeCancelled, "cancelled, "+progress+" done")
	case status.Expired && failed > 0 && t.order.Spec.ActiveDeadlineSeconds != nil:
		return end(v1alpha1.EventFailed, v1alpha1.OutcomeFailed, overlong(*t.order.Spec.ActiveDeadlineSeconds)+"; "+progress+" done")
	case StateOf(status).Stalled != nil:
		return nil // Once it is mended the spec may hold more steps, or another one in the place of what failed.
	case failed > 0:
		return end(v1alpha1.EventFailed, v1alpha1.OutcomeFailed, failure(list)+"; "+progress+" done")
	default:
		return end(v1alpha1.EventSucceeded, v1alpha1.OutcomeSucceeded, progress+skipped(list))
	}
}

// failure says which step failed first, and why.
func failure(list []v1alpha1.StepStatus) string {
	for i := range list {
		if s := &list[i]; s.Phase == v1alpha1.StepFailed && !s.Finally && s.Error != nil {
			return s.Name + " failed: " + s.Error.Message
		}
	}
	return "failed"
}

// skipped says whether all steps have succeeded, or how many of those that count as done did not run.
func skipped(list []v1alpha1.StepStatus) string {
	n := count(list, func(s *v1alpha1.StepStatus) bool { return s.Phase == v1alpha1.StepSkipped })
	if n == 0 {
		return " succeeded"
	}
	return fmt.Sprintf(" done, %d skipped", n)
}

// aftermath says which step of finally failed.
func aftermath(list []v1alpha1.StepStatus) string {
	for i := range list {
		if s := &list[i]; s.Finally && s.Phase == v1alpha1.StepFailed {
			return "; " + s.Name + " failed"
		}
	}
	return ""
}
