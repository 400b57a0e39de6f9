package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// act makes the order's Pods match its status. New Pods come first, so that the next step runs as soon as it can.
// saved says that this turn has just saved the status, which proves that it is not a stale one.
func (r *WorkOrderReconciler) act(ctx context.Context, order *v1alpha1.WorkOrder, world plan.World, saved bool) (ctrl.Result, error) {
	now := r.Clock.Now()
	effects := plan.Act(order, world, now)
	if !saved && !effects.Empty() {
		// A stale cache may show a step Running that has long ended, or one over whose new Pod already runs.
		if current, err := r.isCurrent(ctx, order); err != nil || !current {
			return ctrl.Result{}, err // What was missed brings the next turn.
		}
	}
	refused, err := r.provide(ctx, order, effects, saved)
	failures := []error{err}
	for _, stop := range effects.Stop {
		failures = append(failures, r.stop(ctx, order, stop))
	}
	for _, pod := range effects.Release {
		released, err := release(ctx, r.Client, order.Namespace, pod.Name, pod.UID)
		failures = append(failures, err)
		r.memory.wrote(client.ObjectKeyFromObject(order), order.UID, released, false, now)
	}
	for _, pod := range effects.Delete {
		failures = append(failures, r.deletePod(ctx, order, pod.Name, client.Preconditions{UID: &pod.UID}))
	}
	if effects.DeleteOrder {
		failures = append(failures, r.deleteOrder(ctx, order))
	}
	if err := errors.Join(failures...); err != nil {
		return ctrl.Result{}, err
	}
	switch {
	case refused:
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil // To write it down, and to wait for the next try.
	case effects.Wake.IsZero():
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: max(effects.Wake.Sub(now), time.Millisecond)}, nil
}

// provide makes the Pods that are missing. It reports whether any was refused.
func (r *WorkOrderReconciler) provide(ctx context.Context, order *v1alpha1.WorkOrder, effects plan.Effects, saved bool) (refused bool, err error) {
	var failures []error
	for _, start := range effects.Create {
		no, err := r.create(ctx, order, start, saved)
		refused, failures = refused || no, append(failures, err)
	}
	for _, start := range effects.Seal {
		no, err := r.seal(ctx, order, start.Attempt)
		refused, failures = refused || no, append(failures, err)
	}
	return refused, errors.Join(failures...)
}

// deleteOrder deletes an order that has outlived its ttlSecondsAfterFinished, unless it was changed meanwhile: somebody may
// just have asked for it to run again.
func (r *WorkOrderReconciler) deleteOrder(ctx context.Context, order *v1alpha1.WorkOrder) error {
	err := r.Delete(ctx, order, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: &order.UID, ResourceVersion: &order.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete the order, whose time to live is over: %w", err)
	}
	return nil
}

// isCurrent asks the API server whether the order is still the one in hand.
func (r *WorkOrderReconciler) isCurrent(ctx context.Context, order *v1alpha1.WorkOrder) (bool, error) {
	live := &v1alpha1.WorkOrder{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(order), live); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	current := sameGround(live, order)
	if !current {
		wastedTurns.WithLabelValues("stale").Inc()
	}
	return current, nil
}

// create makes the Pod of an attempt, unless one of the epoch before is still at work.
func (r *WorkOrderReconciler) create(ctx context.Context, order *v1alpha1.WorkOrder, start plan.Start, saved bool) (refused bool, err error) {
	if start.Epoch > 1 {
		report, exists, err := r.livePod(ctx, order, steppod.Attempt{Step: start.Step, Epoch: start.Epoch - 1})
		if err != nil {
			return false, err
		}
		if exists && report.Ended(r.Clock.Now()) == nil {
			return false, fmt.Errorf("step %s cannot start again before Pod %s has ended", start.Step, report.Name)
		}
	}
	if !saved {
		if _, exists, err := r.livePod(ctx, order, start.Attempt); err != nil || exists {
			return false, err // The cache has not seen it yet.
		}
	}
	if order.Spec.Workspace != nil {
		if refused, err := r.makeWorkspace(ctx, order, start.Attempt); refused || err != nil {
			return refused, err
		}
	}
	return r.post(ctx, order, start.Attempt, steppod.Build(order, start.Spec, start.Status, start.Inputs))
}

// seal takes the name of the Pod of an attempt that must never be made. That there is no such Pod must not be taken
// from the cache: a quota that is used up by that very Pod would refuse this one, and its result be lost.
func (r *WorkOrderReconciler) seal(ctx context.Context, order *v1alpha1.WorkOrder, attempt steppod.Attempt) (refused bool, err error) {
	if _, exists, err := r.livePod(ctx, order, attempt); err != nil || exists {
		return false, err
	}
	return r.post(ctx, order, attempt, steppod.Seal(order, attempt.Step, attempt.Epoch))
}
