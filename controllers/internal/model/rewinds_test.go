package model

import (
	"fmt"
	"slices"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/progress"
)

// What the laws say of epochs and rewinds.

// advanced checks I3 when the epoch of a step grows.
func (s *step) advanced(before, after *v1alpha1.WorkOrder, was, is *v1alpha1.StepStatus) {
	asked, e := requested(&after.Spec, is.Name), s.written(after)
	listed := e != nil && e.Spec.Rewind != nil && slices.Contains(e.Spec.Rewind.Steps, v1alpha1.RewoundStep{Step: is.Name, NewEpoch: is.Epoch})
	if neverBegan(was) && (e == nil || is.Epoch == max(was.Epoch, asked, 1)) {
		return // There is nothing that could be superseded.
	}
	if wanted := max(was.Epoch+1, asked); is.Epoch != wanted {
		s.breach("I3: %s goes from epoch %d to %d and not to %d", is.Name, was.Epoch, is.Epoch, wanted)
	}
	if was.Phase == v1alpha1.StepRunning && was.PodName != "" {
		s.breach("I3: %s leaves epoch %d before its Pod has ended", is.Name, was.Epoch)
	}
	// An order that its deadline has ended is brought back whole.
	broughtBack := before.Status.Expired && before.Status.CompletionTime != nil
	if was.Phase != v1alpha1.StepBackoff && (before.Status.Cancelled && !is.Finally || !broughtBack && !runsAgain(before)[is.Name]) {
		s.breach("I3: %s starts epoch %d although it is %s", is.Name, is.Epoch, was.Phase)
	}
	if e != nil && !listed {
		s.breach("I3: %s starts epoch %d without a rewind record", is.Name, is.Epoch)
	}
}

// neverBegan says whether a step has not begun what it was to do in its epoch.
func neverBegan(step *v1alpha1.StepStatus) bool {
	switch step.Phase {
	case v1alpha1.StepPending:
		return true
	case v1alpha1.StepBlocked:
		return step.StartTime == nil
	case v1alpha1.StepCancelled:
		return step.Epoch == 0
	default:
		return false
	}
}

// written is the event of the transition that a status was saved for; nil if it could not be written.
func (s *step) written(order *v1alpha1.WorkOrder) *v1alpha1.ProgressEvent {
	n := s.find(s.world.events, order.Status.Head)
	if n == 0 || plan.SequenceOf(order.Status.Head) != order.Status.Sequence {
		return nil
	}
	return s.objects.values[n].(*v1alpha1.ProgressEvent)
}

// superseded says what of the log a rewind, the last event of the chain, should have made void and has not. For a reader who
// follows the rule, nothing must hold of an earlier epoch of a step that starts again, and no result of an epoch that is
// not the present one.
func superseded(chain progress.Chain, status *v1alpha1.WorkOrderStatus) string {
	last := &chain.Events[len(chain.Events)-1].Spec
	if last.Rewind == nil {
		return ""
	}
	for _, e := range chain.Events {
		if slices.ContainsFunc(chain.Events, func(r *v1alpha1.ProgressEvent) bool { return voids(&r.Spec, &e.Spec) }) {
			continue
		}
		restarted := slices.ContainsFunc(last.Rewind.Steps, func(r v1alpha1.RewoundStep) bool {
			return r.Step == e.Spec.Step && e.Spec.Epoch < r.NewEpoch && e.Spec.Sequence < last.Sequence
		}) && !passedBy(chain, &e.Spec)
		end := e.Spec.Result != nil || e.Spec.Type == v1alpha1.EventStepSkipped || e.Spec.Type == v1alpha1.EventStepFailed
		entry := entryOf(status, e.Spec.Step)
		if restarted || end && entry != nil && e.Spec.Epoch != entry.Epoch {
			return fmt.Sprintf("%s of %s/%d, number %d, still holds after the rewind %s", e.Spec.Type, e.Spec.Step, e.Spec.Epoch, e.Spec.Sequence, encode(last.Rewind))
		}
	}
	return ""
}

// passedBy says whether an event only brought a step to an epoch in which it then never began, as a later one was asked for.
func passedBy(chain progress.Chain, rewound *v1alpha1.ProgressEventSpec) bool {
	return rewound.Type == v1alpha1.EventRewound && !slices.ContainsFunc(chain.Events, func(e *v1alpha1.ProgressEvent) bool {
		return slices.ContainsFunc(e.Spec.Changes.Steps, func(step v1alpha1.StepStatus) bool {
			return step.Name == rewound.Step && step.Epoch == rewound.Epoch && !neverBegan(&step)
		})
	})
}

// voids says whether a rewind makes an event void, by the rule that readers are given.
func voids(rewound, e *v1alpha1.ProgressEventSpec) bool {
	if rewound.Rewind == nil {
		return false
	}
	listed := slices.ContainsFunc(rewound.Rewind.Steps, func(r v1alpha1.RewoundStep) bool { return r.Step == e.Step && e.Epoch < r.NewEpoch })
	return listed && rewound.Rewind.SupersededAfter < e.Sequence && e.Sequence < rewound.Sequence
}

// unmet says which rewind was asked for, and has not happened although the order has come to its end.
func unmet(order *v1alpha1.WorkOrder) string {
	if order.Status.Cancelled || order.Spec.Cancel || plan.Validate(&order.Spec) != nil {
		return ""
	}
	for _, r := range order.Spec.Rewinds {
		if entry := entryOf(&order.Status, r.Step); entry != nil && !entry.Removed && entry.Epoch < r.ToEpoch {
			return r.Step + " was asked to run again, and has not"
		}
	}
	return ""
}
