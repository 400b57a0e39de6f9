package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/progress"
	"workorders.dev/operator/controllers/steppod"
)

// ghost is what really happened, as far as it cannot be seen in the API server any more. Only the laws look at it. It
// is part of the state.
type ghost struct {
	// Created counts the objects made under each name.
	Created map[string]int `json:",omitempty"`
	// Starts counts how often the container of each attempt was started.
	Starts map[string]int `json:",omitempty"`
	// Ends is how each attempt's container ended: its phase, and from which spec.
	Ends map[string]ending `json:",omitempty"`
	// Freed are the attempts whose Pod somebody deleted, or that was deleted before it had a node. Its name is free then,
	// and a controller that was frozen before creating that very Pod may make it once more: a known gap, which
	// docs/decisions/0004 explains.
	Freed map[string]bool `json:",omitempty"`
	// Silent are those whose Pod was deleted by force, so that nobody can say how they ended.
	Silent map[string]bool `json:",omitempty"`
	// Due is the true time, in seconds, before which the pause after each attempt is not over.
	Due map[string]int32 `json:",omitempty"`
}

type ending struct {
	Phase    corev1.PodPhase
	SpecHash string
}

func newGhost() *ghost {
	return &ghost{
		Created: map[string]int{}, Starts: map[string]int{}, Ends: map[string]ending{}, Freed: map[string]bool{}, Silent: map[string]bool{},
		Due: map[string]int32{},
	}
}

func (s *step) ghost() *ghost { return s.ghosts.values[s.world.truth] }

// change notes something in the ghost; what tells it from other notes.
func (s *step) change(what string, note func(*ghost)) {
	s.world.truth = s.remembered(what, s.world.truth, func() int32 {
		g, old := newGhost(), s.ghost()
		maps.Copy(g.Created, old.Created)
		maps.Copy(g.Starts, old.Starts)
		maps.Copy(g.Ends, old.Ends)
		maps.Copy(g.Freed, old.Freed)
		maps.Copy(g.Silent, old.Silent)
		maps.Copy(g.Due, old.Due)
		note(g)
		return s.ghosts.number(string(encode(g)), func() *ghost { return g })
	})
}

// freed notes that the name of an attempt's Pod may be taken once more.
func (s *step) freed(a string) { s.change("freed "+a, func(g *ghost) { g.Freed[a] = true }) }

// attemptOf names the attempt that a Pod makes; nobody may make it but a Pod that its order owns.
func attemptOf(pod *corev1.Pod) string {
	owner := types.UID("")
	if len(pod.OwnerReferences) > 0 {
		owner = pod.OwnerReferences[0].UID
	}
	return attempt(owner, pod.Labels[steppod.LabelStep], pod.Labels[steppod.LabelEpoch])
}

func attempt(order types.UID, step, epoch any) string {
	return fmt.Sprint(order, " ", step, "/", epoch)
}

// current says whether an order is there, not being deleted, and owns the Pod.
func current(order *v1alpha1.WorkOrder, pod *corev1.Pod) bool {
	// What a frozen controller may do to an order that goes, and its tombstones with it, is a known limit.
	return order != nil && order.DeletionTimestamp == nil && steppod.Owned(pod, order.UID)
}

// started checks, when a container starts, I1 and I4.
func (s *step) started(pod *corev1.Pod) {
	a, order := attemptOf(pod), s.order(s.world.order)
	s.change("started "+a, func(g *ghost) { g.Starts[a]++ })
	g := s.ghost()
	if !current(order, pod) || g.Freed[a] {
		return
	}
	if n := g.Starts[a]; n > 1 {
		s.breach("I1: %s was started %d times", a, n)
	}
	for _, other := range s.podsOf(s.world.pods) {
		same := other.Name != pod.Name && steppod.Owned(other, order.UID) && other.Labels[steppod.LabelStep] == pod.Labels[steppod.LabelStep]
		if b := attemptOf(other); same && other.Status.Phase == corev1.PodRunning && !g.Freed[b] {
			s.breach("I1: %s starts while %s runs", a, b)
		}
	}
	for i := range order.Status.Steps {
		step := &order.Status.Steps[i]
		if step.Name == pod.Labels[steppod.LabelStep] {
			if attempt(order.UID, step.Name, step.Epoch) != a || step.Phase != v1alpha1.StepRunning {
				s.breach("I1: %s starts although %s is %s in epoch %d", a, step.Name, step.Phase, step.Epoch)
			}
			return
		}
		if step.Phase != v1alpha1.StepSucceeded {
			s.breach("I4: %s starts while %s is %s", a, step.Name, step.Phase)
		}
	}
}

// ended notes how a container ended.
func (s *step) ended(pod *corev1.Pod) {
	end := ending{Phase: pod.Status.Phase, SpecHash: pod.Annotations[steppod.AnnotationSpecHash]}
	a := attemptOf(pod)
	s.change(fmt.Sprint("ended ", a, end), func(g *ghost) { g.Ends[a] = end })
}

// stopped checks that a Pod is stopped only if it is not wanted any more.
func (s *step) stopped(before, after *corev1.Pod) {
	code, a, order := after.Annotations[steppod.AnnotationStopped], attemptOf(after), s.order(s.world.order)
	if code == string(v1alpha1.CodeStartTimeout) && order != nil {
		s.notBefore(after.CreationTimestamp.Add(startTimeout(order, after.Labels[steppod.LabelStep])), "is given up as it does not start", a)
	}
	if before.Annotations[steppod.AnnotationStopped] == code || code == string(v1alpha1.CodeStartTimeout) || ended(before) ||
		!current(order, after) || order.Spec.Cancel || s.ghost().Freed[a] {
		return
	}
	for i, step := range order.Status.Steps {
		if attempt(order.UID, step.Name, step.Epoch) == a && step.Phase == v1alpha1.StepRunning && !order.Status.Cancelled &&
			i < len(order.Spec.Steps) && after.Annotations[steppod.AnnotationSpecHash] == steppod.SpecHash(&order.Spec.Steps[i]) {
			s.breach("I3: %s is stopped, %s, although it is wanted", a, code)
		}
	}
}

// vanished checks I2 when a Pod disappears: if it ever ran, its result is saved.
func (s *step) vanished(pod *corev1.Pod) {
	a, order := attemptOf(pod), s.order(s.world.order)
	if pod.Spec.NodeName == "" && !steppod.Sealed(pod) {
		s.freed(a)
	}
	if !current(order, pod) || s.ghost().Starts[a] == 0 {
		return
	}
	for i := range order.Status.Steps {
		step := &order.Status.Steps[i]
		if attempt(order.UID, step.Name, step.Epoch) == a && step.Phase == v1alpha1.StepRunning {
			s.breach("I2: the Pod of %s is gone before its result was saved", a)
		}
	}
}

// saved checks a status against the one before: I3, I4, I7, I8.
func (s *step) saved(before, after *v1alpha1.WorkOrder) {
	was, is := &before.Status, &after.Status
	if is.Sequence != was.Sequence+1 {
		s.breach("I8: number %d follows number %d", is.Sequence, was.Sequence)
	}
	if was.LastEventTime != nil && is.LastEventTime.Before(was.LastEventTime) || strings.HasPrefix(is.Duration, "-") {
		s.breach("I8: time goes back, from %v to %v, duration %s", was.LastEventTime, is.LastEventTime, is.Duration)
	}
	if !equality.Semantic.DeepEqual(foreignOf(was), foreignOf(is)) {
		s.breach("somebody else's conditions were changed, from %v to %v", foreignOf(was), foreignOf(is))
	}
	for i := range is.Steps {
		step := &is.Steps[i]
		if step.CompletionTime != nil && step.CompletionTime.Before(step.StartTime) {
			s.breach("I8: %s ends at %v, and it started at %v", step.Name, step.CompletionTime, step.StartTime)
		}
		if at := slices.IndexFunc(was.Steps, func(o v1alpha1.StepStatus) bool { return o.Name == step.Name }); at >= 0 {
			s.moved(after, &was.Steps[at], step)
		}
		for _, earlier := range is.Steps[:i] {
			if step.Phase == v1alpha1.StepRunning && earlier.Phase != v1alpha1.StepSucceeded {
				s.breach("I4: %s is Running while %s is %s", step.Name, earlier.Name, earlier.Phase)
			}
		}
	}
	s.folded(after)
}

// moved checks one step's entry against the one before.
func (s *step) moved(order *v1alpha1.WorkOrder, was, is *v1alpha1.StepStatus) {
	s.paused(order, was, is)
	switch {
	case is.Epoch < was.Epoch:
		s.breach("I8: the epoch of %s falls from %d to %d", is.Name, was.Epoch, is.Epoch)
	case is.Epoch > was.Epoch && was.Epoch > 0 && was.Phase != v1alpha1.StepBackoff:
		s.breach("I3: %s starts epoch %d although it is %s", is.Name, is.Epoch, was.Phase)
	case is.Epoch == was.Epoch && settled(was.Phase) && !equality.Semantic.DeepEqual(was, is):
		s.breach("I3: the result of %s was changed", is.Name)
	case is.Epoch == was.Epoch && was.Phase == v1alpha1.StepRunning && is.Phase != v1alpha1.StepRunning && was.PodName != "":
		s.result(order, is)
	}
}

// result checks a result that was just saved: it is that of the attempt's own Pod.
func (s *step) result(order *v1alpha1.WorkOrder, step *v1alpha1.StepStatus) {
	a, g := attempt(order.UID, step.Name, step.Epoch), s.ghost()
	end, known := g.Ends[a]
	code := v1alpha1.ErrorCode("")
	if step.Error != nil {
		code = step.Error.Code
	}
	unended := slices.ContainsFunc(s.podsOf(s.world.pods), func(pod *corev1.Pod) bool {
		return steppod.Owned(pod, order.UID) && attemptOf(pod) == a && mayRun(pod)
	})
	switch {
	case code == v1alpha1.CodeLost && g.Silent[a]:
		s.lost(a) // What it did after all comes too late.
	case unended && g.Silent[a]:
	case unended:
		s.breach("I3: %s is said to be %s %s, and its Pod has not ended", a, step.Phase, code)
	case step.Phase == v1alpha1.StepSucceeded && end.Phase != corev1.PodSucceeded:
		s.breach("I3: %s is said to have succeeded, and its Pod has %q", a, end.Phase)
	case step.Phase == v1alpha1.StepSucceeded && end.SpecHash != step.SpecHash:
		s.breach("I3: %s is said to have done %s, and its Pod did %q", a, step.SpecHash, end.SpecHash)
	case step.Phase != v1alpha1.StepSucceeded && end.Phase == corev1.PodSucceeded && code != v1alpha1.CodeSpecChanged:
		s.breach("I3: %s has succeeded and is said to be %s %s", a, step.Phase, code)
	case code == v1alpha1.CodeNonZeroExit && !known, code == v1alpha1.CodeLost:
		s.breach("I3: %s is said to be %s %s", a, step.Phase, code)
	}
}

// lost checks that a Pod that was deleted by force had its time to tell how it ended.
func (s *step) lost(a string) {
	for _, pod := range s.podsOf(s.world.pods) {
		if attemptOf(pod) == a && pod.DeletionTimestamp != nil {
			s.notBefore(pod.DeletionTimestamp.Add(steppod.LostAfter), "is said to be lost", a)
		}
	}
}

// mayRun says whether a Pod runs, or may yet.
func mayRun(pod *corev1.Pod) bool {
	return !ended(pod) && !steppod.Sealed(pod) && (pod.Spec.NodeName != "" || pod.DeletionTimestamp == nil)
}

func settled(phase v1alpha1.StepPhase) bool {
	return phase != v1alpha1.StepPending && phase != v1alpha1.StepRunning && phase != v1alpha1.StepBackoff
}

func foreignOf(status *v1alpha1.WorkOrderStatus) []metav1.Condition {
	return slices.DeleteFunc(slices.Clone(status.Conditions), func(c metav1.Condition) bool { return !foreign(c) })
}

// folded checks I7: the log gives the status.
func (s *step) folded(order *v1alpha1.WorkOrder) {
	if plan.SequenceOf(order.Status.Head) != order.Status.Sequence {
		return
	}
	if s.setup.without == guardChain {
		s.readWithoutChain(order)
		return
	}
	key := [2]int32{s.world.order, s.world.events}
	fault, known := s.folds[key]
	if !known {
		fault = unlikeFold(order, s.eventList())
		s.folds[key] = fault
	}
	if fault != "" {
		s.breach("I7: %s", fault)
	}
}

func (s *step) eventList() []v1alpha1.ProgressEvent {
	var list []v1alpha1.ProgressEvent
	for _, n := range s.sets.values[s.world.events] {
		list = append(list, *s.objects.values[n].(*v1alpha1.ProgressEvent))
	}
	return list
}

// unlikeFold says in what a status differs from the fold of its chain.
func unlikeFold(order *v1alpha1.WorkOrder, events []v1alpha1.ProgressEvent) string {
	chain := progress.Follow(order.UID, order.Status.Head, events)
	status, whole := chain.Fold()
	own := *order.Status.DeepCopy()
	own.Conditions = slices.DeleteFunc(own.Conditions, foreign)
	if !whole || !equality.Semantic.DeepEqual(status, own) {
		return fmt.Sprintf("the log (missing: %q) does not give the status: %s", chain.Missing, cmp.Diff(own, status))
	}
	for i := 1; i < len(chain.Events); i++ {
		if chain.Events[i].Spec.Sequence <= chain.Events[i-1].Spec.Sequence {
			return "the chain goes back at " + chain.Events[i].Name
		}
	}
	return ""
}
