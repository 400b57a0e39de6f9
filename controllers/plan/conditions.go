package plan

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

// ownConditions are the conditions that the operator writes, in the order in which it does. All others are kept.
var ownConditions = []string{
	v1alpha1.ConditionFinished, v1alpha1.ConditionSucceeded, v1alpha1.ConditionReady,
	v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled, v1alpha1.ConditionLogComplete,
}

// conditions are the conditions that follow from the state of the order and its steps, as in this table:
//
//	state                                       Succeeded Finished Ready Reconciling Stalled
//	running, retrying, suspended, cancelling    Unknown   False    False True        -
//	succeeded                                   True      True     True  -           -
//	failed, cancelled                           False     True     False -           True
//	invalid or too large                        Unknown   False    False -           True
//
// While an order simply goes on they have no message and stay as they are, so that a step's write is small.
func conditions(state *v1alpha1.OrderState, steps []v1alpha1.StepStatus) []metav1.Condition {
	reason, message := why(state, steps)
	list := make([]metav1.Condition, 0, len(ownConditions))
	set := func(kind string, status metav1.ConditionStatus, reason, message string) {
		c := metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: state.ObservedGeneration}
		if at := *timeOf(&state.Since, kind); at != nil {
			c.LastTransitionTime = *at
		}
		list = append(list, c)
	}
	succeeded := map[v1alpha1.Outcome]metav1.ConditionStatus{
		"": metav1.ConditionUnknown, v1alpha1.OutcomeSucceeded: metav1.ConditionTrue,
		v1alpha1.OutcomeFailed: metav1.ConditionFalse, v1alpha1.OutcomeCancelled: metav1.ConditionFalse,
	}[state.Outcome]

	set(v1alpha1.ConditionFinished, truth(state.Outcome != ""), reason, "")
	set(v1alpha1.ConditionSucceeded, succeeded, reason, "")
	set(v1alpha1.ConditionReady, truth(state.Outcome == v1alpha1.OutcomeSucceeded), reason, message)
	switch {
	case state.Outcome == v1alpha1.OutcomeSucceeded:
	case state.Outcome != "" || state.Stalled != nil:
		set(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, message)
	default:
		set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, message)
	}
	set(v1alpha1.ConditionLogComplete, metav1.ConditionTrue, v1alpha1.ReasonRecorded, "")
	return list
}

// why is the reason of the conditions, and a message where there is more to say.
func why(state *v1alpha1.OrderState, steps []v1alpha1.StepStatus) (reason, message string) {
	held, cause := holdup(steps)
	switch {
	case state.Outcome != "":
		return string(state.Outcome), state.Message
	case state.Cancelled:
		return v1alpha1.ReasonCancelling, state.Message
	case state.Expired:
		return v1alpha1.ReasonDeadlineExceeded, state.Message
	case state.Stalled != nil:
		return state.Stalled.Reason, state.Stalled.Message
	case state.Suspended:
		return v1alpha1.ReasonSuspended, "spec.suspend is set: nothing new starts"
	case state.Queued > 0:
		return v1alpha1.ReasonQueued, place(state.Queued)
	case held != "":
		return held, cause
	case state.StartTime == nil:
		return v1alpha1.ReasonPending, ""
	}
	return v1alpha1.ReasonProgressing, ""
}

// holdup is why the first step that is held up does not go on: as a reason, and as a sentence.
func holdup(steps []v1alpha1.StepStatus) (reason, cause string) {
	for i := range steps {
		s := &steps[i]
		switch {
		case s.Phase == v1alpha1.StepRunning && s.Error != nil:
			return v1alpha1.ReasonWaiting, fmt.Sprintf("%s cannot start: %s: %s", s.Name, s.Error.Code, s.Error.Message)
		case s.Phase == v1alpha1.StepBackoff:
			cause = s.Name + " starts again"
			if s.NotBefore != nil {
				cause += " at " + s.NotBefore.UTC().Format(time.TimeOnly)
			}
			if s.Error != nil {
				cause += ": " + s.Error.Message
			}
			return v1alpha1.ReasonRetrying, cause
		}
	}
	return "", ""
}

func truth(is bool) metav1.ConditionStatus {
	if is {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

// timeOf is where the time of a condition is kept; nil for one that is not the operator's.
func timeOf(times *v1alpha1.ConditionTimes, kind string) **metav1.Time {
	switch kind {
	case v1alpha1.ConditionFinished:
		return &times.Finished
	case v1alpha1.ConditionSucceeded:
		return &times.Succeeded
	case v1alpha1.ConditionReady:
		return &times.Ready
	case v1alpha1.ConditionReconciling:
		return &times.Reconciling
	case v1alpha1.ConditionStalled:
		return &times.Stalled
	case v1alpha1.ConditionLogComplete:
		return &times.LogComplete
	}
	return nil
}

// since is when each condition of the status after got the value that it has: now, unless it had it before.
func since(before *v1alpha1.WorkOrderStatus, after v1alpha1.WorkOrderStatus, now metav1.Time) v1alpha1.ConditionTimes {
	var times v1alpha1.ConditionTimes
	for i := range after.Conditions {
		kind, at := after.Conditions[i].Type, &now
		for j := range before.Conditions {
			if b := &before.Conditions[j]; b.Type == kind && b.Status == after.Conditions[i].Status {
				at = &b.LastTransitionTime
			}
		}
		*timeOf(&times, kind) = at
	}
	return times
}

func setCondition(status *v1alpha1.WorkOrderStatus, wanted metav1.Condition) {
	for i := range status.Conditions {
		if status.Conditions[i].Type == wanted.Type {
			status.Conditions[i] = wanted
		}
	}
}
