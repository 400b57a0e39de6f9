package model

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/report"
)

// What is explored to the end can be larger if states that differ in nothing that matters are taken for one, and if
// actions whose time makes no difference are taken at once. A setup that is reduced does so:
//
//   - The two controllers are twins: two states are the same if one is the other with the controllers exchanged.
//   - Events that are on no chain, and belong to no turn that is under way, are dropped. Nothing ever reads such an event,
//     but a turn that posts the very same one again; it is told that it is there, looks, and finds it equal.
//   - Controllers remember nothing from one turn to the next, as after a restart: what they remember only spares turns.
//   - What settled lists happens at once.
//
// TestReductionsLoseNothing shows for small orders that the same objects, Pods and orders, are met with and without.

// inOrder are the controllers, twins in an order that does not depend on which is which.
func (m *machine) inOrder(w *world) [2]actor {
	actors := w.actors
	if m.setup.reduced && m.setup.skew == 0 && compareActors(&actors[0], &actors[1]) > 0 {
		actors[0], actors[1] = actors[1], actors[0]
	}
	return actors
}

func compareActors(a, b *actor) int {
	due := func(a *actor) int {
		if a.due {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.memory, b.memory), cmp.Compare(a.order, b.order), cmp.Compare(a.pods, b.pods),
		cmp.Compare(a.ahead, b.ahead), cmp.Compare(a.began, b.began), cmp.Compare(due(a), due(b)))
}

// matters says whether an event that is on no chain may get there yet.
func (s *step) matters(e *v1alpha1.ProgressEvent) bool {
	if !s.setup.reduced {
		return true
	}
	for i := range s.world.actors {
		if turn := s.world.actors[i].turn; turn != 0 && s.turns.values[turn].posted == e.Name {
			return true
		}
	}
	return false
}

// settled says whether what becomes of a controller's next request does not depend on what the others do before, or is
// only more if it comes earlier:
//
//   - A ProgressEvent is posted: nobody looks at it before the order is saved. If a crash may come in between, it is the
//     same as one before the turn. (If the request may fail, it is not: that has consequences.)
//   - The order is to be saved, or asked about, and it is another one than the one in hand: it will never be that again, so
//     the turn comes to nothing.
//   - The order is asked about, and is the one in hand. If it is asked later, the answer is the same, and what follows too,
//     or the turn comes to nothing, as if it had not begun.
//   - A Pod is asked about that has ended, or there is none of the epoch in hand. If it is asked later, the answer is the same,
//     or the Pod is there, and its creation will say so too.
//   - A Pod is to be created that exists, and stays.
//
// That nobody but the operator deletes Pods is presumed.
func (s *step) settled(who int8) bool {
	a := &s.world.actors[who]
	if a.turn == 0 {
		return false
	}
	t := s.turns.values[a.turn]
	order, r := s.order(s.world.order), t.pending
	switch {
	case r.kind == "ProgressEvent":
		return r.verb == create && (s.world.left.faults == 0 || s.setup.crashes)
	case t.hand == nil:
		return false
	case r.kind == "WorkOrder" && r.verb == get:
		return true
	case r.kind == "WorkOrder":
		return order == nil || order.UID != t.hand.UID || order.Generation != t.hand.Generation || order.Status.Sequence != t.hand.Status.Sequence
	}
	n := s.find(s.world.pods, r.name)
	if n == 0 {
		return r.verb == get && isCurrentEpoch(t.hand, r.name)
	}
	pod := s.objects.values[n].(*corev1.Pod)
	stays := pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil
	return stays && (r.verb == create || r.verb == get && ended(pod))
}

// isCurrentEpoch says whether a name is that of the Pod of a step's epoch.
func isCurrentEpoch(order *v1alpha1.WorkOrder, name string) bool {
	return slices.ContainsFunc(order.Status.Steps, func(step v1alpha1.StepStatus) bool {
		return steppod.Name(order.Name, order.UID, step.Name, step.Epoch) == name
	})
}

// advance lets happen at once what is settled.
func (s *step) advance() {
	for who := int8(0); who < int8(s.setup.actors); {
		if !s.settled(who) {
			who++
			continue
		}
		s.tell("; then operator %c ", 'A'+who)
		s.actor = who
		s.goOn(action{kind: goesOn, who: who})
		who = 0
	}
}

// projection is what a state shows to others than the controllers, as text that does not depend on numbers.
func (m *machine) projection(w *world) string {
	text := "no order"
	if order := m.order(w.order); order != nil {
		text = string(encode(order))
	}
	for _, pod := range m.podsOf(w.pods) {
		text += string(encode(pod))
	}
	return text + string(encode(m.ghosts.values[w.truth]))
}

func TestReductionsLoseNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup setup
		large bool
	}{
		{name: "a retry", setup: setup{order: sequence("a"), failures: 1}},
		{name: "old caches", setup: setup{order: sequence("a"), lag: 1}},
		{name: "a fault", setup: setup{order: sequence("a"), faults: 1}},
		{name: "cancelled", setup: setup{order: sequence("a"), edits: cancels}},
		{name: "edited", setup: setup{order: sequence("a"), edits: edits}, large: true},
		{name: "suspended and resumed", setup: setup{order: sequence("a"), edits: suspends}, large: true},
		{name: "a crash, cancelled", setup: setup{order: sequence("a"), faults: 1, crashes: true, edits: cancels}, large: true},
		{name: "rewound", setup: setup{order: sequence("a"), edits: rewind}, large: true},
		{name: "a crash, rewound", setup: setup{order: sequence("a"), faults: 1, crashes: true, edits: rewind}, large: true},
		{name: "two steps side by side", setup: setup{order: graph("a", "b")}, large: true},
		{name: "finally, cancelled", setup: setup{order: with(sequence("a"), finally("z")), edits: cancels}, large: true},
		{name: "two steps, old caches", setup: setup{order: sequence("a", "b"), lag: 1}, large: true},
		{name: "two steps, a retry and a crash", setup: setup{order: sequence("a", "b"), failures: 1, faults: 1, crashes: true}, large: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.large && !report.Full() {
				t.Skip("large: RELIABILITY=full compares it")
			}
			t.Parallel()
			c.setup.actors = 2
			whole := projected(t, c.setup)
			c.setup.reduced = true
			fewer := projected(t, c.setup)
			t.Logf("%d states, reduced to %d; the objects are in %d states either way, and the order ends in %d", len(whole.parents), len(fewer.parents), len(whole.met), len(whole.ends))
			if !maps.Equal(whole.met, fewer.met) || !maps.Equal(whole.ends, fewer.ends) {
				t.Errorf("the objects are in %d states, or %d reduced; the order ends in %d, or %d", len(whole.met), len(fewer.met), len(whole.ends), len(fewer.ends))
			}
		})
	}
}

// projected explores a setup, and keeps what others than the controllers see.
func projected(t *testing.T, s setup) *exploration {
	t.Helper()
	e := newExploration(s)
	e.met, e.projected = map[string]bool{}, map[[3]int32]bool{}
	if e.run(4 * mostStates); e.broken != nil || e.left > 0 {
		t.Fatalf("%d states are left, and this broke: %v", e.left, e.broken)
	}
	return e
}
