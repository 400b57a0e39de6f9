package rows

import (
	"context"
	"fmt"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/bare"
	"workorders.dev/operator/hack/bench/result"
	"workorders.dev/operator/hack/bench/rig"
)

// size is one of the sizes of P7.
type size struct {
	kind   result.Kind
	of     int
	orders int
	spec   v1alpha1.WorkOrderSpec
}

func (s *size) String() string { return fmt.Sprintf("%d %s", s.of, s.kind) }

// sizes are orders of more and more steps, in sequence and side by side, and more and more orders, on nodes that are played.
func (b *Bench) sizes() (sizes []size) {
	for _, length := range either(b, []int{7, 64, 256}, []int{7, 64}) {
		orders := either(b, 2100, 420) / length
		sizes = append(sizes,
			size{result.Sequence, length, orders, v1alpha1.WorkOrderSpec{Steps: steps(length, noWait())}},
			size{result.SideBySide, length, orders, v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph, Steps: steps(length, noWait())}})
	}
	for _, orders := range either(b, []int{10, 1000, 10000}, []int{10, 100}) {
		spec := v1alpha1.WorkOrderSpec{Steps: steps(2, b.run())}
		rig.OnPlayedNodes(&spec, 0)
		sizes = append(sizes, size{result.Crowd, orders, orders, spec})
	}
	return sizes
}

// Goals of P7: the memory for all and for each order, and how many turns may come to nothing for each transition.
const (
	memory         = 150 << 20
	memoryPerOrder = 6 << 10
	wasteful       = 0.05
)

// growth is P7.
func (b *Bench) growth(ctx context.Context) (lines []result.Line, err error) {
	var wasted float64
	for _, s := range b.sizes() {
		script, err := b.script(ctx, s.String(), s.spec)
		if err != nil {
			return lines, err
		}
		got, line, err := b.grow(ctx, s, script)
		if err != nil {
			return lines, fmt.Errorf("%s: %w", s.String(), err)
		}
		b.Sizes = append(b.Sizes, got)
		wasted = max(wasted, got.Wasted)
		lines = append(lines, line)
	}
	largest := b.Sizes[len(b.Sizes)-1]
	return append(lines,
		result.Line{Row: "P7", What: fmt.Sprintf("memory with %d orders", largest.Orders), Unit: "MiB", Ours: largest.Peak,
			Goal: result.Goal{AtMost: float64(memory+largest.Orders*memoryPerOrder) / (1 << 20), Absolute: true}},
		result.Line{Row: "P7", What: "turns that come to nothing, for a transition, at the worst size", Unit: "turns", Ours: wasted,
			Goal: result.Goal{AtMost: wasteful, Absolute: true}}), nil
}

// samplesOf is how often a size is measured: small ones are over too soon for one sample to be worth much.
func (b *Bench) samplesOf(s size) int {
	switch {
	case s.orders >= 1000 || b.Quick:
		return 1
	default:
		return 3
	}
}

// grow measures one size. The floor goes first, so that what the operator has done last is what P8 finds.
func (b *Bench) grow(ctx context.Context, s size, script *bare.Script) (got result.Size, line result.Line, err error) {
	atOnce, err := b.best(ctx, script, s.orders)
	if err != nil {
		return got, line, err
	}
	var ours, floor, cpu, peak, wasted []float64
	for range b.samplesOf(s) {
		least, err := b.write(ctx, script, s.orders, atOnce)
		if err != nil {
			return got, line, err
		}
		if err := b.Clear(ctx); err != nil {
			return got, line, err
		}
		p, err := b.carry(ctx, script, s.orders)
		if err != nil {
			return got, line, err
		}
		ours, floor = append(ours, p.rate), append(floor, least.rate)
		cpu = append(cpu, p.cpu/float64(s.orders*len(s.spec.Steps))*1000)
		peak = append(peak, p.peak/(1<<20))
		wasted = append(wasted, p.wasted/float64(s.orders*script.Transitions))
		b.Say("%d orders, %s: %.0f transitions/s, bare clients %.0f", s.orders, s.String(), p.rate, least.rate)
	}
	line = result.Pairs("P7", fmt.Sprintf("%d orders, %s", s.orders, s.String()), "transitions/s", ours, floor, result.Goal{AtLeast: 0.7})
	return result.Size{
		What: s.String(), Kind: s.kind, Of: float64(s.of), Orders: s.orders, Transitions: script.Transitions, Rate: line.Ours, Floor: line.Floor,
		CPU: result.Middle(cpu), Peak: result.Middle(peak), Wasted: result.Middle(wasted),
		Sent: script.Bytes / script.Transitions, Stored: script.Stored,
	}, line, nil
}
