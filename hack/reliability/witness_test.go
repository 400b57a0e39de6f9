package reliability

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/laws"
	"workorders.dev/operator/hack/reliability/node"
)

// witness has seen every order in every state, and knows which Pods there are.
type witness struct {
	mu      sync.Mutex
	changed chan struct{} // Closed at the next change, and then another one.
	orders  map[types.UID][]*v1alpha1.WorkOrder
	gone    map[types.UID]bool
	// pods are those that exist, by the order that their labels name.
	pods map[types.UID]map[types.UID]*corev1.Pod
}

// watchCluster watches all orders and Pods until the context ends, and tells the node of the Pods.
func watchCluster(ctx context.Context, config *rest.Config, scheme *runtime.Scheme, machine *node.Node) (*witness, error) {
	w := &witness{
		changed: make(chan struct{}),
		orders:  map[types.UID][]*v1alpha1.WorkOrder{},
		gone:    map[types.UID]bool{},
		pods:    map[types.UID]map[types.UID]*corev1.Pod{},
	}
	informers, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	go func() { _ = informers.Start(ctx) }()
	seePod := func(object any) {
		pod := object.(*corev1.Pod)
		w.note(func() {
			order := orderOf(pod)
			if w.pods[order] == nil {
				w.pods[order] = map[types.UID]*corev1.Pod{}
			}
			w.pods[order][pod.UID] = pod
		})
		machine.See(ctx, pod)
	}
	seeOrder := func(object any) {
		order := object.(*v1alpha1.WorkOrder)
		w.note(func() { w.orders[order.UID] = append(w.orders[order.UID], order) })
	}
	handlers := map[client.Object]toolscache.ResourceEventHandlerFuncs{
		&corev1.Pod{}: {
			AddFunc: seePod, UpdateFunc: func(_, pod any) { seePod(pod) },
			DeleteFunc: func(object any) {
				if pod := last(object).(*corev1.Pod); pod != nil {
					w.note(func() { delete(w.pods[orderOf(pod)], pod.UID) })
					machine.Gone(pod)
				}
			},
		},
		&v1alpha1.WorkOrder{}: {
			AddFunc: seeOrder, UpdateFunc: func(_, order any) { seeOrder(order) },
			DeleteFunc: func(object any) {
				order := last(object).(*v1alpha1.WorkOrder)
				w.note(func() { w.gone[order.UID] = true })
			},
		},
	}
	for object, handler := range handlers {
		informer, err := informers.GetInformer(ctx, object)
		if err != nil {
			return nil, err
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
	}
	if !informers.WaitForCacheSync(ctx) {
		return nil, ctx.Err()
	}
	return w, nil
}

// last is the last known state of an object that was removed.
func last(object any) any {
	if unseen, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		return unseen.Obj
	}
	return object
}

// note notes a change and wakes all who wait for one.
func (w *witness) note(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	close(w.changed)
	w.changed = make(chan struct{})
}

// await waits until the condition holds; what it reads of the witness does not change meanwhile.
func (w *witness) await(ctx context.Context, condition func() bool) error {
	for {
		w.mu.Lock()
		met, changed := condition(), w.changed
		w.mu.Unlock()
		if met {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// newest is an order as it was last seen; nil if it has not been yet.
func (w *witness) newest(order types.UID) *v1alpha1.WorkOrder {
	if states := w.orders[order]; len(states) > 0 {
		return states[len(states)-1]
	}
	return nil
}

// stepOf is the step that a Pod's labels name.
func stepOf(pod *corev1.Pod) string { return pod.Labels[steppod.LabelStep] }

// orderOf is the order that a Pod's labels name.
func orderOf(pod *corev1.Pod) types.UID { return types.UID(pod.Labels[steppod.LabelOrderUID]) }

// podsOf are the Pods of an order that exist.
func (w *witness) podsOf(order types.UID) []*corev1.Pod {
	return slices.Collect(maps.Values(w.pods[order]))
}

// atRest says whether an order, as far as it was edited by then, has finished, and nothing of it is left to do but to keep its
// Pods for a while.
func (w *witness) atRest(order *v1alpha1.WorkOrder) bool {
	newest := w.newest(order.UID)
	return newest != nil && newest.Generation >= order.Generation && newest.Status.CompletionTime != nil && !owed(newest) && !slices.ContainsFunc(w.podsOf(order.UID), steppod.Held)
}

// owed says whether more was asked of a finished order: an edit that was not read yet, or a rewind that has not come yet.
// One that was cancelled, or is to be, owes no rewind.
func owed(order *v1alpha1.WorkOrder) bool {
	if order.Status.ObservedGeneration != order.Generation {
		return true
	}
	return !order.Status.Cancelled && !order.Spec.Cancel && slices.ContainsFunc(order.Spec.Rewinds, func(request v1alpha1.RewindRequest) bool {
		return slices.ContainsFunc(order.Status.Steps, func(step v1alpha1.StepStatus) bool {
			return step.Name == request.Step && !step.Removed && step.Epoch < request.ToEpoch
		})
	})
}

// allAtRest says whether all of some orders are.
func (w *witness) allAtRest(orders []*v1alpha1.WorkOrder) bool {
	return !slices.ContainsFunc(orders, func(order *v1alpha1.WorkOrder) bool { return !w.atRest(order) })
}

// advance is a number that changes whenever one of the orders comes closer to its rest. That others write into an order
// is no advance.
func (w *witness) advance(orders []*v1alpha1.WorkOrder) (sum int64) {
	for _, order := range orders {
		if newest := w.newest(order.UID); newest != nil {
			sum += newest.Status.Sequence
		}
		for _, pod := range w.podsOf(order.UID) {
			sum++
			if !steppod.Held(pod) {
				sum++
			}
		}
	}
	return sum
}

// settle waits until all orders are at rest.
func (w *witness) settle(ctx context.Context, orders ...*v1alpha1.WorkOrder) error {
	return w.until(ctx, func() bool { return w.allAtRest(orders) }, orders...)
}

// until waits until the condition holds. It gives up when none of the orders has advanced for as long as patience lasts.
func (w *witness) until(ctx context.Context, condition func() bool, orders ...*v1alpha1.WorkOrder) error {
	for {
		before, met := int64(-1), false
		round, enough := context.WithTimeout(ctx, patience)
		err := w.await(round, func() bool {
			now := w.advance(orders)
			if before < 0 {
				before = now
			}
			met = condition()
			return met || now != before
		})
		enough()
		switch {
		case err != nil:
			return w.unrest(orders, err)
		case met:
			return nil
		}
	}
}

// unrest says which of the orders is not at rest, and what it says of that itself.
func (w *witness) unrest(orders []*v1alpha1.WorkOrder, cause error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, order := range orders {
		if w.atRest(order) {
			continue
		}
		left := "nobody has looked at it"
		if newest := w.newest(order.UID); newest != nil {
			left = newest.Status.Message + "\n" + laws.Shape(&newest.Status)
		}
		return fmt.Errorf("order %s is not at rest, and nothing has happened for %s: %s", order.Name, patience, left)
	}
	return cause
}

// history is every state of an order.
func (w *witness) history(order types.UID) []*v1alpha1.WorkOrder {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.orders[order])
}

// forget forgets all orders of a namespace.
func (w *witness) forget(namespace string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.orders, func(order types.UID, states []*v1alpha1.WorkOrder) bool {
		ofIt := states[0].Namespace == namespace
		if ofIt {
			delete(w.pods, order)
			delete(w.gone, order)
		}
		return ofIt
	})
}
