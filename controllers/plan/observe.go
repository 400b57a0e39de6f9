package plan

import (
	"fmt"
	"slices"
	"strings"

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
		return observeFinished(t)
	}
	d := t.begin(v1alpha1.EventSpecObserved)
	stall := Check(t.order)
	if stall == nil {
		d.steps = adopt(&t.graph, status.Steps)
		d.unblock() // What they needed may be another step now.
	}
	d.state.ObservedGeneration = t.order.Generation
	d.state.Cancelled = status.Cancelled || spec.Cancel && !d.late(stall)
	d.state.Suspended = spec.Suspend && !spec.Cancel && !windingDown(d.state.Cancelled, d.state.Expired)
	d.state.Stalled = nil
	if !windingDown(d.state.Cancelled, d.state.Expired) {
		d.state.Stalled = stall
	}
	d.state.Queued = t.queued(&d.state)
	d.sayObserved(stall)
	return d.commit()
}

// late says whether it is too late to cancel: all but finally had ended before the edit, and has with it.
func (d *draft) late(stall *v1alpha1.Stall) bool {
	if stall != nil || len(d.status().Steps) == 0 || !mainOver(d.status().Steps) {
		return false
	}
	after := *d
	after.steps = slices.Clone(d.steps)
	after.blockRest()
	changed := slices.ContainsFunc(d.steps, func(s v1alpha1.StepStatus) bool { return !s.Finally && s.Outdated })
	return mainOver(after.steps) && !changed
}

// editedLate begins what is said of an edit of an order that has finished.
const editedLate = "edited after its end"

// observeFinished reads an edit of an order that has finished. One that asks for a rewind is read and done in one transition:
// in between, the order would seem to have ended so with the spec as it is now. Any other changes nothing; how the order
// ended is still said first.
func observeFinished(t *turn) *Transition {
	d := t.begin(v1alpha1.EventSpecObserved)
	d.state.ObservedGeneration = t.order.Generation
	stall, unmet := Check(t.order), t.unmet()
	if stall == nil {
		if rewound := t.rewound(d.findRerun(d.steps, &d.state)); rewound != nil {
			return rewound
		}
	}
	switch {
	case stall != nil:
		d.say(editedLate+", and cannot run again: %s", stall.Message)
	case t.status().Cancelled:
		d.say(editedLate + "; what is cancelled cannot be rewound: delete it and apply it anew")
	case t.order.Spec.Cancel && unmet != "":
		d.say(editedLate + "; nothing is rewound while spec.cancel is set: unset it")
	case unmet != "":
		d.say(editedLate+"; %s was added after it, and starts only when a step that was there is rewound", unmet)
	case len(t.order.Spec.Rewinds) > 0:
		d.say(editedLate + "; the rewinds that it asks for have all been met")
	default:
		d.say(editedLate + ", which does not run it again: ask for it in rewinds, or delete it and apply it anew")
	}
	end, _, _ := strings.Cut(t.status().Message, "; "+editedLate)
	d.state.Message = end + "; " + d.event.Message
	return d.commit()
}

// unmet is the step of the first rewind that is asked for and has not come; empty if all have.
func (t *turn) unmet() string {
	for _, request := range t.order.Spec.Rewinds {
		met := slices.ContainsFunc(t.status().Steps, func(s v1alpha1.StepStatus) bool {
			return s.Name == request.Step && !s.Removed && s.Epoch >= request.ToEpoch
		})
		if !met {
			return request.Step
		}
	}
	return ""
}

// sayObserved names the event after the most that the spec asks for, and says what follows.
func (d *draft) sayObserved(stall *v1alpha1.Stall) {
	var message string
	if len(d.status().Steps) == 0 {
		d.event.Type, message = d.welcome(stall)
	} else {
		d.event.Type, message = d.news(stall)
	}
	if rerun := d.findRerun(d.steps, &d.state); rerun != nil {
		message += "; "
		if slices.ContainsFunc(d.steps, func(s v1alpha1.StepStatus) bool { return hasPod(&s) && rerun.reached[s.Name] }) {
			message += "what runs of it is stopped, then "
		}
		message += rerun.named(d.steps) + " again"
	}
	d.say("%s", message)
}

// welcome is what is said of a spec that is the first that can run, if it can.
func (d *draft) welcome(stall *v1alpha1.Stall) (v1alpha1.EventType, string) {
	accepted := "accepted " + steps(len(d.order.Spec.Steps))
	if n := len(d.order.Spec.Finally); n > 0 {
		accepted += fmt.Sprintf(" and %d of finally", n)
	}
	switch {
	case stall != nil && d.state.Cancelled:
		return v1alpha1.EventCancelling, "cancelling: nothing of it starts"
	case stall != nil:
		return v1alpha1.EventSpecRejected, stall.Message
	case d.state.Suspended:
		return v1alpha1.EventAccepted, accepted + "; suspended, nothing starts yet"
	case d.state.Queued > 0:
		return v1alpha1.EventAccepted, accepted + "; " + place(d.state.Queued)
	}
	return v1alpha1.EventAccepted, accepted
}

// news is what is said of an edit.
func (d *draft) news(stall *v1alpha1.Stall) (v1alpha1.EventType, string) {
	status := d.status()
	switch {
	case d.state.Cancelled && !status.Cancelled:
		return v1alpha1.EventCancelling, "cancelling: nothing new starts, what runs is being stopped"
	case stall != nil && d.state.Stalled != nil:
		return v1alpha1.EventSpecRejected, stall.Message
	case d.order.Spec.Cancel && !d.state.Cancelled:
		return v1alpha1.EventSpecObserved, "too late to cancel: all steps have ended, only finally still runs"
	case d.state.Suspended && !status.Suspended:
		return v1alpha1.EventSuspended, "suspended: nothing new starts"
	case status.Suspended && !d.state.Suspended:
		return v1alpha1.EventResumed, "resumed"
	}
	return v1alpha1.EventSpecObserved, "read the edited spec"
}

// adopt is the steps of a spec, with what has happened to them so far. A step that has started and is no longer in the
// spec stays at the end of the list.
func adopt(g *graph, before []v1alpha1.StepStatus) []v1alpha1.StepStatus {
	known := make(map[string]v1alpha1.StepStatus, len(before))
	for _, step := range before {
		known[step.Name] = step
	}
	adopted := make([]v1alpha1.StepStatus, 0, len(g.nodes))
	for i := range g.nodes {
		n := &g.nodes[i]
		entry, found := known[n.Name]
		if !found {
			entry = v1alpha1.StepStatus{Name: n.Name, Phase: v1alpha1.StepPending}
		}
		entry.Finally = n.finally
		adopted = append(adopted, readopted(n, entry))
	}
	for _, step := range before {
		if g.node(step.Name) == nil && step.Epoch > 0 {
			adopted = append(adopted, removed(step))
		}
	}
	return adopted
}

// readopted is the entry of a step that is in the spec.
func readopted(n *node, entry v1alpha1.StepStatus) v1alpha1.StepStatus {
	switch {
	case entry.Removed && settled(&entry) && entry.StartSequence == 0:
		entry.Phase = v1alpha1.StepPending // It never started: there is nothing to run again.
	case entry.Removed && settled(&entry):
		entry.Outdated = true // It is back, and runs again from where its epochs were.
	case entry.SpecHash != "" && entry.Phase != v1alpha1.StepPending:
		if entry.Outdated = !steppod.SameSpec(n.Step, n.needs, entry.SpecHash); !entry.Outdated {
			entry.SpecHash = steppod.SpecHash(n.Step, n.needs) // It may have been one of another operator's.
		}
	}
	entry.Removed = false
	return entry
}

// removed is the entry of a step that is no longer in the spec: one that runs is to be stopped first.
func removed(entry v1alpha1.StepStatus) v1alpha1.StepStatus {
	if hasPod(&entry) {
		entry.Removed = true
		return entry
	}
	return v1alpha1.StepStatus{
		Name: entry.Name, Finally: entry.Finally, Removed: true, Phase: v1alpha1.StepCancelled,
		Epoch: entry.Epoch, StartSequence: entry.StartSequence, Attempt: entry.Attempt,
	}
}

// named are the steps that a rerun follows from, as the subject of a sentence.
func (r *rerun) named(steps []v1alpha1.StepStatus) string {
	var causes []string
	for i := range steps {
		if r.causes[steps[i].Name] != "" {
			causes = append(causes, steps[i].Name)
		}
	}
	return strings.Join(causes, ", ") + " and all that comes after run"
}

func steps(n int) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", n)
}
