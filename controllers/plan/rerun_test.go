package plan

import (
	"testing"

	"workorders.dev/operator/api/v1alpha1"
)

// TestAStepThatNeverStartedComesBackInTheEpochThatWasAskedFor is about a step that was given up before it started, in an
// epoch that somebody had asked for, was removed, and is put back: there is nothing of it to be superseded.
func TestAStepThatNeverStartedComesBackInTheEpochThatWasAskedFor(t *testing.T) {
	o := newOrder()
	o.Generation = 3
	o.Spec.Strategy = v1alpha1.StrategyGraph
	o.Status = v1alpha1.WorkOrderStatus{
		ObservedGeneration: 1, Phase: v1alpha1.WorkOrderRunning, StartTime: mt(-60), LastEventTime: mt(-10),
		Steps: []v1alpha1.StepStatus{
			{Name: "a", Phase: v1alpha1.StepFailed, Epoch: 1, StartSequence: 1},
			{Name: "b", Phase: v1alpha1.StepBlocked, Epoch: 3}, // It needs a.
			{Name: "c", Phase: v1alpha1.StepRunning, Epoch: 1, StartSequence: 1, PodName: "c"},
		},
	}
	whole := o.Spec.Steps
	o.Generation, o.Spec.Steps = 2, []v1alpha1.Step{whole[0], whole[2]}
	o, _ = moved(t, o, World{}, 0)
	if b := o.Status.Steps[2]; !b.Removed || b.Epoch != 3 {
		t.Fatalf("b was removed, and is %+v", b)
	}
	o.Generation, o.Spec.Steps = 3, whole
	o, _ = moved(t, o, World{}, 1)
	if b := o.Status.Steps[1]; b.Phase != v1alpha1.StepRunning || b.Epoch != 3 || b.Outdated {
		t.Errorf("b is back, needs nothing, and is %+v", b)
	}
	if next := Next(o, World{}, at(2)); next != nil {
		t.Errorf("%s of %s follows", next.Event.Type, next.Event.Step)
	}
}
