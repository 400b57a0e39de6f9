package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
)

// announce tells people of a transition, once it is saved: in the log, in the metrics, in a trace, and
// if it is the end or not what was planned, as a Kubernetes Event for `kubectl describe`. All of it is a hint; the record is the ProgressEvent.
func (r *WorkOrderReconciler) announce(ctx context.Context, order *v1alpha1.WorkOrder, next *plan.Transition) {
	event := &next.Event
	r.count(order, next, r.Clock.Now())
	if r.Traces != nil {
		template, _ := r.templates.of(order, event.Step)
		r.Traces.Tell(order, event, template)
	}
	log := ctrl.LoggerFrom(ctx).WithValues("type", event.Type, "sequence", event.Sequence)
	// Kubernetes merges Events of equal action and reason whatever their note says, so the epoch is in the action.
	action := string(event.Type)
	if event.Step != "" {
		log = log.WithValues("step", event.Step, "epoch", event.Epoch)
		action = fmt.Sprintf("%s-%d", event.Step, event.Epoch)
	}
	log.Info(order.Status.Message)
	if tells(event.Type) {
		r.Recorder.Eventf(order, nil, severity(event.Type), string(event.Type), action, "%s", order.Status.Message)
	}
}

// tells is whether a transition is worth a Kubernetes Event. That an order goes on as it was to go is not: its status and its
// ProgressEvents say so already, and an Event would be half as many writes again for each step.
func tells(kind v1alpha1.EventType) bool {
	return kind != v1alpha1.EventAccepted && kind != v1alpha1.EventStepSucceeded
}

// severity is Warning for what somebody may have to look into.
func severity(kind v1alpha1.EventType) string {
	switch kind {
	case v1alpha1.EventSpecRejected, v1alpha1.EventStepFailed, v1alpha1.EventStepWaiting, v1alpha1.EventFailed:
		return corev1.EventTypeWarning
	default:
		return corev1.EventTypeNormal
	}
}
