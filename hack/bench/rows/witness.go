package rows

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/bench/rig"
)

// witness watches the orders and the Pods of a namespace, as somebody who follows them would, and notes when it saw what. What
// it has seen is read once it is closed.
type witness struct {
	mu sync.Mutex
	// first and last are the first and the last change of a status.
	first, last time.Time
	finished    map[string]bool
	failed      []string
	// resulted, ended and created are when each step's success, its Pod's end and its Pod were seen.
	resulted, ended, created map[seen]time.Time
	stops                    []func()
}

// seen is a step of an order.
type seen struct{ order, step string }

// newWitness watches orders, and Pods too if that is wanted.
func newWitness(ctx context.Context, r *rig.Rig, namespace string, pods bool) (*witness, error) {
	w := &witness{finished: map[string]bool{}, resulted: map[seen]time.Time{}, ended: map[seen]time.Time{}, created: map[seen]time.Time{}}
	if err := w.follow(ctx, r, &v1alpha1.WorkOrder{}, namespace); err != nil || !pods {
		return w, err
	}
	if err := w.follow(ctx, r, &corev1.Pod{}, namespace); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *witness) follow(ctx context.Context, r *rig.Rig, kind client.Object, namespace string) error {
	stop, err := r.Follow(ctx, kind, namespace, func(object client.Object) {
		at := time.Now()
		w.mu.Lock()
		defer w.mu.Unlock()
		switch object := object.(type) {
		case *v1alpha1.WorkOrder:
			w.noteOrder(object, at)
		case *corev1.Pod:
			w.notePod(object, at)
		}
	})
	if err == nil {
		w.stops = append(w.stops, stop)
	}
	return err
}

func (w *witness) notePod(pod *corev1.Pod, at time.Time) {
	step := seen{pod.Labels[steppod.LabelOrder], pod.Labels[steppod.LabelStep]}
	once(w.created, step, at)
	if pod.Status.Phase == corev1.PodSucceeded {
		once(w.ended, step, at)
	}
}

func (w *witness) noteOrder(order *v1alpha1.WorkOrder, at time.Time) {
	if order.Status.Sequence == 0 {
		return
	}
	if w.first.IsZero() {
		w.first = at
	}
	for _, step := range order.Status.Steps {
		if step.Phase == v1alpha1.StepSucceeded {
			once(w.resulted, seen{order.Name, step.Name}, at)
		}
	}
	if order.Status.CompletionTime == nil || w.finished[order.Name] {
		return
	}
	w.last = at
	w.finished[order.Name] = true
	if order.Status.Phase != v1alpha1.WorkOrderSucceeded {
		w.failed = append(w.failed, fmt.Sprintf("%s is %s: %s", order.Name, order.Status.Phase, order.Status.Message))
	}
}

func once(times map[seen]time.Time, of seen, at time.Time) {
	if _, known := times[of]; !known {
		times[of] = at
	}
}

// until returns when something that was seen is so, which is asked with the witness locked. It fails if an order has failed.
func (w *witness) until(ctx context.Context, within time.Duration, what string, is func() bool) error {
	return rig.Until(ctx, within, what, func() (bool, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.failed) > 0 {
			return false, fmt.Errorf("an order did not succeed: %s", w.failed[0])
		}
		return is(), nil
	})
}

// wait returns when so many orders have finished.
func (w *witness) wait(ctx context.Context, orders int) error {
	return w.until(ctx, limit(orders), fmt.Sprintf("%d orders to finish", orders), func() bool { return len(w.finished) >= orders })
}

// waitForPods returns when so many Pods were seen, from their creation to their end if ended.
func (w *witness) waitForPods(ctx context.Context, pods int, ended bool) error {
	return w.until(ctx, limit(pods), fmt.Sprintf("%d Pods", pods), func() bool {
		return len(w.created) >= pods && (!ended || len(w.ended) >= pods)
	})
}

// took is the time from the first change to the last.
func (w *witness) took() time.Duration { return w.last.Sub(w.first) }

// close ends the watching. It returns when nothing is noted any more, and may be called again.
func (w *witness) close() {
	for _, stop := range w.stops {
		stop()
	}
	w.stops = nil
}
