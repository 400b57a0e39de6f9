package plan

import (
	"fmt"

	"workorders.dev/operator/api/v1alpha1"
)

// queue tells an order that has to wait for a place to run where it stands in the line, and starts it when it has one.
func queue(t *turn) *Transition {
	status := t.status()
	if status.Sequence == 0 || t.finished() || status.StartTime != nil && status.Queued == 0 || t.world.Queued == status.Queued || t.order.DeletionTimestamp != nil {
		return nil
	}
	d := t.begin(v1alpha1.EventQueued)
	if d.state.Queued = t.world.Queued; d.state.Queued == 0 {
		d.event.Type = v1alpha1.EventAdmitted
		d.say("its turn has come")
	} else {
		d.say("%s", place(d.state.Queued))
	}
	return d.commit()
}

// place says where in the line an order stands.
func place(ahead int32) string {
	if ahead == 1 {
		return "waits for a place to run: it is next"
	}
	return fmt.Sprintf("waits for a place to run: at most %d orders go before it", ahead-1)
}
