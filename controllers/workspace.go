package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=create;get

// makeWorkspace makes the claim that is the order's workspace, unless this process has made or found it before. That it is
// refused is the same to the attempt that needs it as if its Pod were.
func (r *WorkOrderReconciler) makeWorkspace(ctx context.Context, order *v1alpha1.WorkOrder, attempt steppod.Attempt) (refused bool, err error) {
	key, claim := client.ObjectKeyFromObject(order), steppod.Workspace(order)
	if r.memory.hasWorkspace(key, order.UID) {
		return false, nil
	}
	err = r.Create(ctx, claim, client.DisableReadYourWritesConsistency) // The operator does not cache claims.
	if apierrors.IsAlreadyExists(err) {
		found := &corev1.PersistentVolumeClaim{}
		if readErr := r.Live.Get(ctx, client.ObjectKeyFromObject(claim), found); readErr != nil {
			return false, fmt.Errorf("read the workspace: %w", readErr)
		}
		if owner := metav1.GetControllerOf(found); owner != nil && owner.UID == order.UID {
			err = nil
		}
	}
	if err == nil {
		r.memory.madeWorkspace(key, order.UID)
		return false, nil
	}
	why, no := refusal(err, "PersistentVolumeClaim", claim.Name)
	if !no {
		return false, fmt.Errorf("create the workspace %s: %w", claim.Name, err)
	}
	ctrl.LoggerFrom(ctx).Info("Workspace refused", "claim", claim.Name, "code", why.Code, "cause", err.Error())
	r.memory.refuse(key, order.UID, attempt, plan.Refusal{Why: why, Generation: order.Generation}, r.Clock.Now())
	return true, nil
}
