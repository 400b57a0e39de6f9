package plan

import (
	"slices"
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

// TestARewindSupersedesTheOneBeforeThoughItsEpochStartedLate is about a step that waits in its new epoch before it starts, as
// the order is suspended. The event that rewound it to that epoch is the first that holds it.
func TestARewindSupersedesTheOneBeforeThoughItsEpochStartedLate(t *testing.T) {
	o := accepted(t, func(o *v1alpha1.WorkOrder) { o.Spec.Steps = o.Spec.Steps[:1] })
	done := func() { o.Status.Steps[0].Phase = v1alpha1.StepSucceeded }
	next := func(seconds float64) (tr *Transition) { o, tr = moved(t, o, World{}, seconds); return tr }
	done()
	o = edited(o, func(spec *v1alpha1.WorkOrderSpec) {
		spec.Suspend, spec.Rewinds = true, []v1alpha1.RewindRequest{{Step: "a", ToEpoch: 2}}
	})
	next(1)
	first := next(2)
	o = edited(o, func(spec *v1alpha1.WorkOrderSpec) { spec.Suspend = false })
	next(3)
	done()
	o = edited(o, func(spec *v1alpha1.WorkOrderSpec) { spec.Rewinds[0].ToEpoch = 3 })
	next(4)
	second := next(5)
	if first.Event.Rewind == nil || second.Event.Rewind == nil {
		t.Fatalf("it is %s, and then %s", first.Event.Type, second.Event.Type)
	}
	if after := second.Event.Rewind.SupersededAfter; after >= first.Event.Sequence {
		t.Errorf("number %d brings it to epoch 2, and number %d, to epoch 3, supersedes only what is after %d", first.Event.Sequence, second.Event.Sequence, after)
	}
}

// TestAStepThatWasPassedOverInAnEpochIsSupersededWithTheRewindToIt is about a step that was rewound and then skipped: should
// it be rewound once more, the first rewind is superseded as well.
func TestAStepThatWasPassedOverInAnEpochIsSupersededWithTheRewindToIt(t *testing.T) {
	o := newOrder()
	o.Generation = 1
	o.Spec.Steps = []v1alpha1.Step{{Name: "a", Wait: &v1alpha1.Wait{}}, podStep("b")}
	o.Spec.Steps[1].When = "false"
	o.Status = v1alpha1.WorkOrderStatus{
		ObservedGeneration: 1, Sequence: 4, Phase: v1alpha1.WorkOrderRunning, StartTime: mt(-60), LastEventTime: mt(-10),
		Steps: []v1alpha1.StepStatus{
			{Name: "a", Phase: v1alpha1.StepRunning, Epoch: 2, StartSequence: 4, StartTime: mt(-10)},
			{Name: "b", Phase: v1alpha1.StepPending, Epoch: 2, StartSequence: 4},
		},
	}
	o, _ = moved(t, o, World{}, 0)
	o, _ = moved(t, o, World{}, 1)
	if b := o.Status.Steps[1]; b.Phase != v1alpha1.StepSkipped || b.Epoch != 2 || b.StartSequence != 4 {
		t.Errorf("b is in the epoch that transition 4 asked for, and is %+v", b)
	}
}

// TestAGapTellsOfAStepThatWasPassedOver is about a step without an epoch, as its condition was false, that is rewound to its
// first while no event can be written: that it was skipped does not hold any more.
func TestAGapTellsOfAStepThatWasPassedOver(t *testing.T) {
	o := accepted(t, func(o *v1alpha1.WorkOrder) { o.Spec.Steps[1].When = `steps["a"].epoch > 1` })
	o.Status.Steps[0].Phase = v1alpha1.StepSucceeded
	o, skipped := moved(t, o, World{}, 1)
	o = edited(o, func(spec *v1alpha1.WorkOrderSpec) { spec.Rewinds = []v1alpha1.RewindRequest{{Step: "a", ToEpoch: 2}} })
	o, _ = moved(t, o, World{}, 2)
	o.Status.Steps[2].Phase = v1alpha1.StepSucceeded
	o, rewound := moved(t, o, World{}, 3)
	o.Status = rewound.Unrecorded()
	o = edited(o, func(spec *v1alpha1.WorkOrderSpec) { spec.Suspend = true })
	_, closing := moved(t, o, World{}, 4)
	if skipped.Event.Type != v1alpha1.EventStepSkipped || rewound.Event.Type != v1alpha1.EventRewound {
		t.Fatalf("it is %s, and then %s", skipped.Event.Type, rewound.Event.Type)
	}
	if r := closing.Event.Rewind; r == nil || !slices.Contains(r.Steps, v1alpha1.RewoundStep{Step: "b", NewEpoch: 1}) {
		t.Errorf("b is at its first epoch, and of the gap in which it got there it is said: %+v", r)
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
