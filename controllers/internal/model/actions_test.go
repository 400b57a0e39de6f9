package model

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// kind is what an action is; who is the controller that acts, and a and b say more, each kind in its own way.
type kind int8

type action struct {
	kind kind
	who  int8
	a, b int16
}

const (
	begins     kind = iota // a controller begins a turn, its caches at the places a and b
	beginsHeld             // ... one about the Pod number a of its cache
	goesOn                 // its turn goes on with its next request, which meets the fault a
	podBinds               // the Pod number a gets a node
	podRuns                // its container starts
	podEnds                // its container ends by itself, well (a = 0) or badly
	podKilled              // its node stops it, as it was told to
	podDeleted             // somebody deletes it
	podForced              // ... by force
	podEvicted             // its node evicts it
	edited                 // somebody edits the spec
	removed                // somebody deletes the order, in the mode a
	recreated              // somebody creates it again
	collected              // the garbage collector has done something
	rewritten              // somebody who means no harm writes to the order or to a Pod: a says what
	clockSet               // the clock of a controller is set: a seconds ahead
	timePasses             // a seconds
	meddled                // something else happens, in random walks only: a says what
	calms                  // trouble ends
	kinds
)

// byItself says whether what an action does happens sooner or later, whatever people do and whatever goes wrong.
func (k kind) byItself() bool {
	switch k {
	case begins, beginsHeld, goesOn, podBinds, podRuns, podEnds, podKilled, collected:
		return true
	default:
		return false
	}
}

// fault is what can happen to a request, or to the one who makes it.
type fault int16

const (
	noFault     fault = iota
	refused           // it is not done, and the controller is told so
	replyLost         // it is done, and the controller is told that it failed
	crashBefore       // the controller dies just before it
	crashAfter        // the controller dies just after it
	faults
)

var faultNames = [faults]string{"", ", refused", ", the reply is lost", ", which it does not live to make", ", and dies"}

// acts are what the actions do.
var acts [kinds]struct {
	who string
	do  func(*step, action)
}

func init() {
	set := func(k kind, who string, do func(*step, action)) { acts[k].who, acts[k].do = who, do }
	set(begins, "operator", (*step).begin)
	set(beginsHeld, "operator", (*step).beginHeld)
	set(goesOn, "operator", (*step).goOn)
	set(podBinds, "node", (*step).bindPod)
	set(podRuns, "node", (*step).runPod)
	set(podEnds, "node", (*step).endPod)
	set(podKilled, "node", (*step).killPod)
	set(podDeleted, "user", (*step).userDeletes)
	set(podForced, "user", (*step).userForces)
	set(podEvicted, "node", (*step).evict)
	set(edited, "user", (*step).edit)
	set(removed, "user", (*step).remove)
	set(recreated, "user", (*step).recreate)
	set(collected, "GC", (*step).collect)
	set(rewritten, "others", (*step).rewriteSomething)
	set(clockSet, "clock", (*step).setClock)
	set(timePasses, "clock", (*step).pass)
	set(calms, "all", (*step).calmDown)
	set(meddled, "others", func(s *step, a action) { meddlings[a.a](s) })
}

// choices are all that can happen next.
func (m *machine) choices(w *world) []action {
	s := &step{machine: m, world: *w}
	var list []action
	for who := range int8(m.setup.actors) {
		list = s.actorChoices(list, who)
	}
	for i, pod := range s.podsOf(w.pods) {
		list = s.podChoices(list, pod, int16(i))
	}
	list = s.peopleChoices(list)
	if s.garbage() != "" {
		list = append(list, action{kind: collected})
	}
	return s.timeChoices(list)
}

func (s *step) peopleChoices(list []action) []action {
	order, left := s.order(s.world.order), s.world.left
	if order == nil {
		if left.recreations > 0 {
			list = append(list, action{kind: recreated})
		}
		return list
	}
	if left.edits > 0 && order.DeletionTimestamp == nil {
		list = append(list, action{kind: edited})
	}
	if s.setup.removal && !left.removed {
		list = append(list, action{kind: removed, a: background}, action{kind: removed, a: foreground}, action{kind: removed, a: orphaning})
	}
	if left.rewrites > 0 && order.Status.Sequence > 0 {
		for i := range rewritings {
			list = append(list, action{kind: rewritten, a: int16(i)})
		}
	}
	return list
}

func (s *step) actorChoices(list []action, who int8) []action {
	a := &s.world.actors[who]
	switch {
	case a.turn != 0:
		list = append(list, action{kind: goesOn, who: who})
		if s.world.left.faults > 0 && !s.turns.values[a.turn].pending.reads() {
			first := refused
			if s.setup.crashes {
				first = crashBefore
			}
			for f := first; f < faults; f++ {
				list = append(list, action{kind: goesOn, who: who, a: int16(f)})
			}
		}
		return list
	}
	var last action
	idle := s.setup.wakes && !a.due
	for o := range s.world.orders {
		for p := range s.world.podSets {
			next := action{kind: begins, who: who, a: int16(o), b: int16(p)}
			if s.world.orders[o] != 0 && !idle {
				list = append(list, next)
			}
			last = next
		}
	}
	return s.heldChoices(list, last)
}

// heldChoices are the turns of HeldPodReconciler; they come to something only when an order goes, or seems to.
func (s *step) heldChoices(list []action, newest action) []action {
	if !s.setup.removal && !s.setup.held {
		return list
	}
	for i, pod := range s.podsOf(s.world.podSets[newest.b]) {
		if releasable(pod) {
			for o := range s.world.orders {
				list = append(list, action{kind: beginsHeld, who: newest.who, a: int16(i), b: int16(o)})
			}
		}
	}
	return list
}

func releasable(pod *corev1.Pod) bool {
	return steppod.Held(pod) && (ended(pod) || pod.DeletionTimestamp != nil)
}

func (s *step) podChoices(list []action, pod *corev1.Pod, i int16) []action {
	told := pod.DeletionTimestamp != nil || pod.Spec.ActiveDeadlineSeconds != nil && *pod.Spec.ActiveDeadlineSeconds <= 1
	gated := len(pod.Spec.SchedulingGates) > 0
	switch {
	case ended(pod):
	case pod.Status.Phase == corev1.PodRunning:
		list = append(list, action{kind: podEnds, a: i})
		if s.world.left.failures > 0 {
			list = append(list, action{kind: podEnds, a: i, b: 1})
		}
		if told {
			list = append(list, action{kind: podKilled, a: i})
		}
	case pod.Spec.NodeName != "" && told:
		list = append(list, action{kind: podKilled, a: i})
	case pod.Spec.NodeName != "" || !gated && !told && !s.setup.binds:
		list = append(list, action{kind: podRuns, a: i})
	case !gated && !told:
		list = append(list, action{kind: podBinds, a: i})
	}
	if s.world.left.deletions > 0 && (pod.DeletionTimestamp == nil || *pod.DeletionGracePeriodSeconds > 0) {
		if pod.DeletionTimestamp == nil {
			list = append(list, action{kind: podDeleted, a: i})
		}
		if s.setup.force && !ended(pod) && pod.Spec.NodeName != "" {
			list = append(list, action{kind: podForced, a: i}, action{kind: podEvicted, a: i})
		}
	}
	return list
}

func (s *step) begin(a action) {
	actor := &s.world.actors[a.who]
	actor.order, actor.pods, actor.began = int32(a.a), int32(a.b), s.world.seconds
	// What its caches have not shown yet will wake it once more.
	actor.due = s.setup.wakes && (int(a.a) < len(s.world.orders)-1 || int(a.b) < len(s.world.podSets)-1)
	s.tell("begins a turn%s", s.behind(actor))
	actor.turn = s.process.begin(actor.memory, s.clock(a.who), "")
	s.proceed(a.who)
}

// behind says how old what an actor sees is.
func (s *step) behind(a *actor) string {
	orders, pods := len(s.world.orders)-1-int(a.order), len(s.world.podSets)-1-int(a.pods)
	if orders+pods == 0 {
		return ""
	}
	return fmt.Sprintf(", its caches %d orders and %d Pods behind", orders, pods)
}

func (s *step) beginHeld(a action) {
	actor := &s.world.actors[a.who]
	actor.order, actor.pods, actor.began = int32(a.b), int32(len(s.world.podSets)-1), s.world.seconds
	name := s.podsOf(s.world.podSets[actor.pods])[a.a].Name
	s.tell("looks after Pod %s", name)
	actor.turn = s.process.begin(actor.memory, s.clock(a.who), name)
	s.proceed(a.who)
}

func (s *step) goOn(a action) {
	actor := &s.world.actors[a.who]
	r := s.turns.values[actor.turn].pending
	s.tellRequest(r)
	s.tell("%s", faultNames[a.a])
	if fault(a.a) != noFault {
		s.world.left.faults--
	}
	var reply answer
	switch fault(a.a) {
	case crashBefore:
		s.crash(a.who)
		return
	case crashAfter:
		s.guarded(actor, r)
		s.crash(a.who)
		return
	case refused:
		reply = r.trouble()
	case replyLost:
		s.guarded(actor, r)
		reply = r.trouble()
	default:
		reply = s.guarded(actor, r)
		if reply.err != nil {
			s.tell(": %v", reply.err)
		}
	}
	actor.turn = s.reply(actor.turn, reply, s.clock(a.who))
	s.proceed(a.who)
}

// crash kills a controller and starts it again: what it remembered is gone, and so is its turn. Its first list may be
// an old one, as any turn's may.
func (s *step) crash(who int8) {
	s.world.actors[who] = actor{memory: noMemory, ahead: s.world.actors[who].ahead, due: s.setup.wakes}
}

// onPod changes the Pod number a; said says how, and no two changes are said alike. then is what the laws make of it.
func (s *step) onPod(a action, said string, change func(*corev1.Pod), then ...func(*corev1.Pod)) {
	n := s.sets.values[s.world.pods][a.a]
	s.tell("its Pod %s", said)
	s.tellOf(s.objects.values[n].(*corev1.Pod))
	after := s.remembered(fmt.Sprint(said, s.world.seconds), n, func() int32 {
		pod := s.objects.values[n].(*corev1.Pod).DeepCopy()
		change(pod)
		pod.ResourceVersion = following(pod.ResourceVersion)
		return s.put(pod)
	})
	for _, look := range then {
		look(s.objects.values[after].(*corev1.Pod))
	}
	s.showPod(after)
}

func container(pod *corev1.Pod, state corev1.ContainerState) {
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: steppod.ContainerName, State: state}}
}

func (s *step) bindPod(a action) {
	s.onPod(a, "gets a node", func(pod *corev1.Pod) { pod.Spec.NodeName = "node" })
}

func (s *step) runPod(a action) {
	s.onPod(a, "runs", func(pod *corev1.Pod) {
		pod.Spec.NodeName, pod.Status.Phase = "node", corev1.PodRunning
		container(pod, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(s.now())}})
	}, s.started)
}

func (s *step) endPod(a action) {
	code, phase := int32(0), corev1.PodSucceeded
	if a.b > 0 {
		code, phase = 1, corev1.PodFailed
		s.world.left.failures--
	}
	s.onPod(a, fmt.Sprintf("ends: %s, exit code %d", phase, code), func(pod *corev1.Pod) { s.exit(pod, phase, "", code) }, s.ended)
}

// exit ends a running container. A Pod that is being deleted is then deleted for good by its node.
func (s *step) exit(pod *corev1.Pod, phase corev1.PodPhase, reason string, code int32) {
	if pod.Status.Phase == corev1.PodRunning {
		container(pod, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(s.now())}})
	}
	pod.Status.Phase, pod.Status.Reason = phase, reason
	if pod.DeletionTimestamp != nil && *pod.DeletionGracePeriodSeconds > 0 {
		s.markDeleted(pod, 0)
	}
}

func (s *step) killPod(a action) {
	s.onPod(a, "is stopped by its node", func(pod *corev1.Pod) {
		reason := "DeadlineExceeded"
		if pod.DeletionTimestamp != nil {
			reason = ""
		}
		s.exit(pod, corev1.PodFailed, reason, 143)
	}, s.ended)
}

func (s *step) userDeletes(a action) {
	pod := s.podsOf(s.world.pods)[a.a].DeepCopy()
	s.tell("deletes its Pod")
	s.tellOf(pod)
	s.world.left.deletions--
	s.freed(attemptOf(pod))
	s.deleteGracefully(pod)
}

func (s *step) userForces(a action) {
	s.world.left.deletions--
	s.onPod(a, "is deleted by force", func(pod *corev1.Pod) { s.markDeleted(pod, 0) }, func(pod *corev1.Pod) {
		a := attemptOf(pod)
		s.freed(a)
		s.change("silent "+a, func(g *ghost) { g.Silent[a] = true })
	})
}

// evict is a node that is short of something: the container is killed, and the Pod says so.
func (s *step) evict(a action) {
	s.world.left.deletions--
	s.onPod(a, "is evicted by its node", func(pod *corev1.Pod) { s.exit(pod, corev1.PodFailed, "Evicted", 137) }, s.ended)
}

func (s *step) edit(action) {
	next := s.setup.edits[len(s.setup.edits)-int(s.world.left.edits)]
	s.world.left.edits--
	s.tell("%s", next.what)
	s.editOrder(next.change)
}

func (s *step) editOrder(change func(*v1alpha1.WorkOrder)) {
	before := s.order(s.world.order)
	order := before.DeepCopy()
	change(order)
	if equality.Semantic.DeepEqual(before.Spec, order.Spec) && order.DeletionTimestamp == nil {
		return // The API server makes no new generation of that.
	}
	order.Generation++
	s.unwanted(order)
	s.setOrder(order)
}

// How an order is deleted.
const (
	background int16 = iota
	foreground
	orphaning
)

func (s *step) remove(a action) {
	s.world.left.removed = true
	s.tell("%s", [...]string{"deletes the order", "deletes the order in the foreground", "deletes the order and orphans its Pods"}[a.a])
	if a.a == background {
		s.setOrder(nil)
		return
	}
	s.editOrder(func(order *v1alpha1.WorkOrder) {
		order.DeletionTimestamp = &metav1.Time{Time: s.now()}
		order.Finalizers = []string{[...]string{"", metav1.FinalizerDeleteDependents, metav1.FinalizerOrphanDependents}[a.a]}
	})
}

// garbage is what the garbage collector has to do next. It never waits for the Pods of an order that is deleted in the
// foreground, as they do not block that.
func (s *step) garbage() string {
	if s.ghost().Created[orderName] == 1 && !s.world.left.removed {
		return ""
	}
	order, exists := s.order(s.world.order), types.UID("")
	if order != nil {
		exists = order.UID
		if order.DeletionTimestamp != nil {
			return order.Finalizers[0]
		}
	}
	for _, pod := range s.podsOf(s.world.pods) {
		if owner := metav1.GetControllerOf(pod); owner != nil && owner.UID != exists && owner.UID != stranger && pod.DeletionTimestamp == nil {
			return pod.Name
		}
	}
	for _, event := range s.eventList() {
		if owner := metav1.GetControllerOf(&event); owner != nil && owner.UID != exists && owner.UID != stranger {
			return event.Name
		}
	}
	return ""
}

func (s *step) collect(action) {
	todo := s.garbage()
	s.tell("collects %s", todo)
	switch todo {
	case metav1.FinalizerDeleteDependents:
		s.setOrder(nil)
	case metav1.FinalizerOrphanDependents:
		for _, pod := range s.podsOf(s.world.pods) {
			orphan := pod.DeepCopy()
			orphan.OwnerReferences = nil
			s.setPod(orphan)
		}
		s.world.events = 0 // They stay as they are, and nobody looks at them any more.
		s.setOrder(nil)
	default:
		if n := s.find(s.world.pods, todo); n != 0 {
			s.deleteGracefully(s.objects.values[n].(*corev1.Pod).DeepCopy())
			return
		}
		s.world.events = s.without(s.world.events, todo, 0)
	}
}

func uidOf(made int) types.UID { return types.UID(fmt.Sprintf("5f1c0d52-7a34-4d0e-9a53-%012d", made)) }

// stranger owns what nobody here knows; the garbage collector leaves that alone.
const stranger types.UID = "somebody-else"
