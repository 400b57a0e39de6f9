package plan

import (
	"workorders.dev/operator/api/v1alpha1"
)

// rewind starts the first step again that has waited long enough.
func rewind(t *turn) *Transition {
	for i := range t.status().Steps {
		step := &t.status().Steps[i]
		if step.Phase != v1alpha1.StepBackoff || step.NotBefore != nil && t.now.Before(step.NotBefore.Time) || !t.mayRetry(step) {
			continue
		}
		d, again := t.beginStep(v1alpha1.EventRewound, i)
		reason, attempt := cause(step)
		d.start(again, max(step.Epoch+1, t.asked(step.Name)), attempt)
		d.event.Epoch = again.Epoch
		d.say("starts again, epoch %d", again.Epoch)
		d.state.Rewinds++
		d.event.Rewind = &v1alpha1.Rewind{
			Reason:          reason,
			SupersededAfter: step.StartSequence - 1,
			Steps:           []v1alpha1.RewoundStep{{Step: step.Name, NewEpoch: again.Epoch}},
		}
		return d.commit()
	}
	return nil
}

// mayRetry says whether a step in Backoff may start again as far as the order is concerned.
func (t *turn) mayRetry(step *v1alpha1.StepStatus) bool {
	d := draft{turn: t, state: StateOf(t.status()), steps: t.status().Steps}
	over := windingDown(d.state.Cancelled, d.state.Expired) && !step.Finally
	return d.mayStart() && !over && !step.Removed && !t.rerun.holds(step.Name) && t.graph.node(step.Name).runnable() && d.room() > 0
}

// cause is why a step in Backoff starts again, and the attempt that its next epoch makes: the same one if the last was
// only interrupted.
func cause(step *v1alpha1.StepStatus) (v1alpha1.RewindReason, int64) {
	code := v1alpha1.ErrorCode("")
	if step.Error != nil {
		code = step.Error.Code
	}
	reason := WhyAgain(code)
	if reason == v1alpha1.RewindDisrupted {
		return reason, step.Attempt
	}
	return reason, step.Attempt + 1
}

// WhyAgain is why a step starts again whose attempt ended with that code.
func WhyAgain(code v1alpha1.ErrorCode) v1alpha1.RewindReason {
	switch code {
	case v1alpha1.CodeEvicted, v1alpha1.CodeNotAdmitted, v1alpha1.CodeDeleted, v1alpha1.CodeLost, v1alpha1.CodeStartTimeout,
		v1alpha1.CodeStartError:
		return v1alpha1.RewindDisrupted
	case v1alpha1.CodeSpecChanged, v1alpha1.CodeSuperseded:
		return v1alpha1.RewindSpecChanged
	case v1alpha1.CodeRewound:
		return v1alpha1.RewindRequested
	default:
		return v1alpha1.RewindFailed
	}
}
