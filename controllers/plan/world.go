package plan

import (
	"time"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// World is what was seen of an order's surroundings: facts, gathered once at the start of a turn.
type World struct {
	// Pods are the order's own Pods.
	Pods map[steppod.Attempt]steppod.Report
	// Refusals are the attempts whose Pod the API server refuses.
	Refusals map[steppod.Attempt]Refusal
	// Queued is the order's place in the line of those that wait until they may run, rounded up; 0 if it may.
	Queued int32
}

// Refusal is why the API server refuses a Pod, and when it is worth asking again.
type Refusal struct {
	Why     v1alpha1.StepError
	RetryAt time.Time
	// Attempts is how often it was refused.
	Attempts int
	// Generation is that of the order whose Pod was refused: after an edit it is another Pod.
	Generation int64
	// Seal: what is refused is not the step's Pod but the one that only takes its name.
	Seal bool
}
