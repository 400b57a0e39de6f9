package plan

import (
	"encoding/json"
	"fmt"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// Limits on the size of an order. What they allow at the very worst is 1 MiB of JSON: etcd takes 1.5 MiB in one request,
// so there is room for what others write into the order's metadata.
const (
	maxSpecBytes = 256 << 10
	maxSteps     = 256

	// maxStepBytes is the largest entry of a step in the status: 1 KiB of output, 512 bytes of error, 256 of message,
	// and under 1 KiB of names, numbers and times.
	maxStepBytes = 3 << 10

	// Does not compile if the limits allow more.
	_ = uint(1<<20 - (maxSpecBytes + maxSteps*maxStepBytes))
)

// Check says why the order's spec cannot run as it stands, or nil if it can. The API server refuses most of this
// already; this is for what it cannot see, and for specs that came past it.
func Check(order *v1alpha1.WorkOrder) *v1alpha1.Stall {
	spec := &order.Spec
	if spec.Strategy != "" && spec.Strategy != v1alpha1.StrategySequence {
		return invalid("strategy %q is not known: write Sequence, or leave it out", spec.Strategy)
	}
	if len(spec.Steps) == 0 {
		return invalid("the order has no steps: list at least one")
	}
	if len(spec.Steps) > maxSteps {
		return tooLarge("an order has at most %d steps, and this one has %d: split it", maxSteps, len(spec.Steps))
	}
	seen := make(map[string]bool, len(spec.Steps))
	for i := range spec.Steps {
		step := &spec.Steps[i]
		switch {
		case seen[step.Name]:
			return invalid("two steps are called %q: rename one", step.Name)
		case (step.Run == nil) == (step.Wait == nil):
			return invalid("step %q must have either run or wait: set exactly one", step.Name)
		case step.Run != nil && step.Run.Image == "":
			return invalid("step %q has no image: set run.image", step.Name)
		}
		seen[step.Name] = true
	}
	if stall := checkStarted(order); stall != nil {
		return stall
	}
	return checkSize(spec)
}

// checkStarted sees to it that what has started is still there, and that nothing was put before it.
func checkStarted(order *v1alpha1.WorkOrder) *v1alpha1.Stall {
	for i, step := range order.Status.Steps {
		if step.Epoch == 0 {
			return nil // In a sequence nothing after it has started either.
		}
		if i >= len(order.Spec.Steps) || order.Spec.Steps[i].Name != step.Name {
			return invalid("step %q has started as number %d: put it back there, as a step that has started can be neither removed nor moved", step.Name, i+1)
		}
	}
	return nil
}

func checkSize(spec *v1alpha1.WorkOrderSpec) *v1alpha1.Stall {
	encoded, err := json.Marshal(spec)
	if err != nil {
		return invalid("the spec cannot be written as JSON: %v", err)
	}
	if len(encoded) > maxSpecBytes {
		return tooLarge("the spec has %d bytes, and at most %d are allowed: move data into ConfigMaps or volumes", len(encoded), maxSpecBytes)
	}
	return nil
}

func invalid(format string, args ...any) *v1alpha1.Stall {
	return stalled(v1alpha1.ReasonInvalidSpec, fmt.Sprintf(format, args...))
}

func tooLarge(format string, args ...any) *v1alpha1.Stall {
	return stalled(v1alpha1.ReasonTooLarge, fmt.Sprintf(format, args...))
}

// stalled cuts the message, as it quotes a spec that may be anything.
func stalled(reason, message string) *v1alpha1.Stall {
	return &v1alpha1.Stall{Reason: reason, Message: steppod.Line(message, steppod.MaxMessage)}
}
