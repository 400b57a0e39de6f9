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

// TestAnEpochBeginsWithTheRewindThatAskedForIt is about a step that was rewound and had to wait before it started: should it be
// rewound once more, the first rewind is superseded with all the rest of that epoch.
func TestAnEpochBeginsWithTheRewindThatAskedForIt(t *testing.T) {
	for _, condition := range []string{"", "false"} {
		o := newOrder()
		o.Generation = 1
		o.Spec.Steps = []v1alpha1.Step{{Name: "a", Wait: &v1alpha1.Wait{}}, podStep("b")}
		o.Spec.Steps[1].When = condition
		o.Status = v1alpha1.WorkOrderStatus{
			ObservedGeneration: 1, Sequence: 4, Phase: v1alpha1.WorkOrderRunning, StartTime: mt(-60), LastEventTime: mt(-10),
			Steps: []v1alpha1.StepStatus{
				{Name: "a", Phase: v1alpha1.StepRunning, Epoch: 2, StartSequence: 4, StartTime: mt(-10)},
				{Name: "b", Phase: v1alpha1.StepPending, Epoch: 2, StartSequence: 4},
			},
		}
		o, _ = moved(t, o, World{}, 0)
		if condition != "" {
			o, _ = moved(t, o, World{}, 1)
		}
		if b := o.Status.Steps[1]; b.Phase == v1alpha1.StepPending || b.Epoch != 2 || b.StartSequence != 4 {
			t.Errorf("b is in the epoch that transition 4 asked for, and is %+v", b)
		}
	}
}

// TestARerunOfAnOddStatusComesToRest is about statuses that no operator writes, on which a rerun led to itself.
func TestARerunOfAnOddStatusComesToRest(t *testing.T) {
	skipped := podStep("b")
	skipped.When = "false"
	after := podStep("c")
	after.DependsOn = []string{"b"}
	failed := v1alpha1.StepStatus{Name: "a", Phase: v1alpha1.StepFailed, Epoch: 1, StartSequence: 1}
	for name, o := range map[string]*v1alpha1.WorkOrder{
		"of finally by its entry alone": {
			Spec: v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph, Steps: []v1alpha1.Step{podStep("a"), skipped}},
			Status: v1alpha1.WorkOrderStatus{Steps: []v1alpha1.StepStatus{
				{Name: "a", Phase: v1alpha1.StepRunning, Epoch: 1, StartSequence: 1, PodName: "a"},
				{Name: "b", Phase: v1alpha1.StepPending, Finally: true},
			}},
		},
		"outdated, though it never started": {
			Spec: v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph, FailFast: true, Steps: []v1alpha1.Step{podStep("a"), podStep("b"), after}},
			Status: v1alpha1.WorkOrderStatus{Steps: []v1alpha1.StepStatus{
				failed, {Name: "b", Phase: v1alpha1.StepBlocked, Outdated: true}, {Name: "c", Phase: v1alpha1.StepSucceeded, Epoch: 1, StartSequence: 1},
			}},
		},
		"in an epoch below the first": {
			Spec: v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{podStep("a")}},
			Status: v1alpha1.WorkOrderStatus{Phase: v1alpha1.WorkOrderFailed, Steps: []v1alpha1.StepStatus{
				{Name: "a", Phase: v1alpha1.StepFailed, Epoch: -1, StartSequence: 1},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o.Name, o.UID = "order", "uid-1"
			before := o.Status.Phase
			exhaust(t, o, World{}, at(0), false)
			if outcome(before) != "" && o.Status.Phase != before {
				t.Errorf("nobody asked for it, and the order is %s", o.Status.Phase)
			}
		})
	}
}
