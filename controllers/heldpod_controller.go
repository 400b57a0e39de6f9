package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// HeldPodReconciler lets go of Pods whose order is gone, or does not own them any more, so that the operator's
// finalizer never keeps anything that nobody will ask about.
type HeldPodReconciler struct {
	client.Client
	// Live reads from the API server itself: that an order is gone must not be taken from a cache.
	Live client.Reader
}

// Reconcile releases a Pod if it has ended or is being deleted, and its order, by uid, does not exist any more.
func (r *HeldPodReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	pod := &corev1.Pod{}
	if err := r.Get(ctx, req.NamespacedName, pod); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !releasable(pod) {
		return ctrl.Result{}, nil
	}
	// The cache is asked first: nearly always the order is there, and the Pod is none of our business.
	for _, reader := range []client.Reader{r.Client, r.Live} {
		if owned, err := ownedByOrder(ctx, reader, pod); err != nil || owned {
			return ctrl.Result{}, err
		}
	}
	ctrl.LoggerFrom(ctx).Info("Releasing a Pod whose order is gone", "pod", pod.Name)
	_, err := release(ctx, r.Client, pod.Namespace, pod.Name, pod.UID)
	return ctrl.Result{}, err
}

// ownedByOrder says whether the order that the Pod was made for exists and owns it: another one of the same name does
// not count.
func ownedByOrder(ctx context.Context, reader client.Reader, pod *corev1.Pod) (bool, error) {
	order := &v1alpha1.WorkOrder{}
	key := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Labels[steppod.LabelOrder]}
	if err := reader.Get(ctx, key, order); err != nil {
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("look up the order of Pod %s: %w", pod.Name, err)
	}
	return string(order.UID) == pod.Labels[steppod.LabelOrderUID] && steppod.Owned(pod, order.UID), nil
}

// releasable says whether a Pod is held although it has ended or is being deleted.
func releasable(object client.Object) bool {
	pod, ok := object.(*corev1.Pod)
	ended := ok && (pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed)
	return ok && steppod.Held(pod) && (ended || pod.DeletionTimestamp != nil)
}

// SetupWithManager registers the reconciler. A Pod's end and its order's removal come in either order, so both wake it.
// An order that was removed and made again while nobody watched shows as an update to another uid.
func (r *HeldPodReconciler) SetupWithManager(mgr ctrl.Manager) error {
	removed := predicate.TypedFuncs[client.Object]{
		CreateFunc: func(event.TypedCreateEvent[client.Object]) bool { return false },
		UpdateFunc: func(e event.TypedUpdateEvent[client.Object]) bool {
			return e.ObjectOld.GetUID() != e.ObjectNew.GetUID()
		},
		GenericFunc: func(event.TypedGenericEvent[client.Object]) bool { return false },
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("heldpod").
		For(&corev1.Pod{}, builder.WithPredicates(predicate.NewPredicateFuncs(releasable))).
		Watches(&v1alpha1.WorkOrder{}, handler.EnqueueRequestsFromMapFunc(r.podsOf), builder.WithPredicates(removed)).
		WithOptions(controller.Options{RateLimiter: pauses()}).
		Complete(r)
}

// podsOf are the Pods of an order that was removed.
func (r *HeldPodReconciler) podsOf(ctx context.Context, order client.Object) []reconcile.Request {
	pods := &corev1.PodList{}
	err := r.List(ctx, pods, client.InNamespace(order.GetNamespace()), client.MatchingFields{indexOrderUID: string(order.GetUID())},
		client.DisableReadYourWritesConsistency)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the Pods of a removed order; they are released when they change or the operator restarts")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(pods.Items))
	for i := range pods.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&pods.Items[i])})
	}
	return requests
}
