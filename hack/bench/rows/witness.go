package rows

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/bench/rig"
)

// witness watches the orders and the Pods of a namespace, as somebody who follows them would, and notes when it saw what.
type witness struct {
	mu sync.Mutex
	// first and last are the first and the last change of a status.
	first, last time.Time
	finished    int
	failed      []string
	orders      map[string]bool
	// started, ended and created are of each order, by its name and that of the step.
	resulted, ended, created map[seen]time.Time
	// submitted is when each order was created, if that was noted.
	submitted map[string]time.Time
	stops     []func()
	over      error
}

// seen is a step of an order.
type seen struct{ order, step string }

func newWitness(ctx context.Context, r *rig.Rig, namespace string, pods bool) (*witness, error) {
	w := &witness{orders: map[string]bool{}, resulted: map[seen]time.Time{}, ended: map[seen]time.Time{}, created: map[seen]time.Time{}}
	if err := w.watch(ctx, r, &v1alpha1.WorkOrderList{}, namespace); err != nil {
		return nil, err
	}
	if pods {
		return w, w.watch(ctx, r, &corev1.PodList{}, namespace)
	}
	return w, nil
}

func (w *witness) watch(ctx context.Context, r *rig.Rig, list client.ObjectList, namespace string) error {
	watching, err := r.Watch(ctx, list, client.InNamespace(namespace))
	if err != nil {
		return fmt.Errorf("watch what happens: %w", err)
	}
	stopped := false
	w.stops = append(w.stops, func() { w.mu.Lock(); stopped = true; w.mu.Unlock(); watching.Stop() })
	go func() {
		for event := range watching.ResultChan() {
			at := time.Now()
			w.mu.Lock()
			w.note(event, at)
			w.mu.Unlock()
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if !stopped {
			w.over = fmt.Errorf("a watch of %s has ended; what came after is not known", namespace)
		}
	}()
	return nil
}

func (w *witness) note(event watch.Event, at time.Time) {
	switch object := event.Object.(type) {
	case *v1alpha1.WorkOrder:
		if event.Type != watch.Deleted && object.Status.Sequence > 0 {
			w.noteOrder(object, at)
		}
	case *corev1.Pod:
		step := seen{object.Labels[steppod.LabelOrder], object.Labels[steppod.LabelStep]}
		once(w.created, step, at)
		if object.Status.Phase == corev1.PodSucceeded {
			once(w.ended, step, at)
		}
	}
}

func (w *witness) noteOrder(order *v1alpha1.WorkOrder, at time.Time) {
	if w.first.IsZero() {
		w.first = at
	}
	for _, step := range order.Status.Steps {
		if step.Phase == v1alpha1.StepSucceeded {
			once(w.resulted, seen{order.Name, step.Name}, at)
		}
	}
	if order.Status.CompletionTime == nil || w.orders[order.Name] {
		return
	}
	w.last = at
	w.orders[order.Name] = true
	w.finished++
	if order.Status.Phase != v1alpha1.WorkOrderSucceeded {
		w.failed = append(w.failed, fmt.Sprintf("%s is %s: %s", order.Name, order.Status.Phase, order.Status.Message))
	}
}

func once(times map[seen]time.Time, of seen, at time.Time) {
	if _, known := times[of]; !known {
		times[of] = at
	}
}

// wait returns when so many orders have finished.
func (w *witness) wait(ctx context.Context, count int, limit time.Duration) error {
	return rig.Until(ctx, limit, fmt.Sprintf("%d orders to finish", count), func() (bool, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.failed) > 0 {
			return false, fmt.Errorf("an order did not succeed: %s", w.failed[0])
		}
		return w.finished >= count, w.over
	})
}

// took is the time from the first change to the last.
func (w *witness) took() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last.Sub(w.first)
}

func (w *witness) close() {
	for _, stop := range w.stops {
		stop()
	}
}
