package controllers

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// echoes are the changes by which the operator hears of its own saves. One that comes while its turn is still under way would
// bring the next turn before that turn's Pods are in the cache, which then has nothing to decide on. So it waits until the
// turn is over; and if Pods have been written, it is their changes that bring the next turn.
type echoes struct {
	mu sync.Mutex
	// turns are those under way, and whether the order's status was changed meanwhile.
	turns map[types.NamespacedName]bool
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

// end says whether a change was held.
func (e *echoes) end(order types.NamespacedName) (held bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	held = e.turns[order]
	delete(e.turns, order)
	return held
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

// thereafter is when the next turn is, after one with this result, in which a change was held or was not.
func (r *WorkOrderReconciler) thereafter(order types.NamespacedName, result ctrl.Result, held bool) ctrl.Result {
	switch expects := r.memory.expects(order); {
	case expects && (result.RequeueAfter == 0 || result.RequeueAfter > writeMemory):
		result.RequeueAfter = writeMemory // In case that no change of the Pods comes, as when somebody has removed them.
	case held && !expects:
		result.RequeueAfter, result.Priority = time.Nanosecond, new(0) // As if the change came now.
	}
	return result
}
