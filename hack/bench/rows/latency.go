package rows

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/bare"
	"workorders.dev/operator/hack/bench/result"
	"workorders.dev/operator/hack/bench/rig"
)

// roundTrips is how many round trips of one write P5 and P6 may take.
const roundTrips = 6

// succession is P5: how long it takes from a Pod's end, as a watch shows it, until a watch shows its result and the next
// Pod, in round trips of one write. The nodes are played, as it is not they that are measured.
func (b *Bench) succession(ctx context.Context) (lines []result.Line, err error) {
	for _, load := range []struct {
		orders, steps int
		// each is how long a step takes, and pause how long it is from one order to the next; 0 is until it has finished.
		each, pause time.Duration
	}{
		{either(b, 40, 3), 8, 0, 0},
		// Five steps a second: half of what a small machine can do, spread evenly.
		{either(b, 200, 8), 4, either(b, 40*time.Second, 2*time.Second), 200 * time.Millisecond},
	} {
		what := "idle"
		if load.pause > 0 {
			what = fmt.Sprintf("%d orders running, five steps a second", load.orders)
		}
		spec := v1alpha1.WorkOrderSpec{Steps: steps(load.steps, b.run())}
		rig.OnPlayedNodes(&spec, load.each)
		s := &stream{spec: spec, orders: load.orders, atOnce: 1, apart: load.pause == 0, pause: load.pause}
		if err := b.watch(ctx, s, load.steps*load.orders, true); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		var saved, next []float64
		for order := range s.submitted {
			for i := range load.steps - 1 {
				end := s.ended[seen{order, spec.Steps[i].Name}]
				saved = append(saved, milliseconds(s.resulted[seen{order, spec.Steps[i].Name}].Sub(end)))
				next = append(next, milliseconds(s.created[seen{order, spec.Steps[i+1].Name}].Sub(end)))
			}
		}
		lines = append(lines,
			result.InTrips("P5", "Pod's end to result, "+what, saved, s.trips, result.Goal{}),
			result.InTrips("P5", "Pod's end to next Pod, "+what, next, s.trips, result.Goal{AtMost: roundTrips}))
		b.Say("%s: %.1f ms from a Pod's end to the next Pod, %.1f ms a round trip", what, result.Middle(next), result.Middle(s.trips))
		if err := b.Clear(ctx); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// first is P6: how long it takes from an order's creation until a watch shows its first Pod, in round trips. Its Pods run for a
// while, as what comes after the first Pod is not what is measured.
func (b *Bench) first(ctx context.Context) ([]result.Line, error) {
	alone := v1alpha1.WorkOrderSpec{Steps: steps(1, b.run())}
	rig.OnPlayedNodes(&alone, 0)
	s := &stream{spec: alone, orders: either(b, 100, 15), atOnce: 1, apart: true}
	if err := b.watch(ctx, s, s.orders, false); err != nil {
		return nil, err
	}
	times := s.firsts()
	lines := []result.Line{result.InTrips("P6", "order to first Pod, one at a time", times, s.trips, result.Goal{AtMost: roundTrips})}
	b.Say("one at a time: %.1f ms from an order to its first Pod, %.1f ms a round trip", result.Middle(times), result.Middle(s.trips))

	count := either(b, 1000, 50)
	trips, err := b.tripsAtOnce(ctx, count)
	if err != nil {
		return nil, err
	}
	crowded := v1alpha1.WorkOrderSpec{Steps: steps(1, b.run())}
	rig.OnPlayedNodes(&crowded, either(b, 5*time.Minute, 10*time.Second))
	s = &stream{spec: crowded, orders: count, atOnce: count}
	if err := b.watch(ctx, s, count, false); err != nil {
		return nil, err
	}
	times = s.firsts()
	b.Say("%d at once: %.0f ms from an order to its first Pod, %.0f ms a round trip of as many", count, result.Middle(times), result.Middle(trips))
	return append(lines, result.InTrips("P6", fmt.Sprintf("order to first Pod, %d at once, against as many writes at once", count), times, trips, result.Goal{AtMost: roundTrips})), nil
}

// stream are orders that are created one after the other, or all at once, and watched.
type stream struct {
	*witness
	spec   v1alpha1.WorkOrderSpec
	orders int
	// atOnce is how many are created at a time. If apart, each has finished before the next is created; otherwise there is a pause.
	atOnce int
	apart  bool
	pause  time.Duration

	// submitted is when each was sent, and trips are the round trips of one write before.
	submitted map[string]time.Time
	trips     []float64
}

// watch takes the round trip of one write, creates the orders, and watches until so many Pods were seen, to their end if ended.
func (b *Bench) watch(ctx context.Context, s *stream, pods int, ended bool) error {
	if err := b.Operator.Start(ctx); err != nil {
		return err
	}
	probe, err := b.newProbe(ctx)
	if err != nil {
		return err
	}
	if s.trips, err = probe.trips(ctx); err != nil {
		return err
	}
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return err
	}
	if s.witness, err = newWitness(ctx, b.Rig, namespace, true); err != nil {
		return err
	}
	defer s.close()
	if err := s.submit(ctx, b, namespace); err != nil {
		return err
	}
	if err := s.waitForPods(ctx, pods, ended); err != nil {
		return err
	}
	if ended {
		return s.wait(ctx, s.orders)
	}
	return nil
}

// submit creates the orders, and notes when each was sent.
func (s *stream) submit(ctx context.Context, b *Bench, namespace string) error {
	var mu sync.Mutex
	s.submitted = map[string]time.Time{}
	return inParallel(s.atOnce, s.orders, func(i int) error {
		order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: bare.OrderName(i)}, Spec: s.spec}
		mu.Lock()
		s.submitted[order.Name] = time.Now()
		mu.Unlock()
		if err := b.Create(ctx, order); err != nil {
			return err
		}
		if s.apart {
			return s.wait(ctx, i+1)
		}
		select {
		case <-time.After(s.pause):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// firsts are the times from each order to its first Pod.
func (s *stream) firsts() (times []float64) {
	for order, at := range s.submitted {
		times = append(times, milliseconds(s.created[seen{order, s.spec.Steps[0].Name}].Sub(at)))
	}
	return times
}
