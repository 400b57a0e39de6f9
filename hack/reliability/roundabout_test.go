package reliability

import (
	"context"
	"fmt"
	"slices"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/laws"
	"workorders.dev/operator/hack/reliability/node"
)

// needs makes a step depend on others.
func needs(step v1alpha1.Step, others ...string) v1alpha1.Step {
	step.DependsOn = others
	return step
}

// roundabout is the trip of a graph that somebody rewinds midway: a diamond of which one branch fails once and goes on over
// a step that is skipped and a wait, while the other one runs until it is stopped. Beside it is a step that needs nothing,
// so that there is more to do than two at a time, and one comes finally.
var roundabout = trip{
	name: "graph", tell: laws.Tally, meanwhile: turnBack, rewinds: 1 + 3, end: v1alpha1.WorkOrderSucceeded,
	// An event and a status for each transition (accepted, seven steps done and one skipped, a failure and its rewind, the
	// edit, what is stopped, the rewind, and then of it two done and one skipped, the end), two writes to each of eight
	// Pods, and one to stop one.
	fewest: 2*(1+7+1+2+1+1+1+2+1) + 2*8 + 1,
	spec: func() v1alpha1.WorkOrderSpec {
		two := int32(2)
		fix := needs(step("fix"), "lint")
		fix.When = `steps["lint"].output == "broken"`
		return v1alpha1.WorkOrderSpec{
			Strategy: v1alpha1.StrategyGraph, Parallelism: &two, Retry: atOnce(1),
			Steps: []v1alpha1.Step{
				step("fetch", "--output=4f2a91c"), step("audit", "--duration=200ms"),
				needs(step("lint", "--fail-epochs=1", "--output=clean"), "fetch"), fix,
				needs(v1alpha1.Step{Name: "cool-down", Wait: &v1alpha1.Wait{Seconds: either[int64](1, 0)}}, "fix"),
				needs(step("test", "--hold=running", "--output=passed"), "fetch"),
				needs(step("deploy", "--output=done"), "test", "cool-down", "audit"),
			},
			Finally: []v1alpha1.Step{step("notify")},
		}
	},
}

// turnBack waits until nothing goes on any more but the test, and then has it run again, and what was skipped too.
func turnBack(ctx context.Context, l *lane, order, _ *v1alpha1.WorkOrder) error {
	err := l.seen.until(ctx, func() bool {
		newest := l.seen.newest(order.UID)
		if newest == nil {
			return false
		}
		phases := map[string]v1alpha1.StepPhase{}
		for _, step := range newest.Status.Steps {
			phases[step.Name] = step.Phase
		}
		return phases["audit"] == v1alpha1.StepSucceeded && phases["cool-down"] == v1alpha1.StepSucceeded && onlyTestRuns(l, order)
	}, order)
	if err != nil {
		return fmt.Errorf("the test is not all that goes on: %w%s", err, l.lastWords())
	}
	return edit(ctx, l, order, func(spec *v1alpha1.WorkOrderSpec) {
		spec.Rewinds = []v1alpha1.RewindRequest{{Step: "test", ToEpoch: 2}, {Step: "fix", ToEpoch: 1}}
	})
}

// onlyTestRuns says whether the container of the step that is held does, and no other Pod is left to be let go.
func onlyTestRuns(l *lane, order *v1alpha1.WorkOrder) bool {
	held := 0
	for _, pod := range l.seen.podsOf(order.UID) {
		if steppod.Held(pod) {
			held++
		}
	}
	return held == 1 && slices.ContainsFunc(l.machine.Runs(order.UID), func(run node.Run) bool { return run.Step == "test" && run.Ended.IsZero() })
}
