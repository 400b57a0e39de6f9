package plan

import (
	"fmt"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// observe reads a spec that was not read before: a new order's, or one that was edited. One edit is one transition,
// named after the most that it asks for: cancel beats a spec that cannot run, which beats suspend.
func observe(t *turn) *Transition {
	status, spec := t.status(), &t.order.Spec
	if status.ObservedGeneration == t.order.Generation || t.order.DeletionTimestamp != nil {
		return nil
	}
	if t.finished() {
		d := t.begin(v1alpha1.EventSpecObserved, "edited after its end, which does not run it again: delete it and apply it anew")
		d.state.ObservedGeneration = t.order.Generation
		d.state.Message = status.Message // How it ended is what people come for.
		return d.commit()
	}
	stall, cancelled := Check(t.order), status.Cancelled || spec.Cancel
	suspended := spec.Suspend && !cancelled
	d := t.begin(t.observed(stall, cancelled, suspended))
	d.state.ObservedGeneration = t.order.Generation
	d.state.Cancelled = cancelled
	d.state.Suspended = suspended
	d.state.Stalled = nil
	if !cancelled {
		d.state.Stalled = stall
	}
	if stall == nil {
		d.steps = adopt(spec.Steps, status.Steps)
		d.restartEdited()
	}
	return d.commit()
}

// renew begins anew a running step that is not the one that the spec asks for, though the spec was read, and that has no
// Pod: it had one when the edit was read. If it still has, and only the cache does not show it, its name finds it.
func renew(t *turn) *Transition {
	for i := range t.status().Steps {
		step := &t.status().Steps[i]
		if _, found := t.pod(step); !found && hasPod(step) && t.edited(step.Name, step.SpecHash) && t.runnable(step.Name) != nil {
			d := t.begin(v1alpha1.EventSpecObserved, step.Name+" begins anew with the edited spec")
			d.restartEdited()
			return d.commit()
		}
	}
	return nil
}

// restartEdited begins anew, in the same epoch, the running steps that were edited before they had a Pod: its name can
// be taken only once, so nothing that was decided on the old spec can run beside it. A step that has a Pod goes to its
// next epoch when that has been stopped, and one in Backoff does so at once.
func (d *draft) restartEdited() {
	for i := range d.steps {
		step := &d.steps[i]
		spec := d.runnable(step.Name)
		if spec == nil || d.state.Cancelled || steppod.SameSpec(spec, step.SpecHash) {
			continue
		}
		_, found := d.pod(step)
		switch {
		case step.Phase == v1alpha1.StepBackoff:
			step.NotBefore = &d.event.Time // What failed was something else.
		case step.Phase == v1alpha1.StepRunning && !found:
			since, started := step.StartSequence, step.StartTime
			d.start(step, step.Epoch, step.Attempt)
			step.StartSequence, step.StartTime = since, started
		}
	}
}

// observed is the type and the message of the event that says how a spec was read.
func (t *turn) observed(stall *v1alpha1.Stall, cancelled, suspended bool) (v1alpha1.EventType, string) {
	status, all := t.status(), steps(len(t.order.Spec.Steps))
	isNew := len(status.Steps) == 0
	switch {
	case cancelled && !status.Cancelled && (stall != nil || !isNew):
		return v1alpha1.EventCancelling, "cancelling: nothing new starts, what runs is being stopped"
	case stall != nil && !cancelled:
		return v1alpha1.EventSpecRejected, stall.Message
	case isNew && suspended:
		return v1alpha1.EventAccepted, "accepted " + all + "; suspended, nothing starts yet"
	case isNew:
		return v1alpha1.EventAccepted, "accepted " + all
	case suspended && !status.Suspended:
		return v1alpha1.EventSuspended, "suspended: nothing new starts"
	case status.Suspended && !suspended:
		return v1alpha1.EventResumed, "resumed"
	}
	return v1alpha1.EventSpecObserved, "read the edited spec"
}

// adopt is the steps of a spec, with what has happened to them so far.
func adopt(spec []v1alpha1.Step, before []v1alpha1.StepStatus) []v1alpha1.StepStatus {
	known := make(map[string]v1alpha1.StepStatus, len(before))
	for _, step := range before {
		known[step.Name] = step
	}
	adopted := make([]v1alpha1.StepStatus, 0, len(spec))
	for i := range spec {
		entry, found := known[spec[i].Name]
		if !found {
			entry = v1alpha1.StepStatus{Name: spec[i].Name, Phase: v1alpha1.StepPending}
		}
		adopted = append(adopted, entry)
	}
	return adopted
}

func steps(n int) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", n)
}
