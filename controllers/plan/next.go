package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

// Transition is one step forward of an order: what to write down, and the status that follows from it.
type Transition struct {
	// Name is the name of the ProgressEvent.
	Name string
	// Event is its spec.
	Event v1alpha1.ProgressEventSpec
	// Status is the order's status once the event is written: the fold of the event onto the status before.
	Status v1alpha1.WorkOrderStatus
	// Rewound is how many steps it takes to a further epoch.
	Rewound int64
	// before is the status that it was decided on.
	before *v1alpha1.WorkOrderStatus
}

// Rebase makes the transition follow a status that differs from the one it was decided on in nothing but what others
// have put there.
func (tr *Transition) Rebase(onto *v1alpha1.WorkOrderStatus) {
	recorded := tr.Status.Head == tr.Name
	tr.before = onto.DeepCopy()
	tr.Status = Fold(tr.before, &v1alpha1.ProgressEvent{ObjectMeta: metav1.ObjectMeta{Name: tr.Name}, Spec: tr.Event})
	if !recorded {
		tr.Status = tr.Unrecorded()
	}
}

// rules are tried from the top; the first that applies makes the transition. Their order is the design: what people
// ask for goes before what Pods say, what has ended is written down before anything starts again, and an order ends
// when nothing else is left to do.
var rules = []func(*turn) *Transition{
	observe,  // a new order, or an edited spec, is read: accept, suspend, resume, cancel
	expire,   // an order that takes longer than its deadline is brought to its end
	settle,   // a Pod or a wait that has ended settles its step, and starts what that unblocks
	again,    // what people ask to run again does, with all that comes after it, once nothing of it runs
	rewind,   // a step that has waited its backoff starts again in its next epoch
	queue,    // an order that must wait for a place to run is told where it stands, and starts when it has one
	skip,     // a step whose condition is false is passed over
	complain, // a Pod that is refused or does not start is said to be
	relieve,  // ... and no longer
	finish,   // when every step is settled, the order ends
}

// Next is the next transition of an order, or nil if there is none before its spec, its Pods or the time change. It is
// total: every order in every state has an answer, also one that no operator has written.
func Next(order *v1alpha1.WorkOrder, world World, now time.Time) *Transition {
	t := newTurn(order, world, now)
	for _, rule := range rules {
		if transition := rule(t); transition != nil {
			return transition
		}
	}
	return nil
}
