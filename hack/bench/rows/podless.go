package rows

import (
	"context"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/result"
)

// podless is P3: how many steps without Pods go by in a second, against bare clients that write the same.
func (b *Bench) podless(ctx context.Context) ([]result.Line, error) {
	const length = 7
	script, err := b.script(ctx, "7 steps without Pods", v1alpha1.WorkOrderSpec{Steps: steps(length, noWait())})
	if err != nil {
		return nil, err
	}
	count := either(b, 300, 60)
	atOnce, err := b.best(ctx, script, count)
	if err != nil {
		return nil, err
	}
	stepsOf := float64(length) / float64(script.Transitions)
	var ours, floor []float64
	for pair := range either(b, 5, 2) {
		least, err := b.write(ctx, script, count, atOnce)
		if err != nil {
			return nil, err
		}
		got, err := b.carry(ctx, script, count)
		if err != nil {
			return nil, err
		}
		ours, floor = append(ours, got.rate*stepsOf), append(floor, least.rate*stepsOf)
		b.Say("steps without Pods, pair %d: %.0f a second, bare clients %.0f; %.1f s of CPU, %.0f wasted turns of %d transitions",
			pair+1, ours[pair], floor[pair], got.cpu, got.wasted, count*script.Transitions)
	}
	return []result.Line{result.Pairs("P3", "steps without Pods", "steps/s", ours, floor, result.Goal{AtLeast: 0.7})}, nil
}
