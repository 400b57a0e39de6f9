package plan

import (
	"fmt"

	"workorders.dev/operator/api/v1alpha1"
)

// expire brings an order to its end that takes longer than its deadline.
func expire(t *turn) *Transition {
	deadline := t.deadline()
	if deadline.IsZero() || t.now.Before(deadline) || t.order.DeletionTimestamp != nil {
		return nil
	}
	d := t.begin(v1alpha1.EventDeadlineExceeded)
	d.state.Expired, d.state.Suspended, d.state.Stalled = true, false, nil
	d.say("%s", overlong(*t.order.Spec.ActiveDeadlineSeconds)+": nothing new starts, what runs is being stopped")
	return d.commit()
}

func overlong(seconds int64) string {
	return fmt.Sprintf("it took longer than its deadline of %d s", seconds)
}
