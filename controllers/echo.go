package controllers

import (
	"context"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// echoes are the changes by which the operator hears of its own saves. One that comes while its turn is still under way would
// bring the next turn before that turn's Pods are in the cache, which then has nothing to decide on. So it waits until the
// turn is over; and if Pods have been written, it is their changes that bring the next turn.
type echoes struct {
	mu sync.Mutex
	// turns are those under way, and whether the order's status was changed meanwhile.
	turns map[types.NamespacedName]bool
	// next takes the orders that get a turn; nil if nothing is heard.
	next workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// start is told by the controller where it takes its turns from, before the first one.
func (e *echoes) start(_ context.Context, next workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.next = next
	return nil
}

func (e *echoes) begin(order types.NamespacedName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.turns == nil {
		e.turns = map[types.NamespacedName]bool{}
	}
	e.turns[order] = false
}

// hold notes a change of an order's status, if there is a turn under way that it can wait for.
func (e *echoes) hold(order types.NamespacedName) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, underWay := e.turns[order]
	if underWay {
		e.turns[order] = true
	}
	return underWay
}

// end ends a turn, whatever became of it. What was held brings the next one at once, unless Pods are expected: then their changes
// do, or else a while, as somebody may have removed them.
func (e *echoes) end(order types.NamespacedName, expectsPods bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	held := e.turns[order]
	delete(e.turns, order)
	switch request := (reconcile.Request{NamespacedName: order}); {
	case e.next == nil:
	case expectsPods:
		e.next.AddAfter(request, writeMemory)
	case held:
		e.next.Add(request)
	}
}

// wakes is whether a change of an order brings a turn by itself.
func (r *WorkOrderReconciler) wakes() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		key := client.ObjectKeyFromObject(e.ObjectNew)
		return !onlyStatusDiffers(e.ObjectOld, e.ObjectNew) || !r.echoes.hold(key) && !r.memory.expects(key)
	}}
}

// onlyStatusDiffers says whether two versions of an object have the same spec and the same metadata, as far as anybody decides
// by it.
func onlyStatusDiffers(a, b client.Object) bool {
	return a.GetUID() == b.GetUID() && a.GetGeneration() == b.GetGeneration() && a.GetDeletionTimestamp().Equal(b.GetDeletionTimestamp()) &&
		maps.Equal(a.GetLabels(), b.GetLabels()) && maps.Equal(a.GetAnnotations(), b.GetAnnotations()) &&
		slices.Equal(a.GetFinalizers(), b.GetFinalizers())
}
