package node

import (
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/controllers/steppod"
)

// Run is one container that ran: an entry of the ledger.
type Run struct {
	Namespace string
	// OrderUID, Step and Epoch are what its Pod's labels say.
	OrderUID types.UID
	Step     string
	Epoch    int64
	Pod      string
	PodUID   types.UID

	Started time.Time
	// Ended is zero while it runs; the rest is how it ended.
	Ended    time.Time
	ExitCode int32
	Message  string
	// Evicted: the node ended it. Stopped: its deadline did, or a deletion.
	Evicted, Stopped bool
	// Reported says that the API server has heard how it ended. It cannot once the Pod was removed by force.
	Reported bool
}

// ledger is all runs, in the order in which they started.
type ledger struct {
	mu   sync.Mutex
	runs []*Run
}

func (l *ledger) started(pod *corev1.Pod) *Run {
	run := &Run{
		Namespace: pod.Namespace,
		OrderUID:  types.UID(pod.Labels[steppod.LabelOrderUID]),
		Step:      pod.Labels[steppod.LabelStep],
		Epoch:     epochOf(pod),
		Pod:       pod.Name,
		PodUID:    pod.UID,
		Started:   time.Now(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs = append(l.runs, run)
	return run
}

func (l *ledger) ended(run *Run, how outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	run.Ended, run.ExitCode, run.Message = time.Now(), how.exitCode, how.message
	run.Evicted, run.Stopped = how.evicted, how == stoppedOutcome || how == deletedOutcome
}

func (l *ledger) reported(run *Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	run.Reported = true
}

// of is a copy of the runs of an order.
func (l *ledger) of(order types.UID) []Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	var runs []Run
	for _, run := range l.runs {
		if run.OrderUID == order {
			runs = append(runs, *run)
		}
	}
	return slices.Clip(runs)
}
