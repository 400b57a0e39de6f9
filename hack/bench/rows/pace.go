package rows

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"workorders.dev/operator/hack/bench/bare"
)

// pace is how fast a number of orders went by.
type pace struct {
	// rate is in transitions a second, each an event and a status.
	rate float64
	// Of the operator only: how much CPU it took from the first change on, in seconds, and the most memory that it had, in bytes.
	cpu, peak float64
	// Of the operator only, for each transition: how many turns there were, and how many of them came to nothing, by cause.
	all    float64
	wasted map[string]float64
}

// turns says what became of the operator's turns.
func (p pace) turns() string {
	said := fmt.Sprintf("%.2f turns a transition", p.all)
	for _, cause := range []string{"race", "stale", "behind"} {
		said += fmt.Sprintf(", %s %.3f", cause, p.wasted[cause])
	}
	return said
}

// nothing is how many turns came to nothing, for each transition.
func (p pace) nothing() (sum float64) {
	for _, count := range p.wasted {
		sum += count
	}
	return sum
}

// carry has the operator carry so many orders of a script from their creation to their end. The orders are there before
// the operator is, and time counts from the first change to the last.
func (b *Bench) carry(ctx context.Context, script *bare.Script, count int, args ...string) (p pace, err error) {
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
	b.Operator.Args = args
	defer func() { b.Operator.Args = nil }()
	if err := b.Operator.Start(ctx); err != nil {
		return p, err
	}
	start, err := b.Operator.Usage()
	if err != nil {
		return p, err
	}
	profiled := b.profile(strings.ReplaceAll(fmt.Sprintf("%d orders, %d transitions each", count, script.Transitions), " ", "-"))
	if err := w.wait(ctx, count); err != nil {
		return p, err
	}
	w.close()
	if err := profiled(); err != nil {
		return p, err
	}
	if p, err = b.spent(start.CPU); err != nil {
		return p, err
	}
	p.rate = float64(count*script.Transitions) / w.took().Seconds()
	return p, b.Operator.Stop()
}

// spent is what the operator has used since it had used so much CPU, and what became of its turns.
func (b *Bench) spent(before float64) (p pace, err error) {
	usage, err := b.Operator.Usage()
	if err != nil {
		return p, err
	}
	metrics, err := b.Operator.Metrics()
	if err != nil {
		return p, err
	}
	transitions := metrics.Sum("workorders_transitions_total")
	p = pace{cpu: usage.CPU - before, peak: usage.Peak, wasted: map[string]float64{}}
	p.all = metrics.Sum("controller_runtime_reconcile_total", "controller=workorder") / transitions
	metrics.Each("workorders_wasted_turns_total", func(labels map[string]string, value float64) {
		p.wasted[labels["cause"]] += value / transitions
	})
	return p, nil
}

// write has bare clients write the same.
func (b *Bench) write(ctx context.Context, script *bare.Script, count, atOnce int) (p pace, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit(count))
	defer cancel()
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
	if err := w.wait(ctx, count); err != nil {
		return p, err
	}
	w.close()
	p.rate = float64(count*script.Transitions) / w.took().Seconds()
	return p, nil
}

// best finds how many orders at a time bring the floor furthest, with a few of so many.
func (b *Bench) best(ctx context.Context, script *bare.Script, count int) (atOnce int, err error) {
	few := min(count, max(count/4, 32))
	candidates := append(slices.DeleteFunc([]int{4, 8, 16, 32}, func(n int) bool { return n >= few }), few)
	if b.Quick || len(candidates) == 1 {
		return min(few, 8), nil
	}
	best := 0.0
	for _, n := range candidates {
		p, err := b.write(ctx, script, few, n)
		if err != nil {
			return 0, err
		}
		if p.rate > best {
			best, atOnce = p.rate, n
		}
	}
	b.Say("bare clients are fastest with %d orders at a time: %.0f transitions a second", atOnce, best)
	return atOnce, nil
}
