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
	// Unwanted are the attempts that an edit has made unwanted.
	Unwanted map[string]bool `json:",omitempty"`
	// Due is the true time, in seconds, before which the pause after each attempt is not over.
	Due map[string]int32 `json:",omitempty"`
}

type ending struct {
	Phase    corev1.PodPhase
	SpecHash string
	// Itself: it ended before anything ended it.
	Itself bool `json:",omitempty"`
}

func newGhost() *ghost {
	return &ghost{
		Created: map[string]int{}, Starts: map[string]int{}, Ends: map[string]ending{}, Freed: map[string]bool{}, Silent: map[string]bool{},
		Unwanted: map[string]bool{}, Due: map[string]int32{},
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
		maps.Copy(g.Unwanted, old.Unwanted)
		maps.Copy(g.Due, old.Due)
		note(g)
		return s.ghosts.number(string(encode(g)), func() *ghost { return g })
	})
}

// freed notes that the name of an attempt's Pod may be taken once more: by another controller, which was frozen meanwhile. One
// that is alone has no such excuse.
func (s *step) freed(a string) {
	if s.setup.actors > 1 {
		s.change("freed "+a, func(g *ghost) { g.Freed[a] = true })
	}
}

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
	step := entryOf(&order.Status, pod.Labels[steppod.LabelStep])
	switch {
	case step == nil || attempt(order.UID, step.Name, step.Epoch) != a || step.Phase != v1alpha1.StepRunning:
		s.breach("I1: %s starts although its step is %s", a, encode(step))
	case g.Unwanted[a]: // What it needed may be about to run again; then it is about to be stopped.
	case step.SpecHash != digestOf(&order.Spec, step.Name): // Its start was decided when it needed something else.
	case waitsFor(order, step.Name) != "":
		s.breach("I4: %s starts while %s is not done", a, waitsFor(order, step.Name))
	}
}

// ended notes how a container ended.
func (s *step) ended(pod *corev1.Pod) {
	end := ending{Phase: pod.Status.Phase, SpecHash: pod.Annotations[steppod.AnnotationSpecHash], Itself: pod.Status.Reason == "" && pod.DeletionTimestamp == nil}
	a := attemptOf(pod)
	s.change(fmt.Sprint("ended ", a, end), func(g *ghost) { g.Ends[a] = end })
}

// stopped checks that a Pod is stopped only if it is not wanted any more.
func (s *step) stopped(before, after *corev1.Pod) {
	code, a, order := after.Annotations[steppod.AnnotationStopped], attemptOf(after), s.order(s.world.order)
	marked := before.Annotations[steppod.AnnotationStopped] != code
	if code == string(v1alpha1.CodeStartTimeout) && order != nil {
		s.notBefore(after.CreationTimestamp.Add(startTimeout(order, after.Labels[steppod.LabelStep])), "is given up as it does not start", a)
		if marked && len(before.Status.ContainerStatuses) > 0 { // Nodes say nothing of a container before it runs.
			s.breach("I3: %s is given up as it does not start, and it had started", a)
		}
	}
	if !marked || code == string(v1alpha1.CodeStartTimeout) || ended(before) ||
		!current(order, after) || s.ghost().Freed[a] {
		return
	}
	if s.isWanted(order, after) {
		s.breach("I3: %s is stopped, %s, although it is wanted", a, code)
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
		earlier := entryOf(was, step.Name)
		if earlier != nil {
			s.moved(before, after, earlier, step)
		}
		switch {
		case step.Phase != v1alpha1.StepRunning || after.DeletionTimestamp != nil: // No edit is read any more.
		case earlier == nil || earlier.Phase != v1alpha1.StepRunning || earlier.Epoch != step.Epoch:
			s.begun(before, after, step.Name)
		default:
			s.undisturbed(before, after, step.Name)
		}
	}
	s.whole(before, after)
	s.folded(after)
}

// whole checks what a status says of the order as a whole against the one before.
func (s *step) whole(before, after *v1alpha1.WorkOrder) {
	was, is := &before.Status, &after.Status
	for i := range was.Steps {
		if step := &was.Steps[i]; step.Epoch > 0 && entryOf(is, step.Name) == nil {
			s.breach("I8: the epoch of %s is forgotten", step.Name)
		}
	}
	if is.Rewinds < was.Rewinds {
		s.breach("I8: rewinds fall from %d to %d", was.Rewinds, is.Rewinds)
	}
	// A deadline lets rewinds wait for the end, and of an order that is being deleted no edit is read any more.
	if is.Phase == v1alpha1.WorkOrderSucceeded && was.Phase != is.Phase && !is.Expired && after.DeletionTimestamp == nil {
		for name := range runsAgain(after) {
			s.breach("I3: the order succeeds although %s is to run again", name)
		}
	}
	s.expired(before, after)
}

// moved checks one step's entry against the one before.
func (s *step) moved(before, after *v1alpha1.WorkOrder, was, is *v1alpha1.StepStatus) {
	s.paused(before, after, was, is)
	switch {
	case is.Epoch < was.Epoch:
		s.breach("I8: the epoch of %s falls from %d to %d", is.Name, was.Epoch, is.Epoch)
	case is.Epoch > was.Epoch:
		s.advanced(before, after, was, is)
	case was.Phase == v1alpha1.StepRunning && is.Phase != v1alpha1.StepRunning && was.PodName != "":
		s.result(after, was, is)
	case was.Removed || is.Removed: // Nothing is kept of it but its epoch.
	case hasResult(was) && !sameResult(*was, *is):
		s.breach("I3: the result of %s was changed from %s to %s", is.Name, encode(was), encode(is))
	}
}

// hasResult says whether a step's entry says how it ended, or that it was passed over.
func hasResult(step *v1alpha1.StepStatus) bool {
	return settled(step.Phase) && (step.StartTime != nil || step.Phase == v1alpha1.StepSkipped || step.Phase == v1alpha1.StepFailed)
}

// result checks a result that was just saved: it is that of the attempt's own Pod.
func (s *step) result(order *v1alpha1.WorkOrder, was, is *v1alpha1.StepStatus) {
	a, g := attempt(order.UID, is.Name, is.Epoch), s.ghost()
	end, known := g.Ends[a]
	phase, digest, code := is.Phase, is.SpecHash, v1alpha1.ErrorCode("")
	if is.Error != nil {
		code = is.Error.Code
	}
	if is.Removed { // Only the log tells how it ended.
		e := s.written(order)
		if e == nil || e.Spec.Result == nil {
			return
		}
		if phase, digest = e.Spec.Result.Phase, was.SpecHash; e.Spec.Error != nil {
			code = e.Spec.Error.Code
		}
	}
	unended := slices.ContainsFunc(s.podsOf(s.world.pods), func(pod *corev1.Pod) bool {
		return steppod.Owned(pod, order.UID) && attemptOf(pod) == a && mayRun(pod)
	})
	switch {
	case code == v1alpha1.CodeLost && g.Silent[a]:
		s.lost(a) // What it did after all comes too late.
	case unended && g.Silent[a]:
	case unended:
		s.breach("I3: %s is said to be %s %s, and its Pod has not ended", a, phase, code)
	case phase == v1alpha1.StepSucceeded && end.Phase != corev1.PodSucceeded:
		s.breach("I3: %s is said to have succeeded, and its Pod has %q", a, end.Phase)
	case phase == v1alpha1.StepSucceeded && end.SpecHash != digest:
		s.breach("I3: %s is said to have done %s, and its Pod did %q", a, digest, end.SpecHash)
	case phase != v1alpha1.StepSucceeded && end.Phase == corev1.PodSucceeded && end.SpecHash == digest:
		s.breach("I3: %s has succeeded and is said to be %s %s", a, phase, code)
	case code == v1alpha1.CodeStartTimeout && end.Itself:
		s.breach("I3: %s ended by itself, and is said not to have started", a)
	case code == v1alpha1.CodeNonZeroExit && !known, code == v1alpha1.CodeLost:
		s.breach("I3: %s is said to be %s %s", a, phase, code)
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
	return superseded(chain, &order.Status)
}

// sameResult says whether two entries tell of the same end; whether the step was edited since is not part of it.
func sameResult(was, is v1alpha1.StepStatus) bool {
	was.Outdated, was.SpecHash, was.Finally = is.Outdated, is.SpecHash, is.Finally
	return equality.Semantic.DeepEqual(was, is)
}
