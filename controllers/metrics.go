package controllers

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// What happened is counted once it was saved, so that a decision that came to nothing counts for nothing. No label is the name
// of an object, of which there is no end.
var (
	transitions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "workorders_transitions_total",
		Help: "Transitions of work orders that were saved, by the type of their ProgressEvent.",
	}, []string{"type"})

	stepDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "workorders_step_duration_seconds",
		Help:    "Time from an attempt's start to its end, in whole seconds, of steps with a Pod: by its result (Succeeded, Failed, Disrupted, Rewound, Cancelled) and, with --metrics-template-label, by template and step.",
		Buckets: []float64{1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400},
	}, []string{"result", "template", "step"})

	rewinds = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "workorders_rewinds_total",
		Help: "Steps that went to a further epoch, by the reason of the rewind: Failed, Disrupted, SpecChanged, Requested.",
	}, []string{"reason"})

	// Nodes tell when a container ended, and API servers when an object was created, in whole seconds: what takes less is a
	// matter of chance.
	secondsSince = []float64{1, 2, 3, 5, 10, 30, 60, 300, 1800, 3600}

	resultLatency = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "workorders_result_latency_seconds",
		Help:    "Time from the end of a step's container, by its node's clock, until its result was saved.",
		Buckets: secondsSince,
	})

	firstPodLatency = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "workorders_first_pod_latency_seconds",
		Help:    "Time from a work order's creation until its first Pod was created, the time that it was suspended or waited in line included.",
		Buckets: secondsSince,
	})

	wastedTurns = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "workorders_wasted_turns_total",
		Help: "Turns that came to nothing as the order had been changed (race) or the cache was behind: found by asking the API server (stale), or before anything was decided (behind).",
	}, []string{"cause"})

	waitingOrders = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "workorders_waiting_orders",
		Help: "Work orders that wait as no more of them may run; see --max-running-orders.",
	})
)

func init() {
	metrics.Registry.MustRegister(transitions, stepDuration, rewinds, resultLatency, firstPodLatency, wastedTurns, waitingOrders)
}

// count counts a transition that was just saved.
func (r *WorkOrderReconciler) count(order *v1alpha1.WorkOrder, next *plan.Transition, now time.Time) {
	event := &next.Event
	transitions.WithLabelValues(string(event.Type)).Inc()
	if event.Type == v1alpha1.EventRewound {
		rewinds.WithLabelValues(string(event.Rewind.Reason)).Add(float64(next.Rewound)) // It may list others, to close a gap.
	}
	result := event.Result
	if result == nil || result.PodName == "" || result.StartTime == nil || result.CompletionTime == nil {
		return
	}
	template, step := r.templates.of(order, event.Step)
	stepDuration.WithLabelValues(resultOf(event), template, step).Observe(result.CompletionTime.Sub(result.StartTime.Time).Seconds())
	if result.ExitCode != nil { // Otherwise nobody knows when it ended.
		resultLatency.Observe(max(0, now.Sub(result.CompletionTime.Time).Seconds()))
	}
}

// resultOf is how an attempt ended, in a word. One that is followed by another has failed only if it was the step's own doing.
func resultOf(event *v1alpha1.ProgressEventSpec) string {
	if event.Result.Phase != v1alpha1.StepFailed || event.Error == nil {
		return string(event.Result.Phase)
	}
	switch plan.WhyAgain(event.Error.Code) {
	case v1alpha1.RewindFailed:
		return "Failed"
	case v1alpha1.RewindDisrupted:
		return "Disrupted"
	default:
		return "Rewound"
	}
}

// countPod counts that the Pod of an attempt was created, if it is the order's first.
func countPod(order *v1alpha1.WorkOrder, attempt steppod.Attempt, now time.Time) {
	if isFirstPod(order, attempt) {
		firstPodLatency.Observe(max(0, now.Sub(order.CreationTimestamp.Time).Seconds()))
	}
}

// isFirstPod says whether an attempt's Pod is the first that its order has; of several that start together, the one that is
// listed first.
func isFirstPod(order *v1alpha1.WorkOrder, attempt steppod.Attempt) bool {
	first := (*v1alpha1.StepStatus)(nil)
	for i := range order.Status.Steps {
		s := &order.Status.Steps[i]
		had := s.PodName != "" || s.Epoch > 1
		if had && (first == nil || s.StartSequence < first.StartSequence) {
			first = s
		}
	}
	return first != nil && first.Name == attempt.Step && first.Epoch == 1 && attempt.Epoch == 1
}

// templates tell of what kind a step is: by its name, and by the value of one of its order's labels that an administrator has
// chosen. The zero value knows no kinds.
type templates struct {
	label string

	mu    sync.Mutex
	known map[[2]string]bool
}

// Somebody who gives every order a value of its own must not fill the memory of whoever collects the metrics.
const (
	maxTemplates  = 500
	otherTemplate = "(other)" // No label has a value like this, and no step such a name.
)

// of is the template of a step's order and the step's name: empty if nobody wants to know, or the order has none, and
// otherTemplate if there are too many of them.
func (t *templates) of(order *v1alpha1.WorkOrder, step string) (template, name string) {
	template = order.Labels[t.label]
	if t.label == "" || template == "" {
		return "", ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch kind := [2]string{template, step}; {
	case t.known[kind]:
	case len(t.known) >= maxTemplates:
		return otherTemplate, otherTemplate
	case t.known == nil:
		t.known = map[[2]string]bool{kind: true}
	default:
		t.known[kind] = true
	}
	return template, step
}
