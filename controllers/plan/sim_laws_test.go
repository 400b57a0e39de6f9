package plan_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/progress"
	"workorders.dev/operator/controllers/steppod"
)

// laws are the invariants of the design. They are told what really happened, by the cluster and not by the operator,
// and note what must not have.
type laws struct {
	broken []string
	// starts counts how often the container of each attempt was started; alive are those that run now.
	starts map[steppod.Attempt]int
	alive  map[steppod.Attempt]bool
	// truth is the end of each attempt's Pod.
	truth map[steppod.Attempt]*corev1.Pod
	// forced are the attempts whose Pod was deleted by force, so that nobody can say how they ended.
	forced map[steppod.Attempt]bool
	// mustKeep says that a frozen operator is yet to wake up, so that Pods are needed as tombstones.
	mustKeep func() bool
}

func newLaws() *laws {
	return &laws{
		starts: map[steppod.Attempt]int{}, alive: map[steppod.Attempt]bool{},
		truth: map[steppod.Attempt]*corev1.Pod{}, forced: map[steppod.Attempt]bool{},
		mustKeep: func() bool { return false },
	}
}

func (l *laws) breach(format string, args ...any) {
	l.broken = append(l.broken, fmt.Sprintf(format, args...))
}

// started checks, when a container starts, I1: one start an attempt, one live attempt a step; and I4.
func (l *laws) started(c *cluster, a steppod.Attempt) {
	if c.order == nil || c.order.DeletionTimestamp != nil {
		return // What a frozen operator may do to an order that goes, and its tombstones with it, is a known limit.
	}
	if l.starts[a]++; l.starts[a] > 1 {
		l.breach("I1: %v was started %d times", a, l.starts[a])
	}
	for other := range l.alive {
		if other.Step == a.Step && !l.forced[other] {
			l.breach("I1: %v runs beside %v", a, other)
		}
	}
	l.alive[a] = true
	for _, step := range c.order.Status.Steps {
		if step.Name == a.Step {
			return
		}
		if step.Phase != v1alpha1.StepSucceeded {
			l.breach("I4: %v was started while %s is %s", a, step.Name, step.Phase)
		}
	}
}

// ended notes how a Pod ended.
func (l *laws) ended(_ *cluster, pod *corev1.Pod) {
	a := attemptOf(pod)
	delete(l.alive, a)
	l.truth[a] = pod
}

// abandoned notes that nobody will say how an attempt ended.
func (l *laws) abandoned(a steppod.Attempt) { l.forced[a] = true }

// vanished checks I2 when a Pod disappears: its result is in the status.
func (l *laws) vanished(c *cluster, pod *corev1.Pod) {
	a := attemptOf(pod)
	delete(l.alive, a)
	if c.order == nil || c.order.DeletionTimestamp != nil || l.truth[a] == nil && !l.forced[a] && l.starts[a] == 0 {
		return
	}
	for i := range c.order.Status.Steps {
		step := &c.order.Status.Steps[i]
		if step.Name == a.Step && (step.Epoch < a.Epoch || step.Epoch == a.Epoch && step.Phase == v1alpha1.StepRunning) {
			l.breach("I2: the Pod of %v is gone before its result was saved", a)
		}
	}
}

// posted checks the limits of an event.
func (l *laws) posted(e *v1alpha1.ProgressEvent) {
	if size := jsonSize(e.Spec.Message); size > steppod.MaxMessage {
		l.breach("the message of %s has %d bytes", e.Name, size)
	}
	if e.Spec.Error != nil && jsonSize(e.Spec.Error.Message) > steppod.MaxErrorMessage {
		l.breach("the error of %s is too long", e.Name)
	}
	without := e.Spec
	without.Changes = v1alpha1.Changes{}
	if size := jsonSize(without); size > 96<<10 {
		l.breach("%s has %d bytes besides its changes", e.Name, size)
	}
}

// result checks I3: what an event says of an attempt's end is what happened to that attempt's own Pod.
func (l *laws) result(e *v1alpha1.ProgressEventSpec, r *v1alpha1.StepResult) {
	a := steppod.Attempt{Step: e.Step, Epoch: e.Epoch}
	pod := l.truth[a]
	code := v1alpha1.ErrorCode("")
	if e.Error != nil {
		code = e.Error.Code
	}
	switch {
	case r.PodName == "": // A wait has no Pod.
	case r.Phase == v1alpha1.StepSucceeded:
		if pod == nil || pod.Status.Phase != corev1.PodSucceeded {
			l.breach("I3: %v is said to have succeeded", a)
		}
	case pod != nil && pod.Status.Phase == corev1.PodSucceeded:
		l.breach("I3: %v succeeded and is said to be %s, %s", a, r.Phase, code)
	case code == v1alpha1.CodeLost:
		if !l.forced[a] {
			l.breach("I3: %v is said to be lost", a)
		}
	case pod == nil && l.alive[a]:
		l.breach("I3: %v runs and is said to be %s, %s", a, r.Phase, code)
	}
}

// saved checks a status that was just saved against the one before.
func (l *laws) saved(c *cluster, before, after *v1alpha1.WorkOrder) {
	b, s := &before.Status, &after.Status
	if s.Sequence != b.Sequence+1 {
		l.breach("I8: sequence %d follows %d", s.Sequence, b.Sequence)
	}
	if b.LastEventTime != nil && s.LastEventTime.Before(b.LastEventTime) {
		l.breach("time goes back from %v to %v", b.LastEventTime, s.LastEventTime)
	}
	if strings.ContainsAny(s.Duration, "-<") {
		l.breach("the duration is %q", s.Duration)
	}
	for i := range c.events {
		if e := &c.events[i]; e.Name == s.Head && s.Head != b.Head && e.Spec.Result != nil {
			l.result(&e.Spec, e.Spec.Result) // An event off the chain may say anything: it never happened.
		}
	}
	for i := range s.Steps {
		l.step(b, s, i)
	}
	l.advance(b, s)
	l.fold(c, after)
}

// step checks one step's entry: I4, I8 and its times.
func (l *laws) step(before, after *v1alpha1.WorkOrderStatus, i int) {
	step := &after.Steps[i]
	at := slices.IndexFunc(before.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == step.Name })
	if at >= 0 && before.Steps[at].Epoch > step.Epoch {
		l.breach("I8: the epoch of %s falls from %d to %d", step.Name, before.Steps[at].Epoch, step.Epoch)
	}
	if at >= 0 && settledPhase(before.Steps[at].Phase) && !equality.Semantic.DeepEqual(before.Steps[at], *step) {
		l.breach("I3: the result of %s was changed", step.Name)
	}
	if step.CompletionTime != nil && (step.StartTime == nil || step.CompletionTime.Before(step.StartTime)) {
		l.breach("%s ends before it starts", step.Name)
	}
	for _, earlier := range after.Steps[:i] {
		if step.Phase == v1alpha1.StepRunning && earlier.Phase != v1alpha1.StepSucceeded {
			l.breach("I4: %s is Running while %s is %s", step.Name, earlier.Name, earlier.Phase)
		}
	}
}

// advance checks that the progress only grows, and by one step at a time.
func (l *laws) advance(before, after *v1alpha1.WorkOrderStatus) {
	finished := func(s *v1alpha1.WorkOrderStatus) (done, completed int) {
		for _, step := range s.Steps {
			if step.Phase == v1alpha1.StepSucceeded {
				done++
			}
			if settledPhase(step.Phase) && step.CompletionTime != nil {
				completed++
			}
		}
		return done, completed
	}
	doneBefore, completedBefore := finished(before)
	doneAfter, completedAfter := finished(after)
	if doneAfter < doneBefore {
		l.breach("progress goes back from %s to %s", before.Progress, after.Progress)
	}
	if grown := completedAfter - completedBefore; grown < 0 || grown > 1 {
		l.breach("%d steps were completed at once", grown)
	}
	if before.CompletionTime != nil && !before.CompletionTime.Equal(after.CompletionTime) {
		l.breach("the completion time was changed")
	}
}

// fold checks I7: the log gives the status.
func (l *laws) fold(c *cluster, order *v1alpha1.WorkOrder) {
	status := &order.Status
	if plan.SequenceOf(status.Head) != status.Sequence {
		return
	}
	chain := progress.Follow(order.UID, status.Head, c.events)
	folded, whole := chain.Fold()
	own := *status
	own.Conditions = slices.DeleteFunc(slices.Clone(own.Conditions), func(c metav1.Condition) bool { return c.Type == foreignCondition })
	if !whole || !equality.Semantic.DeepEqual(folded, own) {
		l.breach("I7: the log does not give the status: %s", cmp.Diff(own, folded))
	}
	if foreign := len(status.Conditions) - len(own.Conditions); foreign != c.foreign {
		l.breach("a condition that somebody else set is kept %d times", foreign)
	}
	for i := 1; i < len(chain.Events); i++ {
		if chain.Events[i].Spec.Sequence <= chain.Events[i-1].Spec.Sequence {
			l.breach("I8: the chain goes back at %s", chain.Events[i].Name)
		}
		if chain.Events[i].Spec.Time.Before(&chain.Events[i-1].Spec.Time) {
			l.breach("time goes back at %s", chain.Events[i].Name)
		}
	}
}

func settledPhase(p v1alpha1.StepPhase) bool {
	return p != v1alpha1.StepPending && p != v1alpha1.StepRunning && p != v1alpha1.StepBackoff
}

func jsonSize(v any) int { return len(encode(v)) - 2 } // A string's quotes, or an object's braces.
