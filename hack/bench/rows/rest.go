package rows

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/bench/result"
	"workorders.dev/operator/hack/bench/rig"
	"workorders.dev/operator/hack/usage"
)

// retention is longer than finished orders keep their Pods, with the time that it takes to delete all.
const retention = 20 * time.Minute

// rest is P8: what many finished orders cost while nothing happens, and when the operator starts anew.
func (b *Bench) rest(ctx context.Context) ([]result.Line, error) {
	orders := &v1alpha1.WorkOrderList{}
	if err := b.List(ctx, orders); err != nil {
		return nil, err
	}
	count := len(orders.Items)
	if err := b.Operator.Start(ctx); err != nil {
		return nil, err
	}
	b.Say("%d finished orders: waiting until their Pods are gone", count)
	if err := b.podsGone(ctx); err != nil {
		return nil, err
	}
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
	err = rig.Until(ctx, 5*time.Minute, "a turn for each order", func() (bool, error) {
		metrics, err := b.Operator.Metrics()
		return err == nil && metrics.Sum("controller_runtime_reconcile_total", "controller=workorder") >= float64(count), err
	})
	if err != nil {
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
	what := fmt.Sprintf("%d finished orders, ", count)
	forTime := b.Rest.String() + ": "
	return []result.Line{
		{Row: "P8", What: what + forTime + "writes", Unit: "writes", Ours: writes, Goal: result.Goal{Nothing: true}},
		{Row: "P8", What: what + forTime + "CPU", Unit: "ms/min", Ours: used.CPU * 1000 / b.Rest.Minutes(),
			Notes: []string{fmt.Sprintf("%.0f MiB of memory", used.RSS/(1<<20))}},
		{Row: "P8", What: what + "restart: writes", Unit: "writes", Ours: again, Goal: result.Goal{Nothing: true}},
		{Row: "P8", What: what + "restart: until ready", Unit: "s", Ours: ready.Seconds(),
			Notes: []string{fmt.Sprintf("%.1f s until each order had its turn, %.1f s of CPU", turns.Seconds(), start.CPU)}},
	}, nil
}

// podsGone waits until the operator has cleaned up after all orders.
func (b *Bench) podsGone(ctx context.Context) error {
	return rig.Until(ctx, retention, "the Pods of finished orders to go", func() (bool, error) {
		pods := &corev1.PodList{}
		err := b.List(ctx, pods, client.HasLabels{steppod.LabelOrderUID}, client.Limit(1))
		return len(pods.Items) == 0, err
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
