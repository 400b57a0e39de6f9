package plan

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

// Summarize is the status of an order as far as it follows from the state of the order and its steps at a time. Head
// and sequence are not part of it.
func Summarize(state v1alpha1.OrderState, steps []v1alpha1.StepStatus, now metav1.Time) v1alpha1.WorkOrderStatus {
	status := v1alpha1.WorkOrderStatus{
		ObservedGeneration: state.ObservedGeneration,
		Phase:              phase(&state),
		Rewinds:            state.Rewinds,
		StartTime:          state.StartTime,
		CompletionTime:     state.CompletionTime,
		Suspended:          state.Suspended,
		Cancelled:          state.Cancelled,
		Expired:            state.Expired,
		Queued:             state.Queued,
		ActiveSince:        state.ActiveSince,
		Message:            state.Message,
		Conditions:         conditions(&state, steps),
		Steps:              steps,
	}
	if counted := present(steps); len(counted) > 0 {
		status.Progress = fmt.Sprintf("%d/%d", count(counted, done), len(counted))
		status.CurrentStep, status.Epoch = current(counted)
	}
	if state.StartTime != nil {
		end := now
		if state.CompletionTime != nil {
			end = *state.CompletionTime
		}
		status.Duration = end.Sub(state.StartTime.Time).Round(time.Second).String()
	}
	return status
}

func phase(state *v1alpha1.OrderState) v1alpha1.WorkOrderPhase {
	switch {
	case state.Outcome != "":
		return v1alpha1.WorkOrderPhase(state.Outcome)
	case windingDown(state.Cancelled, state.Expired):
		return v1alpha1.WorkOrderRunning // Its last Pods are being stopped.
	case state.Suspended:
		return v1alpha1.WorkOrderSuspended
	case state.StartTime == nil:
		return v1alpha1.WorkOrderPending
	}
	return v1alpha1.WorkOrderRunning
}

// current is the step that an order is at, and its epoch: the first that runs or is about to run again, "+N" if N more
// run beside it. If none does, it is the one that failed, else the next to start, else the last one.
func current(steps []v1alpha1.StepStatus) (string, int64) {
	first := func(phases ...v1alpha1.StepPhase) (found *v1alpha1.StepStatus, more int) {
		for i := range steps {
			for _, p := range phases {
				switch {
				case steps[i].Phase != p:
				case found == nil:
					found = &steps[i]
				default:
					more++
				}
			}
		}
		return found, more
	}
	step, more := first(v1alpha1.StepRunning, v1alpha1.StepBackoff)
	if more > 0 {
		return fmt.Sprintf("%s+%d", step.Name, more), step.Epoch
	}
	for _, p := range []v1alpha1.StepPhase{v1alpha1.StepFailed, v1alpha1.StepCancelled, v1alpha1.StepPending} {
		if step == nil {
			step, _ = first(p)
		}
	}
	if step == nil {
		step = &steps[len(steps)-1]
	}
	return step.Name, step.Epoch
}

// present are the steps that the spec holds.
func present(steps []v1alpha1.StepStatus) []v1alpha1.StepStatus {
	last := len(steps)
	for last > 0 && steps[last-1].Removed {
		last-- // Those that were removed stand at the end.
	}
	return steps[:last]
}

func count(steps []v1alpha1.StepStatus, is func(*v1alpha1.StepStatus) bool) (n int) {
	for i := range steps {
		if is(&steps[i]) {
			n++
		}
	}
	return n
}
