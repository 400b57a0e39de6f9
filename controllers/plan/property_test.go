package plan_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/progress"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/report"
	"workorders.dev/operator/hack/reliability/seeds"
)

// TestMain asks for 400 walks instead of the 100 that rapid takes by itself. One that failed is walked again by -rapid.seed,
// which the failure prints.
func TestMain(m *testing.M) {
	seeds.Set(400)
	os.Exit(m.Run())
}

func TestWhateverHappensTheLawsHoldAndTheOrderEnds(t *testing.T) {
	began, broken := time.Now(), 0
	var met [faults]int
	var ends, seen = map[v1alpha1.WorkOrderPhase]int{}, map[string]int{}
	seeds := 0
	t.Cleanup(func() { // A walk that breaks a law ends the test.
		if t.Failed() && broken == 0 {
			broken = 1
		}
		shown := report.Line{
			Row: "R17", Harness: "unit", Cases: seeds, Unit: "walks of the plan", Violations: broken, Seeds: flag.Lookup("rapid.seed").Value.String(), Full: report.Full(),
			Notes: []string{fmt.Sprintf("writes refused %d, done but said to have failed %d, crashes before %d and after %d, frozen for minutes %d", met[1], met[2], met[3], met[4], met[5])},
		}
		if err := shown.Since(began).Add(); err != nil {
			t.Error(err)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		seeds++
		s := randomWalk(t)
		story := newTrace(s, string(encode(s.order.Spec)))
		if err := s.run(); err != nil {
			t.Fatalf("I5: %v\n%s", err, story)
		}
		if len(s.laws.broken) > 0 {
			t.Log(story)
		}
		broken += len(s.laws.broken)
		for _, breach := range s.laws.broken {
			t.Error(breach)
		}
		checkRest(t, s)
		for kind, n := range s.operator.met {
			met[kind] += n
		}
		if s.order != nil {
			ends[s.order.Status.Phase]++
		}
		for what := range s.laws.seen {
			seen[what]++
		}
	})
	t.Logf("%d seeds; writes by what happened to them (none, refused, reply lost, crash before, after, frozen): %v; ends: %v; walks by what they have seen: %v", seeds, met, ends, seen)
	for kind, n := range met {
		if n < seeds/20 {
			t.Errorf("fault %d happened %d times in %d seeds: too seldom to show anything", kind, n, seeds)
		}
	}
	for _, what := range sights {
		if seen[what] < seeds/40 {
			t.Errorf("%s were seen in %d of %d walks: too seldom to show anything", what, seen[what], seeds)
		}
	}
}

// TestGraphsOfEverySizeRunToTheirEnd goes up to the largest that there may be: 256 steps, 16 dependencies each. People have
// their hands on them, and what can go wrong does.
func TestGraphsOfEverySizeRunToTheirEnd(t *testing.T) {
	var sizes []int
	var ends = map[v1alpha1.WorkOrderPhase]int{}
	rapid.Check(t, func(t *rapid.T) {
		if most := 4; len(sizes) >= most && (!report.Full() || len(sizes) >= 3*most) {
			return // They are large.
		}
		roll := func(what string, sides int) int { return rapid.IntRange(0, sides-1).Draw(t, what) }
		size := []int{256, 100, 30}[len(sizes)%3]
		sizes = append(sizes, size)
		o := randomGraph(size, roll)
		if stall := plan.Validate(&o.Spec); stall != nil {
			t.Fatal(stall.Message)
		}
		s := simulate(o, roll)
		s.operator.trouble = 5 + roll("trouble", 15)
		failing := fmt.Sprintf("step-%d", size-roll("fails", 2*size)) // The later it fails, the more has run.
		s.behave = func(a steppod.Attempt) behaviour {
			switch {
			case a.Step == failing:
				return exits(1, "no")
			case roll("any Pod", 20) == 1:
				return randomBehaviour(roll)
			}
			return succeeds("")
		}
		s.happen(roll, 1+roll("deeds", 3))
		story := newTrace(s, string(encode(s.order.Spec)))
		if err := s.run(); err != nil {
			t.Fatalf("I5: %v\n%s", err, story)
		}
		if len(s.laws.broken) > 0 {
			t.Log(story)
		}
		for _, breach := range s.laws.broken {
			t.Error(breach)
		}
		checkRest(t, s)
		if s.order != nil {
			ends[s.order.Status.Phase]++
		}
	})
	t.Logf("graphs of %v steps; ends: %v", sizes, ends)
}

// checkRest checks I5 when nothing happens any more: the order has ended, its Pods are gone, and nothing is written.
func checkRest(t *rapid.T, s *simulation) {
	if s.order != nil && !slices.Contains([]v1alpha1.WorkOrderPhase{v1alpha1.WorkOrderSucceeded, v1alpha1.WorkOrderFailed, v1alpha1.WorkOrderCancelled}, s.order.Status.Phase) {
		t.Errorf("I5: the order has come to rest as %s: %s", s.order.Status.Phase, encode(s.order.Status))
	}
	if s.order != nil && s.order.Spec.TTLSecondsAfterFinished != nil {
		t.Errorf("I5: the order stays for ever, and it was to stay %d s", *s.order.Spec.TTLSecondsAfterFinished)
	}
	if len(s.pods) > 0 {
		t.Errorf("I5: %d Pods are left", len(s.pods))
	}
	if s.order != nil {
		checkRewinds(t, s.order)
		checkCollapsed(t, s)
	}
	s.operator.trouble = 0
	writes := s.operator.writes
	s.now = s.now.Add(24 * time.Hour)
	if s.operator.turn() || s.operator.writes != writes {
		t.Error("I5: the operator still writes")
	}
}

// checkRewinds checks that what was asked to run again has, unless the order was cancelled or its spec cannot run.
func checkRewinds(t *rapid.T, o *v1alpha1.WorkOrder) {
	if o.Status.Cancelled || o.Spec.Cancel || plan.Validate(&o.Spec) != nil {
		return
	}
	for _, r := range o.Spec.Rewinds {
		at := slices.IndexFunc(o.Status.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == r.Step })
		if at >= 0 && !o.Status.Steps[at].Removed && o.Status.Steps[at].Epoch < r.ToEpoch {
			t.Errorf("%s was asked to be at epoch %d, and is %s", r.Step, r.ToEpoch, encode(o.Status.Steps[at]))
		}
	}
}

// checkCollapsed checks that a reader who drops what is superseded sees one end of each step at most: the one in the status.
func checkCollapsed(t *rapid.T, s *simulation) {
	chain := progress.Follow(s.order.UID, s.order.Status.Head, s.events)
	for _, e := range chain.Collapse() {
		ends := e.Spec.Result != nil || e.Spec.Type == v1alpha1.EventStepSkipped
		at := slices.IndexFunc(s.order.Status.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == e.Spec.Step })
		if ends && at >= 0 && s.order.Status.Steps[at].Epoch != e.Spec.Epoch {
			t.Errorf("%s of %s/%d is shown as if it held, and the status is at epoch %d", e.Spec.Type, e.Spec.Step, e.Spec.Epoch, s.order.Status.Steps[at].Epoch)
		}
	}
}
