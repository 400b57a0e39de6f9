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

func (s *size) String() string {
	if s.kind == result.Crowd {
		return fmt.Sprintf("%d %s", s.of, s.kind)
	}
	return fmt.Sprintf("%d orders, %d %s", s.orders, s.of, s.kind)
}

// together is about how many steps without Pods there are in all, of orders of whatever size.
const together = 1000

// sizes are orders of more and more steps, in sequence and side by side, and more and more orders, on nodes that are played.
func (b *Bench) sizes() (sizes []size) {
	for _, length := range either(b, []int{7, 64, 256}, []int{64}) {
		orders := max(either(b, together, 0)/length, either(b, 4, 2))
		sizes = append(sizes,
			size{result.Sequence, length, orders, v1alpha1.WorkOrderSpec{Steps: steps(length, noWait())}},
			size{result.SideBySide, length, orders, v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph, Steps: steps(length, noWait())}})
	}
	for _, orders := range either(b, []int{10, 1000, largestCrowd}, []int{50}) {
		sizes = append(sizes, size{result.Crowd, orders, orders, b.crowdSpec()})
	}
	return sizes
}

// largestCrowd is how many orders there are at once at the most.
const largestCrowd = 10_000

// crowdSpec is that of the orders of a crowd. Their Pods stay: ten minutes after their order's end they would begin to go, while
// others of a large crowd still run.
func (b *Bench) crowdSpec() v1alpha1.WorkOrderSpec {
	spec := v1alpha1.WorkOrderSpec{Steps: steps(1, b.run()), KeepPods: v1alpha1.KeepAllPods}
	rig.OnPlayedNodes(&spec, 0)
	return spec
}

// Goals of P7: the memory for all and for each order, and how many turns may come to nothing for each transition.
const (
	memory         = 150e6
	memoryPerOrder = 6e3
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
		lines = append(lines, line, result.Line{Row: "P7", What: "memory with " + s.String(), Unit: "MiB", Ours: got.Peak,
			Goal: result.Goal{AtMost: (memory + float64(s.orders)*memoryPerOrder) / (1 << 20), Absolute: true}})
	}
	return append(lines, result.Line{Row: "P7", What: "turns on a stale cache or for a lost race, for a transition, at the worst size",
		Unit: "turns", Ours: wasted, Goal: result.Goal{AtMost: wasteful, Absolute: true}}), nil
}

// pairsOf is how often a size is measured. The large ones take minutes, in which what disturbs evens out.
func (b *Bench) pairsOf(s size) int {
	switch {
	case b.Quick || s.orders >= 1000 || s.of > 64:
		return 1
	case s.kind == result.Crowd: // A few orders take less than a second.
		return 15
	}
	return 3
}

// grow measures one size.
func (b *Bench) grow(ctx context.Context, s size, script *bare.Script) (got result.Size, line result.Line, err error) {
	atOnce, err := b.best(ctx, script, min(s.orders, 100))
	if err != nil {
		return got, line, err
	}
	var ours, floor, cpu, peak, turns, wasted []float64
	var last pace
	// The floor goes first, so that what the operator has done last is what P8 finds.
	err = b.inTurns(ctx, b.pairsOf(s), func(ctx context.Context) error {
		least, err := b.write(ctx, script, s.orders, atOnce)
		floor = append(floor, least.rate)
		return err
	}, func(ctx context.Context) error {
		last, err = b.carry(ctx, script, s.orders)
		ours = append(ours, last.rate)
		cpu = append(cpu, last.cpu/float64(s.orders*len(s.spec.Steps))*1000)
		peak, turns, wasted = append(peak, last.peak/(1<<20)), append(turns, last.all), append(wasted, last.nothing())
		return err
	}, func(pair int) {
		b.Say("%s: %.1f transitions a second, bare clients %.1f; %s", s.String(), ours[pair], floor[pair], last.turns())
	})
	if err != nil {
		return got, line, err
	}
	line = result.Pairs("P7", s.String(), "transitions/s", ours, floor, result.Goal{AtLeast: 0.7})
	return result.Size{
		What: s.String(), Kind: s.kind, Of: float64(s.of), Orders: s.orders, Transitions: script.Transitions, Rate: line.Ours, Floor: line.Floor,
		Ratio: line.Ratio, AtOnce: atOnce, CPU: result.Middle(cpu), Peak: result.Middle(peak), Turns: result.Middle(turns), Wasted: result.Middle(wasted),
		Sent: script.Bytes / script.Transitions, Stored: script.Stored,
	}, line, nil
}
