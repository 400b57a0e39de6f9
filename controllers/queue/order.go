package queue

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
)

// State is what an order is to the line.
type State int

// The states of an order.
const (
	// Apart: it neither waits nor runs.
	Apart State = iota
	// Waiting: it has not started, and would if it might.
	Waiting
	// Running: it has started, and has not finished.
	Running
)

// StateOf is the state of an order as it shows itself. What its spec asks for counts at once: one that is to be
// suspended or cancelled shall not be given a place first.
func StateOf(order *v1alpha1.WorkOrder) State {
	spec, status := &order.Spec, &order.Status
	switch {
	case finished(status.Phase):
		return Apart
	case status.StartTime != nil:
		return Running
	case order.DeletionTimestamp != nil, spec.Suspend, spec.Cancel, status.Cancelled, stalled(order):
		return Apart
	}
	return Waiting
}

func finished(phase v1alpha1.WorkOrderPhase) bool {
	switch phase {
	case v1alpha1.WorkOrderSucceeded, v1alpha1.WorkOrderFailed, v1alpha1.WorkOrderCancelled:
		return true
	case v1alpha1.WorkOrderPending, v1alpha1.WorkOrderRunning, v1alpha1.WorkOrderSuspended:
	}
	return false
}

// stalled says whether the order's spec, as it is now, was read and cannot run.
func stalled(order *v1alpha1.WorkOrder) bool {
	return order.Status.ObservedGeneration == order.Generation && meta.IsStatusConditionTrue(order.Status.Conditions, v1alpha1.ConditionStalled)
}

// Order is what the line knows of an order.
type Order struct {
	UID     types.UID
	Name    types.NamespacedName
	Created time.Time
	State   State
}

// Of is what the line is to know of an order.
func Of(order *v1alpha1.WorkOrder) Order {
	return Order{
		UID:     order.UID,
		Name:    types.NamespacedName{Namespace: order.Namespace, Name: order.Name},
		Created: order.CreationTimestamp.Time,
		State:   StateOf(order),
	}
}

// earlier compares two orders of one namespace by who goes first. Creation times have whole seconds; names, unlike uids,
// let people see why of two of the same second one goes before the other.
func earlier(a, b *entry) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name.Name, b.Name.Name), cmp.Compare(a.UID, b.UID))
}

// older compares two orders of different namespaces by who goes first, all else being equal. By their uids of two of the
// same second, as no namespace shall profit from its name.
func older(a, b *entry) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.UID, b.UID))
}
