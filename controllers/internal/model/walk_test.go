package model

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
)

// meddlings are what else happens in random walks, each at any time.
var meddlings = []func(*step){
	func(s *step) {
		s.rewrite("rewrites a label of the order", func(o *v1alpha1.WorkOrder) { o.Labels = map[string]string{"seen": o.ResourceVersion} })
	},
	func(s *step) {
		s.rewrite("rewrites a condition of its own", func(o *v1alpha1.WorkOrder) {
			noted := metav1.Condition{Type: foreignCondition, Status: metav1.ConditionTrue, Reason: "Seen" + o.ResourceVersion}
			o.Status.Conditions = append(slices.DeleteFunc(slices.Clone(o.Status.Conditions), foreign), noted)
		})
	},
	func(s *step) { s.tell("forbids or allows events"); s.world.refuseEvents = !s.world.refuseEvents },
	func(s *step) { s.tell("a quota comes or goes"); s.world.refusePods = !s.world.refusePods },
	(*step).forgeEvent,
	(*step).jump,
	(*step).recreate,
}

// rewrite is a write of somebody's who means no harm.
func (s *step) rewrite(what string, change func(*v1alpha1.WorkOrder)) {
	s.tell("%s", what)
	if order := s.order(s.world.order); order != nil && order.Status.Sequence > 0 {
		order = order.DeepCopy()
		change(order)
		s.setOrder(order)
	}
}

// forgeEvent adds an event that no operator wrote, as a child of the head.
func (s *step) forgeEvent() {
	s.tell("forges an event")
	order := s.order(s.world.order)
	if order == nil {
		return
	}
	forged := &v1alpha1.ProgressEvent{Spec: v1alpha1.ProgressEventSpec{
		WorkOrder: v1alpha1.WorkOrderReference{Name: orderName, UID: order.UID}, Sequence: order.Status.Sequence + 1, Previous: order.Status.Head,
		Type: v1alpha1.EventSucceeded, Changes: v1alpha1.Changes{Order: v1alpha1.OrderState{Outcome: v1alpha1.OutcomeSucceeded}},
	}}
	forged.Name = plan.EventName(&forged.Spec)
	s.world.events = s.without(s.world.events, forged.Name, s.put(forged))
}

// jump lets time pass. Not while a turn is under way: a controller that is frozen until the Pods of a finished order are
// cleaned up is a known limit.
func (s *step) jump() {
	if s.world.actors[0].turn+s.world.actors[1].turn == 0 {
		s.tell("time passes")
		s.world.seconds += 45
	}
}

// recreate makes an order of the same name again, once the first is gone.
func (s *step) recreate() {
	if s.world.order == 0 {
		s.tell("creates an order of the same name")
		s.createOrder()
		s.world.left.removed = false
	}
}

func TestWhateverHappensTheLawsHoldAndTheOrderComesToRest(t *testing.T) {
	walks, happened, ends, began := 0, [kinds]int{}, map[v1alpha1.WorkOrderPhase]int{}, time.Now()
	rapid.Check(t, func(t *rapid.T) {
		walks++
		m := newMachine(randomSetup(t))
		w, way := m.start(), []action(nil)
		for range rapid.IntRange(20, 300).Draw(t, "actions") {
			choices := m.choices(&w)
			if len(choices) == 0 || rapid.IntRange(0, 7).Draw(t, "meddle") == 7 {
				choices = nil
				for i := range meddlings {
					choices = append(choices, action{kind: meddled, a: int16(i)})
				}
			}
			if busy := slices.DeleteFunc(slices.Clone(choices), func(a action) bool { return a.kind == begins }); len(busy) > 0 && rapid.Bool().Draw(t, "go on") {
				choices = busy // Or else half of all that happens would be turns of old caches that come to nothing.
			}
			a := rapid.SampledFrom(choices).Draw(t, "action")
			way = append(way, a)
			s := m.do(w, a)
			if w = s.world; s.broken != nil {
				t.Fatalf("%v\n%s\nto see it again, with the seed that rapid prints: go test ./controllers/internal/model -run Whatever -rapid.seed=", s.broken, m.trace(way))
			}
		}
		w, fault := m.calmDown(w, way)
		if fault != "" {
			t.Fatal(fault)
		}
		if order := m.order(w.order); order != nil {
			ends[order.Status.Phase]++
		}
		for kind, n := range met(way) {
			happened[kind] += n
		}
	})
	t.Logf("%d walks, %s; actions by their kind: %v; ends: %v", walks, time.Since(began).Round(time.Millisecond), happened, ends)
	for kind, n := range happened {
		if n < walks/30 {
			t.Errorf("actions of kind %d happened %d times in %d walks: too seldom to show anything", kind, n, walks)
		}
	}
}

// met counts the actions of a walk by their kind.
func met(way []action) (n [kinds]int) {
	for _, a := range way {
		n[a.kind]++
	}
	return n
}

func randomSetup(t *rapid.T) setup {
	all := slices.Concat(suspends, edits, cancels)
	n := func(what string, most int) int8 { return int8(rapid.IntRange(0, most).Draw(t, what)) }
	return setup{
		order: sequence("a", "b", "c"), actors: 2, lag: int32(n("lag", 3)), skew: int32(n("skew", 2)), binds: true, force: true,
		edits: all[:n("edits", len(all))], faults: n("faults", 5), deletions: n("deletions", 2), failures: n("failures", 3),
		removal: n("removal", 3) == 0, forged: n("forged", 5) == 0,
	}
}

// calmDown lets trouble end, and checks that everything comes to rest.
func (m *machine) calmDown(w world, way []action) (world, string) {
	w.refuseEvents, w.refusePods = false, false
	w.left.failures, w.left.deletions, w.left.faults = 0, 0, 0
	for range 2000 {
		a, more := m.calm(&w)
		if !more {
			key := w.key()
			for who := range int8(2) {
				w = m.tidy(w, who)
			}
			if w.key() != key {
				continue
			}
			if order := m.order(w.order); order == nil || order.Status.CompletionTime != nil || m.setup.forged {
				break
			}
			w.seconds += 30
			continue
		}
		s := m.do(w, a)
		if w = s.world; s.broken != nil {
			return w, fmt.Sprintf("%v, when all was calm again\n%s", s.broken, m.trace(way))
		}
	}
	if m.setup.forged { // The order waits, for ever if need be, until somebody deletes the Pod that has its name.
		return w, ""
	}
	if fault := m.afterwards(w); fault != "" {
		return w, "I5: it comes to rest, and " + fault + "\n" + m.trace(way)
	}
	return w, ""
}

// calm is the next thing that happens by itself.
func (m *machine) calm(w *world) (action, bool) {
	for _, a := range m.choices(w) {
		if slices.Contains([]kind{goesOn, podBinds, podRuns, podEnds, podKilled, collected, edited}, a.kind) {
			return a, true
		}
	}
	return action{}, false
}
