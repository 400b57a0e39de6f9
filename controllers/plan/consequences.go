package plan

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// cancelRest settles, in an order that is being ended, all steps but those whose Pod must be stopped first, and those of
// finally, which are still to run; unless the order never started anything, or the spec does not hold them any more.
func (d *draft) cancelRest() {
	if !windingDown(d.state.Cancelled, d.state.Expired) {
		return
	}
	for i := range d.steps {
		step := &d.steps[i]
		toRun := step.Finally && d.state.StartTime != nil && d.graph.node(step.Name).runnable()
		if settled(step) || hasPod(step) || toRun {
			continue
		}
		d.waive(step)
		step.Phase = v1alpha1.StepCancelled
		if step.StartTime != nil && step.CompletionTime == nil {
			step.CompletionTime = &d.event.Time
		}
	}
}

// waive takes away from a step that does not start what it would have started with. An epoch that was asked for counts as
// reached, so that it is not asked for again.
func (d *draft) waive(step *v1alpha1.StepStatus) {
	step.NotBefore = nil
	if step.Phase == v1alpha1.StepPending {
		step.Epoch = max(step.Epoch, d.asked(step.Name))
	}
}

// hasPod says whether a step in this state has a Pod, or may have.
func hasPod(step *v1alpha1.StepStatus) bool {
	return step.Phase == v1alpha1.StepRunning && step.PodName != ""
}

// blockRest settles the steps that can never start, as one that they need has failed; or, if the order is to fail fast,
// any one.
func (d *draft) blockRest() {
	hopeless := map[string]string{} // Why, by step.
	for i := range d.steps {
		if step := &d.steps[i]; !step.Finally && !step.Removed && step.Phase == v1alpha1.StepFailed {
			hopeless[step.Name] = steppod.Line("needs "+step.Name+", which failed", steppod.MaxMessage)
			if d.order.Spec.FailFast {
				hopeless[""] = steppod.Line(step.Name+" failed, and the order is to fail fast", steppod.MaxMessage)
			}
		}
	}
	if len(hopeless) == 0 {
		return
	}
	for i := range d.steps {
		step := &d.steps[i]
		if step.Finally || step.Phase != v1alpha1.StepPending && (step.Phase != v1alpha1.StepBackoff || hopeless[""] == "") {
			continue
		}
		why := d.hopeless(step, hopeless)
		switch {
		case why == "":
			continue
		case step.Phase == v1alpha1.StepBackoff:
			step.Phase = v1alpha1.StepFailed // As it last ended.
		default:
			d.waive(step)
			step.Phase = v1alpha1.StepBlocked
		}
		step.NotBefore, step.Message = nil, why
		hopeless[step.Name] = why
	}
}

// hopeless is why a step can never start, given why others cannot; empty if it may.
func (d *draft) hopeless(step *v1alpha1.StepStatus, others map[string]string) string {
	if n := d.graph.node(step.Name); n != nil {
		for _, need := range n.needs {
			if why := others[need]; why != "" {
				return why
			}
		}
	}
	return others[""]
}

// startReady starts every step that can start, in the order of the list, as far as there is room.
func (d *draft) startReady() {
	room := d.room()
	if room <= 0 || !d.mayStart() {
		return
	}
	o := d.outlook()
	for i := range d.steps {
		step := &d.steps[i]
		if room == 0 {
			return
		}
		if !o.ready(step) {
			continue
		}
		if yes, err := o.condition(step.Name); yes && err == nil {
			d.start(step, max(1, step.Epoch, d.asked(step.Name)), step.Attempt+1)
			room--
		}
	}
}

// room is how many more steps may run at the same time.
func (d *draft) room() int {
	if d.order.Spec.Parallelism == nil {
		return len(d.steps)
	}
	return int(*d.order.Spec.Parallelism) - count(d.steps, func(s *v1alpha1.StepStatus) bool { return s.Phase == v1alpha1.StepRunning })
}

// crowd says, as the end of a message, which steps could start if more might run at the same time; empty if none.
func (d *draft) crowd() string {
	if d.order.Spec.Parallelism == nil || d.room() > 0 || !d.mayStart() {
		return ""
	}
	o, first, more := d.outlook(), "", 0
	for i := range d.steps {
		switch step := &d.steps[i]; {
		case !o.ready(step):
		case first == "":
			first = step.Name
		default:
			more++
		}
	}
	switch {
	case first == "":
		return ""
	case more == 0:
		return fmt.Sprintf("; %s waits, as parallelism is %d", first, *d.order.Spec.Parallelism)
	}
	return fmt.Sprintf("; %s and %d more wait, as parallelism is %d", first, more, *d.order.Spec.Parallelism)
}

// mayStart says whether anything may start at all.
func (d *draft) mayStart() bool {
	return d.order.DeletionTimestamp == nil && d.state.Outcome == "" && d.state.Stalled == nil && !d.state.Suspended && d.state.Queued == 0
}

// start makes a step, which must be runnable, Running in a new epoch. What earlier epochs left stays in the log only; the
// budgets are kept.
func (d *draft) start(step *v1alpha1.StepStatus, epoch, attempt int64) {
	n := d.graph.node(step.Name)
	*step = v1alpha1.StepStatus{
		Name:          step.Name,
		Agent:         steppod.Line(n.Agent, steppod.MaxMessage),
		Finally:       n.finally,
		Phase:         v1alpha1.StepRunning,
		Epoch:         epoch,
		StartSequence: d.firstHeld(step, epoch),
		Attempt:       attempt,
		Retries:       step.Retries,
		Disruptions:   step.Disruptions,
		SpecHash:      steppod.SpecHash(n.Step, n.needs),
		StartTime:     &d.event.Time,
	}
	switch {
	case n.Run != nil:
		step.PodName = steppod.Name(d.order.Name, d.order.UID, step.Name, epoch)
	case n.Wait.Seconds > 0:
		step.NotBefore = wholeSecondAfter(d.now.Add(time.Duration(n.Wait.Seconds) * time.Second))
	}
	if d.state.StartTime == nil {
		d.state.StartTime = &d.event.Time
	}
}

// firstHeld is the number of the transition that first held the epoch in which a step is about to begin: this one, or the one
// that rewound the step to it, if it has waited since then.
func (d *draft) firstHeld(step *v1alpha1.StepStatus, epoch int64) int64 {
	if step.Phase == v1alpha1.StepPending && step.StartSequence > 0 && step.Epoch == epoch {
		return step.StartSequence
	}
	return d.event.Sequence
}

// wholeSecondAfter is the first whole second that is not before the time, as times in a status have no fractions.
func wholeSecondAfter(at time.Time) *metav1.Time {
	whole := at.Truncate(time.Second)
	if whole.Before(at) {
		whole = whole.Add(time.Second)
	}
	return &metav1.Time{Time: whole}
}
