package plan

import (
	"fmt"
	"strings"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// rerun is what has to run again: the steps that spec.rewinds asks for, those that were changed after they had started,
// and all that come after them. What of it runs is stopped first, so that every attempt's end is in the log; meanwhile
// nothing of it starts. Then all of it goes to its next epoch in one transition.
type rerun struct {
	// causes are the steps that everything follows from.
	causes map[string]v1alpha1.RewindReason
	// reached are those and all that come after them.
	reached map[string]bool
}

// findRerun is what of these steps, in that state of the order, has to run again; nil if nothing has.
func (t *turn) findRerun(steps []v1alpha1.StepStatus, state *v1alpha1.OrderState) *rerun {
	if !t.mayRerun(state) {
		return nil
	}
	finished := state.Outcome != ""
	r := rerun{causes: t.rerunCauses(steps, state)}
	if len(r.causes) == 0 || finished && !r.requested() {
		return nil
	}
	if finished && state.Expired {
		r.resume(steps)
	}
	r.reach(&t.graph)
	for i := range steps {
		if r.reached[steps[i].Name] && steps[i].Epoch >= steppod.MaxEpoch {
			return nil // There is no further epoch that it could go to.
		}
	}
	return &r
}

// mayRerun says whether anything may be brought back in an order in that state.
func (t *turn) mayRerun(state *v1alpha1.OrderState) bool {
	// It is too late, or the edit is read and mended first.
	return t.order.DeletionTimestamp == nil && state.ObservedGeneration == t.order.Generation && state.Stalled == nil
}

// rerunCauses are the steps of which people want something else than what there is, and why.
func (t *turn) rerunCauses(steps []v1alpha1.StepStatus, state *v1alpha1.OrderState) map[string]v1alpha1.RewindReason {
	causes, over := map[string]v1alpha1.RewindReason{}, mainOver(steps)
	asked := make(map[string]int64, len(t.order.Spec.Rewinds))
	for _, request := range t.order.Spec.Rewinds {
		asked[request.Step] = request.ToEpoch
	}
	for i := range steps {
		step := &steps[i]
		n, pending := t.graph.node(step.Name), step.Phase == v1alpha1.StepPending
		if pending || step.Removed || n == nil {
			continue
		}
		if cause := t.rerunCause(step, n.finally, n.finally && !over, asked[step.Name], state); cause != "" {
			causes[step.Name] = cause
		}
	}
	return causes
}

// rerunCause is why a step that has been decided on is to be decided on again; empty if it is not. A step of finally is early
// if something that it comes after was added. Of an order that is being ended, even one that it was too late to cancel, nothing
// is rewound, but that a step of finally was changed; once the deadline has brought it to its end, it is brought back.
func (t *turn) rerunCause(step *v1alpha1.StepStatus, finally, early bool, asked int64, state *v1alpha1.OrderState) v1alpha1.RewindReason {
	finished := state.Outcome != ""
	ending := t.order.Spec.Cancel || state.Cancelled || state.Expired && !finished
	switch {
	case ending && (!finally || !step.Outdated):
		return ""
	case asked > max(step.Epoch, 0) && !ending:
		return v1alpha1.RewindRequested
	case (step.Outdated || early) && !finished:
		return v1alpha1.RewindSpecChanged
	}
	return ""
}

// requested says whether any of it was asked for in spec.rewinds.
func (r *rerun) requested() bool {
	for _, reason := range r.causes {
		if reason == v1alpha1.RewindRequested {
			return true
		}
	}
	return false
}

// resume adds the steps that the order's deadline stopped: an order that is brought back is brought back whole.
func (r *rerun) resume(steps []v1alpha1.StepStatus) {
	for i := range steps {
		if s := &steps[i]; s.Phase == v1alpha1.StepCancelled && s.Epoch > 0 && !s.Removed && r.causes[s.Name] == "" {
			r.causes[s.Name] = v1alpha1.RewindRequested
		}
	}
}

// reach finds all that comes after the causes.
func (r *rerun) reach(g *graph) {
	r.reached = make(map[string]bool, len(g.nodes))
	any := false
	for i := range g.nodes {
		n := &g.nodes[i]
		is := r.causes[n.Name] != "" || n.finally && any
		for _, need := range n.needs {
			is = is || r.reached[need]
		}
		if is {
			r.reached[n.Name] = true
			any = any || !n.finally
		}
	}
}

// holds says whether nothing of the step may start until it is rewound.
func (r *rerun) holds(name string) bool { return r != nil && r.reached[name] }

// why is why a running attempt of a step that is held has to be stopped.
func (r *rerun) why(name string) v1alpha1.ErrorCode {
	if r.requested() && r.causes[name] != v1alpha1.RewindSpecChanged {
		return v1alpha1.CodeRewound
	}
	return v1alpha1.CodeSpecChanged
}

// again makes the steps that have to run again Pending in their next epochs, all in one transition, once nothing of them
// runs. Those that can start do so with it.
func again(t *turn) *Transition {
	if t.finished() && Check(t.order) != nil {
		return nil
	}
	return t.rewound(t.rerun)
}

// rewound is the transition that makes all of it run again; nil if there is nothing, or some of it still runs.
func (t *turn) rewound(r *rerun) *Transition {
	if r == nil {
		return nil
	}
	for i := range t.status().Steps {
		if step := &t.status().Steps[i]; hasPod(step) && r.reached[step.Name] {
			return nil // It is being stopped.
		}
	}
	d := t.begin(v1alpha1.EventRewound)
	d.state.ObservedGeneration = t.order.Generation
	if t.finished() {
		d.revive()
	}
	rewind := &v1alpha1.Rewind{Reason: v1alpha1.RewindSpecChanged, SupersededAfter: d.event.Sequence - 1}
	for _, first := range []bool{true, false} { // What was asked for is listed before what follows from it.
		for i := range d.steps {
			step := &d.steps[i]
			if cause := r.causes[step.Name]; r.reached[step.Name] && !step.Removed && (cause != "") == first {
				d.reset(step, rewind)
				if cause == v1alpha1.RewindRequested {
					rewind.Reason = cause
				}
			}
		}
	}
	if len(rewind.Steps) == 0 {
		return nil // It is on a status that no operator wrote: what should run again never started.
	}
	d.event.Rewind = rewind
	d.about(rewind.Steps[0].Step, rewind.Steps[0].NewEpoch)
	d.say("starts again, epoch %d, as %s%s", d.event.Epoch, asked(rewind.Reason), followers(rewind.Steps[1:]))
	d.unblock()
	return d.commit()
}

// revive brings an order that has finished back to work, with its spec as it is now. What does not run again stands as
// it is, though the spec may have been edited since.
func (d *draft) revive() {
	d.state.Outcome, d.state.CompletionTime = "", nil
	d.state.Expired, d.state.Suspended = false, d.order.Spec.Suspend
	d.state.ActiveSince = &d.event.Time
	d.steps = adopt(&d.graph, d.steps)
	for i := range d.steps {
		step := &d.steps[i]
		if step.Phase == v1alpha1.StepCancelled {
			continue // One that was removed, and is back, is to run.
		}
		step.Outdated = false
		if n := d.graph.node(step.Name); n != nil && step.SpecHash != "" {
			step.SpecHash = steppod.SpecHash(n.Step, n.needs)
		}
	}
}

// reset makes a step Pending in its next epoch. Its budgets are as new; the work is another attempt.
func (d *draft) reset(step *v1alpha1.StepStatus, rewind *v1alpha1.Rewind) {
	switch {
	case step.Phase == v1alpha1.StepPending:
		return
	case step.StartSequence == 0 && d.asked(step.Name) <= step.Epoch: // It has nothing that could be superseded.
		step.Phase, step.Message, step.Outdated = v1alpha1.StepPending, "", false
		return
	case step.StartSequence > 0:
		rewind.SupersededAfter = min(rewind.SupersededAfter, step.StartSequence-1)
	}
	epoch := max(step.Epoch+1, d.asked(step.Name))
	rewind.Steps = append(rewind.Steps, v1alpha1.RewoundStep{Step: step.Name, NewEpoch: epoch})
	d.state.Rewinds++
	*step = v1alpha1.StepStatus{
		Name: step.Name, Agent: step.Agent, Finally: step.Finally, Phase: v1alpha1.StepPending,
		Epoch: epoch, StartSequence: d.event.Sequence, Attempt: step.Attempt,
	}
}

// unblock lets the steps wait again that were given up; those of which the cause remains are given up again.
func (d *draft) unblock() {
	for i := range d.steps {
		if step := &d.steps[i]; step.Phase == v1alpha1.StepBlocked || step.Phase == v1alpha1.StepCancelled && step.Epoch == 0 {
			step.Phase, step.Message = v1alpha1.StepPending, ""
		}
	}
}

// asked is the epoch that spec.rewinds asks for; 0 if it does not.
func (t *turn) asked(name string) int64 {
	for _, request := range t.order.Spec.Rewinds {
		if request.Step == name {
			return request.ToEpoch
		}
	}
	return 0
}

func asked(reason v1alpha1.RewindReason) string {
	if reason == v1alpha1.RewindRequested {
		return "asked for"
	}
	return "the spec was changed"
}

func followers(steps []v1alpha1.RewoundStep) string {
	if len(steps) == 0 {
		return ""
	}
	names := make([]string, 0, len(steps))
	for _, s := range steps {
		names = append(names, s.Step)
	}
	return fmt.Sprintf("; and with it %s", strings.Join(names, ", "))
}
