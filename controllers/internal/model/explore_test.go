package model

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// exploration is all states that can be reached, found breadth first, so that the way to each is a shortest one.
type exploration struct {
	*machine
	seen    map[[16]byte]int32
	parents []int32
	by      []action
	depths  []int32
	// from and to are all transitions.
	from, to []int32
	// rest are the states in which nothing more happens by itself.
	rest []int32
	// faulty counts the transitions in which something goes wrong.
	faulty int
	// ends are the different ways in which the order ends; met are the states as others than the controllers see them, if
	// somebody wants to compare them.
	ends, met map[string]bool
	projected map[[3]int32]bool
	// left is how many states were found and not looked at.
	left int
	// broken is the first breach, and way leads there.
	broken []string
	way    []action
}

// explore visits every state, up to most of them.
func explore(s setup, most int) *exploration {
	e := newExploration(s)
	e.run(most)
	return e
}

func newExploration(s setup) *exploration {
	return &exploration{machine: newMachine(s), seen: map[[16]byte]int32{}, ends: map[string]bool{}}
}

func (e *exploration) run(most int) {
	first := e.start()
	e.add(&first, 0, action{})
	frontier := []world{first}
	for n := int32(0); len(frontier) > 0 && int(n) < most && e.broken == nil; n++ {
		w := frontier[0]
		frontier[0] = world{} // So that its memory is free.
		frontier = e.visit(n, w, frontier[1:])
	}
	if e.left = len(frontier); e.left == 0 && e.broken == nil {
		e.hopeless()
	}
}

func (m *machine) digest(w *world) (d [16]byte) {
	sum := sha256.Sum256([]byte(m.key(w)))
	copy(d[:], sum[:])
	return d
}

// add is the number of a state, and whether it is new.
func (e *exploration) add(w *world, parent int32, by action) (int32, bool) {
	d := e.digest(w)
	if n, known := e.seen[d]; known {
		return n, false
	}
	n := int32(len(e.parents))
	e.seen[d] = n
	if objects := [...]int32{w.order, w.pods, w.truth}; e.met != nil && !e.projected[objects] {
		e.projected[objects], e.met[e.projection(w)] = true, true
	}
	depth := int32(0)
	if n > 0 {
		depth = e.depths[parent] + 1
	}
	e.parents, e.by, e.depths = append(e.parents, parent), append(e.by, by), append(e.depths, depth)
	return n, true
}

// whole is how many actions every way was followed for: all of the states that are left are further from the start.
func (e *exploration) whole() int32 {
	if e.left == 0 {
		return e.depths[len(e.depths)-1]
	}
	return e.depths[len(e.depths)-e.left]
}

// visit takes every action that a state allows.
func (e *exploration) visit(n int32, w world, frontier []world) []world {
	still := true
	for _, a := range e.choices(&w) {
		s := e.do(w, a)
		if s.broken != nil {
			e.fail(n, &a, s.broken...)
			return nil
		}
		to, isNew := e.add(&s.world, n, a)
		if isNew {
			frontier = append(frontier, s.world)
		}
		if s.world.left.faults < w.left.faults {
			e.faulty++
		}
		if to == n {
			continue
		}
		e.from, e.to = append(e.from, n), append(e.to, to)
		// A turn that an old cache misleads comes to nothing.
		old := a.kind == begins && (int(a.a) < len(w.orders)-1 || int(a.b) < len(w.podSets)-1) || a.kind == beginsHeld && int(a.b) < len(w.orders)-1
		still = still && (old || !a.kind.byItself())
	}
	if still {
		e.rest = append(e.rest, n)
		if unfinished := e.atRest(w); unfinished != "" {
			e.fail(n, nil, "I5: it comes to rest, and "+unfinished)
		}
	}
	return frontier
}

// atRest says what is not as it should be in a state in which nothing happens by itself, but that time may pass.
func (e *exploration) atRest(w world) string {
	if e.setup.wakes {
		if asked := e.unseen(w); asked != "" {
			return "nobody looks again, though there is to be done: " + asked
		}
	}
	if e.setup.waits > 0 || *e.setup.order.Spec.Retry.Backoff.InitialSeconds > 0 {
		after, fault := e.scratch().calmDown(w, &[]action{})
		if w = after; fault != "" {
			return fault
		}
	}
	if order := e.order(w.order); order != nil {
		e.ends[endOf(order)] = true
	}
	return e.scratch().afterwards(w)
}

// scratch is a machine that finds things out without keeping them: what happens long after matters to one state only.
func (m *machine) scratch() *machine {
	other, process := *m, *m.process
	process.turns = newTable[*turn]()
	other.process, other.patches = &process, map[patching]patched{}
	return &other
}

// unseen is what a controller would do if it looked, though nothing wakes it.
func (m *machine) unseen(w world) string {
	if w.order == 0 {
		return ""
	}
	for who := range int8(m.setup.actors) {
		s := m.do(w, action{kind: begins, who: who, a: int16(len(w.orders) - 1), b: int16(len(w.podSets) - 1)})
		if turn := s.world.actors[who].turn; turn != 0 && !w.actors[who].due {
			return s.turns.values[turn].pending.String()
		}
	}
	return ""
}

// endOf is how an order ended, less what may differ from one way there to another.
func endOf(order *v1alpha1.WorkOrder) string {
	status := order.Status.DeepCopy()
	status.Head, status.Sequence = "", 0
	for i := range status.Steps {
		status.Steps[i].StartSequence = 0
	}
	return string(encode(status))
}

// fail keeps the way to a breach.
func (e *exploration) fail(n int32, last *action, broken ...string) {
	e.broken = broken
	if last != nil {
		e.way = append(e.way, *last)
	}
	for ; n > 0; n = e.parents[n] {
		e.way = append(e.way, e.by[n])
	}
	slices.Reverse(e.way)
}

// afterwards says what is not as it should be when nothing more happens by itself: the order has ended, or is suspended, or
// cannot run; and when its Pods are of no more use, they go, and nothing else is written.
func (m *machine) afterwards(w world) string {
	before := m.order(w.order)
	if before != nil && before.Status.CompletionTime == nil {
		if before.Spec.Suspend && before.Status.Phase == v1alpha1.WorkOrderSuspended {
			return ""
		}
		if plan.Validate(&before.Spec) != nil {
			return "" // It waits until somebody mends it.
		}
		return fmt.Sprintf("the order is %s", before.Status.Phase)
	}
	if before != nil && unmet(before) != "" {
		return unmet(before)
	}
	w.seconds += int32((plan.PodRetention + time.Minute).Seconds()) + w.widest()
	for round := 0; ; round++ {
		key, broken := m.key(&w), []string(nil)
		for who := range int8(m.setup.actors) {
			if w, broken = m.tidy(w, who, &[]action{}); broken != nil {
				return fmt.Sprint(broken)
			}
		}
		switch {
		case m.key(&w) != key && round < 20:
		case m.key(&w) != key:
			return "never stops writing"
		case slices.ContainsFunc(m.podsOf(w.pods), func(p *corev1.Pod) bool { return steppod.Held(p) || len(p.OwnerReferences) > 0 }):
			return "Pods are left for ever"
		case before != nil && m.order(w.order).ResourceVersion != before.ResourceVersion:
			return "its status is written all the same"
		default:
			return ""
		}
	}
}

// tidy lets a controller take a turn about the order, and one about each Pod that is held, with fresh caches. It adds
// what it does to the way, and says which laws that broke.
func (m *machine) tidy(w world, who int8, way *[]action) (world, []string) {
	var broken []string
	turn := func(a action) {
		for a.who = who; ; a = (action{kind: goesOn, who: who}) {
			*way = append(*way, a)
			s := m.do(w, a)
			w, broken = s.world, append(broken, s.broken...)
			if w.actors[who].turn == 0 {
				return
			}
		}
	}
	if w.order != 0 {
		turn(action{kind: begins, a: int16(len(w.orders) - 1), b: int16(len(w.podSets) - 1)})
	}
	for i, pod := range m.podsOf(w.pods) {
		if releasable(pod) && !current(m.order(w.order), pod) {
			turn(action{kind: beginsHeld, a: int16(i), b: int16(len(w.orders) - 1)})
			break // The numbers are others now.
		}
	}
	return w, broken
}

// hopeless looks for a state from which no way leads to rest: the order would go on for ever.
func (e *exploration) hopeless() {
	first := make([]int32, len(e.parents)+1)
	for _, to := range e.to {
		first[to+1]++
	}
	for i := range e.parents {
		first[i+1] += first[i]
	}
	into, next := make([]int32, len(e.to)), slices.Clone(first)
	for i, to := range e.to {
		into[next[to]] = e.from[i]
		next[to]++
	}
	reaches := make([]bool, len(e.parents))
	todo := slices.Clone(e.rest)
	for _, n := range todo {
		reaches[n] = true
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, before := range into[first[n]:first[n+1]] {
			if !reaches[before] {
				reaches[before] = true
				todo = append(todo, before)
			}
		}
	}
	if n := slices.Index(reaches, false); n >= 0 {
		e.fail(int32(n), nil, "I5: from here no way leads to rest")
	}
}

// report logs what was explored, and fails the test with the shortest way to a breach.
func (e *exploration) report(t *testing.T, began time.Time) {
	t.Helper()
	t.Logf("%d states, %d transitions, of them %d faults, %d at rest, depth %d, whole to %d, %d different turns of a controller, %s",
		len(e.parents), len(e.from), e.faulty, len(e.rest), e.depths[len(e.depths)-1], e.whole(), len(e.turns.values)-1, time.Since(began).Round(time.Millisecond))
	if e.broken != nil {
		t.Errorf("%v\n%s\nto see it again: RELIABILITY=full go test ./controllers/internal/model -run '^%s$'", e.broken, e.trace(e.way), t.Name())
	}
}
