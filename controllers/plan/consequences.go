package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// cancelRest settles, in an order that is cancelled, all steps but those whose Pod must be stopped first.
func (d *draft) cancelRest() {
	if !d.state.Cancelled {
		return
	}
	for i := range d.steps {
		if step := &d.steps[i]; !settled(step) && !hasPod(step) {
			step.Phase = v1alpha1.StepCancelled
			step.NotBefore = nil
			if step.StartTime != nil && step.CompletionTime == nil {
				step.CompletionTime = &d.event.Time
			}
		}
	}
}

// hasPod says whether a step in this state has a Pod, or may have.
func hasPod(step *v1alpha1.StepStatus) bool {
	return step.Phase == v1alpha1.StepRunning && step.PodName != ""
}

// blockRest settles the steps that can never start as one before them has failed.
func (d *draft) blockRest() {
	cause := ""
	for i := range d.steps {
		step := &d.steps[i]
		switch {
		case step.Phase == v1alpha1.StepFailed:
			cause = step.Name
		case step.Phase == v1alpha1.StepPending && cause != "":
			step.Phase = v1alpha1.StepBlocked
			step.Message = steppod.Line("needs "+cause+", which failed", steppod.MaxMessage)
		}
	}
}

// startReady starts the step whose turn it is, if nothing speaks against it.
func (d *draft) startReady() {
	if !d.mayStart(&d.state) {
		return
	}
	for i := range d.steps {
		step := &d.steps[i]
		if step.Phase == v1alpha1.StepPending && d.runnable(step.Name) != nil {
			d.start(step, step.Epoch+1, step.Attempt+1)
		}
		if !done(step) {
			return
		}
	}
}

// start makes a step, which must be runnable, Running in a new epoch. What earlier epochs left stays in the log only; the
// budgets are kept.
func (d *draft) start(step *v1alpha1.StepStatus, epoch, attempt int64) {
	spec := d.spec(step.Name)
	*step = v1alpha1.StepStatus{
		Name:          step.Name,
		Agent:         steppod.Line(spec.Agent, steppod.MaxMessage), // Unlike a name it may be any text.
		Phase:         v1alpha1.StepRunning,
		Epoch:         epoch,
		StartSequence: d.event.Sequence,
		Attempt:       attempt,
		Retries:       step.Retries,
		Disruptions:   step.Disruptions,
		SpecHash:      steppod.SpecHash(spec),
		StartTime:     &d.event.Time,
	}
	switch {
	case spec.Run != nil:
		step.PodName = steppod.Name(d.order.Name, d.order.UID, step.Name, epoch)
	case spec.Wait.Seconds > 0:
		step.NotBefore = wholeSecondAfter(d.now.Add(time.Duration(spec.Wait.Seconds) * time.Second))
	}
	if d.state.StartTime == nil {
		d.state.StartTime = &d.event.Time
	}
}

// wholeSecondAfter is the first whole second that is not before the time, as times in a status have no fractions.
func wholeSecondAfter(at time.Time) *metav1.Time {
	whole := at.Truncate(time.Second)
	if whole.Before(at) {
		whole = whole.Add(time.Second)
	}
	return &metav1.Time{Time: whole}
}
