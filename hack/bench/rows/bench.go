// Package rows are the measurements: each method of Bench is one of P1 to P8, measured beside its floor in the same run.
package rows

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/bare"
	"workorders.dev/operator/hack/bench/result"
	"workorders.dev/operator/hack/bench/rig"
)

// Bench measures.
type Bench struct {
	*rig.Rig
	// Quick takes fewer and smaller samples.
	Quick bool
	// Image is that of the steps that run on the real node.
	Image string
	// Rest is how long nothing is to happen in P8.
	Rest time.Duration
	// Profiles is the folder for profiles of the operator, taken in P3 and P7; none are if it is empty.
	Profiles string
	// Say tells a person what is going on.
	Say func(format string, args ...any)

	// Sizes are what P7 has measured besides its lines.
	Sizes []result.Size

	// scripts are those that were recorded, by what they are of.
	scripts map[string]*bare.Script
}

// Row is one of the measurements.
type Row struct {
	ID, Title string
	Measure   func(context.Context) ([]result.Line, error)
}

// All are all measurements. P8 looks at the orders that P7 has left, if it has.
func (b *Bench) All() []Row {
	b.scripts = map[string]*bare.Script{}
	return []Row{
		{"P1", "seven Pods, one after the other", b.sequence},
		{"P2", "many Pods at once", b.crowd},
		{"P3", "steps without Pods", b.podless},
		{"P4", "writes for each step", b.writes},
		{"P5", "from a Pod's end to the next Pod", b.succession},
		{"P6", "from an order to its first Pod", b.first},
		{"P7", "what grows as the work grows", b.growth},
		{"P8", "rest", b.rest},
	}
}

// either is one of two sizes.
func either[T any](b *Bench, full, quick T) T {
	if b.Quick {
		return quick
	}
	return full
}

// steps are so many, each like the one that is given.
func steps(count int, like v1alpha1.Step) (steps []v1alpha1.Step) {
	for i := range count {
		step := like
		step.Name = fmt.Sprintf("step-%03d", i)
		steps = append(steps, step)
	}
	return steps
}

// run is a step that ends at once.
func (b *Bench) run() v1alpha1.Step {
	return v1alpha1.Step{Run: &v1alpha1.Run{Image: b.Image, Args: []string{"--duration=0s"}}}
}

// noWait is a step without a Pod that has nothing to wait for.
func noWait() v1alpha1.Step { return v1alpha1.Step{Wait: &v1alpha1.Wait{}} }

// script is that of a spec, recorded once.
func (b *Bench) script(ctx context.Context, name string, spec v1alpha1.WorkOrderSpec) (*bare.Script, error) {
	if known := b.scripts[name]; known != nil {
		return known, nil
	}
	b.Say("recording what the operator writes for %s", name)
	script, err := bare.Record(ctx, b.Rig, spec)
	if err != nil {
		return nil, err
	}
	b.scripts[name] = script
	return script, nil
}

// inTurns takes so many pairs of samples. Which of the two goes first takes turns as well, and each begins in a cluster in which
// nothing of the one before is left, unless it has to be quick. When a pair is taken, after is told its number.
func (b *Bench) inTurns(ctx context.Context, pairs int, one, other func(context.Context) error, after func(pair int)) error {
	for pair := range pairs {
		halves := []func(context.Context) error{one, other}
		if pair%2 == 1 {
			slices.Reverse(halves)
		}
		for _, half := range halves {
			if !b.Quick {
				if err := b.Clear(ctx); err != nil {
					return err
				}
			}
			if err := half(ctx); err != nil {
				return err
			}
		}
		after(pair)
	}
	return nil
}

// creators is how many orders are created at a time, where it does not matter.
const creators = 16

// submit creates so many orders.
func (b *Bench) submit(ctx context.Context, namespace string, spec v1alpha1.WorkOrderSpec, count int) ([]v1alpha1.WorkOrder, error) {
	orders := make([]v1alpha1.WorkOrder, count)
	return orders, inParallel(creators, count, func(i int) error {
		orders[i] = v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: bare.OrderName(i)}, Spec: spec}
		if err := b.Create(ctx, &orders[i]); err != nil {
			return fmt.Errorf("create order %d: %w", i, err)
		}
		return nil
	})
}

// inParallel does something so many times, a few at a time, and returns the first error.
func inParallel(atOnce, count int, do func(int) error) error {
	group := &errgroup.Group{}
	group.SetLimit(atOnce)
	for i := range count {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}

// limit is how long so many orders may take: what hangs is given up some day, and what is only slow is not.
func limit(orders int) time.Duration {
	return 10*time.Minute + time.Duration(orders)*400*time.Millisecond
}
