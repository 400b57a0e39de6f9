package plan_test

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"workorders.dev/operator/api/v1alpha1"
)

// The life of an order from without: how it waits for its place before its first step, and how it goes after its last.

// waits checks a status that was just saved: an order that stands in the line has started nothing, and says where it stands.
func (l *laws) waits(c *cluster, before, after *v1alpha1.WorkOrderStatus) {
	if c.place > 0 && before.StartTime == nil && after.StartTime != nil {
		l.breach("the order starts, and its place in the line is %d", c.place)
	}
	if after.Queued == 0 {
		return
	}
	l.seen[sawQueue]++
	place := "it is next"
	if after.Queued > 1 {
		place = fmt.Sprintf("at most %d order", after.Queued-1)
	}
	if after.Phase != v1alpha1.WorkOrderPending || after.StartTime != nil || after.Expired || runningSteps(after) > 0 ||
		!strings.Contains(after.Message, "waits for a place to run: "+place) {
		l.breach("the order is %d in the line, and its status is %s", after.Queued, encode(after))
	}
}

// placed checks, when the operator has nothing to do for now, that an order that would start says the place that it has.
func (l *laws) placed(c *cluster) {
	s := &c.order.Status
	wouldStart := s.StartTime == nil && !s.Suspended && !s.Cancelled && !meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionStalled)
	if wouldStart && s.Queued != c.place {
		l.breach("the order says that its place in the line is %d, and it is %d", s.Queued, c.place)
	}
}

// outlived checks, when the operator deletes the order, that it is time for that and nobody has just asked for more.
func (l *laws) outlived(c *cluster) {
	l.seen[sawOutlived]++
	end, ttl := c.order.Status.CompletionTime, c.order.Spec.TTLSecondsAfterFinished
	switch {
	case end == nil || ttl == nil || c.order.Generation != c.order.Status.ObservedGeneration:
		l.breach("an order that was to stay is deleted: %s", encode(c.order))
	case c.now.Add(l.ahead()).Before(end.Add(time.Duration(*ttl) * time.Second)):
		l.breach("the order is deleted at %v, and it ended at %v and was to stay %d s", c.now, end, *ttl)
	}
}
