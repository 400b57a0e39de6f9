package controllers

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// indexOrderUID finds the Pods of an order in the cache.
const indexOrderUID = "workorders.dev/order-uid"

// Index makes the Pods of an order findable in the manager's cache. It is called once, before the reconcilers are set up.
func Index(ctx context.Context, mgr ctrl.Manager) error {
	return mgr.GetFieldIndexer().IndexField(ctx, &corev1.Pod{}, indexOrderUID, func(pod client.Object) []string {
		return []string{pod.GetLabels()[steppod.LabelOrderUID]}
	})
}

// errBehind says that the cache has not seen yet what this process wrote.
var errBehind = errors.New("the cache is behind this process's own writes")

// observe gathers what there is to know about an order's surroundings: its own Pods, refusals of this process, and
// its place in the line.
func (r *WorkOrderReconciler) observe(ctx context.Context, order *v1alpha1.WorkOrder) (plan.World, error) {
	pods := &corev1.PodList{}
	err := r.List(ctx, pods, client.InNamespace(order.Namespace),
		client.MatchingFields{indexOrderUID: string(order.UID)}, client.UnsafeDisableDeepCopy,
		client.DisableReadYourWritesConsistency) // It would wait for the writes to every other order's Pods as well.
	if err != nil {
		return plan.World{}, fmt.Errorf("list the Pods of the order: %w", err)
	}
	key := client.ObjectKeyFromObject(order)
	if r.memory.behind(key, order.UID, pods.Items, r.Clock.Now()) {
		return plan.World{}, errBehind
	}
	place, err := r.line.place(order)
	if err != nil {
		return plan.World{}, err
	}
	world := plan.World{
		Queued:   place,
		Pods:     make(map[steppod.Attempt]steppod.Report, len(pods.Items)),
		Refusals: r.memory.refusals(key, order.UID),
	}
	for i := range pods.Items {
		if report, ours := steppod.Read(&pods.Items[i], order); ours {
			world.Pods[report.Attempt] = report
		}
	}
	return world, nil
}
