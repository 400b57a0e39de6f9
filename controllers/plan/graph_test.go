package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// needing is a step with a Pod that depends on others.
func needing(name string, needs ...string) v1alpha1.Step {
	step := podStep(name)
	step.DependsOn = needs
	return step
}

// inGraph makes an order one of these steps, run as a graph.
func inGraph(steps ...v1alpha1.Step) func(*v1alpha1.WorkOrder) {
	return func(o *v1alpha1.WorkOrder) { o.Spec.Strategy, o.Spec.Steps = v1alpha1.StrategyGraph, steps }
}

func namesOf(steps []v1alpha1.StepStatus) (names []string) {
	for i := range steps {
		names = append(names, steps[i].Name)
	}
	return names
}

func TestStepsAreListedInTheOrderInWhichTheyCanRunAndElseAsDeclared(t *testing.T) {
	for want, steps := range map[string][]v1alpha1.Step{
		"a b c":   {needing("a"), needing("b"), needing("c")},
		"c b a":   {needing("a", "b"), needing("b", "c"), needing("c")},
		"b c d a": {needing("a", "d"), needing("b"), needing("c", "b"), needing("d")},
		"x a b y": {needing("a", "x"), needing("x"), needing("b", "x"), needing("y", "a")},
	} {
		o := newOrder(inGraph(steps...), func(o *v1alpha1.WorkOrder) { o.Spec.Finally = []v1alpha1.Step{podStep("last")} })
		for range 3 { // Whatever maps do.
			after, _ := moved(t, o, World{}, 0)
			if got := strings.Join(namesOf(after.Status.Steps), " "); got != want+" last" {
				t.Errorf("got %s, want %s last", got, want)
			}
		}
	}
}

func TestAGraphRunsNoMoreStepsAtOnceThanItMay(t *testing.T) {
	s := begin(t, inGraph(needing("a"), needing("b"), needing("c"), needing("d", "a")), func(o *v1alpha1.WorkOrder) { o.Spec.Parallelism = ptr(int32(2)) })
	s.expect("Accepted | Running a:Running/1 b:Running/1 c:Pending d:Pending")
	s.ends("b", 1, fine).expect("StepSucceeded | Running a:Running/1 b:Succeeded/1 c:Running/1 d:Pending")
	s.edit(func(s *v1alpha1.WorkOrderSpec) { s.Parallelism = ptr(int32(1)) }).ends("a", 1, fine)
	s.expect("StepSucceeded | Running a:Succeeded/1 b:Succeeded/1 c:Running/1 d:Pending")
}

func TestAFailureBlocksWhatNeedsItAndLetsTheRestGoOn(t *testing.T) {
	steps := inGraph(needing("a"), needing("b"), needing("c", "a"), needing("d", "c", "b"), needing("e", "b"))
	s := begin(t, steps).ends("a", 1, broken)
	s.expect("StepFailed | Running a:Failed/1 b:Running/1 c:Blocked d:Blocked e:Pending")
	if got := s.order.Status.Steps[3].Message; got != "needs a, which failed" {
		t.Errorf("d is blocked as it %s", got)
	}
	s.ends("b", 1, fine).ends("e", 1, fine).expect("Failed | Failed a:Failed/1 b:Succeeded/1 c:Blocked d:Blocked e:Succeeded/1")

	fast := begin(t, steps, retries(1, 1), func(o *v1alpha1.WorkOrder) {
		o.Spec.FailFast = true
		o.Spec.Steps[0].Retry = &v1alpha1.Retry{Limit: ptr(int32(0))}
	})
	fast.ends("b", 1, broken).ends("a", 1, broken)
	fast.expect("StepFailed StepFailed Failed | Failed a:Failed/1 b:Failed/1 c:Blocked d:Blocked e:Blocked")
}

func TestAConditionDecidesWhetherAStepRuns(t *testing.T) {
	when := func(condition string) func(*v1alpha1.WorkOrder) {
		return func(o *v1alpha1.WorkOrder) {
			o.Spec.Params = []v1alpha1.Param{{Name: "mode", Value: "fast"}}
			o.Spec.Steps[1].When = condition
		}
	}
	said := steppod.End{Verdict: steppod.Succeeded, Output: `{"bugs": 3}`}
	for condition, want := range map[string]string{
		`steps["a"].results.bugs > 2`:                                     "StepSucceeded | Running a:Succeeded/1 b:Running/1 c:Pending",
		`params["mode"] != "fast"`:                                        "StepSkipped | Running a:Succeeded/1 b:Skipped c:Running/1",
		`steps["a"].output.contains("bugs") && steps["a"].epoch == 1`:     "StepSucceeded | Running a:Succeeded/1 b:Running/1 c:Pending",
		`steps["a"].phase == "Skipped"`:                                   "StepSkipped | Running a:Succeeded/1 b:Skipped c:Running/1",
		`steps["a"].results.mistakes > 2`:                                 "StepFailed Failed | Failed a:Succeeded/1 b:Failed c:Blocked",
		`has(steps["a"].results.mistakes) && params["mode"] == "careful"`: "StepSkipped | Running a:Succeeded/1 b:Skipped c:Running/1",
	} {
		s := begin(t, when(condition)).ends("a", 1, said)
		s.expect(want)
		if b := s.order.Status.Steps[1]; b.Phase == v1alpha1.StepFailed && b.Error.Code != v1alpha1.CodeExpressionFailed {
			t.Errorf("%s: %+v", condition, b.Error)
		}
	}
	s := begin(t, when(`steps["a"].epoch > 1`)).ends("a", 1, fine).ends("c", 1, fine)
	s.expect("Succeeded | Succeeded a:Succeeded/1 b:Skipped c:Succeeded/1")
	s.edit(rewindTo("a", 2)).ends("a", 2, fine).expect("Rewound StepSucceeded | Running a:Succeeded/2 b:Running/1 c:Pending/2")
}

func TestWhatAStepSaysIsKeptAsFarAsItFits(t *testing.T) {
	long := strings.Repeat("x", 2000)
	small, large := `{"rows": `+strings.Repeat(" ", 1500)+`7}`, `{"rows": "`+long+`"}`
	for output, want := range map[string]string{
		"short": "short",
		long:    long[:steppod.MaxOutputInStatus-len("…")] + "…",
		small:   `{"rows":7}`,
	} {
		s := begin(t).ends("a", 1, steppod.End{Verdict: steppod.Succeeded, Output: output})
		step := s.order.Status.Steps[0]
		if step.Output != want {
			t.Errorf("of %d bytes there is %q", len(output), step.Output)
		}
		if cut := output == long; cut != (step.Message != "") {
			t.Errorf("of the cut it says %q", step.Message)
		}
	}
	html := `{"page": "` + strings.Repeat("<", 800) + `"}` // Of which an event has no room for all, as JSON.
	for _, end := range []steppod.End{{Output: large}, {Output: steppod.Cut(html, steppod.MaxOutput), Whole: html}} {
		s := begin(t).ends("a", 1, end)
		s.expect("StepFailed Failed | Failed a:Failed/1 b:Blocked c:Blocked")
		if code := s.order.Status.Steps[0].Error.Code; code != v1alpha1.CodeResultsTooLarge {
			t.Errorf("it failed with %s", code)
		}
	}
}

func TestAnExitCodeThatNoTryWouldMendIsNotRetried(t *testing.T) {
	final := func(o *v1alpha1.WorkOrder) { o.Spec.Retry.NonRetryableExitCodes = []int32{4, 1} }
	begin(t, retries(3, 3), final).ends("a", 1, broken).expect("StepFailed Failed | Failed a:Failed/1 b:Blocked c:Blocked")
	begin(t, retries(3, 3), final).ends("a", 1, interrupted).expect("StepFailed | Running a:Backoff/1 b:Pending c:Pending")
}

func TestFinallyCannotHoldUpTheEndNorChangeIt(t *testing.T) {
	finally := func(o *v1alpha1.WorkOrder) {
		o.Spec.Steps, o.Spec.Finally = o.Spec.Steps[:1], []v1alpha1.Step{podStep("f"), podStep("g")}
	}
	s := begin(t, finally).ends("a", 1, fine).expectThen("StepSucceeded | Running a:Succeeded/1 f:Running/1 g:Running/1")
	s.ends("f", 1, broken).ends("g", 1, fine).expect("Succeeded | Succeeded a:Succeeded/1 f:Failed/1 g:Succeeded/1")
	if got := s.order.Status.Message; got != "2 of 3 steps succeeded; f failed" {
		t.Errorf("it says %q", got)
	}

	stuck := begin(t, finally).ends("a", 1, fine).ends("g", 1, fine)
	if e := Act(stuck.order, World{}, at(599)); len(e.Create) != 1 || len(e.Seal) != 0 || !e.Wake.Equal(at(600)) {
		t.Errorf("before its time is over: %+v", e)
	}
	if e := Act(stuck.order, World{}, at(600)); len(e.Create) != 0 || len(e.Seal) != 1 {
		t.Errorf("when its time is over: %+v", e)
	}
	stuck.seconds = 600
	sealed := steppod.Report{Sealed: true, End: &steppod.End{Verdict: steppod.Stopped, Code: v1alpha1.CodeSuperseded}}
	stuck.turn(saying("f", 1, sealed)).expect("StepFailed Succeeded | Succeeded a:Succeeded/1 f:Failed/1 g:Succeeded/1")
}

func (s *story) expectThen(want string) *story {
	s.Helper()
	s.expect(want)
	return s
}

func TestAnOrderInWhichNothingStartedHasNothingToCleanUp(t *testing.T) {
	s := begin(t, func(o *v1alpha1.WorkOrder) {
		o.Spec.Suspend, o.Spec.Steps, o.Spec.Finally = true, o.Spec.Steps[:1], []v1alpha1.Step{podStep("f")}
	})
	s.edit(cancel).expect("Cancelling Cancelled | Cancelled a:Cancelled f:Cancelled")
}

func TestAnOrderThatMustWaitSaysWhereItStandsAndStartsNothing(t *testing.T) {
	s := &story{T: t, order: newOrder()}
	s.turn(World{Queued: 3}).expect("Accepted | Pending a:Pending b:Pending c:Pending")
	if got := s.order.Status.Message; got != "accepted 3 steps; waits for a place to run: at most 2 orders go before it" {
		t.Errorf("it says %q", got)
	}
	s.turn(World{Queued: 1}).expect("Queued | Pending a:Pending b:Pending c:Pending")
	s.turn(World{}).expect("Admitted | Running a:Running/1 b:Pending c:Pending")
	s.turn(World{Queued: 7}).expect("Admitted | Running a:Running/1 b:Pending c:Pending")
}

func TestAnOrderIsDeletedWhenItsTimeIsOverAndNotBefore(t *testing.T) {
	s := begin(t, func(o *v1alpha1.WorkOrder) {
		o.Spec.Steps, o.Spec.TTLSecondsAfterFinished = o.Spec.Steps[:1], ptr(int64(60))
	})
	s.ends("a", 1, fine)
	if e := Act(s.order, World{}, at(59)); e.DeleteOrder || !e.Wake.Equal(at(60)) {
		t.Errorf("before: %+v", e)
	}
	if e := Act(s.order, World{}, at(60)); !e.DeleteOrder {
		t.Errorf("then: %+v", e)
	}
	unread := edited(s.order, rewindTo("a", 2))
	if e := Act(unread, World{}, at(60)); e.DeleteOrder {
		t.Error("it is deleted though it was just asked to run again")
	}
}

func TestTheUserSaysWhichPodsAreKept(t *testing.T) {
	world := World{Pods: map[steppod.Attempt]steppod.Report{}}
	for epoch, end := range []steppod.End{fine, broken, interrupted, *steppod.StoppedFor(v1alpha1.CodeRewound)} {
		a := steppod.Attempt{Step: "a", Epoch: int64(epoch + 1)}
		world.Pods[a] = steppod.Report{Attempt: a, Name: fmt.Sprint(epoch + 1), End: &end}
	}
	for keep, want := range map[v1alpha1.KeepPods][]string{"": {"1", "4"}, "Failed": {"1", "4"}, "All": nil, "None": {"1", "2", "3", "4"}} {
		o := newOrder(func(o *v1alpha1.WorkOrder) {
			o.Spec.KeepPods, o.Status.Phase, o.Status.CompletionTime, o.Status.ObservedGeneration = keep, v1alpha1.WorkOrderSucceeded, mt(0), 1
		})
		var deleted []string
		for _, pod := range Act(o, world, at(600)).Delete {
			deleted = append(deleted, pod.Name)
		}
		if !slices.Equal(deleted, want) {
			t.Errorf("when %q are kept, %v are deleted", keep, deleted)
		}
	}
}
