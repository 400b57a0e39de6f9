package model

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
)

// rewritings are the writes of somebody who means no harm, and who may write at any time.
var rewritings = []func(*step){
	func(s *step) {
		s.rewrite("rewrites a label and an annotation of the order", func(o *v1alpha1.WorkOrder) {
			o.Labels, o.Annotations = map[string]string{"seen": o.ResourceVersion}, map[string]string{"example.com/seen": o.ResourceVersion}
		})
	},
	func(s *step) {
		s.rewrite("rewrites a condition of its own", func(o *v1alpha1.WorkOrder) {
			noted := metav1.Condition{Type: foreignCondition, Status: metav1.ConditionTrue, Reason: "Seen" + o.ResourceVersion}
			o.Status.Conditions = append(slices.DeleteFunc(slices.Clone(o.Status.Conditions), foreign), noted)
		})
	},
	func(s *step) {
		if pods := s.podsOf(s.world.pods); len(pods) > 0 {
			s.onPod(action{a: int16(len(pods) - 1)}, "has an annotation rewritten", func(p *corev1.Pod) {
				metav1.SetMetaDataAnnotation(&p.ObjectMeta, "example.com/seen", p.ResourceVersion)
			})
		}
	},
}

const foreignCondition = "example.com/Noted"

func foreign(c metav1.Condition) bool { return c.Type == foreignCondition }

func (s *step) rewriteSomething(a action) {
	s.world.left.rewrites = max(0, s.world.left.rewrites-1)
	rewritings[a.a](s)
}

func (s *step) rewrite(what string, change func(*v1alpha1.WorkOrder)) {
	s.tell("%s", what)
	if order := s.order(s.world.order); order != nil && order.Status.Sequence > 0 {
		order = order.DeepCopy()
		change(order)
		s.setOrder(order)
	}
}

// meddlings are what else happens in random walks, each at any time.
var meddlings = []func(*step){
	func(s *step) { s.tell("forbids or allows events"); s.world.refuseEvents = !s.world.refuseEvents },
	func(s *step) { s.tell("a quota comes or goes"); s.world.refusePods = !s.world.refusePods },
	(*step).forgeEvent,
}

// calmDown is the end of all trouble.
func (s *step) calmDown(action) {
	s.tell("trouble ends")
	s.world.refuseEvents, s.world.refusePods = false, false
	left := &s.world.left
	left.failures, left.deletions, left.faults, left.jumps, left.waits = 0, 0, 0, 0, 0
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

// recreate makes an order of the same name again, once the first is gone.
func (s *step) recreate(action) {
	s.tell("creates an order of the same name")
	s.world.left.recreations--
	s.world.left.removed = false
	s.createOrder()
}

// Times. longestFreeze is for how long a controller may be frozen in the middle of a turn: not until the Pods of an order
// that has finished meanwhile are cleaned up, which is a known limit.
const (
	aWhile        = 45
	longWhile     = 600
	longestFreeze = longWhile - aWhile
	farAhead      = 600
)

// timeChoices are how time may pass, and how the clocks of controllers may be set.
func (s *step) timeChoices(list []action) []action {
	w := &s.world
	if w.left.waits > 0 {
		for _, seconds := range [...]int16{aWhile, longWhile} {
			if s.mayPass(int32(seconds)) {
				list = append(list, action{kind: timePasses, a: seconds})
			}
		}
	}
	if w.left.jumps > 0 {
		for who := range int8(s.setup.actors) {
			for _, ahead := range [...]int16{-farAhead, 0, farAhead} {
				if int32(ahead) != w.actors[who].ahead {
					list = append(list, action{kind: clockSet, who: who, a: ahead})
				}
			}
		}
	}
	return list
}

// mayPass says whether no controller is frozen for longer than it may be if so much time passes now.
func (s *step) mayPass(seconds int32) bool {
	for i := range s.world.actors {
		if a := &s.world.actors[i]; a.turn != 0 && s.world.seconds+seconds-a.began > longestFreeze {
			return false
		}
	}
	return true
}

func (s *step) pass(a action) {
	s.tell("%d seconds pass", a.a)
	s.world.left.waits = max(0, s.world.left.waits-1)
	s.world.seconds += int32(a.a)
}

func (s *step) setClock(a action) {
	s.tell("the clock of controller %c is set to %d seconds ahead", 'A'+a.who, a.a)
	s.world.left.jumps--
	s.world.actors[a.who].ahead = int32(a.a)
	s.world.slowest, s.world.fastest = min(s.world.slowest, int32(a.a)), max(s.world.fastest, int32(a.a))
}
