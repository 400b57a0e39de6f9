package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

func TestTheConditionsAreThoseOfTheDesignInEachState(t *testing.T) {
	backoff := []v1alpha1.StepStatus{{Name: "a", Phase: v1alpha1.StepBackoff}}
	waiting := []v1alpha1.StepStatus{{Name: "a", Phase: v1alpha1.StepRunning, Error: &v1alpha1.StepError{}}}
	for _, test := range []struct {
		state  string
		order  v1alpha1.OrderState
		steps  []v1alpha1.StepStatus
		want   string // Succeeded Finished Ready Reconciling Stalled, as in the design
		reason string
	}{
		{"pending", v1alpha1.OrderState{}, nil, "Unknown False False True -", "Pending"},
		{"running", v1alpha1.OrderState{StartTime: mt(0)}, nil, "Unknown False False True -", "Progressing"},
		{"waiting for its Pod", v1alpha1.OrderState{StartTime: mt(0)}, waiting, "Unknown False False True -", "Waiting"},
		{"retrying", v1alpha1.OrderState{StartTime: mt(0)}, backoff, "Unknown False False True -", "Retrying"},
		{"suspended", v1alpha1.OrderState{Suspended: true}, backoff, "Unknown False False True -", "Suspended"},
		{"cancelling", v1alpha1.OrderState{Cancelled: true}, nil, "Unknown False False True -", "Cancelling"},
		{"succeeded", v1alpha1.OrderState{Outcome: "Succeeded"}, nil, "True True True - -", "Succeeded"},
		{"failed", v1alpha1.OrderState{Outcome: "Failed"}, nil, "False True False - True", "Failed"},
		{"cancelled", v1alpha1.OrderState{Outcome: "Cancelled", Cancelled: true}, nil, "False True False - True", "Cancelled"},
		{"invalid", v1alpha1.OrderState{Stalled: &v1alpha1.Stall{Reason: "InvalidSpec"}}, nil, "Unknown False False - True", "InvalidSpec"},
		{"too large", v1alpha1.OrderState{Stalled: &v1alpha1.Stall{Reason: "TooLarge"}}, nil, "Unknown False False - True", "TooLarge"},
	} {
		status := Summarize(test.order, test.steps, *mt(1))
		got := ""
		for _, kind := range []string{"Succeeded", "Finished", "Ready", "Reconciling", "Stalled"} {
			value := "-"
			for _, c := range status.Conditions {
				if c.Type == kind {
					value = string(c.Status)
					if c.Reason != test.reason {
						t.Errorf("%s: the reason of %s is %s", test.state, kind, c.Reason)
					}
				}
			}
			got += " " + value
		}
		if strings.TrimSpace(got) != test.want {
			t.Errorf("%s: got %s, want %s", test.state, got, test.want)
		}
	}
}

func TestOneLineShowsWhereAnOrderIs(t *testing.T) {
	steps := func(brief string) (list []v1alpha1.StepStatus) {
		for i, phase := range strings.Fields(brief) {
			s := v1alpha1.StepStatus{Name: string(rune('a' + i)), Phase: v1alpha1.StepPhase(phase)}
			if phase != "Pending" && phase != "Blocked" {
				s.Epoch = int64(i) + 1
			}
			list = append(list, s)
		}
		return list
	}
	for _, test := range []struct {
		steps, progress, current string
		epoch                    int64
	}{
		{"Pending Pending", "0/2", "a", 0},
		{"Running Pending", "0/2", "a", 1},
		{"Succeeded Running Pending", "1/3", "b", 2},
		{"Succeeded Backoff Pending", "1/3", "b", 2},
		{"Succeeded Pending", "1/2", "b", 0},
		{"Succeeded Skipped Pending", "2/3", "c", 0},
		{"Succeeded Failed Blocked", "1/3", "b", 2},
		{"Succeeded Cancelled Cancelled", "1/3", "b", 2},
		{"Succeeded Succeeded", "2/2", "b", 2},
		{"Running Running Backoff", "0/3", "a+2", 1},
		{"", "", "", 0},
	} {
		s := Summarize(v1alpha1.OrderState{}, steps(test.steps), *mt(0))
		if s.Progress != test.progress || s.CurrentStep != test.current || s.Epoch != test.epoch {
			t.Errorf("%q: got %s %s %d", test.steps, s.Progress, s.CurrentStep, s.Epoch)
		}
	}
	running := v1alpha1.OrderState{StartTime: mt(0)}
	if s := Summarize(running, nil, *mt(74)); s.Duration != "1m14s" {
		t.Errorf("so far it took %s", s.Duration)
	}
	running.CompletionTime = mt(300)
	if s := Summarize(running, nil, *mt(9999)); s.Duration != "5m0s" {
		t.Errorf("it took %s", s.Duration)
	}
}

func TestTheStateInAStatusIsTheOneThatMadeIt(t *testing.T) {
	o := accepted(t, retries(1, 1))
	o.Status.Conditions = append([]metav1.Condition{{Type: "example.com/Foreign", Status: "True"}}, o.Status.Conditions...)
	check := func(o *v1alpha1.WorkOrder, next *Transition) *v1alpha1.WorkOrder {
		if got, want := StateOf(&next.Status), next.Event.Changes.Order; !equality.Semantic.DeepEqual(got, want) {
			t.Errorf("after %s: %s", next.Event.Type, cmp.Diff(want, got))
		}
		foreign := 0
		for _, c := range next.Status.Conditions {
			if c.Type == "example.com/Foreign" {
				foreign++
			}
			if c.LastTransitionTime.IsZero() && c.Type != "example.com/Foreign" {
				t.Errorf("after %s: nobody knows since when %s", next.Event.Type, c.Type)
			}
		}
		if foreign != 1 {
			t.Errorf("after %s: the foreign condition is there %d times", next.Event.Type, foreign)
		}
		return o
	}
	o = check(moved(t, o, ending("a", 1, broken), 1))
	o = check(moved(t, o, World{}, 60))
	o = check(moved(t, o, ending("a", 2, fine), 61))
	o = check(moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Strategy = "Backwards" }), World{}, 62))
	o = check(moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Strategy = ""; s.Suspend = true }), World{}, 63))
	o = check(moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Cancel = true }), World{}, 64))
	o = check(moved(t, o, ending("b", 1, broken), 65))
	check(moved(t, o, World{}, 66))
}

func TestAConditionKeepsItsTimeAsLongAsItHolds(t *testing.T) {
	o := accepted(t)
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Strategy = "Backwards" }), World{}, 10)
	o, _ = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Strategy = "" }), World{}, 20)
	want := map[string]float64{"Finished": 0, "Succeeded": 0, "Ready": 0, "Reconciling": 20, "LogComplete": 0}
	for _, c := range o.Status.Conditions {
		if at, known := want[c.Type]; !known || !c.LastTransitionTime.Equal(mt(at)) {
			t.Errorf("%s since %v", c.Type, c.LastTransitionTime)
		}
	}
}

func TestAGapShowsUntilTheNextEventClosesIt(t *testing.T) {
	logComplete := func(o *v1alpha1.WorkOrder) metav1.Condition {
		return o.Status.Conditions[len(o.Status.Conditions)-1]
	}
	o := accepted(t, retries(2, 0))
	head := o.Status.Head
	for i, world := range []World{ending("a", 1, broken), {}, ending("a", 2, broken)} {
		next := Next(o, world, at(float64(10*i+10)))
		o.Status = next.Unrecorded()
		c := logComplete(o)
		if o.Status.Head != head || o.Status.Sequence != int64(i+2) || c.Status != metav1.ConditionFalse || c.Reason != "Gap" || !c.LastTransitionTime.Equal(mt(10)) {
			t.Fatalf("%d: head %s, sequence %d, %+v", i, o.Status.Head, o.Status.Sequence, c)
		}
		if next.Event.Previous != head || i > 0 && !next.Event.Changes.AllSteps {
			t.Errorf("%d: it would not close the gap: %+v", i, next.Event)
		}
	}
	o, next := moved(t, o, World{}, 90)
	want := &v1alpha1.Rewind{Reason: v1alpha1.RewindFailed, SupersededAfter: 0, Steps: []v1alpha1.RewoundStep{{Step: "a", NewEpoch: 3}}}
	if diff := cmp.Diff(want, next.Event.Rewind); diff != "" || len(next.Event.Changes.Steps) != 3 {
		t.Error(diff, next.Event.Changes)
	}
	if c := logComplete(o); c.Status != metav1.ConditionTrue || !c.LastTransitionTime.Equal(mt(90)) {
		t.Errorf("the gap still shows: %+v", c)
	}
	_, next = moved(t, o, ending("a", 3, fine), 91)
	if next.Event.Rewind != nil || next.Event.Changes.AllSteps {
		t.Errorf("the gap is closed twice: %+v", next.Event)
	}
}

func TestAGapBeforeTheFirstEventIsClosedToo(t *testing.T) {
	o := newOrder()
	o.Status = Next(o, World{}, at(0)).Unrecorded()
	if o.Status.Head != "" || o.Status.Sequence != 1 {
		t.Fatalf("%+v", o.Status)
	}
	o, next := moved(t, o, ending("a", 1, fine), 1)
	if !next.Event.Changes.AllSteps || next.Event.Sequence != 2 || next.Event.Previous != "" || o.Status.Head != next.Name {
		t.Errorf("%+v", next.Event)
	}
}

func TestAnEventChangesOnlyWhatItMust(t *testing.T) {
	o, first := moved(t, newOrder(), World{}, 0)
	if !first.Event.Changes.AllSteps || len(first.Event.Changes.Steps) != 3 {
		t.Error("the first event does not hold every step")
	}
	_, next := moved(t, o, ending("a", 1, fine), 1)
	if next.Event.Changes.AllSteps || len(next.Event.Changes.Steps) != 2 {
		t.Errorf("one step ended and one started, and it holds %d", len(next.Event.Changes.Steps))
	}
	_, next = moved(t, edited(o, func(s *v1alpha1.WorkOrderSpec) { s.Steps[1].Name = "d" }), World{}, 1)
	if !next.Event.Changes.AllSteps {
		t.Error("the steps have other names, and it does not hold them all")
	}
}

func TestThePauseBeforeANewStartGrowsUpToItsCap(t *testing.T) {
	step := &v1alpha1.StepStatus{Name: "a", Epoch: 1}
	for _, test := range []struct {
		when    string
		policy  policy
		earlier int32
		seconds int64
	}{
		{"it is the first", policy{initial: 5, factor: 2, maxSeconds: ptr(int32(60))}, 0, 5},
		{"it is the second", policy{initial: 5, factor: 2, maxSeconds: ptr(int32(60))}, 1, 10},
		{"it is the fourth", policy{initial: 5, factor: 2, maxSeconds: ptr(int32(60))}, 3, 40},
		{"it is capped", policy{initial: 5, factor: 2, maxSeconds: ptr(int32(60))}, 4, 60},
		{"it is the last of many", policy{initial: 5, factor: 2, maxSeconds: ptr(int32(60))}, 1 << 30, 60},
		{"the first is above the cap", policy{initial: 90, factor: 2, maxSeconds: ptr(int32(60))}, 0, 60},
		{"nobody has said how long it may be", policy{initial: 5, factor: 2}, 9, 60},
		{"the first is above what nobody has said", policy{initial: 600, factor: 2}, 3, 600},
		{"it does not grow", policy{initial: 5, factor: 1, maxSeconds: ptr(int32(60))}, 1 << 30, 5},
		{"there is none", policy{initial: 0, factor: 2, maxSeconds: ptr(int32(60))}, 1 << 30, 0},
		{"the cap is none", policy{initial: 5, factor: 2, maxSeconds: ptr(int32(0))}, 3, 0},
		{"a factor makes no sense", policy{initial: 5, factor: -3, maxSeconds: ptr(int32(60))}, 1 << 30, 5},
		{"nothing makes sense", policy{initial: -5, factor: 0, maxSeconds: ptr(int32(-60))}, 1 << 30, 0},
		{"it is as large as can be", policy{initial: 1<<31 - 1, factor: 1<<31 - 1, maxSeconds: ptr(int32(1<<31 - 1))}, 1 << 30, 1<<31 - 1},
		{"the factor is as large as can be", policy{initial: 1, factor: 1<<31 - 1, maxSeconds: ptr(int32(86400))}, 7, 86400},
	} {
		base, got := time.Duration(test.seconds)*time.Second, test.policy.delay("uid", step, test.earlier)
		if got < base || got > base+base/10 {
			t.Errorf("when %s: %v, want %v and a tenth more at most", test.when, got, base)
		}
	}
	p, seen := policy{initial: 60, factor: 2, maxSeconds: ptr(int32(60))}, map[time.Duration]bool{}
	for epoch := range int64(50) {
		seen[p.delay("uid", &v1alpha1.StepStatus{Name: "a", Epoch: epoch}, 0)] = true
	}
	if len(seen) < 10 {
		t.Errorf("orders that failed together come back together: %d different pauses of 50", len(seen))
	}
	if another := step.DeepCopy(); p.delay("uid", step, 0) != p.delay("uid", another, 0) {
		t.Error("two controllers disagree")
	}
}

func TestAStepsOwnWordOnRetriesGoesBeforeItsOrders(t *testing.T) {
	o := newOrder()
	o.Spec.Retry = &v1alpha1.Retry{Limit: ptr(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: ptr(int32(7)), MaxSeconds: ptr(int32(70))}}
	o.Spec.Steps[0].Retry = &v1alpha1.Retry{Limit: ptr(int32(0)), Backoff: &v1alpha1.Backoff{Factor: ptr(int32(3)), MaxSeconds: ptr(int32(9))}}
	turn := newTurn(o, World{}, at(0))
	for name, want := range map[string]policy{
		"a":       {limit: 0, disruptionLimit: 6, initial: 7, factor: 3, maxSeconds: ptr(int32(9))},
		"b":       {limit: 1, disruptionLimit: 6, initial: 7, factor: 2, maxSeconds: ptr(int32(70))},
		"unknown": {limit: 1, disruptionLimit: 6, initial: 7, factor: 2, maxSeconds: ptr(int32(70))},
	} {
		if got := turn.policy(&v1alpha1.StepStatus{Name: name}); !cmp.Equal(got, want, cmp.AllowUnexported(policy{})) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	o.Spec.Retry, o.Spec.Steps[0].Retry = nil, nil
	none := policy{limit: 0, disruptionLimit: 6, initial: 5, factor: 2}
	if got := turn.policy(&v1alpha1.StepStatus{Name: "a"}); !cmp.Equal(got, none, cmp.AllowUnexported(policy{})) {
		t.Errorf("nobody says anything: %+v", got)
	}
}

func TestAnEventsNameSortsByItsSequenceAndTellsIt(t *testing.T) {
	spec := v1alpha1.ProgressEventSpec{WorkOrder: v1alpha1.WorkOrderReference{Name: "my-order-00000007-x", UID: "uid"}, Sequence: 42, Time: *mt(0)}
	name := EventName(&spec)
	if !strings.HasPrefix(name, "my-order-00000007-x-") || SequenceOf(name) != 42 || !strings.Contains(name, "-00000042-") {
		t.Error(name)
	}
	for _, odd := range []string{"", "x", "x-y", "x-y-z", "--", "a-99999999999999999999-b"} {
		if got := SequenceOf(odd); got != 0 {
			t.Errorf("%q is number %d", odd, got)
		}
	}
	spec.Message = "other"
	if EventName(&spec) == name {
		t.Error("two events have one name")
	}
}
