package model

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// What the laws say of clocks: something for which the operator waits may come earlier or later by as much as two clocks
// are apart, and by no more. The API server's clock is the true one.

// widest is by how many seconds two readings of clocks, made at the same time, could ever differ.
func (w *world) widest() int32 { return w.fastest - w.slowest }

// notBefore checks that it is not too early for something, by the true time.
func (s *step) notBefore(due time.Time, what, whose string) { s.early(due.Sub(s.now()), what, whose) }

func (s *step) early(by time.Duration, what, whose string) {
	if by > time.Duration(s.world.widest())*time.Second {
		s.breach("R9: %s %s %s too early, and clocks are at most %d s apart", whose, what, by, s.world.widest())
	}
}

// paused checks the pause between two attempts of a step.
func (s *step) paused(before, after *v1alpha1.WorkOrder, was, is *v1alpha1.StepStatus) {
	a, began := attempt(after.UID, was.Name, was.Epoch), s.world.actors[s.actor].began
	switch {
	case is.Phase == v1alpha1.StepBackoff && was.Phase != v1alpha1.StepBackoff:
		if pause := pauseAfter(after, was, is); pause > 0 {
			s.change(fmt.Sprint("due ", a, began+pause), func(g *ghost) { g.Due[a] = began + pause })
		}
	case is.Epoch > was.Epoch && was.Phase == v1alpha1.StepBackoff && runsAgain(before)[is.Name]:
		s.change("not due "+a, func(g *ghost) { delete(g.Due, a) }) // It was edited or rewound, and need not wait any longer.
	case is.Epoch > was.Epoch && was.Phase == v1alpha1.StepBackoff:
		if due, known := s.ghost().Due[a]; known {
			s.early(time.Duration(due-began)*time.Second, "starts again", a)
			s.change("not due "+a, func(g *ghost) { delete(g.Due, a) })
		}
	}
}

// expired checks that the deadline of an order does not come too early.
func (s *step) expired(before, after *v1alpha1.WorkOrder) {
	if was := &before.Status; after.Status.Expired && !was.Expired {
		since := was.StartTime
		if was.ActiveSince != nil {
			since = was.ActiveSince
		}
		s.notBefore(since.Add(time.Duration(*after.Spec.ActiveDeadlineSeconds)*time.Second), "ends by its deadline", "the order")
	}
}

// pauseAfter is the least pause, in seconds, after an attempt that has just failed.
func pauseAfter(order *v1alpha1.WorkOrder, was, is *v1alpha1.StepStatus) int32 {
	const factor, longest = 2, 60 // Unless the spec says otherwise, which it does not here.
	earlier := was.Retries
	switch {
	case is.Retries > was.Retries:
	case is.Disruptions > was.Disruptions:
		earlier = was.Disruptions
	default:
		return 0
	}
	pause := *order.Spec.Retry.Backoff.InitialSeconds
	for range earlier {
		pause = min(pause*factor, longest)
	}
	return pause
}

// overdue says what has been waited for too long when the controllers have just looked at everything.
func (m *machine) overdue(w *world) string {
	order := m.order(w.order)
	if order == nil || order.Status.Phase != v1alpha1.WorkOrderRunning || plan.Validate(&order.Spec) != nil {
		return ""
	}
	if most := order.Spec.Parallelism; most != nil && running(&order.Status) >= int(*most) {
		return "" // There is no room for it: others wait for something themselves.
	}
	for i := range order.Status.Steps {
		step := &order.Status.Steps[i]
		due, known := m.ghosts.values[w.truth].Due[attempt(order.UID, step.Name, step.Epoch)]
		// A tenth more to keep orders apart, and whole seconds.
		if late := w.seconds - due; known && step.Phase == v1alpha1.StepBackoff && late > 60/10+2+w.widest() {
			return step.Name + " should long have started again"
		}
	}
	return ""
}

// startTimeout is how long a Pod of the step may take to start.
func startTimeout(order *v1alpha1.WorkOrder, step string) time.Duration {
	for i := range order.Spec.Steps {
		if s := &order.Spec.Steps[i]; s.Name == step && s.StartTimeoutSeconds != nil {
			return time.Duration(*s.StartTimeoutSeconds) * time.Second
		}
	}
	return 10 * time.Minute
}

// cleaned checks that the Pods of a finished order are kept for as long as is promised: from the end that the controller knows
// of, which a rewind may have undone since. That a clock which is ahead shortens that time is a known limit: the names that
// they keep are free then, also for a controller that was frozen.
func (s *step) cleaned(pod *corev1.Pod) {
	order, hand := s.order(s.world.order), s.turns.values[s.world.actors[s.actor].turn].hand
	if !ended(pod) || order == nil || !steppod.Owned(pod, order.UID) || hand == nil || hand.Status.CompletionTime == nil {
		return
	}
	s.notBefore(hand.Status.CompletionTime.Add(plan.PodRetention), "is cleaned up", "Pod "+pod.Name)
	if s.world.widest() > 0 {
		s.freed(attemptOf(pod))
	}
}
