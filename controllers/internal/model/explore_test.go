package model

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

var full = flag.Bool("model.full", false, "explore the larger orders as well, which takes minutes and gigabytes")

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
	// left is how many states were found and not looked at.
	left int
	// broken is the first breach, and way leads there.
	broken []string
	way    []action
}

// explore visits every state, up to most of them.
func explore(s setup, most int) *exploration {
	e := &exploration{machine: newMachine(s), seen: map[[16]byte]int32{}}
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
	return e
}

func digest(w *world) (d [16]byte) {
	sum := sha256.Sum256([]byte(w.key()))
	copy(d[:], sum[:])
	return d
}

// add is the number of a state, and whether it is new.
func (e *exploration) add(w *world, parent int32, by action) (int32, bool) {
	d := digest(w)
	if n, known := e.seen[d]; known {
		return n, false
	}
	n := int32(len(e.parents))
	e.seen[d] = n
	depth := int32(0)
	if n > 0 {
		depth = e.depths[parent] + 1
	}
	e.parents, e.by, e.depths = append(e.parents, parent), append(e.by, by), append(e.depths, depth)
	return n, true
}

// visit takes every action that a state allows.
func (e *exploration) visit(n int32, w world, frontier []world) []world {
	still := true
	newest := func(a action) bool { return int(a.a) == len(w.orders)-1 && int(a.b) == len(w.podSets)-1 }
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
		if to == n {
			continue
		}
		e.from, e.to = append(e.from, n), append(e.to, to)
		// A turn that an old cache misleads comes to nothing; people need not do anything, and faults need not happen.
		if a.kind != edited && a.kind != podDeleted && a.kind != removed && (a.kind != begins || newest(a)) && (a.kind != beginsHeld || int(a.b) == len(w.orders)-1) {
			still = false
		}
	}
	if still {
		e.rest = append(e.rest, n)
		if unfinished := e.afterwards(w); unfinished != "" {
			e.fail(n, nil, "I5: it comes to rest, and "+unfinished)
		}
	}
	return frontier
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

// afterwards says what is not as it should be when nothing more happens by itself: the order has ended, or is suspended;
// and when its Pods are of no more use, they go, and nothing else is written.
func (m *machine) afterwards(w world) string {
	before := m.order(w.order)
	if before != nil && before.Status.CompletionTime == nil {
		if before.Spec.Suspend && before.Status.Phase == v1alpha1.WorkOrderSuspended {
			return ""
		}
		return fmt.Sprintf("the order is %s", before.Status.Phase)
	}
	w.seconds += int32((plan.PodRetention + time.Minute).Seconds())
	for round := 0; ; round++ {
		key := w.key()
		for who := range int8(m.setup.actors) {
			w = m.tidy(w, who)
		}
		switch {
		case w.key() != key && round < 20:
		case w.key() != key:
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

// tidy lets a controller take a turn about the order, and one about each Pod that is held, with fresh caches.
func (m *machine) tidy(w world, who int8) world {
	turn := func(a action) {
		a.who = who
		for w = m.do(w, a).world; w.actors[who].turn != 0; {
			w = m.do(w, action{kind: goesOn, who: who}).world
		}
	}
	if w.order != 0 {
		turn(action{kind: begins, a: int16(len(w.orders) - 1), b: int16(len(w.podSets) - 1)})
	}
	for i, pod := range m.podsOf(w.pods) {
		if releasable(pod) && !current(m.order(w.order), pod) {
			turn(action{kind: beginsHeld, a: int16(i), b: int16(len(w.orders) - 1)})
			return w // The numbers are others now.
		}
	}
	return w
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
	t.Logf("%d states, %d transitions, %d at rest, depth %d, %d different turns of a controller, %s",
		len(e.parents), len(e.from), len(e.rest), e.depths[len(e.depths)-1], len(e.turns.values)-1, time.Since(began).Round(time.Millisecond))
	if e.left > 0 && e.broken == nil {
		t.Errorf("not all states were looked at: %d are left", e.left)
	}
	if e.broken != nil {
		t.Errorf("%v\n%s\nto see it again: go test ./controllers/internal/model -model.full -run '^%s$'", e.broken, e.trace(e.way), t.Name())
	}
}

// What people do to a spec.
var (
	suspends = []edit{
		{"suspends the order", func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = true }},
		{"resumes the order", func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = false }},
	}
	cancels = []edit{{"cancels the order", func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = true }}}
	edits   = []edit{{"edits the image of the first step", func(o *v1alpha1.WorkOrder) { o.Spec.Steps[0].Run.Image = "registry/agent:2" }}}
)

// explorations are what is explored to the end. In all of them two controllers interleave at every request that they
// make, and every turn reads caches that are up to lag versions old, of orders and of Pods separately.
var explorations = []struct {
	name  string
	setup setup
	large bool
}{
	{name: "one step, old caches", setup: setup{order: sequence("a"), failures: 1, lag: 1}},
	{name: "one step, caches as old as can be", setup: setup{order: sequence("a"), lag: 20}},
	{name: "one step, a fault", setup: setup{order: sequence("a"), faults: 1, lag: 1}},
	{name: "one step, a fault and a retry", setup: setup{order: sequence("a"), failures: 1, faults: 1}},
	{name: "one step, two faults", setup: setup{order: sequence("a"), faults: 2}},
	{name: "one step, cancelled", setup: setup{order: sequence("a"), edits: cancels}},
	{name: "one step, edited, one controller and a fault", setup: setup{order: sequence("a"), actors: 1, faults: 1, lag: 1, edits: edits}},
	{name: "one step, suspended and resumed", setup: setup{order: sequence("a"), edits: suspends}},
	{name: "one step, the order deleted", setup: setup{order: sequence("a"), removal: true}},
	{name: "one step, cancelled while a quota refuses Pods", setup: setup{order: sequence("a"), actors: 1, edits: cancels, lag: 3, faults: 1, sealsRefused: true}},
	{name: "two steps and a retry", setup: setup{order: sequence("a", "b"), failures: 1}},
	{name: "three steps, one controller and a fault", setup: setup{order: sequence("a", "b", "c"), actors: 1, failures: 1, faults: 1, lag: 1}},

	{name: "one step, its node and its start apart", setup: setup{order: sequence("a"), binds: true, lag: 1, edits: cancels}, large: true},
	{name: "one step, clocks a second apart", setup: setup{order: sequence("a"), skew: 1, failures: 1, lag: 1}, large: true},
	{name: "one step, its Pod deleted", setup: setup{order: sequence("a"), deletions: 1}, large: true},
	{name: "one step, cancelled, old caches", setup: setup{order: sequence("a"), lag: 1, edits: cancels}, large: true},
	{name: "one step, cancelled, a fault", setup: setup{order: sequence("a"), faults: 1, edits: cancels}, large: true},
	{name: "one step, edited", setup: setup{order: sequence("a"), edits: edits}, large: true},
	{name: "one step, edited, old caches", setup: setup{order: sequence("a"), lag: 1, edits: edits}, large: true},
	{name: "one step, edited, a fault", setup: setup{order: sequence("a"), faults: 1, edits: edits}, large: true},
	{name: "one step, the order deleted, a fault", setup: setup{order: sequence("a"), removal: true, faults: 1}, large: true},
	{name: "one step, suspended and resumed, a fault", setup: setup{order: sequence("a"), faults: 1, edits: suspends}, large: true},
	{name: "one step, a retry and a fault, old caches", setup: setup{order: sequence("a"), failures: 1, faults: 1, lag: 1}, large: true},
	{name: "two steps and a retry, old caches", setup: setup{order: sequence("a", "b"), failures: 1, lag: 1}, large: true},
	{name: "two steps and a retry, a fault", setup: setup{order: sequence("a", "b"), failures: 1, faults: 1}, large: true},
	{name: "two steps, cancelled", setup: setup{order: sequence("a", "b"), failures: 1, edits: cancels}, large: true},
	{name: "two steps, edited", setup: setup{order: sequence("a", "b"), edits: edits}, large: true},
	{name: "two steps, suspended and resumed", setup: setup{order: sequence("a", "b"), edits: suspends}, large: true},
	{name: "three steps and a retry", setup: setup{order: sequence("a", "b", "c"), failures: 1}, large: true},
	{name: "three steps and a fault", setup: setup{order: sequence("a", "b", "c"), faults: 1}, large: true},
}

func TestNoInterleavingBreaksALaw(t *testing.T) {
	for _, x := range explorations {
		t.Run(x.name, func(t *testing.T) {
			if x.large && !*full {
				t.Skip("large: -model.full explores it")
			}
			t.Parallel()
			began := time.Now()
			if x.setup.actors == 0 {
				x.setup.actors = 2
			}
			explore(x.setup, 20_000_000).report(t, began)
		})
	}
}
