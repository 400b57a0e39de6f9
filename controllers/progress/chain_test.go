package progress

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
)

const uid = types.UID("uid-1")

// event is an event of the order: its name, its parent, its sequence, and the step and epoch that it is about.
func event(name, previous string, sequence int64, step string, epoch int64) v1alpha1.ProgressEvent {
	return v1alpha1.ProgressEvent{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ProgressEventSpec{
			WorkOrder: v1alpha1.WorkOrderReference{Name: "order", UID: uid}, Sequence: sequence, Previous: previous, Step: step, Epoch: epoch,
			Time: metav1.NewTime(time.Date(2030, 1, 2, 12, 0, int(sequence), 0, time.UTC)),
		},
	}
}

func names(events []*v1alpha1.ProgressEvent) string {
	var list []string
	for _, e := range events {
		list = append(list, e.Name)
	}
	return strings.Join(list, " ")
}

// three is the chain e1, e2, e3.
func three() []v1alpha1.ProgressEvent {
	return []v1alpha1.ProgressEvent{event("e1", "", 1, "", 0), event("e2", "e1", 2, "", 0), event("e3", "e2", 3, "", 0)}
}

func TestAnEventHappenedIfTheHeadLeadsToIt(t *testing.T) {
	foreign := event("e2", "e1", 2, "", 0)
	foreign.Spec.WorkOrder.UID = "uid-0"
	for _, test := range []struct {
		when          string
		head          string
		events        []v1alpha1.ProgressEvent
		want, missing string
	}{
		{"all is well", "e3", three(), "e1 e2 e3", ""},
		{"the head is older than the newest event", "e2", three(), "e1 e2", ""},
		{"there is no head", "", three(), "", ""},
		{"there are no events", "e3", nil, "", "e3"},
		{"an event was left by a race that was lost", "e3", append(three(), event("x2", "e1", 2, "", 0)), "e1 e2 e3", ""},
		{"somebody forged a successor", "e3", append(three(), event("x4", "e3", 4, "", 0)), "e1 e2 e3", ""},
		{"somebody forged a first event", "e3", append(three(), event("x1", "", 1, "", 0)), "e1 e2 e3", ""},
		{"a parent is missing", "e3", three()[1:], "e2 e3", "e1"},
		{"one in the middle is missing", "e3", []v1alpha1.ProgressEvent{three()[0], three()[2]}, "e3", "e2"},
		{"the parent belongs to another order", "e3", []v1alpha1.ProgressEvent{three()[0], foreign, three()[2]}, "e3", "e2"},
		{"an event is its own parent", "e1", []v1alpha1.ProgressEvent{event("e1", "e1", 1, "", 0)}, "e1", "e1"},
		{"the chain bites its tail", "e3", []v1alpha1.ProgressEvent{event("e1", "e3", 1, "", 0), three()[1], three()[2]}, "e1 e2 e3", "e3"},
	} {
		for range 5 {
			rand.Shuffle(len(test.events), func(i, j int) { test.events[i], test.events[j] = test.events[j], test.events[i] })
			chain := Follow(uid, test.head, test.events)
			if got := names(chain.Events); got != test.want || chain.Missing != test.missing {
				t.Errorf("when %s: got %q, missing %q", test.when, got, chain.Missing)
			}
		}
	}
}

// holding is an event that puts steps into the status.
func holding(e v1alpha1.ProgressEvent, all bool, steps ...string) v1alpha1.ProgressEvent {
	e.Spec.Changes.AllSteps = all
	for _, s := range steps {
		name, phase, _ := strings.Cut(s, ":")
		e.Spec.Changes.Steps = append(e.Spec.Changes.Steps, v1alpha1.StepStatus{Name: name, Phase: v1alpha1.StepPhase(phase)})
	}
	return e
}

func TestFoldingBeginsWhereEveryStepIsKnown(t *testing.T) {
	e1 := holding(event("e1", "", 1, "", 0), true, "a:Running", "b:Pending")
	e2 := holding(event("e2", "e1", 2, "a", 1), false, "a:Succeeded", "b:Running")
	e5 := holding(event("e5", "e2", 5, "b", 2), true, "a:Succeeded", "b:Running")
	e6 := holding(event("e6", "e5", 6, "b", 2), false, "b:Succeeded")
	first := event("e1", "", 1, "", 0) // A spec that was rejected: no steps.
	for _, test := range []struct {
		when   string
		events []v1alpha1.ProgressEvent
		want   string // head, progress; empty if there is nowhere to begin
	}{
		{"the chain is whole", []v1alpha1.ProgressEvent{e1, e2}, "e2 1/2"},
		{"it has a gap", []v1alpha1.ProgressEvent{e1, e2, e5, e6}, "e6 2/2"},
		{"its beginning is lost", []v1alpha1.ProgressEvent{e5, e6}, "e6 2/2"},
		{"its beginning is lost, up to within an event with every step", []v1alpha1.ProgressEvent{e2, e5, e6}, "e6 2/2"},
		{"no event with every step is left", []v1alpha1.ProgressEvent{e6}, ""},
		{"it begins with no steps", []v1alpha1.ProgressEvent{first}, "e1 "},
		{"there is nothing", nil, ""},
	} {
		head := ""
		if n := len(test.events); n > 0 {
			head = test.events[n-1].Name
		}
		status, whole := Follow(uid, head, test.events).Fold()
		if got := status.Head + " " + status.Progress; whole != (test.want != "") || whole && got != test.want {
			t.Errorf("when %s: got %q, %v", test.when, got, whole)
		}
	}
}

// rewinding is an event that rewinds steps: "b<3" makes what is below epoch 3 of b void.
func rewinding(e v1alpha1.ProgressEvent, after int64, steps ...string) v1alpha1.ProgressEvent {
	e.Spec.Rewind = &v1alpha1.Rewind{SupersededAfter: after}
	for _, s := range steps {
		name, epoch, _ := strings.Cut(s, "<")
		e.Spec.Rewind.Steps = append(e.Spec.Rewind.Steps, v1alpha1.RewoundStep{Step: name, NewEpoch: int64(epoch[0] - '0')})
	}
	return e
}

func TestARewindMakesVoidWhatItGoesBackOverAndNothingElse(t *testing.T) {
	chain := func(events ...v1alpha1.ProgressEvent) Chain {
		for i := range events {
			if events[i].Spec.Previous = ""; i > 0 {
				events[i].Spec.Previous = events[i-1].Name
			}
		}
		return Follow(uid, events[len(events)-1].Name, events)
	}
	accepted, aDone := event("accepted", "", 1, "", 0), event("a1", "", 2, "a", 1)
	b1 := event("b1-failed", "", 3, "b", 1)
	b2 := rewinding(event("b2-rewound", "", 4, "b", 2), 1, "b<2")
	b2f := event("b2-failed", "", 5, "b", 2)
	b3 := rewinding(event("b3-rewound", "", 6, "b", 3), 3, "b<3")
	b3s := event("b3-done", "", 7, "b", 3)
	both := rewinding(event("a2-rewound", "", 8, "a", 2), 0, "a<2", "b<4")
	for _, test := range []struct {
		when  string
		chain Chain
		want  string
	}{
		{"nothing was rewound", chain(accepted, aDone, b1), "accepted a1 b1-failed"},
		{"a step was", chain(accepted, aDone, b1, b2), "accepted a1 b2-rewound"},
		{"it was twice", chain(accepted, aDone, b1, b2, b2f, b3, b3s), "accepted a1 b3-rewound b3-done"},
		{"a step and what depends on it were", chain(accepted, aDone, b1, b2, b2f, b3, b3s, both), "accepted a2-rewound"},
		{"the event that says so closes a gap, and holds a result itself", chain(accepted, aDone, b1, rewinding(event("b3-done", "", 7, "b", 3), 0, "b<3")), "accepted a1 b3-done"},
		{"a gap hid that two steps were", chain(accepted, aDone, b1, rewinding(event("ended", "", 9, "", 0), 0, "a<2", "b<2")), "accepted ended"},
		{"it goes back no further than it says", chain(accepted, aDone, b1, rewinding(event("odd", "", 4, "b", 2), 3, "b<2")), "accepted a1 b1-failed odd"},
		{"events of that epoch come after it", chain(accepted, rewinding(event("b2", "", 2, "b", 2), 0, "b<2"), event("late", "", 3, "b", 1)), "accepted b2 late"},
	} {
		if diff := cmp.Diff(test.want, names(test.chain.Collapse())); diff != "" {
			t.Errorf("when %s:\n%s", test.when, diff)
		}
		if got := len(test.chain.Superseded()) + len(test.chain.Collapse()); got != len(test.chain.Events) {
			t.Errorf("when %s: an event is neither void nor does it hold", test.when)
		}
	}
}

func TestAReaderGetsWhatItHasNotSeen(t *testing.T) {
	events := three()
	events[2].Spec.Sequence = 7 // After a gap.
	chain := Follow(uid, "e3", events)
	for cursor, want := range map[int64]string{math.MinInt64: "e1 e2 e3", 0: "e1 e2 e3", 1: "e2 e3", 2: "e3", 5: "e3", 7: "", 8: "", math.MaxInt64: ""} {
		if got := names(chain.After(cursor)); got != want {
			t.Errorf("after %d: %q", cursor, got)
		}
	}
	if got := (Chain{}).After(3); len(got) != 0 {
		t.Errorf("nothing has %d events", len(got))
	}
}
