package rows

import (
	"context"
	"fmt"
	"time"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/result"
	"workorders.dev/operator/hack/bench/rig"
	"workorders.dev/operator/hack/usage"
)

// Goals of P8: how much CPU the operator may use while nothing happens, in milliseconds a minute, which is half a percent of a
// processor; and in how many seconds each of 10,000 orders has had its turn after a restart.
const (
	restCPU      = 300
	restartLimit = 30
)

// rest is P8: what many finished orders cost while nothing happens, and when the operator starts anew.
func (b *Bench) rest(ctx context.Context) ([]result.Line, error) {
	count, err := b.finished(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.Operator.Stop(); err != nil {
		return nil, err
	}
	if err := b.Operator.Start(ctx); err != nil {
		return nil, err
	}
	if err := b.turnsOver(ctx, count); err != nil {
		return nil, err
	}
	b.Say("%d finished orders: nothing is to happen for %s", count, b.Rest)
	writes, used, err := b.idle(ctx, b.Rest)
	if err != nil {
		return nil, err
	}
	if err := b.Operator.Stop(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := b.Operator.Start(ctx); err != nil {
		return nil, err
	}
	ready := time.Since(began)
	if err := b.turnsOver(ctx, count); err != nil {
		return nil, err
	}
	turns := time.Since(began)
	if _, _, err := b.idle(ctx, 5*time.Second); err != nil {
		return nil, err
	}
	again, start, err := b.written()
	if err != nil {
		return nil, err
	}
	what, forTime := fmt.Sprintf("%d finished orders, ", count), fmt.Sprintf("%.0f minutes: ", b.Rest.Minutes())
	return []result.Line{
		{Row: "P8", What: what + forTime + "writes", Unit: "writes", Ours: writes, Goal: result.Goal{Nothing: true}},
		{Row: "P8", What: what + forTime + "CPU", Unit: "ms/min", Ours: used.CPU * 1000 / b.Rest.Minutes(), Goal: result.Goal{AtMost: restCPU, Absolute: true},
			Notes: []string{fmt.Sprintf("%.0f MiB of memory", used.RSS/(1<<20))}},
		{Row: "P8", What: what + "restart: writes", Unit: "writes", Ours: again, Goal: result.Goal{Nothing: true}},
		{Row: "P8", What: what + "restart: until each had its turn", Unit: "s", Ours: turns.Seconds(), Goal: result.Goal{AtMost: restartLimit, Absolute: true},
			Notes: []string{fmt.Sprintf("ready after %.1f s, %.1f s of CPU", ready.Seconds(), start.CPU)}},
	}, nil
}

// finished sees to it that there are many finished orders, and says how many: P7 has left them, or else they are made.
func (b *Bench) finished(ctx context.Context) (count int, err error) {
	orders := &v1alpha1.WorkOrderList{}
	if err := b.List(ctx, orders); err != nil {
		return 0, err
	}
	for i := range orders.Items {
		if orders.Items[i].Status.CompletionTime != nil {
			count++
		}
	}
	wanted := either(b, largestCrowd, 50)
	if count >= wanted && count == len(orders.Items) {
		return count, nil
	}
	b.Say("%d finished orders are made", wanted)
	script, err := b.script(ctx, "an order of a crowd", b.crowdSpec())
	if err != nil {
		return 0, err
	}
	if err := b.Clear(ctx); err != nil {
		return 0, err
	}
	_, err = b.carry(ctx, script, wanted)
	return wanted, err
}

// turnsOver waits until the operator has looked at each order since it started, and nothing waits for a turn any more.
func (b *Bench) turnsOver(ctx context.Context, orders int) error {
	return rig.Until(ctx, 5*time.Minute, "a turn for each order", func() (bool, error) {
		metrics, err := b.Operator.Metrics()
		return err == nil && metrics.Sum("controller_runtime_reconcile_total", "controller=workorder") >= float64(orders) &&
			metrics.Sum("workqueue_depth", "controller=workorder") == 0, err
	})
}

// idle is what the operator writes and uses while so much time passes.
func (b *Bench) idle(ctx context.Context, length time.Duration) (writes float64, used usage.Usage, err error) {
	before, first, err := b.written()
	if err != nil {
		return 0, used, err
	}
	select {
	case <-time.After(length):
	case <-ctx.Done():
		return 0, used, context.Cause(ctx)
	}
	after, used, err := b.written()
	used.CPU -= first.CPU
	return after - before, used, err
}

// written is how many writes the operator has sent, and what it has used.
func (b *Bench) written() (writes float64, used usage.Usage, err error) {
	metrics, err := b.Operator.Metrics()
	if err != nil {
		return 0, used, err
	}
	const requests = "rest_client_requests_total"
	used, err = b.Operator.Usage()
	return metrics.Sum(requests) - metrics.Sum(requests, "method=GET"), used, err
}
