package rows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/bare"
	"workorders.dev/operator/hack/bench/result"
	"workorders.dev/operator/hack/bench/rig"
)

// succession is P5: how long it takes from a Pod's end, as a watch shows it, until a watch shows its result and the next
// Pod, in round trips of one write at the same time. The nodes are played, as it is not they that are measured.
func (b *Bench) succession(ctx context.Context) ([]result.Line, error) {
	var lines []result.Line
	for _, load := range []struct {
		what   string
		orders int
		steps  int
		each   time.Duration
	}{{"idle", 1, either(b, 100, 20), 0}, {"200 orders running", 200, either(b, 16, 4), 4 * time.Second}} {
		spec := v1alpha1.WorkOrderSpec{Steps: steps(load.steps, b.run())}
		rig.OnPlayedNodes(&spec, load.each)
		w, trips, err := b.watchWhileProbing(ctx, spec, load.orders, together)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", load.what, err)
		}
		var saved, next []float64
		for order := range w.orders {
			for i := range load.steps - 1 {
				end := w.ended[seen{order, spec.Steps[i].Name}]
				saved = append(saved, milliseconds(w.resulted[seen{order, spec.Steps[i].Name}].Sub(end)))
				next = append(next, milliseconds(w.created[seen{order, spec.Steps[i+1].Name}].Sub(end)))
			}
		}
		lines = append(lines,
			inTrips("P5", "Pod's end to result, "+load.what, saved, trips, result.Goal{}),
			inTrips("P5", "Pod's end to next Pod, "+load.what, next, trips, result.Goal{AtMost: 6}))
		b.Say("%s: %.1f ms from a Pod's end to the next Pod, %.1f ms a round trip", load.what, result.Middle(next), result.Middle(trips))
	}
	return lines, nil
}

// first is P6: how long it takes from an order's creation until a watch shows its first Pod, in round trips.
func (b *Bench) first(ctx context.Context) ([]result.Line, error) {
	spec := v1alpha1.WorkOrderSpec{Steps: steps(1, b.run())}
	rig.OnPlayedNodes(&spec, 0)
	w, trips, err := b.watchWhileProbing(ctx, spec, either(b, 100, 20), apart)
	if err != nil {
		return nil, err
	}
	alone := w.firsts(spec.Steps[0].Name)
	lines := []result.Line{inTrips("P6", "order to first Pod, one at a time", alone, trips, result.Goal{AtMost: 6})}
	b.Say("one at a time: %.1f ms from an order to its first Pod, %.1f ms a round trip", result.Middle(alone), result.Middle(trips))

	count := either(b, 1000, 100)
	if trips, err = b.tripsAtOnce(ctx, count); err != nil {
		return nil, err
	}
	if w, _, err = b.watchWhileProbing(ctx, spec, count, together); err != nil {
		return nil, err
	}
	crowded := w.firsts(spec.Steps[0].Name)
	b.Say("%d at once: %.0f ms from an order to its first Pod, %.0f ms a round trip of as many", count, result.Middle(crowded), result.Middle(trips))
	return append(lines, inTrips("P6", fmt.Sprintf("order to first Pod, %d at once", count), crowded, trips, result.Goal{AtMost: 6})), nil
}

// firsts are the times from each order's creation to its first Pod.
func (w *witness) firsts(step string) (times []float64) {
	for order, at := range w.submitted {
		times = append(times, milliseconds(w.created[seen{order, step}].Sub(at)))
	}
	return times
}

// watchWhileProbing runs so many orders, watches, and takes the round trip of a write again and again meanwhile.
func (b *Bench) watchWhileProbing(ctx context.Context, spec v1alpha1.WorkOrderSpec, count int, how manner) (*witness, []float64, error) {
	if err := b.Operator.Start(ctx); err != nil {
		return nil, nil, err
	}
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return nil, nil, err
	}
	w, err := newWitness(ctx, b.Rig, namespace, true)
	if err != nil {
		return nil, nil, err
	}
	defer w.close()
	probing, stop := context.WithCancel(ctx)
	defer stop()
	probes := make(chan []float64, 1)
	probe, err := b.newProbe(ctx)
	if err != nil {
		return nil, nil, err
	}
	go func() { probes <- probe.again(probing) }()
	if err := w.submit(ctx, b, namespace, spec, count, how); err != nil {
		return nil, nil, err
	}
	if err := w.wait(ctx, count, longest); err != nil {
		return nil, nil, err
	}
	stop()
	return w, <-probes, nil
}

// manner is how orders are created: each when the one before has finished, or all as soon as can be.
type manner int

const (
	apart manner = iota
	together
)

// submit creates orders, and notes when each was created.
func (w *witness) submit(ctx context.Context, b *Bench, namespace string, spec v1alpha1.WorkOrderSpec, count int, how manner) error {
	w.submitted = map[string]time.Time{}
	atOnce := creators
	if how == apart {
		atOnce = 1
	}
	return inParallel(atOnce, count, func(i int) error {
		order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: bare.OrderName(i)}, Spec: spec}
		w.mu.Lock()
		w.submitted[order.Name] = time.Now()
		w.mu.Unlock()
		if err := b.Create(ctx, order); err != nil || how == together {
			return err
		}
		return w.wait(ctx, i+1, longest)
	})
}

// probe writes into the status of an order that has nothing to do any more, which is what the operator's writes are like.
type probe struct {
	b     *Bench
	order *v1alpha1.WorkOrder
}

// newProbe makes such an order, with a foreign condition to write.
func (b *Bench) newProbe(ctx context.Context) (*probe, error) {
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return nil, err
	}
	w, err := newWitness(ctx, b.Rig, namespace, false)
	if err != nil {
		return nil, err
	}
	defer w.close()
	orders, err := b.submit(ctx, namespace, v1alpha1.WorkOrderSpec{Steps: steps(1, noWait())}, 1)
	if err != nil {
		return nil, err
	}
	return &probe{b: b, order: &orders[0]}, w.wait(ctx, 1, time.Minute)
}

// once is the round trip of one write, in milliseconds.
func (p *probe) once(ctx context.Context, number int) (float64, error) {
	patch := fmt.Sprintf(`[{"op":"add","path":"/metadata/labels","value":{"bench":"%d"}}]`, number)
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: p.order.Namespace, Name: p.order.Name}}
	began := time.Now()
	err := p.b.Patch(ctx, order, client.RawPatch(types.JSONPatchType, []byte(patch)))
	return milliseconds(time.Since(began)), err
}

// probePause is between two probes, so that they are no load of their own.
const probePause = 20 * time.Millisecond

// again takes the round trip again and again, until it is told to stop.
func (p *probe) again(ctx context.Context) (trips []float64) {
	for number := 0; ; number++ {
		if trip, err := p.once(ctx, number); err == nil {
			trips = append(trips, trip)
		}
		select {
		case <-ctx.Done():
			return trips
		case <-time.After(probePause):
		}
	}
}

// tripsAtOnce are the round trips of so many writes that are sent at the same time, each to an order of its own that
// nobody looks after.
func (b *Bench) tripsAtOnce(ctx context.Context, count int) ([]float64, error) {
	if err := b.Operator.Stop(); err != nil {
		return nil, err
	}
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return nil, err
	}
	orders, err := b.submit(ctx, namespace, v1alpha1.WorkOrderSpec{Steps: steps(1, noWait())}, count)
	if err != nil {
		return nil, err
	}
	trips := make([]float64, count)
	err = inParallel(count, count, func(i int) (err error) {
		trips[i], err = (&probe{b: b, order: &orders[i]}).once(ctx, i)
		return err
	})
	return trips, errors.Join(err, b.DeleteAllOf(ctx, &v1alpha1.WorkOrder{}, client.InNamespace(namespace)))
}

// inTrips is a line of times in milliseconds, with the middle of the round trips as its floor.
func inTrips(row, what string, times, trips []float64, goal result.Goal) result.Line {
	slices.Sort(times)
	trip := result.Middle(trips)
	return result.Line{
		Row: row, What: what, Unit: "ms", Ours: result.Middle(times), Floor: trip, OursSamples: times, Ratio: result.Middle(times) / trip, Goal: goal,
		Notes: []string{fmt.Sprintf("p99 %.1f ms, which is %.1f round trips' middle and %.1f of their p99; %d samples",
			result.Quantile(times, 0.99), result.Quantile(times, 0.99)/trip, result.Quantile(times, 0.99)/result.Quantile(trips, 0.99), len(times))},
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
