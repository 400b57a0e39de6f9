package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

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
	// seen counts how often there was what a law is about.
	seen map[string]int
	// starts counts how often the container of each attempt was started; alive are those that run now.
	starts map[steppod.Attempt]int
	alive  map[steppod.Attempt]bool
	// truth is the end of each attempt's Pod.
	truth map[steppod.Attempt]*corev1.Pod
	// forced are the attempts whose Pod was deleted by force, so that nobody can say how they ended.
	forced map[steppod.Attempt]bool
	// mustKeep says that a frozen operator is yet to wake up, so that Pods are needed as tombstones.
	mustKeep func() bool
	// ahead is how far before the true time the operator's clock ever was.
	ahead func() time.Duration
}

func newLaws() *laws {
	return &laws{
		seen: map[string]int{}, starts: map[steppod.Attempt]int{}, alive: map[steppod.Attempt]bool{},
		truth: map[steppod.Attempt]*corev1.Pod{}, forced: map[steppod.Attempt]bool{},
		mustKeep: func() bool { return false }, ahead: func() time.Duration { return 0 },
	}
}

func (l *laws) breach(format string, args ...any) {
	l.broken = append(l.broken, fmt.Sprintf(format, args...))
}

// What laws are about that must be seen often enough for them to show anything.
const (
	sawInputs    = "outputs of other steps than the usual"
	sawWorkspace = "workspaces"
	sawTimeout   = "timeouts"
	sawLateNews  = "ends that a node noticed too late"
	sawFinalExit = "exit codes that are not retried"
	sawTooLarge  = "results too large"
	sawCondition = "conditions that held"
	sawSkip      = "conditions that did not hold"
	sawNoValue   = "conditions without a value"
	sawQueue     = "places in the line"
	sawOutlived  = "orders that outlived their time"
)

var sights = []string{
	sawInputs, sawWorkspace, sawTimeout, sawLateNews, sawFinalExit, sawTooLarge, sawCondition, sawSkip, sawNoValue, sawQueue, sawOutlived,
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
	if c.order.Generation == 1 {
		l.mayStart(c.order, &c.order.Status, a.Step) // After an edit it may be about to be stopped, as what it needs has changed.
	}
}

// mayStart checks I4 when a step starts: all that it needs is done, and if it is of finally, all the rest has ended.
func (l *laws) mayStart(order *v1alpha1.WorkOrder, status *v1alpha1.WorkOrderStatus, name string) {
	needs, finally := needsOf(&order.Spec, name)
	for i := range status.Steps {
		other := &status.Steps[i]
		switch done := other.Phase == v1alpha1.StepSucceeded || other.Phase == v1alpha1.StepSkipped; {
		case slices.Contains(needs, other.Name) && !done:
			l.breach("I4: %s was started while %s is %s", name, other.Name, other.Phase)
		case finally && !other.Finally && !settledPhase(other.Phase):
			l.breach("I4: %s of finally was started while %s is %s", name, other.Name, other.Phase)
		}
	}
}

// needsOf is what a step directly needs, as the user's documentation has it.
func needsOf(spec *v1alpha1.WorkOrderSpec, name string) (needs []string, finally bool) {
	for i, step := range spec.Steps {
		switch {
		case step.Name != name:
		case spec.Strategy == v1alpha1.StrategyGraph:
			return step.DependsOn, false
		case i > 0:
			return []string{spec.Steps[i-1].Name}, false
		}
	}
	return nil, slices.ContainsFunc(spec.Finally, func(s v1alpha1.Step) bool { return s.Name == name })
}

// allBefore are all steps that a step comes after, in a valid spec.
func allBefore(spec *v1alpha1.WorkOrderSpec, name string) (before []string) {
	near, finally := needsOf(spec, name)
	if finally {
		for _, step := range spec.Steps {
			near = append(near, step.Name)
		}
	}
	for i := 0; i < len(near); i++ {
		if !slices.Contains(before, near[i]) {
			before = append(before, near[i])
			further, _ := needsOf(spec, near[i])
			near = slices.Concat(near, further)
		}
	}
	return before
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
func (l *laws) result(before *v1alpha1.WorkOrderStatus, e *v1alpha1.ProgressEventSpec, r *v1alpha1.StepResult) {
	a := steppod.Attempt{Step: e.Step, Epoch: e.Epoch}
	pod := l.truth[a]
	code := v1alpha1.ErrorCode("")
	if e.Error != nil {
		code = e.Error.Code
	}
	if pod != nil && r.PodName != "" {
		wanted := !steppod.Differ(pod.Annotations[steppod.AnnotationSpecHash], statusOf(before, e.Step).SpecHash)
		l.told(a, pod, r, code, wanted)
	}
	switch {
	case r.PodName == "": // A wait has no Pod.
	case r.Phase == v1alpha1.StepSucceeded:
		if !didSucceed(pod) {
			l.breach("I3: %v is said to have succeeded", a)
		}
	case didSucceed(pod) && code != v1alpha1.CodeResultsTooLarge:
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
		e := &c.events[i]
		if e.Name != s.Head || s.Head == b.Head {
			continue // An event off the chain may say anything: it never happened.
		}
		l.retried(before, &e.Spec)
		if e.Spec.Result != nil {
			l.result(b, &e.Spec, e.Spec.Result)
		}
	}
	for i := range s.Steps {
		l.step(after, b, s, i)
	}
	l.waits(c, b, s)
	l.advance(b, s)
	l.fold(c, after)
}

// step checks one step's entry: I3, I4, I8 and its times.
func (l *laws) step(order *v1alpha1.WorkOrder, before, after *v1alpha1.WorkOrderStatus, i int) {
	step, was := &after.Steps[i], v1alpha1.StepStatus{}
	if earlier := statusOf(before, step.Name); earlier != nil {
		was = *earlier
	}
	l.budgets(order, &was, step)
	l.decided(order, &was, step)
	if was.Epoch > step.Epoch {
		l.breach("I8: the epoch of %s falls from %d to %d", step.Name, was.Epoch, step.Epoch)
	}
	if was.Name != "" && settledPhase(was.Phase) && was.StartTime != nil && was.Epoch == step.Epoch && !step.Removed && !sameResult(was, *step) {
		l.breach("I3: the result of %s was changed from %s to %s", step.Name, encode(was), encode(step))
	}
	if step.CompletionTime != nil && (step.StartTime == nil || step.CompletionTime.Before(step.StartTime)) {
		l.breach("%s ends before it starts", step.Name)
	}
	if step.Phase == v1alpha1.StepRunning && (was.Phase != v1alpha1.StepRunning || was.Epoch != step.Epoch) {
		l.mayStart(order, after, step.Name)
		if running := runningSteps(after); order.Spec.Parallelism != nil && running > max(int(*order.Spec.Parallelism), runningSteps(before)) {
			l.breach("%d steps run at once, and %d may", running, *order.Spec.Parallelism)
		}
	}
}

// sameResult says whether two entries tell of the same result; whether the step was edited since is not part of it.
func sameResult(a, b v1alpha1.StepStatus) bool {
	for _, s := range []*v1alpha1.StepStatus{&a, &b} {
		s.Outdated, s.Finally, s.Removed, s.SpecHash, s.Agent, s.Attempt = false, false, false, "", "", 0
	}
	return equality.Semantic.DeepEqual(a, b)
}

func runningSteps(s *v1alpha1.WorkOrderStatus) (n int) {
	for i := range s.Steps {
		if s.Steps[i].Phase == v1alpha1.StepRunning {
			n++
		}
	}
	return n
}

// advance checks that without a rewind or an edit the progress only grows, and by one step at a time.
func (l *laws) advance(before, after *v1alpha1.WorkOrderStatus) {
	done := func(s *v1alpha1.WorkOrderStatus) (n int) {
		for _, step := range s.Steps {
			if step.Phase == v1alpha1.StepSucceeded {
				n++
			}
		}
		return n
	}
	calm := before.Rewinds == after.Rewinds && before.ObservedGeneration == after.ObservedGeneration
	if calm && done(after) < done(before) {
		l.breach("progress goes back from %s to %s", before.Progress, after.Progress)
	}
	completed := 0
	for _, was := range before.Steps {
		at := slices.IndexFunc(after.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == was.Name })
		if was.PodName != "" && was.Phase == v1alpha1.StepRunning && (at < 0 || after.Steps[at].Phase != v1alpha1.StepRunning) {
			completed++
		}
	}
	if completed > 1 {
		l.breach("%d steps were completed at once", completed)
	}
	if calm && before.CompletionTime != nil && !before.CompletionTime.Equal(after.CompletionTime) {
		l.breach("the completion time was changed")
	}
	if before.Rewinds > after.Rewinds {
		l.breach("I8: rewinds fall from %d to %d", before.Rewinds, after.Rewinds)
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
