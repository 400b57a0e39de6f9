package rows

import (
	"context"
	"fmt"
	"time"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/bare"
	"workorders.dev/operator/hack/bench/result"
)

// sequence is P1: an order of seven steps that do nothing, against as many bare Pods, one after the other.
func (b *Bench) sequence(ctx context.Context) ([]result.Line, error) {
	length := either(b, 7, 3)
	line, err := b.against(ctx, comparison{
		row: "P1", what: fmt.Sprintf("%d steps in sequence", length), goal: result.Goal{AtMost: 1.03}, pairs: either(b, 5, 1),
		spec: v1alpha1.WorkOrderSpec{Steps: steps(length, b.run())}, orders: 1, chains: 1, length: length,
	})
	return []result.Line{line}, err
}

// crowd is P2: orders side by side, and one order whose steps are.
func (b *Bench) crowd(ctx context.Context) ([]result.Line, error) {
	count, width := either(b, 10, 5), either(b, 30, 10)
	orders := comparison{
		row: "P2", what: fmt.Sprintf("%d orders of 3 steps at once", count), goal: result.Goal{AtMost: 1.1}, pairs: either(b, 3, 1),
		spec: v1alpha1.WorkOrderSpec{Steps: steps(3, b.run())}, orders: count, chains: count, length: 3,
	}
	wide := comparison{
		row: "P2", what: fmt.Sprintf("one order %d wide", width), goal: result.Goal{AtMost: 1.1}, pairs: either(b, 5, 1),
		spec:   v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph, Steps: steps(width, b.run())},
		orders: 1, chains: width, length: 1,
	}
	var lines []result.Line
	for _, c := range []comparison{orders, wide} {
		line, err := b.against(ctx, c)
		if err != nil {
			return lines, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// comparison is one of orders with bare Pods, on the real node.
type comparison struct {
	row, what      string
	goal           result.Goal
	pairs          int
	spec           v1alpha1.WorkOrderSpec
	orders         int
	chains, length int
}

// against compares. The first Pods on a node take longer than all others, so one is run before.
func (b *Bench) against(ctx context.Context, c comparison) (result.Line, error) {
	warm := c
	warm.chains, warm.length = 1, 1
	if _, err := b.timePods(ctx, warm); err != nil {
		return result.Line{}, err
	}
	var ours, floor []float64
	err := b.inTurns(ctx, c.pairs, func(ctx context.Context) error {
		took, err := b.timeOrders(ctx, c)
		ours = append(ours, took.Seconds())
		return err
	}, func(ctx context.Context) error {
		took, err := b.timePods(ctx, c)
		floor = append(floor, took.Seconds())
		return err
	}, func(pair int) {
		b.Say("%s, pair %d of %d: %.2f s, bare Pods %.2f s", c.what, pair+1, c.pairs, ours[pair], floor[pair])
	})
	if err != nil {
		return result.Line{}, fmt.Errorf("%s: %w", c.what, err)
	}
	return result.Pairs(c.row, c.what, "s", ours, floor, c.goal), nil
}

// timeOrders is the time from the creation of the first order until all are seen to have succeeded.
func (b *Bench) timeOrders(ctx context.Context, c comparison) (time.Duration, error) {
	if err := b.Operator.Start(ctx); err != nil {
		return 0, err
	}
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return 0, err
	}
	w, err := newWitness(ctx, b.Rig, namespace, false)
	if err != nil {
		return 0, err
	}
	defer w.close()
	began := time.Now()
	if _, err := b.submit(ctx, namespace, c.spec, c.orders); err != nil {
		return 0, err
	}
	if err := w.wait(ctx, c.orders); err != nil {
		return 0, err
	}
	w.close()
	return w.last.Sub(began), nil
}

// timePods is the time from the creation of the first Pod until all are seen to have succeeded.
func (b *Bench) timePods(ctx context.Context, c comparison) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, limit(c.chains*c.length))
	defer cancel()
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return 0, err
	}
	return bare.Chains(ctx, b.Rig, namespace, c.spec.Steps[0].Run, c.chains, c.length)
}
