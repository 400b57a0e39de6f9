package rows

import (
	"context"
	"fmt"
	"path/filepath"

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
	count := either(b, 200, 30)
	atOnce, err := b.best(ctx, script, count)
	if err != nil {
		return nil, err
	}
	stepsOf := float64(length) / float64(script.Transitions)
	var ours, floor []float64
	var got pace
	err = b.inTurns(ctx, either(b, 5, 1), func(ctx context.Context) (err error) {
		got, err = b.carry(ctx, script, count)
		ours = append(ours, got.rate*stepsOf)
		return err
	}, func(ctx context.Context) error {
		least, err := b.write(ctx, script, count, atOnce)
		floor = append(floor, least.rate*stepsOf)
		return err
	}, func(pair int) {
		b.Say("steps without Pods, pair %d: %.0f a second, bare clients %.0f; %.1f s of CPU, %s", pair+1, ours[pair], floor[pair], got.cpu, got.turns())
	})
	if err != nil {
		return nil, err
	}
	lines := []result.Line{result.Pairs("P3", "steps without Pods", "steps/s", ours, floor, result.Goal{AtLeast: 0.7})}
	if b.Quick {
		return lines, nil
	}
	for _, workers := range []int{2, 4, 16, 32} {
		if err := b.Clear(ctx); err != nil {
			return lines, err
		}
		got, err := b.carry(ctx, script, count, fmt.Sprintf("--max-concurrent-reconciles=%d", workers))
		if err != nil {
			return lines, err
		}
		b.Say("%d orders at a time: %.0f steps a second", workers, got.rate*stepsOf)
		lines = append(lines, result.Line{Row: "P3", What: fmt.Sprintf("the same, %d orders reconciled at a time instead of 8", workers),
			Unit: "steps/s", Ours: got.rate * stepsOf, Floor: result.Middle(floor), Ratio: got.rate * stepsOf / result.Middle(floor)})
	}
	return lines, nil
}

// profile takes the operator's CPU profile while it is at work, and then what it has allocated and what it holds.
func (b *Bench) profile(name string) (end func() error) {
	if b.Profiles == "" {
		return func() error { return nil }
	}
	file := func(kind string) string { return filepath.Join(b.Profiles, name+"."+kind+".pprof") }
	taken := make(chan error, 1)
	go func() { taken <- b.Operator.Profile("profile?seconds=10", file("cpu")) }()
	return func() error {
		if err := <-taken; err != nil {
			return err
		}
		if err := b.Operator.Profile("allocs", file("allocs")); err != nil {
			return err
		}
		return b.Operator.Profile("heap", file("heap"))
	}
}
