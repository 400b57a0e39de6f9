package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/follow"
	"workorders.dev/operator/controllers/plan"
)

// view shows what is followed.
type view interface {
	show(state follow.State)
	// trouble says that the cluster could not be asked, and that it is tried again; and well that it has answered since.
	trouble(err error)
	well()
}

// patience says, once each time, that something is tried again.
type patience struct {
	errOut io.Writer
	lost   bool
}

func (p *patience) trouble(err error) {
	if !p.lost {
		fmt.Fprintf(p.errOut, "trying again: %v\n", explained(err))
	}
	p.lost = true
}

func (p *patience) well() { p.lost = false }

// errTimeout is that of --timeout.
var errTimeout = errors.New("the time is over")

// within is a context that ends after a while, if that is not 0.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, timeout, errTimeout)
}

func checkTimeout(timeout time.Duration) error {
	if timeout < 0 {
		return usagef("--timeout %s is no time to wait: write how long at most, such as 30m, or 0 to wait without end", timeout)
	}
	return nil
}

// following follows orders until all of them have finished.
type following struct {
	cluster *cluster
	options follow.Options
	// names are those that are meant; all that the options choose, if empty.
	names []string
	// orders are those that were seen, as they were last; gone are those of them that are there no more.
	orders map[types.UID]*v1alpha1.WorkOrder
	gone   map[types.UID]bool
	// complete says that all that were there at first have been seen.
	complete bool
}

// follow follows orders of that name.
func (c *cluster) follow(names ...string) *following {
	f := &following{cluster: c, names: names, orders: map[types.UID]*v1alpha1.WorkOrder{}, gone: map[types.UID]bool{}}
	f.options.Which = []client.ListOption{client.InNamespace(c.namespace)}
	if len(names) == 1 {
		f.options.Which = append(f.options.Which, client.MatchingFields{"metadata.name": names[0]})
	}
	if len(names) > 1 {
		f.options.Wanted = func(order *v1alpha1.WorkOrder) bool { return slices.Contains(names, order.Name) }
	}
	return f
}

// until shows all that happens to the orders until they have finished, and is an error unless all have succeeded.
func (f *following) until(ctx context.Context, shown view) error {
	refused := time.Time{}
	for state, err := range follow.Orders(ctx, f.cluster, f.options) {
		if !hopeless(err) {
			refused = time.Time{}
		} else if refused.IsZero() {
			refused = time.Now()
		}
		switch {
		case hopeless(err) && (len(f.orders) == 0 || time.Since(refused) > mostRefused):
			return explained(err)
		case err != nil:
			shown.trouble(err)
			continue
		case state.Order == nil:
			shown.well()
			f.complete = f.complete || state.Complete
		default:
			shown.show(state)
			f.note(ctx, state)
		}
		if f.over() {
			break
		}
	}
	return f.verdict(ctx)
}

// mostRefused is how long one who was let in before is refused until that is taken for good.
const mostRefused = time.Minute

// hopeless says whether an answer would be the same the next time. After a restart an API server may refuse for a moment what
// it has allowed before.
func hopeless(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || notServed(err)
}

// note takes note of a state. An order that is listed no more and is still there is not meant any longer.
func (f *following) note(ctx context.Context, state follow.State) {
	uid := state.Order.UID
	f.orders[uid], f.gone[uid] = state.Order, state.Gone
	if !state.Gone {
		return
	}
	for ctx.Err() == nil {
		live := &v1alpha1.WorkOrder{}
		err := f.cluster.Get(ctx, client.ObjectKeyFromObject(state.Order), live)
		switch {
		case err == nil && live.UID == uid:
			delete(f.orders, uid)
			return
		case err == nil, apierrors.IsNotFound(err):
			return
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// over says whether nothing more is to be waited for.
func (f *following) over() bool {
	for uid, order := range f.orders {
		if !finished(order) && !f.gone[uid] {
			return false
		}
	}
	return f.complete
}

// finished says whether an order has finished, and is not about to run again: as long as the operator has not read what was asked
// for, its end is an old one.
func finished(order *v1alpha1.WorkOrder) bool {
	status := &order.Status
	switch {
	case status.CompletionTime == nil:
		return false
	case order.DeletionTimestamp != nil || order.Spec.Cancel || status.Cancelled || plan.Check(order) != nil:
		return true // It will not run again, whatever is asked for.
	case order.Generation > status.ObservedGeneration:
		return false
	}
	return !slices.ContainsFunc(order.Spec.Rewinds, func(r v1alpha1.RewindRequest) bool {
		step := stepOf(order, r.Step)
		return step != nil && !step.Removed && step.Epoch < r.ToEpoch
	})
}

// verdict is how following ends.
func (f *following) verdict(ctx context.Context) error {
	switch {
	case f.over():
	case errors.Is(context.Cause(ctx), errTimeout):
		return exit(exitTimedOut)
	case ctx.Err() != nil:
		return exit(exitInterrupted)
	}
	seen := map[string]bool{}
	for uid, order := range f.orders {
		seen[order.Name] = true
		if f.gone[uid] && order.Status.CompletionTime == nil {
			return fmt.Errorf("work order %s was deleted before it had finished", order.Name)
		}
	}
	if len(f.orders) == 0 && len(f.names) == 0 {
		return errors.New("none of the orders that were chosen is chosen any more: their labels were changed")
	}
	for _, name := range f.names {
		if !seen[name] {
			return fmt.Errorf("work order %s was deleted just now", name)
		}
	}
	for _, order := range f.orders {
		if order.Status.Phase != v1alpha1.WorkOrderSucceeded {
			return exit(exitFailed)
		}
	}
	return nil
}

// whateverTheEnd is how following ends for a command that shows what was, be it a success or not.
func whateverTheEnd(err error) error {
	if errors.Is(err, exit(exitFailed)) {
		return nil
	}
	return err
}
