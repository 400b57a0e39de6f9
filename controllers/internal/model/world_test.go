package model

import (
	"encoding/binary"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// setup is what a world begins with and how much may happen in it.
type setup struct {
	order *v1alpha1.WorkOrder
	// edits are what people do to the spec: in this order, each once, at any time.
	edits []edit
	// actors is how many controllers there are, and skew how many seconds the clock of the second one is ahead.
	actors, skew int32
	// How many writes go wrong or controllers crash, how many Pods people delete, and how many containers fail.
	faults, deletions, failures int8
	// crashes: of what can go wrong, only controllers that crash.
	crashes bool
	// How often somebody rewrites what is none of the operator's business, a controller's clock is set to another time,
	// time passes, and the order is created again when it is gone.
	rewrites, jumps, waits, recreations int8
	// meddlings is how many kinds of them there are, as often as they like.
	meddlings int8
	// force: people delete Pods by force as well, and nodes evict them.
	force bool
	// binds: that a Pod gets a node and that its container starts are two things.
	binds bool
	// forged: somebody has taken the name of the first Pod, with one that looks the same.
	forged bool
	// sealsRefused: a quota refuses the Pods that only take a name.
	sealsRefused bool
	// removal: the order may be deleted.
	removal bool
	// held: HeldPodReconciler has its turns though no order goes, and caches may be older than the order itself.
	held bool
	// wakes: a controller that is at rest looks again only if something wakes it.
	wakes bool
	// lag is by how many versions a cache may be behind. Exhaustive exploration is over all of them: every turn reads any
	// version that is not older, and the next one may read an older one again, as after a restart with an old list.
	lag int32
	// reduced: states that differ in nothing that matters are one. reduce_test.go says how, and shows that nothing is lost.
	reduced bool
	// without is the guard that is taken away.
	without guard
}

type edit struct {
	what   string
	change func(*v1alpha1.WorkOrder)
}

// machine is all that does not depend on the state of the world.
type machine struct {
	*process
	setup   setup
	objects *table[client.Object]
	sets    *table[[]int32]
	ghosts  *table[*ghost]
	folds   map[[2]int32]string
	// What comes of a patch, of something else that happens to an object, and of a note in the ghost is remembered.
	patches map[patching]patched
	made    map[making]int32
	// telling: somebody wants to read what happens.
	telling bool
}

// world is a state of everything: the API server's objects, what watches have shown of them, and the controllers.
// Everything in it is a number that stands for a value, and nothing is ever changed in place.
type world struct {
	order, pods, events int32
	// orders and podSets are what watches show, oldest first.
	orders, podSets []int32
	truth           int32
	seconds         int32
	// slowest and fastest are how far the clocks were ever behind and ahead of the API server's.
	slowest, fastest int32
	actors           [2]actor
	left             budget

	refuseEvents, refusePods, refuseSeals bool
}

// budget is how much may still happen.
type budget struct {
	faults, deletions, failures, edits  int8
	rewrites, jumps, waits, recreations int8
	removed                             bool
}

// actor is one controller process.
type actor struct {
	memory int32
	// turn is what it is at; 0 when it rests.
	turn int32
	// order and pods are the places in orders and podSets that its caches are at.
	order, pods int32
	// ahead is how many seconds its clock is ahead, and began when its turn began, by the true time.
	ahead, began int32
	// due: something will wake it. Only if the setup asks for that.
	due bool
}

func newMachine(s setup) *machine {
	return &machine{
		process: newProcess(), setup: s, objects: newTable[client.Object](), sets: newTable[[]int32](), ghosts: newTable[*ghost](),
		folds: map[[2]int32]string{}, patches: map[patching]patched{}, made: map[making]int32{},
	}
}

// start is the world in which somebody has just created the order.
func (m *machine) start() world {
	s := &step{machine: m}
	for i := range s.world.actors {
		s.world.actors[i] = actor{memory: noMemory, ahead: int32(i) * m.setup.skew, due: m.setup.wakes}
	}
	s.world.slowest, s.world.fastest = min(m.setup.skew, 0), max(m.setup.skew, 0)
	s.world.left = budget{
		faults: m.setup.faults, deletions: m.setup.deletions, failures: m.setup.failures, edits: int8(len(m.setup.edits)),
		rewrites: m.setup.rewrites, jumps: m.setup.jumps, waits: m.setup.waits, recreations: m.setup.recreations,
	}
	s.world.podSets = []int32{0}
	if m.setup.held {
		s.world.orders = []int32{0}
	}
	s.world.truth = m.ghosts.number("", func() *ghost { return newGhost() })
	s.createOrder()
	s.world.refuseSeals = m.setup.sealsRefused
	if m.setup.forged {
		s.forge()
	}
	return s.world
}

func (s *step) createOrder() {
	order := s.setup.order.DeepCopy()
	s.change("an order", func(g *ghost) { g.Created[orderName]++ })
	made := s.ghost().Created[orderName]
	order.Namespace, order.Name = namespace, orderName
	order.UID, order.ResourceVersion = uidOf(made), fmt.Sprint(made*lives)
	order.Generation, order.Status.ObservedGeneration = 1, -1
	order.CreationTimestamp = metav1.NewTime(s.now())
	s.setOrder(order)
}

// key tells states apart.
func (m *machine) key(w *world) string {
	b := make([]byte, 0, 160)
	number := func(n int32) { b = binary.AppendVarint(b, int64(n)) }
	flags := func(all ...bool) {
		bits := byte(0)
		for i, f := range all {
			if f {
				bits |= 1 << i
			}
		}
		b = append(b, bits)
	}
	for _, n := range [...]int32{w.order, w.pods, w.events, w.truth, w.seconds, w.slowest, w.fastest, int32(len(w.orders)), int32(len(w.podSets))} {
		number(n)
	}
	for _, n := range w.orders {
		number(n)
	}
	for _, n := range w.podSets {
		number(n)
	}
	for _, a := range m.inOrder(w) {
		for _, n := range [...]int32{a.memory, a.turn, a.order, a.pods, a.ahead, a.began} {
			number(n)
		}
		flags(a.due)
	}
	l := &w.left
	for _, n := range [...]int8{l.faults, l.deletions, l.failures, l.edits, l.rewrites, l.jumps, l.waits, l.recreations} {
		b = append(b, byte(n))
	}
	flags(l.removed, w.refuseEvents, w.refusePods, w.refuseSeals)
	return string(b)
}

var midnight = time.Date(2030, 1, 2, 10, 0, 0, 0, time.UTC)

func (s *step) now() time.Time { return midnight.Add(time.Duration(s.world.seconds) * time.Second) }

// clock is the time by the clock of a controller.
func (s *step) clock(who int8) time.Time {
	return s.now().Add(time.Duration(s.world.actors[who].ahead) * time.Second)
}

// step is the making of one state from another.
type step struct {
	*machine
	world  world
	broken []string
	// What happened, for a trace: who did what, and about which attempt.
	who, said, step, epoch string
	// actor is the controller that acts.
	actor int8
}

func (s *step) breach(format string, args ...any) {
	s.broken = append(s.broken, fmt.Sprintf(format, args...))
}

// do is what an action makes of a world.
func (m *machine) do(w world, a action) *step {
	s := &step{machine: m, world: w, actor: a.who}
	act := acts[a.kind]
	s.who = act.who
	act.do(s, a)
	if m.setup.reduced {
		s.advance()
	}
	s.forget()
	return s
}

// forget drops what no cache can show any more.
func (s *step) forget() {
	w := &s.world
	orders, pods := max(0, int32(len(w.orders))-1-s.setup.lag), max(0, int32(len(w.podSets))-1-s.setup.lag)
	w.orders, w.podSets = w.orders[orders:], w.podSets[pods:]
	for i := range w.actors {
		a := &w.actors[i]
		a.order, a.pods = max(0, a.order-orders), max(0, a.pods-pods)
		if a.turn == 0 {
			a.order, a.pods, a.began = 0, 0, 0
		}
	}
	s.dropLostEvents()
}

// dropLostEvents removes events that can never get onto the chain any more: an event is found again by its name only
// when a turn posts the same one, and a turn that does so for a number that is in the status already loses the race.
func (s *step) dropLostEvents() {
	order := s.order(s.world.order)
	if order == nil || s.setup.without == guardChain {
		return
	}
	events := s.sets.values[s.world.events]
	kept := make([]int32, 0, len(events))
	on := map[string]bool{}
	for name := order.Status.Head; name != ""; {
		on[name] = true
		n := s.find(s.world.events, name)
		if n == 0 {
			break
		}
		name = s.objects.values[n].(*v1alpha1.ProgressEvent).Spec.Previous
	}
	for _, n := range events {
		if e := s.objects.values[n].(*v1alpha1.ProgressEvent); on[e.Name] || e.Spec.Sequence > order.Status.Sequence && s.matters(e) {
			kept = append(kept, n)
		}
	}
	if len(kept) < len(events) {
		s.world.events = s.set(kept)
	}
}

// proceed answers the reads of an actor's caches, and ends its turn if it has ended.
func (s *step) proceed(who int8) {
	a := &s.world.actors[who]
	for {
		t := s.turns.values[a.turn]
		switch {
		case t.panicked != nil:
			s.breach("I6: a controller panics: %v", t.panicked)
			s.finish(who, t)
			return
		case t.pending == nil:
			s.finish(who, t)
			return
		case t.pending.live:
			if s.setup.without == "" {
				a.order, a.pods = 0, 0 // Nothing is read from the caches any more in this turn.
			}
			return
		}
		a.turn = s.reply(a.turn, s.cached(a, t.pending), s.clock(who))
	}
}

// cached is what an actor's caches answer.
func (s *step) cached(a *actor, r *request) answer {
	pods := s.world.podSets[a.pods]
	n := s.world.orders[a.order]
	switch {
	case r.verb == list:
		reply := answer{key: "none"}
		for _, n := range s.sets.values[pods] {
			if pod := s.objects.values[n].(*corev1.Pod); pod.Labels[steppod.LabelOrderUID] == string(r.uid) {
				reply.pods = append(reply.pods, s.shown(pod).(*corev1.Pod))
				reply.key += fmt.Sprint(" ", n)
			}
		}
		return reply
	case r.kind == "Pod":
		n = s.find(pods, r.name)
	}
	return s.found(r, n)
}

// lastOrder is the newest order there was.
func (m *machine) lastOrder() *v1alpha1.WorkOrder {
	for i := len(m.objects.values) - 1; i > 0; i-- {
		if order, is := m.objects.values[i].(*v1alpha1.WorkOrder); is {
			return order
		}
	}
	return nil
}

// found answers with an object; 0 is one that there is not.
func (m *machine) found(r *request, n int32) answer {
	if n == 0 {
		return r.fail(apierrors.NewNotFound(r.resource(), r.name))
	}
	return answer{object: m.shown(m.objects.values[n]), key: fmt.Sprint(n)}
}

// finish ends a turn.
func (s *step) finish(who int8, t *turn) {
	a := &s.world.actors[who]
	a.turn, a.memory = 0, t.after
	if s.setup.reduced {
		a.memory = noMemory
	}
	a.due = a.due || s.setup.wakes && (t.again > 0 || t.failed != nil)
}

// woken notes that something happened that controllers are told of.
func (s *step) woken() {
	for i := range s.world.actors {
		s.world.actors[i].due = s.setup.wakes
	}
}
