package progress

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
)

// Reader reads the log of one order while it grows. It learns of events in any order, as often as one likes, and is told
// each head that was read; what has happened since it says once, and in order.
type Reader struct {
	uid   types.UID
	chain Chain
	// loose are events that are not on the chain: not yet, or never.
	loose map[string]*v1alpha1.ProgressEvent
	lost  map[string]bool
}

// NewReader reads the log of the order of that uid from its beginning.
func NewReader(uid types.UID) *Reader {
	return &Reader{uid: uid, loose: map[string]*v1alpha1.ProgressEvent{}, lost: map[string]bool{}}
}

// Learn takes note of events. Those of other orders, and those that it knows, change nothing.
func (r *Reader) Learn(events ...v1alpha1.ProgressEvent) {
	for i := range events {
		if event := &events[i]; event.Spec.WorkOrder.UID == r.uid && r.position(event.Name) < 0 {
			r.loose[event.Name] = event
		}
	}
}

// Lose takes note that there is no event of that name any more.
func (r *Reader) Lose(name string) { r.lost[name] = true }

// Chain is the log up to the last head. If an event was lost, it begins after that.
func (r *Reader) Chain() Chain { return r.chain }

// Advance moves on to a head, and returns the events that have happened since the head before, oldest first. If it does
// not know one of them, it returns the name of that instead, and stays where it is. A head that is older than the one
// before is a stale read, and changes nothing.
func (r *Reader) Advance(head string) (fresh []*v1alpha1.ProgressEvent, unknown string) {
	name, met := head, map[string]bool{}
	for name != "" && !r.lost[name] && !met[name] && r.position(name) < 0 {
		event, known := r.loose[name]
		if !known {
			return nil, name
		}
		met[name] = true
		fresh = append(fresh, event)
		name = event.Spec.Previous
	}
	if len(fresh) == 0 && name == head && r.lost[head] {
		r.chain = Chain{Missing: head}
	}
	if len(fresh) == 0 {
		return nil, ""
	}
	slices.Reverse(fresh)
	if at := r.position(name); at >= 0 {
		r.chain.Events = append(slices.Clip(r.chain.Events[:at+1]), fresh...) // Behind a backup that was restored, it forks.
	} else {
		r.chain = Chain{Events: slices.Clone(fresh), Missing: name}
	}
	r.forget()
	return fresh, ""
}

// position is where an event is on the chain, -1 if it is not.
func (r *Reader) position(name string) int {
	for i := len(r.chain.Events) - 1; i >= 0; i-- { // Most that is asked for is at the end.
		if r.chain.Events[i].Name == name {
			return i
		}
	}
	return -1
}

// forget lets go of events that are on the chain now, or came to nothing: what happens later has a higher number.
func (r *Reader) forget() {
	last := r.chain.Events[len(r.chain.Events)-1].Spec.Sequence
	for name, event := range r.loose {
		if event.Spec.Sequence <= last {
			delete(r.loose, name)
		}
	}
}
