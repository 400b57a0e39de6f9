package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	// transitions counts what happened to orders, once it was saved.
	transitions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "workorders_transitions_total",
		Help: "Transitions of work orders that were saved, by the type of their ProgressEvent.",
	}, []string{"type"})

	// wastedTurns counts turns whose decision came to nothing.
	wastedTurns = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "workorders_wasted_turns_total",
		Help: "Turns that came to nothing as the order had been changed (race) or the cache was behind: found by asking the API server (stale), or before anything was decided (behind).",
	}, []string{"cause"})

	// waitingOrders is how long the line is.
	waitingOrders = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "workorders_waiting_orders",
		Help: "Work orders that wait as no more of them may run; see --max-running-orders.",
	})
)

func init() {
	metrics.Registry.MustRegister(transitions, wastedTurns, waitingOrders)
}
