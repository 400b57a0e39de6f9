package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// effectsOf is what is done, without the Pods' details: verb, step/epoch, and why.
func effectsOf(e Effects) []string {
	var list []string
	name := func(a steppod.Attempt) string { return a.Step + "/" + string(rune('0'+a.Epoch)) }
	for _, a := range e.Create {
		list = append(list, "create "+name(a.Attempt))
	}
	for _, a := range e.Seal {
		list = append(list, "seal "+name(a.Attempt))
	}
	for _, s := range e.Stop {
		list = append(list, "stop "+name(s.Pod.Attempt)+" "+string(s.Code))
	}
	for _, p := range e.Release {
		list = append(list, "release "+name(p.Attempt))
	}
	for _, p := range e.Delete {
		list = append(list, "delete "+name(p.Attempt))
	}
	return list
}

// The states that an order can be in, and its Pods.

func atWork(*v1alpha1.WorkOrder) {}

func isCancelled(o *v1alpha1.WorkOrder) { o.Status.Cancelled = true }

func isDeleting(o *v1alpha1.WorkOrder) { o.DeletionTimestamp = mt(0) }

func isChanged(o *v1alpha1.WorkOrder) { o.Spec.Steps[0].Run.Image = "x" }

func isOutdated(o *v1alpha1.WorkOrder) { o.Status.Steps[0].Outdated = true }

func isMended(o *v1alpha1.WorkOrder) { o.Generation++; o.Status.ObservedGeneration++ }

func isUnread(o *v1alpha1.WorkOrder) { isChanged(o); o.Generation++ }

func isDone(o *v1alpha1.WorkOrder) {
	o.Status.Phase, o.Status.CompletionTime = v1alpha1.WorkOrderSucceeded, mt(0)
	for i := range o.Status.Steps {
		o.Status.Steps[i].Phase = v1alpha1.StepSucceeded
	}
}

func isAgain(o *v1alpha1.WorkOrder) { o.Status.Steps[0].Epoch = 2 }

var noPods = World{}

func aSays(r steppod.Report) World { return saying("a", 1, r) }

func wasRefused(seal bool) World {
	return World{Refusals: map[steppod.Attempt]Refusal{{Step: "a", Epoch: 1}: {RetryAt: at(30), Generation: 1, Seal: seal}}}
}

// duties are what is to be done in each of them.
var duties = []struct {
	when  string
	order func(*v1alpha1.WorkOrder)
	world World
	now   float64
	want  []string
	wake  float64 // 0: never
}{
	{"a Pod is missing", atWork, noPods, 1, []string{"create a/1"}, 0},
	{"it was refused", atWork, wasRefused(false), 1, nil, 30},
	{"it was refused and the spec was mended", isMended, wasRefused(false), 1, []string{"create a/1"}, 0},
	{"it was refused a while ago", atWork, wasRefused(false), 30, []string{"create a/1"}, 0},
	{"it was refused and the order cancelled", isCancelled, wasRefused(false), 1, []string{"seal a/1"}, 0},
	{"its seal was refused", isCancelled, wasRefused(true), 1, nil, 30},
	{"the order was cancelled", isCancelled, noPods, 1, []string{"seal a/1"}, 0},
	{"the step was edited", isChanged, noPods, 1, nil, 0},
	{"the step was edited and nobody has read it", isUnread, noPods, 1, nil, 0},
	{"the order is being deleted", isDeleting, noPods, 1, nil, 0},
	{"the Pod of the epoch before still runs", isAgain, aSays(steppod.Report{Started: true}), 1, []string{"stop a/1 Superseded"}, 0},
	{"the Pod of the epoch before is being stopped", isAgain, aSays(steppod.Report{Stopped: "Superseded", Deleting: true}), 1, nil, 0},
	{"the Pod of the epoch before has ended", isAgain, aSays(steppod.Report{End: &broken, Held: true}), 1, []string{"create a/2", "release a/1"}, 0},
	{"the Pod of the epoch before is lost", isAgain, aSays(steppod.Report{Bound: true, Deleting: true, Held: true, LostAt: at(1)}), 1, []string{"create a/2", "release a/1"}, 0},

	{"the Pod has not started", atWork, aSays(steppod.Report{}), 1, nil, 600},
	{"the Pod does not start", atWork, aSays(steppod.Report{}), 600, []string{"stop a/1 StartTimeout"}, 0},
	{"the Pod runs", atWork, aSays(steppod.Report{Started: true}), 9000, nil, 0},
	{"the Pod has ended and nobody wrote it down", atWork, aSays(steppod.Report{End: &fine, Held: true}), 1, nil, 0},
	{"the Pod runs and the order was cancelled", isCancelled, aSays(steppod.Report{Started: true}), 1, []string{"stop a/1 Cancelled"}, 0},
	{"the Pod runs and was made from another spec", atWork, aSays(steppod.Report{Started: true, SpecHash: "v2-of-before"}), 1, []string{"stop a/1 Superseded"}, 0},
	{"the Pod runs and the step was edited", isOutdated, aSays(steppod.Report{Started: true}), 1, []string{"stop a/1 SpecChanged"}, 0},
	{"the step was edited before it had a Pod", isOutdated, noPods, 1, []string{"seal a/1"}, 0},
	{"the Pod runs and the edit was not read", isUnread, aSays(steppod.Report{Started: true}), 1, nil, 0},
	{"the Pod is being stopped", isCancelled, aSays(steppod.Report{Started: true, Stopped: "Cancelled"}), 1, nil, 0},
	{"the Pod is being deleted", isCancelled, aSays(steppod.Report{Started: true, Deleting: true}), 1, nil, 0},
	{"the Pod was deleted by force", atWork, aSays(steppod.Report{Started: true, Deleting: true, LostAt: at(60)}), 1, nil, 60},
	{"the Pod runs and the order is being deleted", isDeleting, aSays(steppod.Report{Started: true}), 1, nil, 0},

	{"the Pod's result is saved", isDone, aSays(steppod.Report{End: &fine, Held: true}), 1, []string{"release a/1"}, 600},
	{"the Pod is a tombstone", isDone, aSays(steppod.Report{End: &fine}), 599, nil, 600},
	{"the order has ended ten minutes ago", isDone, aSays(steppod.Report{End: &fine}), 600, []string{"delete a/1"}, 0},
	{"and its Pod is being deleted", isDone, aSays(steppod.Report{End: &fine, Deleting: true}), 600, nil, 0},
	{"and its Pods are gone", isDone, noPods, 700, nil, 0},
	{"a Pod runs that nobody wants", isDone, aSays(steppod.Report{Started: true}), 700, []string{"stop a/1 Superseded"}, 0},
	{"the Pod of a step that is unknown runs", atWork, World{Pods: map[steppod.Attempt]steppod.Report{
		{Step: "a", Epoch: 1}: {Attempt: steppod.Attempt{Step: "a", Epoch: 1}, Started: true},
		{Step: "z", Epoch: 1}: {Attempt: steppod.Attempt{Step: "z", Epoch: 1}, Started: true}}}, 1, []string{"stop z/1 Superseded"}, 0},
}

func TestWhatIsDoneFollowsFromTheSavedStatusAndThePods(t *testing.T) {
	for _, test := range duties {
		o := accepted(t).DeepCopy()
		test.order(o)
		e := Act(o, test.world, at(test.now))
		if diff := cmp.Diff(test.want, effectsOf(e)); diff != "" {
			t.Errorf("when %s:\n%s", test.when, diff)
		}
		if e.Wake.IsZero() != (test.wake == 0) || test.wake != 0 && !e.Wake.Equal(at(test.wake)) {
			t.Errorf("when %s: it wakes at %v", test.when, e.Wake)
		}
	}
}

func TestAStepThatWaitsWakesItsOrder(t *testing.T) {
	o := newOrder()
	o.Spec.Steps = []v1alpha1.Step{{Name: "a", Wait: &v1alpha1.Wait{Seconds: 30}}, podStep("b")}
	o, _ = moved(t, o, World{}, 0.5)
	if e := Act(o, World{}, at(1)); len(effectsOf(e)) > 0 || !e.Wake.Equal(at(31)) {
		t.Errorf("a wait: %v, wakes at %v", effectsOf(e), e.Wake)
	}
	o = accepted(t, retries(1, 0))
	o, _ = moved(t, o, ending("a", 1, broken), 10)
	e := Act(o, World{}, at(10))
	if notBefore := o.Status.Steps[0].NotBefore; !e.Wake.Equal(notBefore.Time) {
		t.Errorf("a backoff until %v wakes at %v", notBefore, e.Wake)
	}
}
