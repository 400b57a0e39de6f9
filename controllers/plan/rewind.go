package plan

import (
	"fmt"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// rewind starts the first step again that has waited long enough.
func rewind(t *turn) *Transition {
	state := StateOf(t.status())
	if !t.mayStart(&state) {
		return nil
	}
	for i := range t.status().Steps {
		step := &t.status().Steps[i]
		if step.Phase != v1alpha1.StepBackoff || t.runnable(step.Name) == nil || step.NotBefore != nil && t.now.Before(step.NotBefore.Time) {
			continue
		}
		d, again := t.beginStep(v1alpha1.EventRewound, i, fmt.Sprintf("starts again, epoch %d", step.Epoch+1))
		cause, attempt := cause(step)
		if attempt == step.Attempt && !steppod.SameSpec(t.spec(step.Name), step.SpecHash) {
			attempt++ // It was edited since: other work must not carry the same idempotency key.
		}
		d.start(again, step.Epoch+1, attempt)
		d.event.Epoch = again.Epoch
		d.state.Rewinds++
		d.event.Rewind = &v1alpha1.Rewind{
			Reason:          cause,
			SupersededAfter: step.StartSequence - 1,
			Steps:           []v1alpha1.RewoundStep{{Step: step.Name, NewEpoch: again.Epoch}},
		}
		return d.commit()
	}
	return nil
}

// cause is why a step in Backoff starts again, and the attempt that its next epoch makes: the same one if the last was
// only interrupted.
func cause(step *v1alpha1.StepStatus) (v1alpha1.RewindReason, int64) {
	code := v1alpha1.ErrorCode("")
	if step.Error != nil {
		code = step.Error.Code
	}
	switch code {
	case v1alpha1.CodeEvicted, v1alpha1.CodeNotAdmitted, v1alpha1.CodeDeleted, v1alpha1.CodeLost, v1alpha1.CodeStartTimeout:
		return v1alpha1.RewindDisrupted, step.Attempt
	case v1alpha1.CodeSpecChanged, v1alpha1.CodeSuperseded:
		return v1alpha1.RewindSpecChanged, step.Attempt + 1
	default:
		return v1alpha1.RewindFailed, step.Attempt + 1
	}
}
