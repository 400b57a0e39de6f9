package controllers

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// errRaceLost says that somebody else changed the order meanwhile: what was decided is forgotten and decided again.
var errRaceLost = errors.New("the order was changed meanwhile")

// unwrittenTries is how many times in a row an event is tried before the work goes on without it.
const unwrittenTries = 3

// record writes a transition down as a ProgressEvent, before anything rests on it. An event that cannot be written
// never stops the work: the transition is then made without it, and the status shows the gap.
func (r *WorkOrderReconciler) record(ctx context.Context, order *v1alpha1.WorkOrder, next *plan.Transition) error {
	key := client.ObjectKeyFromObject(order)
	event := eventFor(order, next)
	// The operator does not cache events, so it must not wait until its cache has seen this one.
	err := r.Create(ctx, event, client.DisableReadYourWritesConsistency)
	if apierrors.IsAlreadyExists(err) {
		err = r.isOwnEvent(ctx, event)
	}
	switch {
	case err == nil:
		r.memory.written(key, order.UID)
		return nil
	case errors.Is(err, errRaceLost):
		return err
	case neverWritable(err):
	case r.memory.unwritten(key, order.UID) < unwrittenTries:
		return fmt.Errorf("write ProgressEvent %s: %w", event.Name, err)
	}
	ctrl.LoggerFrom(ctx).Info("Going on without a ProgressEvent that cannot be written", "event", event.Name, "cause", err.Error())
	next.Status = next.Unrecorded()
	return nil
}

// neverWritable says whether a try at the same event would fail again: quota, policy, or an event too large.
func neverWritable(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// isOwnEvent looks at an event whose name is taken. It is this very one if an earlier try did arrive, though its reply
// was lost; an event of that name that is not ours, or says something else, means that the race is lost.
func (r *WorkOrderReconciler) isOwnEvent(ctx context.Context, wanted *v1alpha1.ProgressEvent) error {
	found := &v1alpha1.ProgressEvent{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(wanted), found); err != nil {
		return err
	}
	owner := metav1.GetControllerOf(found)
	if owner == nil || owner.UID != wanted.Spec.WorkOrder.UID || !equality.Semantic.DeepEqual(found.Spec, wanted.Spec) {
		return fmt.Errorf("event %s exists and is not ours: %w", wanted.Name, errRaceLost)
	}
	return nil
}

// eventFor is the ProgressEvent of a transition. The order owns it, so that it goes when the order goes.
func eventFor(order *v1alpha1.WorkOrder, next *plan.Transition) *v1alpha1.ProgressEvent {
	return &v1alpha1.ProgressEvent{
		ObjectMeta: metav1.ObjectMeta{
			Name:            next.Name,
			Namespace:       order.Namespace,
			Labels:          map[string]string{steppod.LabelOrder: order.Name, steppod.LabelOrderUID: string(order.UID)},
			OwnerReferences: steppod.OwnedBy(order),
		},
		Spec: next.Event,
	}
}

// lost ends a turn whose decision came to nothing. After a lost race the change that won it brings the next turn, so
// there is no hurry; a name that somebody took is another one a second later.
func (r *WorkOrderReconciler) lost(ctx context.Context, err error) (ctrl.Result, error) {
	if errors.Is(err, errRaceLost) {
		wastedTurns.WithLabelValues("race").Inc()
		ctrl.LoggerFrom(ctx).V(1).Info("Decided on an order that was changed meanwhile; deciding again", "cause", err.Error())
		return ctrl.Result{RequeueAfter: racePause}, nil
	}
	return ctrl.Result{}, err
}
