package queue_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/queue"
)

func TestStateOf(t *testing.T) {
	at := metav1.NewTime(dawn)
	stalled := []metav1.Condition{{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue}}
	for name, test := range map[string]struct {
		change func(*v1alpha1.WorkOrder)
		state  queue.State
	}{
		"that nobody has looked at yet": {func(*v1alpha1.WorkOrder) {}, queue.Waiting},
		"that was told its place":       {func(o *v1alpha1.WorkOrder) { o.Status.ObservedGeneration, o.Status.Queued = 2, 7 }, queue.Waiting},
		"that has started":              {func(o *v1alpha1.WorkOrder) { o.Status.StartTime = &at }, queue.Running},
		"that has started and is deleted": {func(o *v1alpha1.WorkOrder) {
			o.Status.StartTime, o.DeletionTimestamp = &at, &at
		}, queue.Running},
		"that has started and is suspended": {func(o *v1alpha1.WorkOrder) {
			o.Status.StartTime, o.Spec.Suspend = &at, true
		}, queue.Running},
		"that has started and is being cancelled": {func(o *v1alpha1.WorkOrder) {
			o.Status.StartTime, o.Spec.Cancel, o.Status.Cancelled = &at, true, true
		}, queue.Running},
		"that has started and whose spec was spoilt": {func(o *v1alpha1.WorkOrder) {
			o.Status.StartTime, o.Status.ObservedGeneration, o.Status.Conditions = &at, 2, stalled
		}, queue.Running},
		"that has succeeded": {func(o *v1alpha1.WorkOrder) {
			o.Status.StartTime, o.Status.Phase = &at, v1alpha1.WorkOrderSucceeded
		}, queue.Apart},
		"that has failed": {func(o *v1alpha1.WorkOrder) { o.Status.Phase = v1alpha1.WorkOrderFailed }, queue.Apart},
		"that ended before it started": {func(o *v1alpha1.WorkOrder) {
			o.Status.Phase = v1alpha1.WorkOrderCancelled
		}, queue.Apart},
		"that a rewind has brought back": {func(o *v1alpha1.WorkOrder) {
			o.Status.StartTime, o.Status.ActiveSince, o.Status.Phase = &at, &at, v1alpha1.WorkOrderRunning
		}, queue.Running},
		"that is to be suspended": {func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = true }, queue.Apart},
		"that is to be resumed":   {func(o *v1alpha1.WorkOrder) { o.Status.Suspended = true }, queue.Waiting},
		"that is to be cancelled": {func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = true }, queue.Apart},
		"whose cancel was unset":  {func(o *v1alpha1.WorkOrder) { o.Status.Cancelled = true }, queue.Apart},
		"that is being deleted":   {func(o *v1alpha1.WorkOrder) { o.DeletionTimestamp = &at }, queue.Apart},
		"whose spec cannot run": {func(o *v1alpha1.WorkOrder) {
			o.Status.ObservedGeneration, o.Status.Conditions = 2, stalled
		}, queue.Apart},
		"whose spec may be mended": {func(o *v1alpha1.WorkOrder) {
			o.Status.ObservedGeneration, o.Status.Conditions = 1, stalled
		}, queue.Waiting},
	} {
		order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Status: v1alpha1.WorkOrderStatus{
			ObservedGeneration: -1, Phase: v1alpha1.WorkOrderPending,
		}}
		test.change(order)
		if got := queue.StateOf(order); got != test.state {
			t.Errorf("the state of an order %s is %d, not %d", name, got, test.state)
		}
	}
}

func TestOf(t *testing.T) {
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{
		UID: "u", Namespace: "team", Name: "order", CreationTimestamp: metav1.NewTime(dawn),
	}}
	want := queue.Order{UID: "u", Name: types.NamespacedName{Namespace: "team", Name: "order"}, Created: dawn, State: queue.Waiting}
	if got := queue.Of(order); got != want {
		t.Errorf("the line is to know %+v of the order, not %+v", want, got)
	}
}

// TestTheOldestGoesFirst: of one second, by name; of different namespaces, never by name.
func TestTheOldestGoesFirst(t *testing.T) {
	at := func(uid, namespace, name string, second int) queue.Order {
		return queue.Order{
			UID: types.UID(uid), Name: types.NamespacedName{Namespace: namespace, Name: name},
			Created: dawn.Add(time.Duration(second) * time.Second), State: queue.Waiting,
		}
	}
	line := queue.New(queue.Limits{All: 1})
	for _, order := range []queue.Order{
		at("4", "team-a", "first", 0), at("1", "team-a", "third", 1), at("9", "team-a", "second", 1), at("3", "team-b", "whichever", 0),
	} {
		line.Tell(order)
	}
	line.Open()
	for uid, want := range map[types.UID]int32{"3": 0, "4": 1, "9": 2, "1": 3} {
		if place, _ := line.Place(uid); place != want {
			t.Errorf("order %s has place %d, not %d", uid, place, want)
		}
	}
}
