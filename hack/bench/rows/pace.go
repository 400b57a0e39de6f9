package rows

import (
	"context"
	"time"

	"workorders.dev/operator/hack/bench/bare"
)

// longest is how long any sample may take.
const longest = 40 * time.Minute

// pace is how fast a number of orders went by.
type pace struct {
	// rate is in transitions a second, each an event and a status.
	rate float64
	// Of the operator only: how much CPU it took, in seconds, the most memory it had, in bytes, how many of its turns came to nothing.
	cpu, peak, wasted float64
}

// carry has the operator carry so many orders of a script from their creation to their end. The orders are there before
// the operator is, and time counts from the first change to the last.
func (b *Bench) carry(ctx context.Context, script *bare.Script, count int) (p pace, err error) {
	if err := b.Operator.Stop(); err != nil {
		return p, err
	}
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return p, err
	}
	if _, err := b.submit(ctx, namespace, script.Spec, count); err != nil {
		return p, err
	}
	w, err := newWitness(ctx, b.Rig, namespace, false)
	if err != nil {
		return p, err
	}
	defer w.close()
	if err := b.Operator.Start(ctx); err != nil {
		return p, err
	}
	if err := w.wait(ctx, count, longest); err != nil {
		return p, err
	}
	p.rate = float64(count*script.Transitions) / w.took().Seconds()
	usage, err := b.Operator.Usage()
	if err != nil {
		return p, err
	}
	metrics, err := b.Operator.Metrics()
	if err != nil {
		return p, err
	}
	p.cpu, p.peak, p.wasted = usage.CPU, usage.Peak, metrics.Sum("workorders_wasted_turns_total")
	return p, b.Operator.Stop()
}

// write has bare clients write the same.
func (b *Bench) write(ctx context.Context, script *bare.Script, count, atOnce int) (p pace, err error) {
	if err := b.Operator.Stop(); err != nil {
		return p, err
	}
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return p, err
	}
	orders, err := b.submit(ctx, namespace, script.Spec, count)
	if err != nil {
		return p, err
	}
	w, err := newWitness(ctx, b.Rig, namespace, false)
	if err != nil {
		return p, err
	}
	defer w.close()
	if err := script.Replay(ctx, b.Rig, orders, atOnce); err != nil {
		return p, err
	}
	if err := w.wait(ctx, count, time.Minute); err != nil {
		return p, err
	}
	p.rate = float64(count*script.Transitions) / w.took().Seconds()
	return p, nil
}

// best finds how many requests under way at once bring the floor furthest.
func (b *Bench) best(ctx context.Context, script *bare.Script, count int) (int, error) {
	if b.atOnce > 0 {
		return b.atOnce, nil
	}
	best := 0.0
	for _, atOnce := range []int{4, 8, 16, 32} {
		p, err := b.write(ctx, script, count, atOnce)
		if err != nil {
			return 0, err
		}
		b.Say("bare clients, %d requests at once: %.0f transitions/s", atOnce, p.rate)
		if p.rate > best {
			best, b.atOnce = p.rate, atOnce
		}
	}
	return b.atOnce, nil
}
