package plan

import (
	"fmt"
	"slices"

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
func (t *turn) begin(kind v1alpha1.EventType) *draft {
	status := t.status()
	d := &draft{turn: t, state: StateOf(status), steps: slices.Clone(status.Steps)}
	d.event = v1alpha1.ProgressEventSpec{
		WorkOrder: v1alpha1.WorkOrderReference{Name: t.order.Name, UID: t.order.UID},
		Sequence:  status.Sequence + 1,
		Previous:  status.Head,
		Type:      kind,
		Time:      t.time(),
	}
	return d
}

// beginStep starts a draft of an event about the step with that index, and returns its entry to be changed.
func (t *turn) beginStep(kind v1alpha1.EventType, index int) (*draft, *v1alpha1.StepStatus) {
	d := t.begin(kind)
	step := &d.steps[index]
	d.about(step.Name, step.Epoch)
	return d, step
}

// about makes the event one about a step.
func (d *draft) about(step string, epoch int64) { d.event.Step, d.event.Epoch = step, epoch }

// say sets the message of the event and of the order: what has happened, in a sentence.
func (d *draft) say(format string, args ...any) {
	d.event.Message = steppod.Line(fmt.Sprintf(format, args...), steppod.MaxMessage)
	d.state.Message = d.event.Message
	if d.event.Step != "" {
		d.state.Message = steppod.Line(d.event.Step+" "+d.event.Message, steppod.MaxMessage)
	}
}

// commit completes the draft: what follows from the change happens with it, and the event says what has changed.
func (d *draft) commit() *Transition {
	d.cancelRest()
	d.blockRest()
	d.startReady()
	d.state.Message = withTail(d.narrate(), d.crowd())
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
	return &Transition{Name: name, Event: d.event, Status: Fold(before, event), Rewound: d.state.Rewinds - before.Rewinds, before: before}
}

// narrate is the order's message: what has just happened, and what holds the order up if that is something else.
func (d *draft) narrate() string {
	aboutOrder := d.event.Step == ""
	switch {
	case d.state.Outcome != "" || windingDown(d.state.Cancelled, d.state.Expired) || d.event.Type == v1alpha1.EventSpecRejected:
		return d.state.Message
	case d.state.Stalled != nil:
		return d.state.Message + "; " + d.state.Stalled.Message
	case d.state.Suspended && d.event.Type != v1alpha1.EventSuspended && d.event.Type != v1alpha1.EventAccepted:
		return d.state.Message + "; suspended, nothing new starts"
	}
	if d.state.Queued > 0 && d.event.Type != v1alpha1.EventQueued && d.event.Type != v1alpha1.EventAccepted {
		return d.state.Message + "; " + place(d.state.Queued)
	}
	if _, cause := holdup(d.steps); cause != "" && aboutOrder {
		return d.state.Message + "; " + cause
	}
	return d.state.Message
}

// withTail is a message that is cut, if need be, before its tail.
func withTail(message, tail string) string {
	tail = steppod.Line(tail, steppod.MaxMessage/2)
	return steppod.Line(message, steppod.MaxMessage-len(tail)) + tail
}

func sameNames(a, b []v1alpha1.StepStatus) bool {
	return slices.EqualFunc(a, b, func(x, y v1alpha1.StepStatus) bool { return x.Name == y.Name })
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
