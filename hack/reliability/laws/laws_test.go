package laws

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/hack/reliability/node"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func at(second int) time.Time { return noon.Add(time.Duration(second) * time.Second) }

// lawful is the record of an order as it should be: a fails once; then b runs, and s beside it is skipped; c needs both,
// and is stopped as b is rewound; f comes finally.
func lawful() *Record {
	run := func(name string, needs ...string) v1alpha1.Step {
		return v1alpha1.Step{Name: name, DependsOn: needs, Run: &v1alpha1.Run{}}
	}
	one := int32(1)
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Name: "order", UID: "uid"}, Spec: v1alpha1.WorkOrderSpec{
		Strategy: v1alpha1.StrategyGraph, Parallelism: &one,
		Steps: []v1alpha1.Step{run("a"), run("b", "a"), run("s", "a"), run("c", "b", "s")}, Finally: []v1alpha1.Step{run("f")},
	}}
	r := &Record{Order: order, Specs: map[int64]*v1alpha1.WorkOrderSpec{0: &order.Spec}}
	for _, ran := range []node.Run{
		{Step: "a", Epoch: 1, ExitCode: 3}, {Step: "a", Epoch: 2}, {Step: "b", Epoch: 1}, {Step: "c", Epoch: 1, ExitCode: 143},
		{Step: "b", Epoch: 2}, {Step: "c", Epoch: 2}, {Step: "f", Epoch: 1},
	} {
		r.run(ran.Step, ran.Epoch, ran.ExitCode)
	}
	pending := func(name string) v1alpha1.StepStatus {
		return v1alpha1.StepStatus{Name: name, Phase: v1alpha1.StepPending}
	}
	final := pending("f")
	final.Finally = true
	skipped := v1alpha1.StepStatus{Name: "s", Phase: v1alpha1.StepSkipped, StartSequence: 5}
	again := v1alpha1.StepStatus{Name: "c", Phase: v1alpha1.StepPending, Epoch: 2, StartSequence: 8}

	r.tell(v1alpha1.EventAccepted, 0, nil, running("a", 1, 1), pending("b"), pending("s"), pending("c"), final)
	r.tell(v1alpha1.EventStepFailed, 3, nil, r.entry("a", 1, v1alpha1.StepBackoff))
	r.tell(v1alpha1.EventRewound, 0, &v1alpha1.Rewind{Steps: []v1alpha1.RewoundStep{{Step: "a", NewEpoch: 2}}}, running("a", 2, 3))
	r.tell(v1alpha1.EventStepSucceeded, 0, nil, r.entry("a", 2, v1alpha1.StepSucceeded), running("b", 1, 4))
	r.tell(v1alpha1.EventStepSkipped, 0, nil, skipped)
	r.tell(v1alpha1.EventStepSucceeded, 0, nil, r.entry("b", 1, v1alpha1.StepSucceeded), running("c", 1, 6))
	r.tell(v1alpha1.EventStepFailed, 143, nil, r.entry("c", 1, v1alpha1.StepBackoff))
	r.tell(v1alpha1.EventRewound, 0, &v1alpha1.Rewind{
		Reason: v1alpha1.RewindRequested, SupersededAfter: 3, Steps: []v1alpha1.RewoundStep{{Step: "b", NewEpoch: 2}, {Step: "c", NewEpoch: 2}},
	}, running("b", 2, 8), again)
	r.tell(v1alpha1.EventStepSucceeded, 0, nil, r.entry("b", 2, v1alpha1.StepSucceeded), running("c", 2, 9))
	ending := running("f", 1, 10)
	ending.Finally = true
	r.tell(v1alpha1.EventStepSucceeded, 0, nil, r.entry("c", 2, v1alpha1.StepSucceeded), ending)
	r.tell(v1alpha1.EventStepSucceeded, 0, nil, r.entry("f", 1, v1alpha1.StepSucceeded))
	r.tell(v1alpha1.EventSucceeded, 0, nil)
	return r
}

// run adds a run that took a second.
func (r *Record) run(step string, epoch int64, code int32) {
	start := 2 * len(r.Runs)
	r.Runs = append(r.Runs, node.Run{
		Step: step, Epoch: epoch, Pod: podOf(step, epoch), Started: at(start), Ended: at(start + 1), ExitCode: code, Message: "said", Reported: true,
	})
}

func podOf(step string, epoch int64) string { return step + string('0'+rune(epoch)) }

// running is the entry of a step that was started by that transition.
func running(step string, epoch, sequence int64) v1alpha1.StepStatus {
	return v1alpha1.StepStatus{Name: step, Phase: v1alpha1.StepRunning, Epoch: epoch, StartSequence: sequence, PodName: podOf(step, epoch)}
}

// entry is the entry of a step that has just ended.
func (r *Record) entry(step string, epoch int64, phase v1alpha1.StepPhase) v1alpha1.StepStatus {
	entry := v1alpha1.StepStatus{Name: step, Epoch: epoch}
	if before := entryOf(&r.Order.Status, step); before != nil {
		entry = *before
	}
	done := metav1.NewTime(at(len(r.Events)))
	entry.Phase, entry.PodName, entry.CompletionTime = phase, podOf(step, epoch), &done
	return entry
}

// tell adds an event about the first of these steps, and the status that follows from it.
func (r *Record) tell(kind v1alpha1.EventType, code int32, rewind *v1alpha1.Rewind, steps ...v1alpha1.StepStatus) {
	spec := v1alpha1.ProgressEventSpec{
		WorkOrder: v1alpha1.WorkOrderReference{Name: "order", UID: "uid"}, Sequence: int64(len(r.Events) + 1), Previous: r.Order.Status.Head,
		Type: kind, Rewind: rewind, Time: metav1.NewTime(at(len(r.Events))), Changes: v1alpha1.Changes{Steps: steps, AllSteps: len(steps) > 2},
	}
	switch kind {
	case v1alpha1.EventAccepted:
	case v1alpha1.EventSucceeded:
		spec.Changes.Order = v1alpha1.OrderState{Outcome: v1alpha1.OutcomeSucceeded, CompletionTime: &spec.Time}
	case v1alpha1.EventStepSucceeded, v1alpha1.EventStepFailed:
		spec.Result = &v1alpha1.StepResult{PodName: steps[0].PodName, ExitCode: &code, Output: "said"}
		fallthrough
	default:
		spec.Step, spec.Epoch = steps[0].Name, steps[0].Epoch
	}
	if code != 0 {
		spec.Error = &v1alpha1.EventError{Details: "said"}
	}
	event := v1alpha1.ProgressEvent{Spec: spec}
	event.Name = plan.EventName(&spec)
	r.Events = append(r.Events, event)
	r.Order.Status = plan.Fold(&r.Order.Status, &event)
	r.History = append(r.History, *r.Order.Status.DeepCopy())
}

func TestLawful(t *testing.T) {
	if found := Violations(*lawful()); len(found) > 0 {
		t.Error(strings.Join(found, "\n"))
	}
}

func TestUnlawful(t *testing.T) {
	for name, test := range map[string]struct {
		law   string
		spoil func(r *Record)
	}{
		"an epoch starts twice":             {"I1: f started 2 times", func(r *Record) { r.run("f", 1, 0) }},
		"two epochs at once":                {"I1: a started in epoch 2 while", func(r *Record) { r.Runs[0].Ended = at(3) }},
		"an epoch never ended":              {"I1: a started in epoch 2 while", func(r *Record) { r.Runs[0].Ended = time.Time{} }},
		"a result is not in the log":        {"I2: the result of f in epoch 2", func(r *Record) { r.run("f", 2, 0) }},
		"what was stopped left no result":   {"I2: the result of c in epoch 1", func(r *Record) { r.Runs[3].Pod = "another" }},
		"a result of what never ran":        {"I3: there is a result of f in epoch 1, which never ran", func(r *Record) { r.Runs = r.Runs[:6] }},
		"two results of an epoch":           {"I3: there are two", func(r *Record) { r.tell(v1alpha1.EventStepSucceeded, 0, nil, r.entry("f", 1, v1alpha1.StepSucceeded)) }},
		"another exit code":                 {"I3: a in epoch 1 ended with 4", func(r *Record) { r.Runs[0].ExitCode = 4 }},
		"another output":                    {"I3: b in epoch 1 said", func(r *Record) { r.Runs[2].Message = "something else" }},
		"a failure that is called success":  {"I3: a in epoch 2 did not succeed", func(r *Record) { r.Runs[1].ExitCode = 3 }},
		"a success that is called failure":  {"I3: a in epoch 1 succeeded", func(r *Record) { r.Runs[0].ExitCode = 0 }},
		"a success that is called stopped":  {"I3: c in epoch 1 succeeded", func(r *Record) { r.Runs[3].ExitCode = 0 }},
		"a result changes":                  {"I3: the result of a in epoch 2 changed", func(r *Record) { r.History[4].Steps[0].Output = "new" }},
		"a result is taken back":            {"I3: the result of a in epoch 2 changed", func(r *Record) { r.History[4].Steps[0].CompletionTime = nil }},
		"a step starts before its turn":     {"I4: b started in epoch 1 before a was done", func(r *Record) { r.History[2].Steps[1] = running("b", 1, 3) }},
		"it needs what was rewound":         {"I4: c started in epoch 2 before b was done", func(r *Record) { r.History[7].Steps[3] = running("c", 2, 8) }},
		"it needs what was neither":         {"I4: c started in epoch 1 before s was done", func(r *Record) { r.History[5].Steps[2].Phase = v1alpha1.StepBlocked }},
		"it needs what is not there":        {"I4: c started in epoch 1 before s was done", func(r *Record) { r.History[5].Steps[2].Name = "t" }},
		"it runs before what it needs":      {"I4: b ran in epoch 1 before a had succeeded in epoch 2", func(r *Record) { r.Runs[2].Started = at(2) }},
		"what it needs ran in another one":  {"I4: c ran in epoch 2 before b had succeeded in epoch 2", func(r *Record) { r.Runs[4].Epoch = 3 }},
		"what it needs had failed":          {"I4: b ran in epoch 1 before a had succeeded", func(r *Record) { r.Runs[1].ExitCode = 1 }},
		"it runs and nobody decided that":   {"I4: b ran in epoch 7, and no status", func(r *Record) { r.run("b", 7, 0) }},
		"too many at once":                  {"I4: c started in epoch 1 beside 1 others", func(r *Record) { r.History[5].Steps[2].Phase = v1alpha1.StepRunning }},
		"it starts in a suspended order":    {"I4: c started in epoch 1 while the order was suspended", func(r *Record) { r.History[5].Suspended = true }},
		"it starts in a cancelled order":    {"I4: c started in epoch 1 in an order that was being ended", func(r *Record) { r.History[5].Cancelled = true }},
		"finally comes too early":           {"I4: f started in epoch 1 before b was over", func(r *Record) { r.History[9].Steps[1].Phase = v1alpha1.StepBackoff }},
		"finally runs too early":            {"I4: f ran in epoch 1 while c still did", func(r *Record) { r.Runs[5].Ended = at(13) }},
		"what is needed is started again":   {"I4: b was started again, in epoch 3, and c", func(r *Record) { r.History[10].Steps[1].Epoch, r.Order.Status.Steps[1].Epoch = 3, 3 }},
		"it succeeds without a step":        {"I4: the order has succeeded, and c is Blocked", func(r *Record) { r.Order.Status.Steps[3].Phase = v1alpha1.StepBlocked }},
		"a rewind that goes back nowhere":   {"I3: the rewind 8 goes back to 8", func(r *Record) { r.Events[7].Spec.Rewind.SupersededAfter = 8 }},
		"a rewind that goes back too far":   {"I3: event 7, StepFailed of c in epoch 1, is superseded: false", func(r *Record) { r.Events[7].Spec.Rewind.SupersededAfter = 7 }},
		"a rewind leaves one out":           {"I3: event 6, StepSucceeded of b in epoch 1, is superseded: false", func(r *Record) { r.Events[7].Spec.Rewind.Steps[0].Step = "a" }},
		"a rewind lists one too many":       {"I3: event 5, StepSkipped of s in epoch 0, is superseded: true", func(r *Record) { r.Events[7].Spec.Rewind.Steps[0].Step = "s" }},
		"a rewind to another epoch":         {"I3: the rewind 8 says that b starts again in epoch 3", func(r *Record) { r.Events[7].Spec.Rewind.Steps[0].NewEpoch = 3 }},
		"a rewind of what is at work":       {"I3: the rewind 8 lists c in epoch 2, which was at work", func(r *Record) { r.History[6].Steps[3].Phase = v1alpha1.StepRunning }},
		"the status says more than the log": {"I7: the log, folded", func(r *Record) { r.Order.Status.Message = "more" }},
		"an event is gone":                  {"I7: the log is broken", func(r *Record) { r.Events = r.Events[1:] }},
		"a sequence goes back":              {"I8: sequence 2 came after 12", func(r *Record) { r.History = append(r.History, r.History[1]) }},
		"an epoch goes back":                {"I8: a went from epoch 2 to 1", func(r *Record) { r.History[4].Steps[0].Epoch = 1 }},
		"the time goes back":                {"I8: the time went back", func(r *Record) { r.History[4].LastEventTime = r.History[0].LastEventTime }},
	} {
		t.Run(name, func(t *testing.T) {
			r := lawful()
			test.spoil(r)
			if found := strings.Join(Violations(*r), "\n"); !strings.Contains(found, test.law) {
				t.Errorf("want %q, found %q", test.law, found)
			}
		})
	}
}

func TestAConditionOfOthersIsNoPartOfTheLog(t *testing.T) {
	r := lawful()
	r.Order.Status.Conditions = append(r.Order.Status.Conditions, metav1.Condition{Type: "example.com/Other", Status: metav1.ConditionTrue})
	if found := Violations(*r); len(found) > 0 {
		t.Error(strings.Join(found, "\n"))
	}
	r.Order.Status.Conditions[0].Message = "changed"
	if found := Violations(*r); len(found) != 1 {
		t.Errorf("a condition of its own counts: %q", found)
	}
}

func TestARunOfWhichNobodyCouldKnowMayBeMissing(t *testing.T) {
	r := lawful()
	r.Runs[0].Reported, r.Events[1].Spec.Result.ExitCode = false, nil
	if found := Violations(*r); len(found) > 0 {
		t.Error(strings.Join(found, "\n"))
	}
}

func TestAStepThatWasRemovedKeepsNoResult(t *testing.T) {
	r := lawful()
	gone := v1alpha1.StepStatus{Name: "s", Phase: v1alpha1.StepCancelled, Removed: true, Epoch: 1}
	done := r.entry("s", 1, v1alpha1.StepSucceeded)
	done.Epoch = 1
	back := gone
	back.Removed, back.Outdated = false, true
	for i, entry := range []v1alpha1.StepStatus{done, gone, back} {
		r.History[9+i].Steps[2] = entry
	}
	if found := changed(r); len(found) > 0 {
		t.Error(strings.Join(found, "\n"))
	}
}

func TestAStartIsJudgedByTheSpecThatWasInForce(t *testing.T) {
	r := lawful()
	edited := r.Order.Spec.DeepCopy()
	edited.Steps[1].DependsOn = []string{"c"} // b needs c now, and not the other way round.
	edited.Steps[3].DependsOn = nil
	r.Specs[1] = edited
	r.History[3].ObservedGeneration = 1
	if found := inOrder(r); len(found) != 1 || !strings.Contains(found[0], "b started in epoch 1 before c was done") {
		t.Errorf("found %q", found)
	}
	r.History[3].ObservedGeneration = 2
	if found := inOrder(r); len(found) > 0 {
		t.Errorf("of a spec that nobody has seen: %q", found)
	}
}

func TestWhatAnEditAfterTheEndPutInAnotherOrderStands(t *testing.T) {
	r := lawful()
	r.Order.Spec.Steps[0].DependsOn = []string{"b"}
	r.Specs[0] = r.Order.Spec.DeepCopy()
	if found := notOutrun(r); len(found) != 1 {
		t.Errorf("found %q", found)
	}
	r.Specs[0].Steps[0].DependsOn = nil
	if found := notOutrun(r); len(found) > 0 {
		t.Error(strings.Join(found, "\n"))
	}
}

func TestAResultThatFellIntoAGapMustHaveBeenInTheStatus(t *testing.T) {
	r := lawful()
	lost := r.Events[1]
	r.Events = append(r.Events[:1:1], r.Events[2:]...)
	r.Events[1].Spec.Previous = lost.Spec.Previous
	if found := noLostResult(r); len(found) > 0 {
		t.Error(strings.Join(found, "\n"))
	}
	r.Order.Status.Head, r.Events = "", nil
	if found := noLostResult(r); len(found) > 0 {
		t.Errorf("of a log that could not be written at all: %q", found)
	}
	r.History = r.History[:1]
	if found := noLostResult(r); len(found) != len(r.Runs) {
		t.Errorf("found %q", found)
	}
}

func TestRewindsAreNotMisjudgedByWhoLooksNowAndThen(t *testing.T) {
	for each := 2; each <= 5; each++ {
		for first := range each {
			r := lawful()
			var seen []v1alpha1.WorkOrderStatus
			for i := first; i < len(r.History); i += each {
				seen = append(seen, r.History[i])
			}
			r.History = seen
			for _, event := range r.chain().Events {
				if event.Spec.Rewind == nil {
					continue
				}
				if found := r.misrecorded(&event.Spec); len(found) > 0 {
					t.Errorf("each of %d statuses, from the %d. on: %q", each, first, found)
				}
			}
		}
	}
}

func TestShape(t *testing.T) {
	if got := Shape(&lawful().Order.Status); !strings.Contains(got, "\na Succeeded epoch=2") {
		t.Error(got)
	}
	if got := Story(*lawful()); !strings.HasPrefix(got, "1 Accepted /0\n2 StepFailed a/1\n") {
		t.Error(got)
	}
	if got := Tally(*lawful()); !strings.HasPrefix(got, "Accepted /0\nRewound a/2\nRewound b/2\n") {
		t.Error(got)
	}
}
