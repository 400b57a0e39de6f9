package plan

import (
	"fmt"
	"strings"
	"testing"

	"workorders.dev/operator/api/v1alpha1"
)

type specEdit = func(*v1alpha1.WorkOrderSpec)

// What people do to a spec.
func nothing(*v1alpha1.WorkOrderSpec)    {}
func suspend(s *v1alpha1.WorkOrderSpec)  { s.Suspend = true }
func resume(s *v1alpha1.WorkOrderSpec)   { s.Suspend = false }
func cancel(s *v1alpha1.WorkOrderSpec)   { s.Cancel = true }
func uncancel(s *v1alpha1.WorkOrderSpec) { s.Cancel = false }
func spoil(s *v1alpha1.WorkOrderSpec)    { s.Strategy = "Backwards" }
func mend(s *v1alpha1.WorkOrderSpec)     { s.Strategy = "" }

func all(edits ...specEdit) specEdit {
	return func(s *v1alpha1.WorkOrderSpec) {
		for _, e := range edits {
			e(s)
		}
	}
}

// edits are what people do to an order, and the transition that the last thing they do makes.
var edits = []struct {
	when  string
	edits []specEdit // The first makes the order, before anybody has looked at it.
	kind  v1alpha1.EventType
	brief string
}{
	{"it is new", []specEdit{nothing}, "Accepted", "Running a:Running/1 b:Pending c:Pending"},
	{"it is new and suspended", []specEdit{suspend}, "Accepted", "Suspended a:Pending b:Pending c:Pending"},
	{"it is new and cancelled", []specEdit{cancel}, "Accepted", "Running a:Cancelled b:Cancelled c:Cancelled"},
	{"it is new, cancelled and suspended", []specEdit{all(cancel, suspend)}, "Accepted", "Running a:Cancelled b:Cancelled c:Cancelled"},
	{"it cannot run", []specEdit{spoil}, "SpecRejected", "Pending"},
	{"it cannot run and is suspended", []specEdit{all(spoil, suspend)}, "SpecRejected", "Suspended"},
	{"it cannot run and is cancelled", []specEdit{all(spoil, cancel)}, "Cancelling", "Running"},
	{"it could not run and was mended", []specEdit{spoil, mend}, "Accepted", "Running a:Running/1 b:Pending c:Pending"},
	{"it could not run and still cannot", []specEdit{spoil, suspend}, "SpecRejected", "Suspended"},
	{"it could not run and was cancelled", []specEdit{spoil, cancel}, "Cancelling", "Running"},
	{"it was suspended", []specEdit{nothing, suspend}, "Suspended", "Suspended a:Running/1 b:Pending c:Pending"},
	{"it was resumed", []specEdit{suspend, resume}, "Resumed", "Running a:Running/1 b:Pending c:Pending"},
	{"it was resumed at work", []specEdit{nothing, suspend, resume}, "Resumed", "Running a:Running/1 b:Pending c:Pending"},
	{"it is suspended and was edited", []specEdit{suspend, func(s *v1alpha1.WorkOrderSpec) { s.Steps = s.Steps[:2] }}, "SpecObserved", "Suspended a:Pending b:Pending"},
	{"it was cancelled", []specEdit{nothing, cancel}, "Cancelling", "Running a:Running/1 b:Cancelled c:Cancelled"},
	{"it was cancelled and suspended", []specEdit{nothing, all(cancel, suspend)}, "Cancelling", "Running a:Running/1 b:Cancelled c:Cancelled"},
	{"it was cancelled and spoiled", []specEdit{nothing, all(cancel, spoil)}, "Cancelling", "Running a:Running/1 b:Cancelled c:Cancelled"},
	{"it was suspended and is cancelled", []specEdit{suspend, cancel}, "Cancelling", "Running a:Cancelled b:Cancelled c:Cancelled"},
	{"cancel was unset", []specEdit{nothing, cancel, uncancel}, "SpecObserved", "Running a:Running/1 b:Cancelled c:Cancelled"},
	{"it is cancelled and was suspended", []specEdit{nothing, cancel, suspend}, "SpecObserved", "Running a:Running/1 b:Cancelled c:Cancelled"},
	{"it was spoiled at work", []specEdit{nothing, spoil}, "SpecRejected", "Running a:Running/1 b:Pending c:Pending"},
	{"it was spoiled at work, and mended", []specEdit{nothing, spoil, mend}, "SpecObserved", "Running a:Running/1 b:Pending c:Pending"},
	{"a step that had not started was edited", []specEdit{nothing, func(s *v1alpha1.WorkOrderSpec) { s.Steps[1].Run.Image = "x" }}, "SpecObserved", "Running a:Running/1 b:Pending c:Pending"},
	{"a step that had not started was removed", []specEdit{nothing, func(s *v1alpha1.WorkOrderSpec) { s.Steps = append(s.Steps[:1], s.Steps[2]) }}, "SpecObserved", "Running a:Running/1 c:Pending"},
	{"a step was inserted", []specEdit{nothing, func(s *v1alpha1.WorkOrderSpec) {
		s.Steps = []v1alpha1.Step{s.Steps[0], podStep("new"), s.Steps[1], s.Steps[2]}
	}}, "SpecObserved", "Running a:Running/1 new:Pending b:Pending c:Pending"},
	{"the running step was edited", []specEdit{nothing, func(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Run.Image = "x" }}, "SpecObserved", "Running a:Running/1 b:Pending c:Pending"},
	{"the running step was moved", []specEdit{nothing, func(s *v1alpha1.WorkOrderSpec) { s.Steps[0], s.Steps[1] = s.Steps[1], s.Steps[0] }}, "SpecObserved", "Running b:Running/1 a:Running/1 c:Pending"},
	{"the running step was removed", []specEdit{nothing, func(s *v1alpha1.WorkOrderSpec) { s.Steps = s.Steps[1:] }}, "SpecObserved", "Running b:Running/1 c:Pending a:Running/1"},
}

func TestEachEditOfAnOrderIsOneTransition(t *testing.T) {
	for _, test := range edits {
		o := newOrder()
		test.edits[0](&o.Spec)
		o, next := moved(t, o, World{}, 0)
		for i, edit := range test.edits[1:] {
			o, next = moved(t, edited(o, edit), World{}, float64(i))
		}
		if next.Event.Type != test.kind || brief(&o.Status) != test.brief {
			t.Errorf("when %s:\ngot  %s, %s\nwant %s, %s", test.when, next.Event.Type, brief(&o.Status), test.kind, test.brief)
		}
		if o.Status.ObservedGeneration != o.Generation {
			t.Errorf("when %s: the spec would be read again", test.when)
		}
	}
}

func TestAFinishedOrderIsNotRunAgainByAnEdit(t *testing.T) {
	o := newOrder(func(o *v1alpha1.WorkOrder) { o.Spec.Steps = o.Spec.Steps[:1] })
	o, _ = moved(t, o, World{}, 0)
	o, _ = moved(t, o, ending("a", 1, fine), 1)
	o, _ = moved(t, o, World{}, 2)
	for _, edit := range []specEdit{
		func(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Run.Image = "x" },
		func(s *v1alpha1.WorkOrderSpec) { s.Steps = append(s.Steps, podStep("b")) },
		func(s *v1alpha1.WorkOrderSpec) { s.Cancel = true },
		func(s *v1alpha1.WorkOrderSpec) { s.Strategy = "Graph" },
	} {
		after, next := moved(t, edited(o, edit), World{}, 60)
		if next.Event.Type != v1alpha1.EventSpecObserved || brief(&after.Status) != "Succeeded a:Succeeded/1" || after.Status.Duration != o.Status.Duration {
			t.Errorf("%s: %s, %s", next.Event.Type, brief(&after.Status), after.Status.Duration)
		}
		if again := Next(after, World{}, at(61)); again != nil {
			t.Errorf("and then %s", again.Event.Type)
		}
	}
}

func TestARewindThatBringsNothingBackSaysWhy(t *testing.T) {
	o := newOrder(func(o *v1alpha1.WorkOrder) { o.Spec.Steps = o.Spec.Steps[:1] })
	o, _ = moved(t, o, World{}, 0)
	o, _ = moved(t, o, ending("a", 1, fine), 1)
	o, _ = moved(t, o, World{}, 2)
	rewind := func(step string, epoch int64) specEdit {
		return func(s *v1alpha1.WorkOrderSpec) {
			s.Rewinds = []v1alpha1.RewindRequest{{Step: step, ToEpoch: epoch}}
		}
	}
	for _, test := range []struct {
		edits []specEdit
		said  string
	}{
		{[]specEdit{rewind("a", 1)}, "edited after its end; the rewinds that it asks for have all been met"},
		{[]specEdit{rewind("nope", 2)}, `edited after its end, and cannot run again: rewinds names "nope", and there is no such step`},
		{[]specEdit{func(s *v1alpha1.WorkOrderSpec) { s.Steps = append(s.Steps, podStep("b")) }, rewind("b", 1)},
			"edited after its end; b was added after it, and starts only when a step that was there is rewound"},
		{[]specEdit{func(s *v1alpha1.WorkOrderSpec) { s.Cancel = true }, rewind("a", 2)},
			"edited after its end; nothing is rewound while spec.cancel is set: unset it"},
		{[]specEdit{func(s *v1alpha1.WorkOrderSpec) { s.Cancel = true }, rewind("a", 1)},
			"edited after its end; the rewinds that it asks for have all been met"},
		{[]specEdit{func(s *v1alpha1.WorkOrderSpec) { s.Steps = append(s.Steps, s.Steps[0]) }, rewind("a", 1)},
			`edited after its end, and cannot run again: two steps are called "a": rename one`},
	} {
		spoilt := o
		for _, edit := range test.edits {
			spoilt = edited(spoilt, edit)
		}
		after, next := moved(t, spoilt, World{}, 60)
		again, _ := moved(t, edited(after, func(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Agent = "somebody" }), World{}, 61)
		for _, status := range []v1alpha1.WorkOrderStatus{after.Status, again.Status} { // It is said once, however often.
			if next.Event.Message != test.said || status.Message != "1 of 1 step succeeded; "+test.said {
				t.Errorf("it says %q, and the status %q, want %q", next.Event.Message, status.Message, test.said)
			}
		}
	}
}

func TestNothingIsReadOrStartedOnceAnOrderIsBeingDeleted(t *testing.T) {
	gone := newOrder(func(o *v1alpha1.WorkOrder) { o.DeletionTimestamp = mt(0) })
	if next := Next(gone, World{}, at(1)); next != nil {
		t.Errorf("a new one is %s", next.Event.Type)
	}
	o := accepted(t, retries(3, 3))
	o.DeletionTimestamp = mt(5)
	failed, _ := moved(t, o, ending("a", 1, broken), 6)
	if next := Next(failed, World{}, at(600)); next != nil {
		t.Errorf("a step starts again: %s", next.Event.Type)
	}
	succeeded, _ := moved(t, o, ending("a", 1, fine), 6)
	if got := brief(&succeeded.Status); got != "Running a:Succeeded/1 b:Pending c:Pending" {
		t.Errorf("the next step starts: %s", got)
	}
}

func TestASpecThatCannotRunIsRefusedWithASentenceThatSaysWhatToDo(t *testing.T) {
	many := func(n int, size int) specEdit {
		return func(s *v1alpha1.WorkOrderSpec) {
			s.Steps = nil
			for i := range n {
				step := podStep(fmt.Sprint("s", i))
				step.Run.Args = []string{strings.Repeat("x", size)}
				s.Steps = append(s.Steps, step)
			}
		}
	}
	for _, test := range []struct {
		when    string
		edit    specEdit
		reason  string
		message string // its beginning
	}{
		{"all is well", many(256, 0), "", ""},
		{"the strategy is unknown", func(s *v1alpha1.WorkOrderSpec) { s.Strategy = "Backwards" }, "InvalidSpec", `strategy "Backwards" is not known: write Sequence or Graph`},
		{"the strategy is a novel", func(s *v1alpha1.WorkOrderSpec) { s.Strategy = v1alpha1.Strategy(strings.Repeat("ab", 1000)) }, "InvalidSpec", `strategy "abab`},
		{"there is no step", many(0, 0), "InvalidSpec", "the order has no steps"},
		{"there are too many", many(257, 0), "TooLarge", "an order has at most 256 steps, and this one has 257"},
		{"a name is taken", func(s *v1alpha1.WorkOrderSpec) { s.Steps[1].Name = "a" }, "InvalidSpec", `two steps are called "a": rename one`},
		{"a step does nothing", func(s *v1alpha1.WorkOrderSpec) { s.Steps[1].Run = nil }, "InvalidSpec", `step "b" must have either run or wait`},
		{"a step does two things", func(s *v1alpha1.WorkOrderSpec) { s.Steps[1].Wait = &v1alpha1.Wait{} }, "InvalidSpec", `step "b" must have either run or wait`},
		{"there is no image", func(s *v1alpha1.WorkOrderSpec) { s.Steps[2].Run.Image = "" }, "InvalidSpec", `step "c" has no image`},
		{"the spec is too large", many(2, 140<<10), "TooLarge", "the spec has "},
		{"the spec just fits", many(80, 3200), "", ""},
	} {
		o := newOrder()
		test.edit(&o.Spec)
		stall := Check(o)
		switch {
		case stall == nil && test.reason == "":
		case stall == nil || stall.Reason != test.reason || !strings.HasPrefix(stall.Message, test.message):
			t.Errorf("when %s: %+v", test.when, stall)
		case len(stall.Message) > 256:
			t.Errorf("when %s: the message has %d bytes", test.when, len(stall.Message))
		}
	}
}
