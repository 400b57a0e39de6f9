package plan_test

import (
	"errors"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// dice decide what is left to chance: a number from 0 to sides-1, where 0 is always the calm choice.
type dice func(what string, sides int) int

// calm dice leave nothing to chance.
func calm(string, int) int { return 0 }

// fault is what can happen to a write, or to the one who makes it.
type fault int

const (
	noFault      fault = iota
	writeRefused       // the write is not done, and the operator is told so
	replyLost          // the write is done, and the operator is told that it failed
	crashBefore        // the operator dies just before the write
	crashAfter         // the operator dies just after it
	frozen             // another operator takes over; minutes later the first one wakes up and does the write
	faults
)

var errFault = errors.New("the API server cannot be reached")

// operator runs the loop as the real one does: observe, decide, record, save, act. What it keeps between turns is in
// memory and dies with it.
type operator struct {
	cluster *cluster
	dice    dice
	// trouble is how many more faults there will be; after that the world is as it should be.
	trouble int
	// skew is how far its clock is off, and ahead how far before the true time it ever was.
	skew, ahead time.Duration
	// refusals, wake and shares are its memory; the last says that it has made the order's workspace.
	refusals map[steppod.Attempt]plan.Refusal
	wake     time.Time
	shares   bool
	// writes counts all that it asked of the API server to write, and met the faults that happened, by kind.
	writes int
	met    [faults]int
	// asleep are the frozen operators that have yet to wake up.
	asleep int
	// last is what the last turn did, for a trace.
	last done
}

// done is what one turn did.
type done struct {
	event      *v1alpha1.ProgressEventSpec
	unrecorded bool
	effects    []effect
}

// effect is something done to the Pod of an attempt.
type effect struct {
	verb    string
	attempt steppod.Attempt
}

func (o *operator) now() time.Time { return o.cluster.now.Add(o.skew) }

// chance says, now and then while there is trouble, that something unusual happens: 1 to sides-1.
func (o *operator) chance(what string, oneIn, sides int) int {
	if o.trouble == 0 || o.dice(what, oneIn) != 1 {
		return 0
	}
	o.trouble--
	return o.dice(what+" how", sides)
}

// turn is one reconcile. It reports whether another one should follow at once.
func (o *operator) turn() (again bool) {
	o.last = done{}
	order, pods, stale := o.look()
	if order == nil {
		return o.letGo(pods) || stale
	}
	world := plan.World{Pods: map[steppod.Attempt]steppod.Report{}, Refusals: o.refusals, Queued: o.cluster.place}
	for _, pod := range pods {
		if report, ours := steppod.Read(pod, order); ours {
			world.Pods[report.Attempt] = report
		}
	}
	next := plan.Next(order, world, o.now())
	if next != nil {
		saved, err := o.commit(order, next)
		if err != nil {
			return true
		}
		order = saved
	}
	effects := plan.Act(order, world, o.now())
	o.wake = effects.Wake
	if next == nil && !o.isCurrent(order) {
		return true // A stale order may call for what has long been undone.
	}
	acted := o.act(order, effects)
	return next != nil || acted || stale
}

// look reads the caches, which may be behind.
func (o *operator) look() (*v1alpha1.WorkOrder, map[string]*corev1.Pod, bool) {
	c := o.cluster
	lateOrder := o.chance("stale order", 12, 5)
	latePods := o.chance("stale Pods", 12, 5)
	order := c.orders[max(0, len(c.orders)-1-lateOrder)]
	pods := c.podSets[max(0, len(c.podSets)-1-latePods)]
	return order, pods, lateOrder+latePods > 0
}

// isCurrent is a live read of the order, which what is done without a save of one's own must rest on.
func (o *operator) isCurrent(order *v1alpha1.WorkOrder) bool {
	live := o.cluster.order
	return live != nil && live.Status.Sequence == order.Status.Sequence && (live.DeletionTimestamp == nil) == (order.DeletionTimestamp == nil)
}

// commit records a transition and saves the status that follows from it.
func (o *operator) commit(order *v1alpha1.WorkOrder, next *plan.Transition) (saved *v1alpha1.WorkOrder, err error) {
	status := next.Status
	err = o.write("record", func() error { return o.cluster.postEvent(next.Name, next.Event) })
	switch {
	case err == nil, errors.Is(err, errExists): // The name is a hash of the event: it is this very one.
	case errors.Is(err, errRefused), o.chance("give up on the event", 3, 2) > 0:
		status = next.Unrecorded()
	default:
		return nil, err
	}
	err = o.write("save", func() (err error) {
		saved, err = o.cluster.saveStatus(status, order.ResourceVersion)
		return err
	})
	if err == nil {
		o.last.event, o.last.unrecorded = &next.Event, status.Head != next.Name
	}
	return saved, err
}

// act brings about the effects, and goes on when one of them fails: the next turn will find it still to be done. It
// reports whether there was anything to do.
func (o *operator) act(order *v1alpha1.WorkOrder, e plan.Effects) (acted bool) {
	c := o.cluster
	do := func(verb string, attempt steppod.Attempt, write func() error) (err error) {
		switch err = o.write(verb, write); {
		case err == nil:
			o.last.effects = append(o.last.effects, effect{verb, attempt})
		case errors.Is(err, errRefused):
			o.last.effects = append(o.last.effects, effect{"refused", attempt})
		}
		acted = true
		return err
	}
	post := func(verb string, attempt steppod.Attempt, pod *corev1.Pod) {
		_ = do(verb, attempt, func() error { return o.post(order, attempt, pod) })
	}
	for _, a := range e.Create {
		if order.Spec.Workspace != nil && !o.shares && do("share", a.Attempt, o.share) != nil {
			continue
		}
		post("create", a.Attempt, steppod.Build(order, a.Spec, a.Status, a.Inputs))
	}
	for _, a := range e.Seal {
		post("seal", a.Attempt, steppod.Seal(order, a.Step, a.Epoch))
	}
	for _, s := range e.Stop {
		err := do("stop", s.Pod.Attempt, func() error { return c.stopPod(s) })
		if err == nil && !s.Pod.Bound {
			_ = do("delete", s.Pod.Attempt, func() error { c.deletePod(s.Pod.Name, s.Pod.UID); return nil })
		}
	}
	for _, p := range e.Release {
		_ = do("release", p.Attempt, func() error { c.releasePod(p.Name, p.UID); return nil })
	}
	for _, p := range e.Delete {
		_ = do("delete", p.Attempt, func() error { c.deletePod(p.Name, p.UID); return nil })
	}
	if e.DeleteOrder {
		_ = do("delete order", steppod.Attempt{}, func() error { return c.deleteOutlived(order.ResourceVersion) })
	}
	return acted
}

// share makes the order's workspace, unless it is there.
func (o *operator) share() error {
	o.cluster.shared, o.shares = true, true
	return nil
}

// post creates a Pod. A taken name is as good, if the Pod that has it is the order's own.
func (o *operator) post(order *v1alpha1.WorkOrder, attempt steppod.Attempt, pod *corev1.Pod) error {
	why := o.cluster.postPod(pod)
	if why != nil && why.Code == v1alpha1.CodeNameConflict && steppod.Owned(o.cluster.pods[pod.Name], order.UID) {
		return errExists
	}
	if why == nil {
		delete(o.refusals, attempt)
		return nil
	}
	tries := o.refusals[attempt].Attempts + 1
	o.refusals[attempt] = plan.Refusal{Why: *why, RetryAt: o.now().Add(time.Duration(tries) * 10 * time.Second), Attempts: tries, Generation: order.Generation, Seal: steppod.Sealed(pod)}
	return errRefused
}

// letGo releases the Pods of an order that is gone, once they have ended or were deleted.
func (o *operator) letGo(pods map[string]*corev1.Pod) (acted bool) {
	o.wake = time.Time{}
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		pod := pods[name]
		if steppod.Held(pod) && (ended(pod) || pod.DeletionTimestamp != nil) {
			err := o.write("release", func() error { o.cluster.releasePod(pod.Name, pod.UID); return nil })
			acted = true
			if err == nil {
				o.last.effects = append(o.last.effects, effect{"release", attemptOf(pod)})
			}
		}
	}
	return acted
}

// write makes a write that may go wrong.
func (o *operator) write(what string, do func() error) error {
	o.writes++
	happens := fault(o.chance(what, 10, int(faults)))
	o.met[happens]++
	switch happens {
	case writeRefused:
		return errFault
	case replyLost:
		_ = do() // Nobody is told.
		return errFault
	case crashBefore:
		o.restart()
		return errFault
	case crashAfter:
		_ = do() // Nobody is left to be told.
		o.restart()
		return errFault
	case frozen:
		// It wakes before the Pods of a finished order are cleaned up; see the known limit in the design.
		o.asleep++
		o.cluster.after(time.Duration(1+o.dice("frozen for", 300))*time.Second, func() { o.asleep--; _ = do() })
		o.restart()
		return errFault
	case noFault, faults:
	}
	return do()
}

// restart is what a crash leaves: nothing.
func (o *operator) restart() {
	o.refusals, o.wake, o.shares = map[steppod.Attempt]plan.Refusal{}, time.Time{}, false
}

// simulation is a cluster and an operator, run against each other until nothing is left to do.
type simulation struct {
	*cluster
	operator *operator
	turns    int
	// turned is called after every turn.
	turned func()
}

// simulate is a simulation of an order that somebody has just created.
func simulate(order *v1alpha1.WorkOrder, d dice) *simulation {
	c := newCluster(order)
	o := &operator{cluster: c, dice: d}
	o.restart()
	c.laws.mustKeep = func() bool { return o.asleep > 0 }
	c.laws.ahead = func() time.Duration { return o.ahead }
	return &simulation{cluster: c, operator: o, turned: func() {}}
}

// mostTurns is more than any order here needs. One that takes more would go on for ever.
const mostTurns = 5000

// run lets time pass until neither the operator nor anybody else has anything left to do.
func (s *simulation) run() error {
	for {
		for s.operator.turn() {
			s.turned()
			if s.turns++; s.turns > mostTurns {
				return errors.New("the operator never comes to rest")
			}
		}
		s.turned()
		s.laws.explained(s.cluster)
		wake := s.operator.wake.Add(-s.operator.skew)
		switch idle := s.operator.wake.IsZero(); {
		case len(s.agenda) > 0 && (idle || !wake.Before(s.agenda[0].at)):
			s.keep()
		case idle:
			return nil
		default:
			s.now = later(s.now, wake)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// order is an order with the given steps, as its author writes it.
func order(steps ...v1alpha1.Step) *v1alpha1.WorkOrder {
	return &v1alpha1.WorkOrder{
		ObjectMeta: metav1.ObjectMeta{Name: "add-dark-mode", Namespace: "default", UID: "5f1c0d52-7a34-4d0e-9a53-000000000001"},
		Spec:       v1alpha1.WorkOrderSpec{Steps: steps},
	}
}

// run is a step that runs a container.
func run(name string) v1alpha1.Step {
	return v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: "registry/agent:1", Args: []string{name}}}
}

// wait is a step that waits.
func wait(name string, seconds int64) v1alpha1.Step {
	return v1alpha1.Step{Name: name, Wait: &v1alpha1.Wait{Seconds: seconds}}
}

func ptr[T any](value T) *T { return &value }
