package plan

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// at is the time so many seconds after noon.
func at(seconds float64) time.Time {
	return time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

func mt(seconds float64) *metav1.Time { return &metav1.Time{Time: at(seconds)} }

func ptr[T any](value T) *T { return &value }

func podStep(name string) v1alpha1.Step {
	return v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: "registry/agent:1"}}
}

// newOrder is an order that nobody has looked at: a, b and c, each with a Pod.
func newOrder(change ...func(*v1alpha1.WorkOrder)) *v1alpha1.WorkOrder {
	o := &v1alpha1.WorkOrder{
		ObjectMeta: metav1.ObjectMeta{Name: "order", UID: "uid-1", Generation: 1},
		Spec:       v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{podStep("a"), podStep("b"), podStep("c")}},
		Status:     v1alpha1.WorkOrderStatus{ObservedGeneration: -1},
	}
	for _, c := range change {
		c(o)
	}
	return o
}

// moved is the order after the next transition; the test ends if there is none.
func moved(t *testing.T, o *v1alpha1.WorkOrder, world World, seconds float64) (*v1alpha1.WorkOrder, *Transition) {
	t.Helper()
	next := Next(o, world, at(seconds))
	if next == nil {
		t.Fatalf("nothing happens to %+v", o.Status)
	}
	after := o.DeepCopy()
	after.Status = *next.Status.DeepCopy()
	return after, next
}

// accepted is the order at work on a.
func accepted(t *testing.T, change ...func(*v1alpha1.WorkOrder)) *v1alpha1.WorkOrder {
	t.Helper()
	o, _ := moved(t, newOrder(change...), World{}, 0)
	return o
}

// edited is the order after an edit.
func edited(o *v1alpha1.WorkOrder, change func(*v1alpha1.WorkOrderSpec)) *v1alpha1.WorkOrder {
	o = o.DeepCopy()
	change(&o.Spec)
	o.Generation++
	return o
}

// saying is a world in which the Pod of an attempt says something.
func saying(step string, epoch int64, report steppod.Report) World {
	a := steppod.Attempt{Step: step, Epoch: epoch}
	report.Attempt, report.Created = a, at(0)
	return World{Pods: map[steppod.Attempt]steppod.Report{a: report}}
}

func ending(step string, epoch int64, end steppod.End) World {
	return saying(step, epoch, steppod.Report{End: &end, Started: true, Bound: true, Held: true})
}

var (
	fine        = steppod.End{Verdict: steppod.Succeeded, Output: "first line\nsecond", ExitCode: ptr(int32(0))}
	broken      = steppod.End{Verdict: steppod.Failed, Code: v1alpha1.CodeNonZeroExit, Message: "exit code 1", Output: "log\nlast words\n", ExitCode: ptr(int32(1))}
	interrupted = steppod.End{Verdict: steppod.Disrupted, Code: v1alpha1.CodeEvicted, Message: "its Pod was evicted"}
	stopped     = steppod.End{Verdict: steppod.Stopped, Code: v1alpha1.CodeSpecChanged, Message: "its spec was changed"}
)

// brief is a status in one line: phase, then each step's phase and epoch.
func brief(s *v1alpha1.WorkOrderStatus) string {
	line := string(s.Phase)
	for _, step := range s.Steps {
		line += " " + step.Name + ":" + string(step.Phase)
		if step.Epoch > 0 {
			line += "/" + string(rune('0'+step.Epoch))
		}
	}
	return line
}

func retries(limit, disruptions int32) func(*v1alpha1.WorkOrder) {
	return func(o *v1alpha1.WorkOrder) {
		o.Spec.Retry = &v1alpha1.Retry{Limit: &limit, DisruptionLimit: &disruptions}
	}
}

func TestAnAttemptThatEndsIsSettled(t *testing.T) {
	cancelled := func(o *v1alpha1.WorkOrder) *v1alpha1.WorkOrder {
		o.Status.Cancelled = true
		return o
	}
	same := func(o *v1alpha1.WorkOrder) *v1alpha1.WorkOrder { return o }
	for _, test := range []struct {
		when    string
		end     steppod.End
		limits  func(*v1alpha1.WorkOrder)
		before  func(*v1alpha1.WorkOrder) *v1alpha1.WorkOrder
		kind    v1alpha1.EventType
		brief   string
		message string
	}{
		{"it succeeded", fine, retries(0, 0), same, v1alpha1.EventStepSucceeded, "Running a:Succeeded/1 b:Running/1 c:Pending", "succeeded: first line"},
		{"it failed with no retries", broken, retries(0, 9), same, v1alpha1.EventStepFailed, "Running a:Failed/1 b:Blocked c:Blocked", "failed: exit code 1: last words"},
		{"it failed with retries", broken, retries(2, 0), same, v1alpha1.EventStepFailed, "Running a:Backoff/1 b:Pending c:Pending", "failed: exit code 1: last words; retry 1 of 2 in 5s"},
		{"it was interrupted with no disruptions left", interrupted, retries(9, 0), same, v1alpha1.EventStepFailed, "Running a:Failed/1 b:Blocked c:Blocked", "failed: its Pod was evicted"},
		{"it was interrupted", interrupted, retries(0, 6), same, v1alpha1.EventStepFailed, "Running a:Backoff/1 b:Pending c:Pending", "interrupted: its Pod was evicted; disruption 1 of 6, starts again in 5s"},
		{"it was stopped for an edit", stopped, retries(0, 0), same, v1alpha1.EventStepFailed, "Running a:Backoff/1 b:Pending c:Pending", "stopped: its spec was changed; starts again"},
		{"it failed in a cancelled order", broken, retries(9, 9), cancelled, v1alpha1.EventStepCancelled, "Running a:Cancelled/1 b:Cancelled c:Cancelled", "failed: exit code 1: last words; it does not start again, as the order is being ended"},
		{"it succeeded in a cancelled order", fine, retries(9, 9), cancelled, v1alpha1.EventStepSucceeded, "Running a:Succeeded/1 b:Cancelled c:Cancelled", "succeeded: first line"},
	} {
		o := test.before(accepted(t, test.limits))
		after, next := moved(t, o, ending("a", 1, test.end), 7)
		if next.Event.Type != test.kind || brief(&after.Status) != test.brief || next.Event.Message != test.message {
			t.Errorf("when %s:\ngot  %s, %s, %q\nwant %s, %s, %q", test.when, next.Event.Type, brief(&after.Status), next.Event.Message, test.kind, test.brief, test.message)
		}
	}
}

func TestTheResultOfAnAttemptIsKeptInFull(t *testing.T) {
	end := broken
	end.Finished = at(4)
	o := accepted(t)
	o.Status.Steps[0].Agent = "claude"
	after, next := moved(t, o, ending("a", 1, end), 7.9)
	wantResult := &v1alpha1.StepResult{Phase: v1alpha1.StepFailed, Agent: "claude", Attempt: 1, PodName: steppod.Name("order", "uid-1", "a", 1),
		ExitCode: ptr(int32(1)), StartTime: mt(0), CompletionTime: mt(4)}
	if diff := cmp.Diff(wantResult, next.Event.Result); diff != "" {
		t.Error("result:", diff)
	}
	wantError := &v1alpha1.EventError{Code: v1alpha1.CodeNonZeroExit, Message: "exit code 1: last words", Details: "log\nlast words\n"}
	if diff := cmp.Diff(wantError, next.Event.Error); diff != "" {
		t.Error("error:", diff)
	}
	step := after.Status.Steps[0]
	if step.Error == nil || step.Error.Message != wantError.Message || !step.CompletionTime.Equal(mt(4)) || *step.ExitCode != 1 || step.NotBefore != nil {
		t.Errorf("step: %+v", step)
	}
	if !next.Event.Time.Time.Equal(at(7)) {
		t.Errorf("the event's time %v is not in whole seconds", next.Event.Time)
	}
}

func TestALongOutputIsWholeInTheLogAndCutInTheStatus(t *testing.T) {
	end := fine
	end.Output = strings.Repeat("x", steppod.MaxOutput)
	after, next := moved(t, accepted(t), ending("a", 1, end), 1)
	if got := len(next.Event.Result.Output); got != steppod.MaxOutput {
		t.Errorf("the log has %d bytes of it", got)
	}
	if got := len(after.Status.Steps[0].Output); got > steppod.MaxOutputInStatus || got < steppod.MaxOutputInStatus-4 {
		t.Errorf("the status has %d bytes of it", got)
	}
}

func TestAnAttemptEndsNeitherBeforeItsStartNorAfterItWasWrittenDown(t *testing.T) {
	for _, test := range []struct {
		node time.Time
		want float64
	}{{time.Time{}, 20}, {at(15), 15}, {at(99), 20}, {at(-99), 0}} {
		end := fine
		end.Finished = test.node
		after, _ := moved(t, accepted(t), ending("a", 1, end), 20)
		if got := after.Status.Steps[0].CompletionTime; !got.Equal(mt(test.want)) {
			t.Errorf("a node that says %v: got %v", test.node, got)
		}
	}
}

func TestTimeNeverGoesBackWhateverTheClockDoes(t *testing.T) {
	o := accepted(t, retries(1, 0))
	o, next := moved(t, o, ending("a", 1, broken), -600)
	if !next.Event.Time.Equal(mt(0)) || o.Status.Duration != "0s" {
		t.Errorf("ten minutes back: %v, %s", next.Event.Time, o.Status.Duration)
	}
	o, next = moved(t, o, World{}, 600)
	if next.Event.Type != v1alpha1.EventRewound || o.Status.Duration != "10m0s" {
		t.Errorf("ten minutes on: %s, %s", next.Event.Type, o.Status.Duration)
	}
	o, _ = moved(t, o, ending("a", 2, fine), 0)
	for _, step := range o.Status.Steps {
		if step.CompletionTime != nil && step.CompletionTime.Before(step.StartTime) {
			t.Errorf("%s ends before it starts", step.Name)
		}
	}
}

func TestARewindSaysWhatItMakesVoid(t *testing.T) {
	for _, test := range []struct {
		when    string
		end     steppod.End
		reason  v1alpha1.RewindReason
		attempt int64
	}{
		{"it failed", broken, v1alpha1.RewindFailed, 2},
		{"it was interrupted", interrupted, v1alpha1.RewindDisrupted, 1},
		{"it was stopped for an edit", stopped, v1alpha1.RewindSpecChanged, 2},
	} {
		o := accepted(t, retries(5, 5))
		o, _ = moved(t, o, ending("a", 1, fine), 10)
		o, _ = moved(t, o, ending("b", 1, test.end), 20)
		if test.end.Verdict != steppod.Stopped && Next(o, World{}, at(22)) != nil {
			t.Errorf("when %s: it does not wait", test.when)
		}
		o, next := moved(t, o, World{}, 30)
		want := &v1alpha1.Rewind{Reason: test.reason, SupersededAfter: 1, Steps: []v1alpha1.RewoundStep{{Step: "b", NewEpoch: 2}}}
		if diff := cmp.Diff(want, next.Event.Rewind); diff != "" || next.Event.Epoch != 2 || next.Event.Step != "b" {
			t.Errorf("when %s: %s %+v", test.when, diff, next.Event)
		}
		wantStep := v1alpha1.StepStatus{Name: "b", Phase: v1alpha1.StepRunning, Epoch: 2, StartSequence: 4, Attempt: test.attempt, StartTime: mt(30),
			PodName: steppod.Name("order", "uid-1", "b", 2), SpecHash: steppod.SpecHash(&o.Spec.Steps[1], []string{"a"})}
		if diff := cmp.Diff(wantStep, o.Status.Steps[1], cmpopts.IgnoreFields(v1alpha1.StepStatus{}, "Retries", "Disruptions")); diff != "" || o.Status.Rewinds != 1 {
			t.Errorf("when %s: %d rewinds\n%s", test.when, o.Status.Rewinds, diff)
		}
	}
}

func TestWorkThatWasEditedDuringItsBackoffIsAnotherAttempt(t *testing.T) {
	o := accepted(t)
	o, _ = moved(t, o, ending("a", 1, interrupted), 1)
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Run.Image = "registry/agent:2" }), World{}, 2)
	o, next := moved(t, o, World{}, 60)
	if next.Event.Rewind == nil || o.Status.Steps[0].Attempt != 2 {
		t.Errorf("attempt %d: the key of the old work is used for the new", o.Status.Steps[0].Attempt)
	}
}

func TestAStepHasNoMoreEpochsThanItsPodsCanHaveNames(t *testing.T) {
	o := accepted(t, retries(1000, 1000))
	o.Status.Steps[0].Epoch = steppod.MaxEpoch
	o, next := moved(t, o, ending("a", steppod.MaxEpoch, interrupted), 1)
	if o.Status.Steps[0].Phase != v1alpha1.StepFailed || !strings.Contains(next.Event.Message, "9999 epochs") {
		t.Errorf("%s: %s", o.Status.Steps[0].Phase, next.Event.Message)
	}
}

func TestEachReasonForWaitingIsSaidOnceAndItsEndToo(t *testing.T) {
	o := accepted(t)
	waits := func(code v1alpha1.ErrorCode, message string) World {
		return saying("a", 1, steppod.Report{Waiting: &v1alpha1.StepError{Code: code, Message: message}})
	}
	refused := World{Refusals: map[steppod.Attempt]Refusal{{Step: "a", Epoch: 1}: {Generation: 1, Why: v1alpha1.StepError{Code: v1alpha1.CodeQuotaExceeded, Message: "full"}}}}
	for _, turn := range []struct {
		when  string
		world World
		kind  v1alpha1.EventType // empty: nothing happens
		said  string
	}{
		{"the Pod is refused", refused, v1alpha1.EventStepWaiting, "cannot start: QuotaExceeded: full"},
		{"it still is", refused, "", ""},
		{"it is there", saying("a", 1, steppod.Report{}), v1alpha1.EventStepRunning, "can start now"},
		{"no node fits", waits(v1alpha1.CodeUnschedulable, "0/1"), v1alpha1.EventStepWaiting, "cannot start: Unschedulable: 0/1"},
		{"in other words", waits(v1alpha1.CodeUnschedulable, "0/2"), "", ""},
		{"it was stopped", saying("a", 1, steppod.Report{Stopped: v1alpha1.CodeStartTimeout, Waiting: &v1alpha1.StepError{Code: v1alpha1.CodeImagePull}}), "", ""},
		{"it runs", saying("a", 1, steppod.Report{Started: true}), v1alpha1.EventStepRunning, "runs now"},
		{"it still runs", saying("a", 1, steppod.Report{Started: true}), "", ""},
	} {
		next := Next(o, turn.world, at(1))
		switch {
		case next == nil && turn.kind == "":
			continue
		case next == nil || next.Event.Type != turn.kind || next.Event.Message != turn.said:
			t.Fatalf("when %s: %+v", turn.when, next)
		case next.Event.Step != "a" || next.Event.Epoch != 1:
			t.Errorf("when %s: it is about %s/%d", turn.when, next.Event.Step, next.Event.Epoch)
		}
		o.Status = next.Status
	}
	if o.Status.Steps[0].Error != nil {
		t.Error("the step that runs has an error")
	}
}

func TestALostPodIsTakenForLostWhenItsTimeHasCome(t *testing.T) {
	o := accepted(t)
	lost := saying("a", 1, steppod.Report{Started: true, Deleting: true, LostAt: at(60)})
	if next := Next(o, lost, at(59)); next != nil {
		t.Errorf("too early: %s", next.Event.Type)
	}
	if wake := Act(o, lost, at(59)).Wake; !wake.Equal(at(60)) {
		t.Errorf("wakes at %v", wake)
	}
	o, next := moved(t, o, lost, 60)
	if next.Event.Error == nil || next.Event.Error.Code != v1alpha1.CodeLost || o.Status.Steps[0].Phase != v1alpha1.StepBackoff {
		t.Errorf("%+v", next.Event)
	}
}

func TestAnOrderEndsOnceAllItsStepsHave(t *testing.T) {
	step := func(name string, phase v1alpha1.StepPhase) v1alpha1.StepStatus {
		return v1alpha1.StepStatus{Name: name, Phase: phase, Error: &v1alpha1.StepError{Message: "why"}}
	}
	for _, test := range []struct {
		when      string
		phases    []v1alpha1.StepPhase
		cancelled bool
		want      v1alpha1.WorkOrderPhase // empty: it does not end
		message   string
	}{
		{"all have succeeded", []v1alpha1.StepPhase{"Succeeded", "Succeeded"}, false, "Succeeded", "2 of 2 steps succeeded"},
		{"one was skipped", []v1alpha1.StepPhase{"Succeeded", "Skipped"}, false, "Succeeded", "2 of 2 steps done, 1 skipped"},
		{"one failed", []v1alpha1.StepPhase{"Succeeded", "Failed", "Blocked"}, false, "Failed", "b failed: why; 1 of 3 steps done"},
		{"one was blocked by nobody", []v1alpha1.StepPhase{"Blocked"}, false, "Failed", "failed; 0 of 1 step done"},
		{"it was cancelled", []v1alpha1.StepPhase{"Succeeded", "Cancelled"}, true, "Cancelled", "cancelled, 1 of 2 steps done"},
		{"it was cancelled and had no steps", nil, true, "Cancelled", "cancelled, 0 of 0 steps done"},
		{"it has no steps", nil, false, "", ""},
		{"one runs", []v1alpha1.StepPhase{"Running"}, true, "", ""},
		{"one is in a phase of tomorrow", []v1alpha1.StepPhase{"Succeeded", "Approving"}, false, "", ""},
		{"one has no phase", []v1alpha1.StepPhase{""}, false, "", ""},
	} {
		status := v1alpha1.WorkOrderStatus{ObservedGeneration: 1, Cancelled: test.cancelled}
		for i, phase := range test.phases {
			status.Steps = append(status.Steps, step(string(rune('a'+i)), phase))
			status.Steps[i].PodName = "pod"
		}
		o := newOrder(func(o *v1alpha1.WorkOrder) { o.Status = status })
		next := Next(o, World{}, at(0))
		switch {
		case next == nil && test.want == "":
		case next == nil || next.Status.Phase != test.want || next.Event.Message != test.message:
			t.Errorf("when %s: %+v", test.when, next)
		case !next.Status.CompletionTime.Equal(mt(0)) || next.Event.Step != "":
			t.Errorf("when %s: %+v", test.when, next.Event)
		}
	}
}

func TestAWaitThatWasEditedStartsAnewAtOnce(t *testing.T) {
	o := newOrder()
	o.Spec.Steps = []v1alpha1.Step{{Name: "a", Wait: &v1alpha1.Wait{Seconds: 3600}}}
	o, _ = moved(t, o, World{}, 0)
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Wait.Seconds = 5 }), World{}, 10)
	o, next := moved(t, o, World{}, 10)
	if step := o.Status.Steps[0]; next.Event.Type != v1alpha1.EventRewound || step.Epoch != 2 || !step.NotBefore.Equal(mt(15)) {
		t.Errorf("%s: ends at %v", next.Event.Type, o.Status.Steps[0].NotBefore)
	}
}

func TestAStepThatIsEditedBeforeItHasAPodGoesToItsNextEpochOnceItsNameIsTaken(t *testing.T) {
	refused := World{Refusals: map[steppod.Attempt]Refusal{{Step: "a", Epoch: 1}: {Generation: 1, RetryAt: at(60), Why: v1alpha1.StepError{Code: v1alpha1.CodePodSecurity}}}}
	o, _ := moved(t, accepted(t), refused, 1)
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Run.Image = "registry/agent:2" }), refused, 2)
	if effects := effectsOf(Act(o, refused, at(3))); !cmp.Equal(effects, []string{"seal a/1"}) {
		t.Errorf("what is done: %v", effects)
	}
	o, next := moved(t, o, ending("a", 1, *steppod.StoppedFor(v1alpha1.CodeSuperseded)), 4)
	if next.Event.Type != v1alpha1.EventStepFailed || next.Event.Error.Code != v1alpha1.CodeSpecChanged {
		t.Errorf("it says %+v", next.Event)
	}
	o, next = moved(t, o, World{}, 4)
	if next.Event.Type != v1alpha1.EventRewound || brief(&o.Status) != "Running a:Running/2 b:Pending c:Pending" || o.Status.Steps[0].Outdated {
		t.Errorf("then it says %+v", next.Event)
	}
}

func TestWhatTheOldSpecBroughtAboutIsInTheLogAndThenVoid(t *testing.T) {
	o := accepted(t)
	old := o.Status.Steps[0].SpecHash
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Run.Image = "registry/agent:2" }), World{}, 2)
	late := saying("a", 1, steppod.Report{SpecHash: old, Started: true, End: &fine})
	o, next := moved(t, o, late, 3)
	if next.Event.Type != v1alpha1.EventStepSucceeded || brief(&o.Status) != "Running a:Succeeded/1 b:Pending c:Pending" {
		t.Errorf("it says %+v", next.Event)
	}
	if o, next = moved(t, o, late, 4); next.Event.Type != v1alpha1.EventRewound || o.Status.Steps[0].Attempt != 2 {
		t.Errorf("then it says %+v", next.Event)
	}
	if strange := saying("a", 2, steppod.Report{SpecHash: old, Started: true, End: &fine}); Next(o, strange, at(5)).Event.Type != v1alpha1.EventStepFailed {
		t.Error("what a Pod of another spec did is taken for the result")
	}
}

func TestADecisionIsAFunctionOfWhatItIsMadeOn(t *testing.T) {
	o, world := accepted(t, retries(3, 3)), ending("a", 1, broken)
	before, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	one, two := Next(o, world, at(3)), Next(o, world, at(3))
	if one.Name != two.Name || !cmp.Equal(one.Event, two.Event) {
		t.Error("two controllers disagree")
	}
	after, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("the order was changed")
	}
}

func TestASuspendedOrderMakesNoPodEvenForAStepThatWasStarted(t *testing.T) {
	o, _ := moved(t, edited(accepted(t), func(s *v1alpha1.WorkOrderSpec) { s.Suspend = true }), World{}, 1)
	if effects := effectsOf(Act(o, World{}, at(2))); len(effects) > 0 {
		t.Errorf("while it is suspended: %v", effects)
	}
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Suspend = false }), World{}, 3)
	if effects := effectsOf(Act(o, World{}, at(4))); !cmp.Equal(effects, []string{"create a/1"}) {
		t.Errorf("when it is resumed: %v", effects)
	}
}

func TestWhatHoldsAnOrderUpIsSaidWhateverElseHappens(t *testing.T) {
	why := v1alpha1.StepError{Code: v1alpha1.CodeQuotaExceeded, Message: "full"}
	refused := func(generation int64) World {
		return World{Refusals: map[steppod.Attempt]Refusal{{Step: "a", Epoch: 1}: {Generation: generation, Why: why}}}
	}
	o, _ := moved(t, accepted(t), refused(1), 1)
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Agent = "bob" }), refused(1), 2)
	if want := "read the edited spec; a cannot start: QuotaExceeded: full"; o.Status.Message != want {
		t.Errorf("after an edit: %q", o.Status.Message)
	}
	for _, c := range o.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady && c.Message != "a cannot start: QuotaExceeded: full" {
			t.Errorf("Ready says %q", c.Message)
		}
	}
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Strategy = "Backwards" }), refused(2), 3)
	stalled := o.Status.Message
	o, _ = moved(t, o, ending("a", 1, fine), 4)
	if o.Status.Message != "a succeeded: first line; "+stalled {
		t.Errorf("when its spec cannot run: %q", o.Status.Message)
	}
}

func TestAnEditEndsABackoff(t *testing.T) {
	o, _ := moved(t, accepted(t, retries(1, 0)), ending("a", 1, broken), 1)
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Run.Image = "registry/agent:2" }), World{}, 2)
	if _, next := moved(t, o, World{}, 2); next.Event.Type != v1alpha1.EventRewound {
		t.Errorf("then: %s", next.Event.Type)
	}
}

func TestAPodThatDoesNotStartForNoReasonItTellsIsSaidToBeSlow(t *testing.T) {
	o := accepted(t)
	quiet := saying("a", 1, steppod.Report{Name: "pod", Bound: true, Created: at(0)})
	if next := Next(o, quiet, at(29)); next != nil {
		t.Errorf("too early: %s", next.Event.Message)
	}
	if wake := Act(o, quiet, at(1)).Wake; !wake.Equal(at(30)) {
		t.Errorf("it is looked at again at %v", wake)
	}
	o, next := moved(t, o, quiet, 30)
	if next.Event.Type != v1alpha1.EventStepWaiting || next.Event.Error.Code != v1alpha1.CodeSlowStart {
		t.Errorf("it says %s", next.Event.Message)
	}
	if next := Next(o, quiet, at(31)); next != nil {
		t.Errorf("once more: %s", next.Event.Message)
	}
}

func TestALostPodOfAnEditedStepIsNotSaidToHaveBeenStopped(t *testing.T) {
	o := accepted(t, retries(0, 0))
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Run.Image = "registry/agent:2" }), saying("a", 1, steppod.Report{Started: true, Bound: true, SpecHash: o.Status.Steps[0].SpecHash}), 1)
	lost := saying("a", 1, steppod.Report{Started: true, Bound: true, SpecHash: o.Status.Steps[0].SpecHash, Deleting: true, LostAt: at(60)})
	o, next := moved(t, o, lost, 60)
	if next.Event.Error.Code != v1alpha1.CodeLost || o.Status.Steps[0].Phase != v1alpha1.StepBackoff || o.Status.Steps[0].Disruptions != 0 {
		t.Errorf("%s: %+v", next.Event.Message, o.Status.Steps[0])
	}
	o, next = moved(t, o, lost, 60)
	if next.Event.Type != v1alpha1.EventRewound || o.Status.Steps[0].Epoch != 2 || o.Status.Steps[0].Attempt != 2 {
		t.Errorf("%s: %+v", next.Event.Message, o.Status.Steps[0])
	}
}
