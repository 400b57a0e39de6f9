package plan

import (
	"fmt"

	"workorders.dev/operator/api/v1alpha1"
)

// finish ends an order of which every step is settled.
func finish(t *turn) *Transition {
	status := t.status()
	list := status.Steps
	if t.finished() || count(list, settled) < len(list) || len(list) == 0 && !status.Cancelled {
		return nil
	}
	end := func(kind v1alpha1.EventType, outcome v1alpha1.Outcome, message string) *Transition {
		d := t.begin(kind, message)
		d.state.Outcome, d.state.Stalled = outcome, nil
		d.state.CompletionTime = &d.event.Time
		return d.commit()
	}
	switch progress := fmt.Sprintf("%d of %s", count(list, done), steps(len(list))); {
	case status.Cancelled:
		return end(v1alpha1.EventCancelled, v1alpha1.OutcomeCancelled, "cancelled, "+progress+" done")
	case count(list, done) < len(list):
		return end(v1alpha1.EventFailed, v1alpha1.OutcomeFailed, failure(list)+"; "+progress+" done")
	case StateOf(status).Stalled != nil:
		return nil // The spec may hold more steps, once it is mended.
	default:
		return end(v1alpha1.EventSucceeded, v1alpha1.OutcomeSucceeded, progress+" succeeded")
	}
}

// failure says which step failed first, and why.
func failure(list []v1alpha1.StepStatus) string {
	for i := range list {
		if s := &list[i]; s.Phase == v1alpha1.StepFailed && s.Error != nil {
			return s.Name + " failed: " + s.Error.Message
		}
	}
	return "failed"
}
