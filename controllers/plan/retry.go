package plan

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// What holds when neither the step nor the order says anything about retries.
const (
	defaultLimit           = 0
	defaultDisruptionLimit = 6
	defaultInitialSeconds  = 5
	defaultFactor          = 2
	defaultMaxSeconds      = 60

	// defaultStartTimeout is how long a Pod may take to start, in seconds.
	defaultStartTimeout = 600
)

// policy is how often, and after what pause, a step is started again.
type policy struct {
	limit, disruptionLimit int32
	initial, factor        int32
	// maxSeconds is the longest pause; nil if nobody has said.
	maxSeconds *int32
	// hopeless are the exit codes after which there is no point in another try.
	hopeless []int32
}

// policy is what holds for a step: its own word before the order's, the order's before the defaults.
func (t *turn) policy(step *v1alpha1.StepStatus) policy {
	p := policy{
		limit: defaultLimit, disruptionLimit: defaultDisruptionLimit,
		initial: defaultInitialSeconds, factor: defaultFactor,
	}
	p.override(t.order.Spec.Retry)
	if n := t.graph.node(step.Name); n != nil {
		p.override(n.Retry)
	}
	return p
}

func (p *policy) override(by *v1alpha1.Retry) {
	if by == nil {
		return
	}
	set(&p.limit, by.Limit)
	set(&p.disruptionLimit, by.DisruptionLimit)
	if by.NonRetryableExitCodes != nil {
		p.hopeless = by.NonRetryableExitCodes
	}
	if by.Backoff != nil {
		set(&p.initial, by.Backoff.InitialSeconds)
		set(&p.factor, by.Backoff.Factor)
		p.maxSeconds = cmp.Or(by.Backoff.MaxSeconds, p.maxSeconds)
	}
}

func set(field *int32, value *int32) {
	if value != nil {
		*field = *value
	}
}

// final says whether a failure with that exit code is one that no further try would mend.
func (p policy) final(code *int32) bool { return code != nil && slices.Contains(p.hopeless, *code) }

// longest is the longest pause. Unless somebody says, it does not cut the first one.
func (p policy) longest() time.Duration {
	if p.maxSeconds != nil {
		return time.Duration(max(*p.maxSeconds, 0)) * time.Second
	}
	return time.Duration(max(p.initial, defaultMaxSeconds)) * time.Second
}

// delay is the pause after a number of earlier starts again: initial × factor^earlier, at most longest, and up to a tenth
// more. That tenth is a hash of the step's epoch and not a random number, so that two controllers agree on it.
func (p policy) delay(uid types.UID, step *v1alpha1.StepStatus, earlier int32) time.Duration {
	delay, longest := time.Duration(max(p.initial, 0))*time.Second, p.longest()
	for factor := time.Duration(p.factor); earlier > 0 && factor > 1 && 0 < delay && delay < longest; earlier-- {
		delay = min(delay, longest/factor+1) * factor // Cut first, so that it cannot overflow.
	}
	delay = min(delay, longest)
	digest := steppod.Digest(13, []byte(uid), []byte(step.Name), binary.BigEndian.AppendUint64(nil, uint64(step.Epoch)))
	share := (int64(digest[0])<<8 | int64(digest[1])) % 101
	return delay + delay*time.Duration(share)/1000
}

// startTimeout is how long a Pod of the step may take to start.
func (t *turn) startTimeout(step *v1alpha1.StepStatus) time.Duration {
	seconds := int64(defaultStartTimeout)
	if n := t.graph.node(step.Name); n != nil && n.StartTimeoutSeconds != nil {
		seconds = *n.StartTimeoutSeconds
	}
	return time.Duration(seconds) * time.Second
}
