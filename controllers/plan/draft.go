package plan

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// draft is a transition in the making: the state of the order and its steps, copied, to be changed by a rule.
type draft struct {
	*turn
	event v1alpha1.ProgressEventSpec
	state v1alpha1.OrderState
	steps []v1alpha1.StepStatus
}

// begin starts a draft of an event about the order as a whole.
func (t *turn) begin(kind v1alpha1.EventType, message string) *draft {
	status := t.status()
	d := &draft{turn: t, state: StateOf(status), steps: slices.Clone(status.Steps)}
	d.event = v1alpha1.ProgressEventSpec{
		WorkOrder: v1alpha1.WorkOrderReference{Name: t.order.Name, UID: t.order.UID},
		Sequence:  status.Sequence + 1,
		Previous:  status.Head,
		Type:      kind,
		Time:      t.time(),
		Message:   steppod.Line(message, steppod.MaxMessage),
	}
	d.state.Message = d.event.Message
	return d
}

// beginStep starts a draft of an event about the step with that index, and returns its entry to be changed.
func (t *turn) beginStep(kind v1alpha1.EventType, index int, message string) (*draft, *v1alpha1.StepStatus) {
	d := t.begin(kind, message)
	step := &d.steps[index]
	d.event.Step, d.event.Epoch = step.Name, step.Epoch
	d.state.Message = steppod.Line(step.Name+" "+message, steppod.MaxMessage)
	return d, step
}

// commit completes the draft: what follows from the change happens with it, and the event says what has changed.
func (d *draft) commit() *Transition {
	d.cancelRest()
	d.blockRest()
	d.startReady()
	before := d.status()
	gap := d.gap()
	d.closeGap(gap)
	d.event.Changes.AllSteps = gap || !sameNames(before.Steps, d.steps) || !uniqueNames(d.steps)
	for i := range d.steps {
		if d.event.Changes.AllSteps || !equality.Semantic.DeepEqual(before.Steps[i], d.steps[i]) {
			d.event.Changes.Steps = append(d.event.Changes.Steps, d.steps[i])
		}
	}
	d.state.Since = since(before, Summarize(d.state, d.steps, d.event.Time), d.event.Time)
	d.event.Changes.Order = d.state

	name := EventName(&d.event)
	event := &v1alpha1.ProgressEvent{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: d.event}
	return &Transition{Name: name, Event: d.event, Status: Fold(before, event), before: before}
}

// Unrecorded is the status if the event cannot be written: the same, but head stays where it was and LogComplete says
// that the log has a gap.
func (tr *Transition) Unrecorded() v1alpha1.WorkOrderStatus {
	status := *tr.Status.DeepCopy()
	status.Head = tr.before.Head
	times := StateOf(tr.before).Since
	if SequenceOf(tr.before.Head) == tr.before.Sequence || times.LogComplete == nil {
		times.LogComplete = &tr.Event.Time
	}
	setCondition(&status, metav1.Condition{
		Type: v1alpha1.ConditionLogComplete, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonGap,
		ObservedGeneration: status.ObservedGeneration, LastTransitionTime: *times.LogComplete,
		Message: fmt.Sprintf("the events after number %d could not be written", SequenceOf(status.Head)),
	})
	return status
}

// gap says whether transitions before this one are missing from the log.
func (d *draft) gap() bool { return SequenceOf(d.status().Head) != d.status().Sequence }

// closeGap makes the first event after a gap say, as a rewind, which steps were started again inside it, so that a
// reader knows which of the events before are superseded.
func (d *draft) closeGap(gap bool) {
	if !gap {
		return
	}
	rewind := v1alpha1.Rewind{Reason: v1alpha1.RewindGap}
	if d.event.Rewind != nil {
		rewind = *d.event.Rewind
		rewind.SupersededAfter = 0
	}
	for i := range d.steps {
		s := &d.steps[i]
		listed := slices.ContainsFunc(rewind.Steps, func(r v1alpha1.RewoundStep) bool { return r.Step == s.Name })
		if !listed && s.Epoch > 1 && s.StartSequence > SequenceOf(d.status().Head) {
			rewind.Steps = append(rewind.Steps, v1alpha1.RewoundStep{Step: s.Name, NewEpoch: s.Epoch})
		}
	}
	if len(rewind.Steps) > 0 {
		d.event.Rewind = &rewind
	}
}

// cancelRest settles, in an order that is cancelled, all steps but those whose Pod must be stopped first.
func (d *draft) cancelRest() {
	if !d.state.Cancelled {
		return
	}
	for i := range d.steps {
		if step := &d.steps[i]; !settled(step) && !d.hasPod(step) {
			step.Phase = v1alpha1.StepCancelled
			step.NotBefore = nil
			if step.StartTime != nil && step.CompletionTime == nil {
				step.CompletionTime = &d.event.Time
			}
		}
	}
}

// hasPod says whether a step in this state has a Pod, or may have.
func (d *draft) hasPod(step *v1alpha1.StepStatus) bool {
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
			step.Message = "needs " + cause + ", which failed"
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
			d.start(step, 1, 1)
		}
		if !done(step) {
			return
		}
	}
}

// start makes a step, which must be runnable, Running in a new epoch. What earlier epochs left stays in the log only; the budgets are kept.
func (d *draft) start(step *v1alpha1.StepStatus, epoch, attempt int64) {
	spec := d.spec(step.Name)
	*step = v1alpha1.StepStatus{
		Name:          step.Name,
		Agent:         spec.Agent,
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

// uniqueNames says whether each entry can be changed by its name. The operator writes no others; but on a status that it
// did not write, a change to the wrong entry would be decided again and again.
func uniqueNames(steps []v1alpha1.StepStatus) bool {
	seen := make(map[string]bool, len(steps))
	for i := range steps {
		if seen[steps[i].Name] {
			return false
		}
		seen[steps[i].Name] = true
	}
	return true
}

func sameNames(a, b []v1alpha1.StepStatus) bool {
	return slices.EqualFunc(a, b, func(x, y v1alpha1.StepStatus) bool { return x.Name == y.Name })
}
