package controllers

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/controllers/traces"
)

// +kubebuilder:rbac:groups=workorders.dev,resources=workorders,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups=workorders.dev,resources=workorders/status,verbs=patch
// +kubebuilder:rbac:groups=workorders.dev,resources=progressevents,verbs=create;get
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// WorkOrderReconciler moves WorkOrders on.
type WorkOrderReconciler struct {
	// Client reads from the cache and writes to the API server.
	client.Client
	// Live reads from the API server itself, for where a stale cache could fake something.
	Live client.Reader
	// Recorder emits the Kubernetes Events that `kubectl describe` shows.
	Recorder events.EventRecorder
	// Clock is the time.
	Clock clock.PassiveClock
	// Traces tells OpenTelemetry of what has ended; nobody if nil.
	Traces *traces.Tracer

	memory memory
	echoes echoes
	// line is where orders wait if only so many may run; nil if all may.
	line *line
	// templates are what orders are told apart by in the metrics.
	templates templates
}

// Reconcile moves one WorkOrder on by one transition: look, think, write it down, show it, act on it.
func (r *WorkOrderReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	r.echoes.begin(req.NamespacedName)
	defer func() { r.echoes.end(req.NamespacedName, r.memory.expects(req.NamespacedName)) }()
	return r.turn(ctx, req)
}

// turn is one reconcile. What is heard of the order's status meanwhile waits for its end.
func (r *WorkOrderReconciler) turn(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	order := &v1alpha1.WorkOrder{}
	err := r.Get(ctx, req.NamespacedName, order)
	switch {
	case apierrors.IsNotFound(err):
		r.memory.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	case err != nil:
		return ctrl.Result{}, err
	}
	world, err := r.observe(ctx, order)
	switch {
	case errors.Is(err, errBehind):
		wastedTurns.WithLabelValues("behind").Inc()
		return ctrl.Result{RequeueAfter: writeMemory}, nil // What is missing brings the next turn.
	case err != nil:
		return ctrl.Result{}, err
	}
	next := plan.Next(order, world, r.Clock.Now())
	if next != nil {
		if err := r.record(ctx, order, next); err != nil {
			return r.lost(ctx, err)
		}
		if err := r.save(ctx, order, next); err != nil {
			r.line.refused(order, err)
			return r.lost(ctx, err)
		}
		r.announce(ctx, order, next)
	}
	return r.act(ctx, order, world, next != nil)
}

// Options are the settings of the operator that a user may change.
type Options struct {
	// MaxConcurrentReconciles is how many orders are moved on at the same time.
	MaxConcurrentReconciles int
	// MaxRunningOrders is how many orders may run at the same time, and MaxRunningOrdersPerNamespace how many of one
	// namespace; the others wait for their turn. 0 is no limit.
	MaxRunningOrders, MaxRunningOrdersPerNamespace int
	// MetricsTemplateLabel is the label of orders by whose value the metrics tell their steps apart, and that traces name them
	// by; empty if they do not.
	MetricsTemplateLabel string
	// Metrics is where the census of orders is registered; nowhere if nil.
	Metrics prometheus.Registerer
}

// Pauses between turns that ended in an error, and the longest time that a turn may take.
const (
	firstPause  = 20 * time.Millisecond
	longestWait = 30 * time.Second
	turnTimeout = time.Minute

	// racePause is after a lost race, should the change that won it never be shown.
	racePause = 2 * time.Second
)

// SetupWithManager registers the reconciler. It is woken by its own status writes as well as by edits: they are what
// carries an order from one transition to the next, but after a turn that has written Pods: then it is their changes.
func (r *WorkOrderReconciler) SetupWithManager(mgr ctrl.Manager, options Options) error {
	r.line = newLine(options)
	r.templates.label = options.MetricsTemplateLabel
	if options.Metrics != nil {
		counted := &census{orders: mgr.GetCache(), clock: r.Clock, elected: mgr.Elected(), log: mgr.GetLogger()}
		if err := options.Metrics.Register(counted); err != nil {
			return err
		}
	}
	return ctrl.NewControllerManagedBy(mgr).
		// The line has to hear of all changes, and what comes after a predicate that is false hears nothing.
		For(&v1alpha1.WorkOrder{}, builder.WithPredicates(append(r.line.listen(), r.wakes())...)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(orderOf)).
		WatchesRawSource(source.Func(r.line.start)).
		WatchesRawSource(source.Func(r.echoes.start)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: options.MaxConcurrentReconciles,
			ReconciliationTimeout:   turnTimeout,
			RateLimiter:             pauses(),
		}).
		Complete(r)
}

// pauses are those between turns of one object that ended in an error.
func pauses() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstPause, longestWait)
}

// orderOf is the order of a Pod by its labels, whatever its owner references say.
func orderOf(_ context.Context, pod client.Object) []reconcile.Request {
	name := pod.GetLabels()[steppod.LabelOrder]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: pod.GetNamespace(), Name: name}}}
}
