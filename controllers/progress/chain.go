package progress

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
)

// Chain is the log of an order, oldest event first.
type Chain struct {
	Events []*v1alpha1.ProgressEvent
	// Missing is the name of the event before the first one here, if it could not be found: the log is broken there.
	Missing string
}

// Follow is the chain that ends at head, found among events in any order. Events of another order are no part of it,
// even if they are named by one that is.
func Follow(uid types.UID, head string, events []v1alpha1.ProgressEvent) Chain {
	named := make(map[string]*v1alpha1.ProgressEvent, len(events))
	for i := range events {
		if events[i].Spec.WorkOrder.UID == uid {
			named[events[i].Name] = &events[i]
		}
	}
	var chain Chain
	for name := head; name != ""; {
		event, found := named[name]
		if !found {
			chain.Missing = name
			break
		}
		delete(named, name) // A chain that bites its own tail ends there.
		chain.Events = append(chain.Events, event)
		name = event.Spec.Previous
	}
	slices.Reverse(chain.Events)
	return chain
}

// Fold is the status that the chain gives. It reports false if no event of the chain holds every step, so that there
// is nowhere to begin.
func (c Chain) Fold() (v1alpha1.WorkOrderStatus, bool) {
	begin := slices.IndexFunc(c.Events, func(e *v1alpha1.ProgressEvent) bool { return e.Spec.Changes.AllSteps })
	if begin < 0 || c.Missing == "" && len(c.Events) > 0 {
		begin = 0 // A whole chain begins with an order that has no steps.
	}
	var status v1alpha1.WorkOrderStatus
	for _, event := range c.Events[begin:] {
		status = plan.Fold(&status, event)
	}
	whole := len(c.Events) > 0 && (c.Missing == "" || c.Events[begin].Spec.Changes.AllSteps)
	return status, whole
}

// Superseded are the names of the events of the chain that a later rewind made void: the step was started again.
func (c Chain) Superseded() map[string]bool {
	void := map[string]bool{}
	for _, e := range c.Events {
		for _, earlier := range c.SupersededBy(e) {
			void[earlier.Name] = true
		}
	}
	return void
}

// SupersededBy are the events of the chain that a rewind made void; none, if the event holds none.
func (c Chain) SupersededBy(rewound *v1alpha1.ProgressEvent) (void []*v1alpha1.ProgressEvent) {
	if rewound.Spec.Rewind == nil {
		return nil
	}
	for _, earlier := range c.Events {
		if supersedes(&rewound.Spec, &earlier.Spec) {
			void = append(void, earlier)
		}
	}
	return void
}

// supersedes says whether the rewind in one event makes another void: its step is listed, its epoch is lower than the
// one listed, and it lies between the rewind and what the rewind goes back to.
func supersedes(rewound, earlier *v1alpha1.ProgressEventSpec) bool {
	if earlier.Step == "" || earlier.Sequence >= rewound.Sequence || earlier.Sequence <= rewound.Rewind.SupersededAfter {
		return false
	}
	return slices.ContainsFunc(rewound.Rewind.Steps, func(r v1alpha1.RewoundStep) bool {
		return r.Step == earlier.Step && earlier.Epoch < r.NewEpoch
	})
}

// Collapse is the events of the chain that still hold.
func (c Chain) Collapse() []*v1alpha1.ProgressEvent {
	void := c.Superseded()
	return slices.DeleteFunc(slices.Clone(c.Events), func(e *v1alpha1.ProgressEvent) bool { return void[e.Name] })
}

// After is the events of the chain with a sequence above the cursor: what a reader has not seen yet.
func (c Chain) After(cursor int64) []*v1alpha1.ProgressEvent {
	i, _ := slices.BinarySearchFunc(c.Events, cursor, func(e *v1alpha1.ProgressEvent, cursor int64) int {
		return cmp.Or(cmp.Compare(e.Spec.Sequence, cursor), -1) // Behind the event at the cursor.
	})
	return c.Events[i:]
}
