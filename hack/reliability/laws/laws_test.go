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

// lawful is the record of an order of two steps, a and b, of which a failed once, as it should be.
func lawful() *Record {
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Name: "order", UID: "uid"}}
	order.Spec.Steps = []v1alpha1.Step{{Name: "a", Run: &v1alpha1.Run{}}, {Name: "b", Run: &v1alpha1.Run{}}}
	r := &Record{Order: order}
	r.run("a", 1, 3)
	r.run("a", 2, 0)
	r.run("b", 1, 0)
	r.tell(v1alpha1.EventAccepted, 0, v1alpha1.StepStatus{Name: "a", Phase: v1alpha1.StepRunning, Epoch: 1}, v1alpha1.StepStatus{Name: "b", Phase: v1alpha1.StepPending})
	r.tell(v1alpha1.EventStepFailed, 3, r.entry("a", 1, v1alpha1.StepBackoff))
	r.tell(v1alpha1.EventStepSucceeded, 0, r.entry("a", 2, v1alpha1.StepSucceeded))
	r.tell(v1alpha1.EventStepSucceeded, 0, r.entry("b", 1, v1alpha1.StepSucceeded))
	return r
}

// run adds a run that took a second.
func (r *Record) run(step string, epoch int64, code int32) {
	start := 2 * len(r.Runs)
	r.Runs = append(r.Runs, node.Run{
		Step: step, Epoch: epoch, Pod: step + string('0'+rune(epoch)), Started: at(start), Ended: at(start + 1), ExitCode: code, Message: "said", Reported: true,
	})
}

func (r *Record) entry(step string, epoch int64, phase v1alpha1.StepPhase) v1alpha1.StepStatus {
	done := metav1.NewTime(at(len(r.Events)))
	return v1alpha1.StepStatus{Name: step, Phase: phase, Epoch: epoch, PodName: step + string('0'+rune(epoch)), CompletionTime: &done}
}

// tell adds an event, and the status that follows from it.
func (r *Record) tell(kind v1alpha1.EventType, code int32, steps ...v1alpha1.StepStatus) {
	spec := v1alpha1.ProgressEventSpec{
		WorkOrder: v1alpha1.WorkOrderReference{Name: "order", UID: "uid"}, Sequence: int64(len(r.Events) + 1), Previous: r.Order.Status.Head,
		Type: kind, Time: metav1.NewTime(at(len(r.Events))), Changes: v1alpha1.Changes{Steps: steps, AllSteps: len(steps) > 1},
	}
	if kind != v1alpha1.EventAccepted {
		spec.Step, spec.Epoch = steps[0].Name, steps[0].Epoch
		spec.Result = &v1alpha1.StepResult{PodName: steps[0].PodName, ExitCode: &code, Output: "said"}
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
		"an epoch starts twice":             {"I1: b started 2 times", func(r *Record) { r.run("b", 1, 0) }},
		"two epochs at once":                {"I1: a started in epoch 2 while", func(r *Record) { r.Runs[0].Ended = at(3) }},
		"an epoch never ended":              {"I1: a started in epoch 2 while", func(r *Record) { r.Runs[0].Ended = time.Time{} }},
		"a result is not in the log":        {"I2: the result of b in epoch 2", func(r *Record) { r.run("b", 2, 0) }},
		"a result of what never ran":        {"I3: there is a result of b in epoch 1, which never ran", func(r *Record) { r.Runs = r.Runs[:2] }},
		"two results of an epoch":           {"I3: there are two", func(r *Record) { r.tell(v1alpha1.EventStepSucceeded, 0, r.entry("b", 1, v1alpha1.StepSucceeded)) }},
		"another exit code":                 {"I3: a in epoch 1 ended with 4", func(r *Record) { r.Runs[0].ExitCode = 4 }},
		"another output":                    {"I3: b in epoch 1 said", func(r *Record) { r.Runs[2].Message = "something else" }},
		"a failure that is called success":  {"I3: a in epoch 2 did not succeed", func(r *Record) { r.Runs[1].ExitCode = 3 }},
		"a success that is called failure":  {"I3: a in epoch 1 succeeded", func(r *Record) { r.Runs[0].ExitCode = 0 }},
		"a result changes":                  {"I3: the result of a in epoch 2 changed", func(r *Record) { r.History[3].Steps[0].Output = "new" }},
		"a result is taken back":            {"I3: the result of a in epoch 2 changed", func(r *Record) { r.History[3].Steps[0].CompletionTime = nil }},
		"a step starts before its turn":     {"I4: b started in epoch 1 before a", func(r *Record) { r.Runs[2].Started = at(2) }},
		"a step starts after a failed one":  {"I4: b started in epoch 1 before a", func(r *Record) { r.Runs[1].ExitCode = 1 }},
		"the status says more than the log": {"I7: the log, folded", func(r *Record) { r.Order.Status.Message = "more" }},
		"an event is gone":                  {"I7: the log is broken", func(r *Record) { r.Events = r.Events[1:] }},
		"a sequence goes back":              {"I8: sequence 2 came after 4", func(r *Record) { r.History = append(r.History, r.History[1]) }},
		"an epoch goes back":                {"I8: a went from epoch 2 to 1", func(r *Record) { r.History[3].Steps[0].Epoch = 1 }},
		"the time goes back":                {"I8: the time went back", func(r *Record) { r.History[3].LastEventTime = r.History[0].LastEventTime }},
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
	r.run("b", 2, 0)
	r.Runs[3].Reported = false
	if found := Violations(*r); len(found) > 0 {
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

func TestShape(t *testing.T) {
	if got := Shape(&lawful().Order.Status); !strings.Contains(got, "\na Succeeded epoch=2") {
		t.Error(got)
	}
	if got := Story(*lawful()); !strings.HasPrefix(got, "1 Accepted /0\n2 StepFailed a/1\n") {
		t.Error(got)
	}
}
