package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// livePod is what the order's own Pod of an attempt says, as the API server has it, if there is one.
func (r *WorkOrderReconciler) livePod(ctx context.Context, order *v1alpha1.WorkOrder, attempt steppod.Attempt) (report steppod.Report, exists bool, err error) {
	pod := &corev1.Pod{}
	name := steppod.Name(order.Name, order.UID, attempt.Step, attempt.Epoch)
	if err := r.Live.Get(ctx, types.NamespacedName{Namespace: order.Namespace, Name: name}, pod); err != nil {
		return steppod.Report{}, false, client.IgnoreNotFound(err)
	}
	report, exists = steppod.Read(pod, order)
	return report, exists, nil
}

// post creates a Pod under its fixed name. That it exists already is as good, if it is the one.
func (r *WorkOrderReconciler) post(ctx context.Context, order *v1alpha1.WorkOrder, attempt steppod.Attempt, pod *corev1.Pod) (refused bool, err error) {
	key := client.ObjectKeyFromObject(order)
	err = r.Create(ctx, pod)
	if apierrors.IsAlreadyExists(err) {
		if _, exists, readErr := r.livePod(ctx, order, attempt); readErr != nil || exists {
			return false, readErr
		}
	}
	if err == nil {
		r.memory.provided(key, order.UID, attempt)
		r.memory.wrote(key, order.UID, pod, true, r.Clock.Now())
		if !steppod.Sealed(pod) {
			countPod(order, attempt, r.Clock.Now())
		}
		return false, nil
	}
	why, no := refusal(err, "Pod", pod.Name)
	if !no {
		return false, fmt.Errorf("create Pod %s: %w", pod.Name, err)
	}
	ctrl.LoggerFrom(ctx).Info("Pod refused", "step", attempt.Step, "epoch", attempt.Epoch, "code", why.Code, "cause", err.Error())
	r.memory.refuse(key, order.UID, attempt, plan.Refusal{Why: why, Generation: order.Generation, Seal: steppod.Sealed(pod)}, r.Clock.Now())
	return true, nil
}

// stop ends a Pod. One that has a node gets the shortest deadline there is: it is sent TERM and has its grace period,
// and its exit code, termination message and logs stay. One that has none is deleted, as nothing would heed a deadline.
func (r *WorkOrderReconciler) stop(ctx context.Context, order *v1alpha1.WorkOrder, stop plan.Stop) error {
	spec := map[string]any{}
	if stop.Pod.Bound {
		spec["activeDeadlineSeconds"] = 1
	}
	metadata := map[string]any{"uid": stop.Pod.UID, "annotations": map[string]any{steppod.AnnotationStopped: stop.Code}}
	if stop.Code == v1alpha1.CodeStartTimeout {
		// The one reason that rests on what the Pod says: it may have started since, and have ended of something else.
		metadata["resourceVersion"] = stop.Pod.Version
	}
	pod, err := patchPod(ctx, r.Client, order.Namespace, stop.Pod.Name, map[string]any{"metadata": metadata, "spec": spec})
	if err != nil {
		return fmt.Errorf("stop Pod %s: %w", stop.Pod.Name, err)
	}
	r.memory.wrote(client.ObjectKeyFromObject(order), order.UID, pod, false, r.Clock.Now())
	switch {
	case stop.Pod.Bound:
		return nil
	case pod.Spec.NodeName != "": // It got a node meanwhile.
		stop.Pod.Bound, stop.Pod.Version = true, pod.ResourceVersion
		return r.stop(ctx, order, stop)
	}
	// Only as it is now: a Pod that gets its node in between must end by its deadline, and stay to tell of it.
	return r.deletePod(ctx, order, stop.Pod.Name, client.Preconditions{UID: &stop.Pod.UID, ResourceVersion: &pod.ResourceVersion})
}

// deletePod deletes a Pod, unless it is gone or was changed against the preconditions; a change brings the next turn.
func (r *WorkOrderReconciler) deletePod(ctx context.Context, order *v1alpha1.WorkOrder, name string, only client.Preconditions) error {
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: order.Namespace, Name: name}}
	err := r.Delete(ctx, object, only)
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("delete Pod %s: %w", name, err)
}

// release takes the operator's finalizer off a Pod, and returns the Pod as it is then.
func release(ctx context.Context, c client.Client, namespace, name string, uid types.UID) (*corev1.Pod, error) {
	patch := map[string]any{"metadata": map[string]any{
		"uid":                                 uid,
		"$deleteFromPrimitiveList/finalizers": []string{steppod.Finalizer},
	}}
	pod, err := patchPod(ctx, c, namespace, name, patch)
	if err != nil {
		return nil, fmt.Errorf("release Pod %s: %w", name, err)
	}
	return pod, nil
}

// patchPod merges into the Pod with the uid that the patch names; a Pod that is gone needs no patch any more.
func patchPod(ctx context.Context, c client.Client, namespace, name string, patch map[string]any) (*corev1.Pod, error) {
	encoded, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	return pod, client.IgnoreNotFound(c.Patch(ctx, pod, client.RawPatch(types.StrategicMergePatchType, encoded)))
}
