package model

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/report"
)

// weights say how often what happens next in a walk is of which kind, when several kinds can. Controllers and nodes are
// busy and people are slow, or else most orders would end before anything of theirs has run.
var weights = [kinds]int{
	begins: 12, beginsHeld: 2, goesOn: 40, podBinds: 20, podRuns: 20, podEnds: 12, podKilled: 12, podDeleted: 2, podForced: 2, podEvicted: 2,
	edited: 1, removed: 1, recreated: 8, collected: 8, rewritten: 4, clockSet: 2, timePasses: 3, meddled: 1,
}

// walks is what random walks have met.
type walks struct {
	count    int
	happened [kinds]int
	faults   int
	ends     map[v1alpha1.WorkOrderPhase]int
	// How many of them had clocks that were wrong, somebody who writes all the time, and a controller that was frozen
	// while time passed.
	clocks, hostile, frozen int
}

func TestWhateverHappensTheLawsHoldAndTheOrderComesToRest(t *testing.T) {
	met, began, tables := &walks{ends: map[v1alpha1.WorkOrderPhase]int{}}, time.Now(), newMachine(setup{})
	t.Cleanup(func() { met.report(t, began) })
	rapid.Check(t, func(t *rapid.T) {
		if met.count++; met.count%100 == 0 {
			tables = newMachine(setup{}) // What was found out serves the next walks too, but not for ever.
		}
		m := tables.with(randomSetup(t))
		w, way := m.start(), []action(nil)
		for range rapid.SampledFrom([]int{30, 100, 200, 300}).Draw(t, "actions") {
			a, possible := m.draw(t, &w)
			if !possible {
				break // The order is gone, and all that it had.
			}
			way = append(way, a)
			met.note(&w, a)
			s := m.do(w, a)
			if w = s.world; s.broken != nil {
				t.Fatalf("%v\n%s\nto see it again, with the seed that rapid prints: go test ./controllers/internal/model -run Whatever -rapid.seed=", s.broken, m.trace(way))
			}
		}
		if w.widest() > 0 {
			met.clocks++
		}
		if m.setup.rewrites > 0 {
			met.hostile++
		}
		w, fault := m.calmDown(w, &way)
		if fault != "" {
			t.Fatalf("%s, when all was calm again\n%s", fault, m.trace(way))
		}
		if order := m.order(w.order); order != nil {
			met.ends[order.Status.Phase]++
		}
	})
	t.Logf("%d walks, %s; actions by their kind: %v, %d faults; ends: %v", met.count, time.Since(began).Round(time.Millisecond), met.happened, met.faults, met.ends)
	for kind, n := range met.happened[:calms] {
		if n == 0 && met.count >= 300 {
			t.Errorf("actions of kind %d never happened in %d walks", kind, met.count)
		}
	}
}

// with is a machine of another setup that knows what this one has found out.
func (m *machine) with(s setup) *machine {
	other := *m
	other.setup = s
	return &other
}

// draw draws what happens next, if anything can: first of which kind, then which of that kind.
func (m *machine) draw(t *rapid.T, w *world) (action, bool) {
	byKind := [kinds][]action{}
	for _, a := range m.choices(w) {
		byKind[a.kind] = append(byKind[a.kind], a)
	}
	for i := range meddlings[:m.setup.meddlings] {
		byKind[meddled] = append(byKind[meddled], action{kind: meddled, a: int16(i)})
	}
	var drawn []kind
	for k, actions := range byKind {
		if len(actions) > 0 {
			drawn = append(drawn, slices.Repeat([]kind{kind(k)}, weights[k])...)
		}
	}
	if len(drawn) == 0 {
		return action{}, false
	}
	actions := byKind[rapid.SampledFrom(drawn).Draw(t, "kind")]
	only := func(wanted func(action) bool) {
		if some := slices.DeleteFunc(slices.Clone(actions), func(a action) bool { return !wanted(a) }); len(some) > 0 {
			actions = some
		}
	}
	switch actions[0].kind {
	case goesOn:
		wrong := rapid.IntRange(0, 11).Draw(t, "goes wrong") == 11
		only(func(a action) bool { return (fault(a.a) != noFault) == wrong })
	case begins:
		if rapid.Bool().Draw(t, "newest") {
			only(func(a action) bool { return int(a.a) == len(w.orders)-1 && int(a.b) == len(w.podSets)-1 })
		}
	default:
	}
	return rapid.SampledFrom(actions).Draw(t, "action"), true
}

// note takes down what is about to happen.
func (met *walks) note(w *world, a action) {
	met.happened[a.kind]++
	if a.kind == goesOn && fault(a.a) != noFault {
		met.faults++
	}
	if a.kind == timePasses && w.actors[0].turn+w.actors[1].turn > 0 {
		met.frozen++
	}
}

func (met *walks) report(t *testing.T, began time.Time) {
	broken := 0
	if t.Failed() {
		broken = 1
	}
	seeds := fmt.Sprintf("-rapid.seed=%s", flag.Lookup("rapid.seed").Value) // The first; the others follow from it.
	line := func(row string, cases int, unit string, notes ...string) {
		tell(t, report.Line{Row: row, Cases: cases, Unit: unit, Violations: broken, Seeds: seeds, Notes: notes}.Since(began))
	}
	n := &met.happened
	line("R18", n[edited], "edits at random")
	line("R17", met.count, "random walks", fmt.Sprintf("%d edits, %d removals, %d re-creations, %d faults", n[edited], n[removed], n[recreated], met.faults))
	line("R8", met.frozen, "times that minutes pass while a controller is frozen")
	line("R9", met.clocks, "random walks with clocks up to 20 minutes apart", fmt.Sprintf("clocks set %d times", n[clockSet]))
	line("R10", n[podDeleted]+n[podForced]+n[podEvicted], "Pods taken away at random",
		fmt.Sprintf("%d deleted, %d by force, %d evicted", n[podDeleted], n[podForced], n[podEvicted]))
	line("R12", n[recreated], "re-creations at random")
	line("R14", met.hostile, "random walks with a co-writer", fmt.Sprintf("%d of its writes before it was calm", n[rewritten]))
}

// randomSetup is a world of two controllers in which a few things go wrong.
func randomSetup(t *rapid.T) setup {
	n := func(what string, most int) int8 { return int8(rapid.IntRange(0, most).Draw(t, what)) }
	s := setup{
		order: randomOrder(t), actors: 2, lag: int32(n("lag", 3)), binds: true, force: true,
		faults: n("faults", 5), deletions: n("deletions", 2), failures: n("failures", 3),
		removal: n("removal", 3) == 0, recreations: n("recreations", 2), forged: n("forged", 5) == 0, waits: n("waits", 12),
	}
	s.edits = randomEdits(t, s.order)
	switch n("what else", 3) {
	case 0:
		s.skew, s.jumps = rapid.SampledFrom([]int32{-farAhead, 0, 1, farAhead}).Draw(t, "skew"), 1+n("jumps", 5)
	case 1:
		s.rewrites = 100
	case 2:
		s.meddlings = int8(len(meddlings))
	}
	return s
}

// randomOrder is a sequence or a graph of a few steps.
func randomOrder(t *rapid.T) *v1alpha1.WorkOrder {
	chance := func(what string, oneIn int) bool { return rapid.IntRange(1, oneIn).Draw(t, what) == oneIn }
	order := sequence("a", "b", "c")
	switch rapid.IntRange(0, 3).Draw(t, "shape") {
	case 1:
		order = diamond()
	case 2:
		order = graph("a", "b", "c a b")
	}
	if chance("pauses", 2) {
		pauses(order)
	}
	if chance("one step at a time", 3) && order.Spec.Strategy == v1alpha1.StrategyGraph {
		with(order, atMost(1))
	}
	if chance("finally", 3) {
		with(order, finally("z"))
	}
	if chance("condition", 4) {
		with(order, when("c", rapid.SampledFrom([]string{"false", `steps["a"].epoch > 1`}).Draw(t, "when")))
	}
	if chance("deadline", 8) {
		with(order, within(rapid.SampledFrom([]int64{aWhile - 5, longWhile}).Draw(t, "seconds")))
	}
	return order
}

// randomEdits are what people do to an order. A spec that cannot run is mended in the end.
func randomEdits(t *rapid.T, order *v1alpha1.WorkOrder) (drawn []edit) {
	var names []string
	for _, step := range allSteps(&order.Spec) {
		names = append(names, step.Name)
	}
	all := slices.Concat(suspends, cancels, edits, breaks, []edit{shortens})
	for range rapid.IntRange(0, 6).Draw(t, "edits") {
		step := rapid.SampledFrom(names).Draw(t, "step")
		drawn = append(drawn, rapid.SampledFrom(slices.Concat(all, []edit{
			rewindsTo(step, 2), rewindsTo(step, 3), rewindsFurther(step, 1), rewindsFurther(step, 2), asksNoMore(step),
			editsOne(step), inserts("x", step), removes(step), inserts(names[0], names[1]), inserts(names[1], names[2]),
		})).Draw(t, "edit"))
	}
	if len(drawn) > 0 {
		drawn = append(drawn, breaks[1])
	}
	return drawn
}

// calmDown lets trouble end, and says what does not come to rest as it should. It adds what it does to the way.
func (m *machine) calmDown(w world, way *[]action) (world, string) {
	*way = append(*way, action{kind: calms})
	w = m.do(w, action{kind: calms}).world
	changed := w.seconds
	for round := range 5000 {
		a, more := m.calm(&w)
		switch {
		case m.setup.rewrites > 0 && round%3 == 0 && more:
			a = action{kind: rewritten, a: int16(round/3) % int16(len(rewritings))} // Somebody does not calm down.
		case !more:
			key, broken := m.key(&w), []string(nil)
			for who := range int8(m.setup.actors) {
				if w, broken = m.tidy(w, who, way); broken != nil {
					return w, fmt.Sprint(broken)
				}
			}
			if m.key(&w) != key && !m.setup.forged {
				changed = w.seconds
				continue
			}
			order := m.order(w.order)
			// Nothing is waited for longer than for a Pod to start.
			atRest := order == nil || order.Status.CompletionTime != nil || m.setup.forged || w.seconds-changed > longWhile+60+w.widest()
			if atRest && (w.left.edits == 0 || order == nil || order.DeletionTimestamp != nil) {
				return w, m.afterForgery(w)
			}
			if late := m.overdue(&w); late != "" {
				return w, late
			}
			a = action{kind: timePasses, a: 30}
			if atRest {
				a, changed = action{kind: edited}, w.seconds // What people have yet to ask for, they ask for when it is over.
			}
		}
		*way = append(*way, a)
		s := m.do(w, a)
		if w = s.world; s.broken != nil {
			return w, fmt.Sprint(s.broken)
		}
	}
	return w, "I5: it does not come to rest"
}

// afterForgery is afterwards, but for an order that waits, for ever if need be, until somebody deletes the Pod that has
// the name of its own.
func (m *machine) afterForgery(w world) string {
	if m.setup.forged {
		return ""
	}
	if fault := m.afterwards(w); fault != "" {
		return "I5: it comes to rest, and " + fault
	}
	return ""
}

// calm is the next thing that happens by itself.
func (m *machine) calm(w *world) (action, bool) {
	for _, a := range m.choices(w) {
		if slices.Contains([]kind{goesOn, podBinds, podRuns, podEnds, podKilled, collected}, a.kind) {
			return a, true
		}
	}
	return action{}, false
}
