package plan

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

// Fold is the status after an event, given the status before it. Folding an order's chain from its first event on
// gives the order's status, but for conditions that others have put there, which are kept as they are. It never looks
// at the event's type, so a reader of today can fold the events of tomorrow.
func Fold(before *v1alpha1.WorkOrderStatus, event *v1alpha1.ProgressEvent) v1alpha1.WorkOrderStatus {
	spec := &event.Spec
	after := Summarize(spec.Changes.Order, overlay(before.Steps, &spec.Changes), spec.Time)
	after.Head = event.Name
	after.Sequence = spec.Sequence
	after.LastEventTime = &spec.Time
	for _, c := range before.Conditions {
		if !slices.Contains(ownConditions, c.Type) {
			after.Conditions = append(after.Conditions, c)
		}
	}
	return *after.DeepCopy()
}

// overlay is the steps after an event.
func overlay(before []v1alpha1.StepStatus, changes *v1alpha1.Changes) []v1alpha1.StepStatus {
	if changes.AllSteps {
		return changes.Steps
	}
	after := slices.Clone(before)
	for _, changed := range changes.Steps {
		named := func(s v1alpha1.StepStatus) bool { return s.Name == changed.Name }
		if i := slices.IndexFunc(after, named); i >= 0 {
			after[i] = changed
		}
	}
	return after
}

// StateOf is the state of the order as a whole that a status shows: what Summarize was given to make it.
func StateOf(status *v1alpha1.WorkOrderStatus) v1alpha1.OrderState {
	state := v1alpha1.OrderState{
		ObservedGeneration: status.ObservedGeneration,
		Suspended:          status.Suspended,
		Cancelled:          status.Cancelled,
		Expired:            status.Expired,
		Queued:             status.Queued,
		ActiveSince:        status.ActiveSince,
		Outcome:            outcome(status.Phase),
		Rewinds:            status.Rewinds,
		StartTime:          status.StartTime,
		CompletionTime:     status.CompletionTime,
		Message:            status.Message,
	}
	for i := range status.Conditions {
		c := &status.Conditions[i]
		if at := timeOf(&state.Since, c.Type); at != nil {
			*at = &c.LastTransitionTime
		}
		if c.Type == v1alpha1.ConditionStalled && c.Status == metav1.ConditionTrue && state.Outcome == "" {
			state.Stalled = &v1alpha1.Stall{Reason: c.Reason, Message: c.Message}
		}
	}
	return state
}

// outcome is the outcome that a phase shows; empty for one that is not final.
func outcome(phase v1alpha1.WorkOrderPhase) v1alpha1.Outcome {
	switch phase {
	case v1alpha1.WorkOrderSucceeded:
		return v1alpha1.OutcomeSucceeded
	case v1alpha1.WorkOrderFailed:
		return v1alpha1.OutcomeFailed
	case v1alpha1.WorkOrderCancelled:
		return v1alpha1.OutcomeCancelled
	case v1alpha1.WorkOrderPending, v1alpha1.WorkOrderRunning, v1alpha1.WorkOrderSuspended:
	}
	return ""
}
