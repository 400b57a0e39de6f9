package plan

import (
	"fmt"

	"workorders.dev/operator/api/v1alpha1"
)

// queue tells an order that has to wait for a place to run where it stands in the line, and starts it when it has one.
func queue(t *turn) *Transition {
	status, state := t.status(), StateOf(t.status())
	queued := t.queued(&state)
	if status.Sequence == 0 || t.finished() || queued == status.Queued || t.order.DeletionTimestamp != nil {
		return nil
	}
	d := t.begin(v1alpha1.EventQueued)
	if d.state.Queued = queued; queued == 0 {
		d.event.Type = v1alpha1.EventAdmitted
		d.say("its turn has come")
	} else {
		d.say("%s", place(d.state.Queued))
	}
	return d.commit()
}

// queued is the place in the line of an order in that state; 0 if it has started, or would start nothing anyway.
func (t *turn) queued(state *v1alpha1.OrderState) int32 {
	if state.StartTime != nil || state.Stalled != nil || state.Suspended || windingDown(state.Cancelled, state.Expired) {
		return 0
	}
	return t.world.Queued
}

// place says where in the line an order stands.
func place(queued int32) string {
	switch queued {
	case 1:
		return "waits for a place to run: it is next"
	case 2:
		return "waits for a place to run: at most 1 order goes before it"
	}
	return fmt.Sprintf("waits for a place to run: at most %d orders go before it", queued-1)
}
