package plan

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

// Unrecorded is the status if the event cannot be written: the same, but head stays where it was and LogComplete says
// that the log has a gap.
func (tr *Transition) Unrecorded() v1alpha1.WorkOrderStatus {
	status := *tr.Status.DeepCopy()
	status.Head = tr.before.Head
	times := StateOf(tr.before).Since
	if SequenceOf(tr.before.Head) == tr.before.Sequence || times.LogComplete == nil {
		times.LogComplete = &tr.Event.Time
	}
	setCondition(&status, metav1.Condition{
		Type: v1alpha1.ConditionLogComplete, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonGap,
		ObservedGeneration: status.ObservedGeneration, LastTransitionTime: *times.LogComplete,
		Message: fmt.Sprintf("the events after number %d could not be written", SequenceOf(status.Head)),
	})
	return status
}

// gap says whether transitions before this one are missing from the log.
func (d *draft) gap() bool { return SequenceOf(d.status().Head) != d.status().Sequence }

// closeGap makes the first event after a gap say, as a rewind, which steps were started again inside it, so that a
// reader knows which of the events before are superseded.
func (d *draft) closeGap(gap bool) {
	if !gap {
		return
	}
	rewind := v1alpha1.Rewind{Reason: v1alpha1.RewindGap}
	if d.event.Rewind != nil {
		rewind = *d.event.Rewind
		rewind.SupersededAfter = 0
	}
	for i := range d.steps {
		s := &d.steps[i]
		listed := slices.ContainsFunc(rewind.Steps, func(r v1alpha1.RewoundStep) bool { return r.Step == s.Name })
		if !listed && d.rewoundInGap(s) {
			rewind.Steps = append(rewind.Steps, v1alpha1.RewoundStep{Step: s.Name, NewEpoch: s.Epoch})
		}
	}
	if len(rewind.Steps) > 0 {
		d.event.Rewind = &rewind
	}
}

// rewoundInGap says whether a step was started again inside the gap, or may have been. One that was passed over before the gap
// has no epoch, and goes to its first by a rewind; one that started there for the first time looks the same.
func (d *draft) rewoundInGap(step *v1alpha1.StepStatus) bool {
	if step.StartSequence <= SequenceOf(d.status().Head) {
		return false
	}
	return step.Epoch > 1 || step.Epoch == 1 && d.state.Rewinds > 0 && step.StartSequence < d.event.Sequence
}
