package controllers

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// census counts, whenever it is asked, the orders that there are: as the cache has them, which costs the API server nothing.
type census struct {
	orders client.Reader
	clock  clock.PassiveClock
	// elected is closed when this replica is at work. Until then another one counts.
	elected <-chan struct{}
	log     logr.Logger
}

// censusTimeout is how long whoever collects metrics is made to wait; Prometheus gives up after 10 s.
const censusTimeout = 5 * time.Second

var (
	ordersByPhase = prometheus.NewDesc("workorders_orders", "Work orders that there are, by phase.", []string{"phase"}, nil)
	unseenOrders  = prometheus.NewDesc("workorders_unseen_orders", "Work orders that nobody has looked at yet.", nil, nil)
	oldestWait    = prometheus.NewDesc("workorders_oldest_waiting_step_seconds",
		"Time since the start of the oldest step of which it is written down that it waits for its Pod to be created or to start, in orders that are to go on; 0 if there is none.", nil, nil)
	incompleteLogs = prometheus.NewDesc("workorders_incomplete_logs",
		"Work orders that are not finished, or only since an hour, of which the newest transitions could not be written down as ProgressEvents.", nil, nil)
)

// A gap in the log of an order that has ended is there for good. It is news for gapNews.
const gapNews = time.Hour

// Describe implements prometheus.Collector.
func (c *census) Describe(descriptions chan<- *prometheus.Desc) {
	for _, description := range []*prometheus.Desc{ordersByPhase, unseenOrders, oldestWait, incompleteLogs} {
		descriptions <- description
	}
}

// Collect implements prometheus.Collector.
func (c *census) Collect(collected chan<- prometheus.Metric) {
	select {
	case <-c.elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), censusTimeout)
	defer cancel()
	list := &v1alpha1.WorkOrderList{}
	if err := c.orders.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		c.log.Error(err, "The orders cannot be counted; the metrics are without them") // To pass it on would cost all other metrics too.
		return
	}
	count := countOrders(list.Items, c.clock.Now())
	gauge := func(description *prometheus.Desc, value float64, labels ...string) {
		collected <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, value, labels...)
	}
	for phase, orders := range count.phases {
		gauge(ordersByPhase, float64(orders), string(phase))
	}
	gauge(unseenOrders, float64(count.unseen))
	gauge(oldestWait, count.oldestWait.Seconds())
	gauge(incompleteLogs, float64(count.incompleteLogs))
}

// counted is what a census has found.
type counted struct {
	phases         map[v1alpha1.WorkOrderPhase]int
	unseen         int
	oldestWait     time.Duration
	incompleteLogs int
}

// phases are those that are counted even if no order is in them, so that a graph does not break off.
var phases = []v1alpha1.WorkOrderPhase{
	v1alpha1.WorkOrderPending, v1alpha1.WorkOrderRunning, v1alpha1.WorkOrderSuspended,
	v1alpha1.WorkOrderSucceeded, v1alpha1.WorkOrderFailed, v1alpha1.WorkOrderCancelled,
}

func countOrders(orders []v1alpha1.WorkOrder, now time.Time) counted {
	count := counted{phases: map[v1alpha1.WorkOrderPhase]int{}}
	for _, phase := range phases {
		count.phases[phase] = 0
	}
	for i := range orders {
		status := &orders[i].Status
		count.phases[status.Phase]++
		if status.Sequence == 0 {
			count.unseen++
		}
		old := status.CompletionTime != nil && now.Sub(status.CompletionTime.Time) > gapNews
		if !old && meta.IsStatusConditionFalse(status.Conditions, v1alpha1.ConditionLogComplete) {
			count.incompleteLogs++
		}
		if status.Phase == v1alpha1.WorkOrderSuspended || orders[i].DeletionTimestamp != nil {
			continue // It waits for a person.
		}
		for j := range status.Steps {
			if step := &status.Steps[j]; step.Phase == v1alpha1.StepRunning && step.Error != nil && step.StartTime != nil {
				count.oldestWait = max(count.oldestWait, now.Sub(step.StartTime.Time))
			}
		}
	}
	return count
}
