package plan_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	var ends = map[v1alpha1.WorkOrderPhase]int{}
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
	})
	t.Logf("%d seeds; writes by what happened to them (none, refused, reply lost, crash before, after, frozen): %v; ends: %v", seeds, met, ends)
	for kind, n := range met {
		if n < seeds/20 {
			t.Errorf("fault %d happened %d times in %d seeds: too seldom to show anything", kind, n, seeds)
		}
	}
}

// TestGraphsOfEverySizeRunToTheirEnd goes up to the largest that there may be: 256 steps, 16 dependencies each.
func TestGraphsOfEverySizeRunToTheirEnd(t *testing.T) {
	var sizes []int
	rapid.Check(t, func(t *rapid.T) {
		if most := 3; len(sizes) >= most && (!report.Full() || len(sizes) >= 10*most) {
			return // They are large.
		}
		roll := func(what string, sides int) int { return rapid.IntRange(0, sides-1).Draw(t, what) }
		o := order()
		o.Spec.Strategy, o.Spec.KeepPods = v1alpha1.StrategyGraph, v1alpha1.KeepNoPods
		for i := range []int{256, 100, 30}[len(sizes)%3] {
			step := run(fmt.Sprintf("step-%d", i))
			for range min(i, roll("dependencies", 17)) {
				if need := fmt.Sprintf("step-%d", roll("on", i)); !slices.Contains(step.DependsOn, need) {
					step.DependsOn = append(step.DependsOn, need)
				}
			}
			o.Spec.Steps = append(o.Spec.Steps, step)
		}
		sizes = append(sizes, len(o.Spec.Steps))
		slices.Reverse(o.Spec.Steps)
		if limit := roll("parallelism", 20); limit > 0 {
			o.Spec.Parallelism = ptr(int32(limit))
		}
		if stall := plan.Validate(&o.Spec); stall != nil {
			t.Fatal(stall.Message)
		}
		s := simulate(o, calm)
		failing := fmt.Sprintf("step-%d", roll("fails", 2*len(o.Spec.Steps)))
		s.behave = func(a steppod.Attempt) behaviour {
			if a.Step == failing {
				return exits(1, "no")
			}
			return succeeds("")
		}
		if err := s.run(); err != nil {
			t.Fatalf("I5: %v", err)
		}
		for _, breach := range s.laws.broken {
			t.Error(breach)
		}
		checkRest(t, s)
	})
	t.Logf("graphs of %v steps", sizes)
}

// checkRest checks I5 when nothing happens any more: the order has ended, its Pods are gone, and nothing is written.
func checkRest(t *rapid.T, s *simulation) {
	if s.order != nil && !slices.Contains([]v1alpha1.WorkOrderPhase{v1alpha1.WorkOrderSucceeded, v1alpha1.WorkOrderFailed, v1alpha1.WorkOrderCancelled}, s.order.Status.Phase) {
		t.Errorf("I5: the order has come to rest as %s: %s", s.order.Status.Phase, encode(s.order.Status))
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

// randomWalk is a simulation in which everything is left to chance.
func randomWalk(t *rapid.T) *simulation {
	roll := func(what string, sides int) int { return rapid.IntRange(0, sides-1).Draw(t, what) }
	o := randomOrder(roll)
	s := simulate(o, roll)
	s.operator.trouble = roll("trouble", 20)
	s.behave = func(a steppod.Attempt) behaviour { return randomBehaviour(roll) }
	s.refuse = func(*corev1.Pod) *v1alpha1.StepError {
		codes := []v1alpha1.ErrorCode{"", v1alpha1.CodeQuotaExceeded, v1alpha1.CodeForbidden, v1alpha1.CodeInvalidPod}
		if code := codes[s.operator.chance("refuse a Pod", 8, len(codes))]; code != "" {
			return &v1alpha1.StepError{Code: code, Message: "no"}
		}
		return nil
	}
	for range roll("deeds", 6) {
		deed := deeds[roll("deed", len(deeds))]
		s.after(time.Duration(roll("at", 90_000))*time.Millisecond, func() { deed(s, roll) })
	}
	s.after(20*time.Minute, func() {
		s.refuseEvents = false
		s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = false; mend(o) })
	})
	return s
}

func randomOrder(roll dice) *v1alpha1.WorkOrder {
	o := order()
	o.Spec.KeepPods = v1alpha1.KeepNoPods
	graph := roll("graph", 2) == 1
	for i := range 1 + roll("steps", 12) {
		step := randomStep(fmt.Sprintf("step-%d", i), roll)
		for j := range i {
			if graph && roll("depends on an earlier one", 4) == 1 {
				step.DependsOn = append(step.DependsOn, o.Spec.Steps[j].Name)
			}
		}
		if i > 0 && roll("conditional", 4) == 1 && (!graph || len(step.DependsOn) > 0) {
			asks := o.Spec.Steps[i-1].Name
			if graph {
				asks = step.DependsOn[0]
			}
			step.When = fmt.Sprintf(`steps[%q].output != "" || steps[%q].epoch > 1`, asks, asks)
		}
		o.Spec.Steps = append(o.Spec.Steps, step)
	}
	if graph {
		o.Spec.Strategy = v1alpha1.StrategyGraph
		o.Spec.FailFast = roll("fail fast", 4) == 1
		slices.SortFunc(o.Spec.Steps, func(a, b v1alpha1.Step) int {
			return cmp.Compare(steppod.Digest(8, []byte(a.Name)), steppod.Digest(8, []byte(b.Name)))
		})
		if limit := roll("parallelism", 4); limit > 0 {
			o.Spec.Parallelism = ptr(int32(limit))
		}
	}
	for i := range roll("finally", 3) {
		o.Spec.Finally = append(o.Spec.Finally, randomStep(fmt.Sprintf("finally-%d", i), roll))
	}
	if roll("deadline", 6) == 1 {
		o.Spec.ActiveDeadlineSeconds = ptr(int64(1 + roll("seconds", 60)))
	}
	o.Spec.Suspend = roll("suspended from the start", 8) == 1
	o.Spec.Retry = &v1alpha1.Retry{
		Limit:           ptr(int32(roll("limit", 4))),
		DisruptionLimit: ptr(int32(roll("disruption limit", 8))),
		Backoff:         &v1alpha1.Backoff{InitialSeconds: ptr(int32(roll("backoff", 6))), MaxSeconds: ptr(int32(10))},
	}
	return o
}

func randomStep(name string, roll dice) v1alpha1.Step {
	step := run(name)
	if roll("kind", 4) == 1 {
		step = wait(name, int64(roll("wait", 20)))
	} else if roll("start timeout", 2) == 1 {
		step.StartTimeoutSeconds = ptr(int64(10))
	}
	return step
}

func randomBehaviour(roll dice) behaviour {
	kinds := []func() behaviour{
		func() behaviour { return succeeds("fine <b>&\x1b[31m \xff") },
		func() behaviour { return succeeds("") },
		func() behaviour {
			return exits(int32(1+roll("exit code", 255)), "oh no\nit is broken "+strings.Repeat("<", roll("length", 5000)))
		},
		runsOutOfMemory, isEvicted, isForced, isNotAdmitted, isNeverScheduled,
		func() behaviour { return isDeleted(true) },
		func() behaviour { return isDeleted(false) },
		func() behaviour { return pullsItsImage(succeeds("")) },
	}
	b := behaviour{}
	kind := 0
	if roll("trouble with the Pod", 3) == 1 {
		kind = roll("Pod", len(kinds))
	}
	for _, o := range kinds[kind]() {
		o.after = time.Duration(roll("pause", 3000)) * time.Millisecond
		b = append(b, o)
	}
	return b
}

// deeds are what people, and the world, do to an order while it runs.
var deeds = []func(*simulation, dice){
	func(s *simulation, _ dice) { s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = !o.Spec.Suspend }) },
	func(s *simulation, _ dice) { s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = !o.Spec.Cancel }) },
	func(s *simulation, roll dice) { s.edit(func(o *v1alpha1.WorkOrder) { editStep(o, roll) }) },
	func(s *simulation, _ dice) {
		s.edit(func(o *v1alpha1.WorkOrder) {
			o.Spec.Steps = append(o.Spec.Steps, run(fmt.Sprintf("more-%d", o.Generation)))
		})
	},
	func(s *simulation, _ dice) {
		s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Steps = o.Spec.Steps[:max(1, len(o.Spec.Steps)-1)] })
	},
	func(s *simulation, _ dice) { s.edit(func(o *v1alpha1.WorkOrder) { slices.Reverse(o.Spec.Steps) }) },
	func(s *simulation, roll dice) { s.edit(func(o *v1alpha1.WorkOrder) { insertStep(o, roll) }) },
	func(s *simulation, roll dice) { s.edit(func(o *v1alpha1.WorkOrder) { removeStep(o, roll) }) },
	func(s *simulation, roll dice) { s.edit(func(o *v1alpha1.WorkOrder) { askForRewind(o, roll) }) },
	func(s *simulation, roll dice) { s.edit(func(o *v1alpha1.WorkOrder) { askForRewind(o, roll) }) },
	func(s *simulation, roll dice) {
		s.after(10*time.Minute, func() { s.edit(func(o *v1alpha1.WorkOrder) { askForRewind(o, roll) }) })
	},
	func(s *simulation, roll dice) {
		s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.ActiveDeadlineSeconds = ptr(int64(1 + roll("seconds", 120))) })
	},
	func(s *simulation, _ dice) { s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Strategy = "Backwards" }) },
	func(s *simulation, roll dice) { s.deleteOrder(roll("foreground", 2) == 1) },
	func(s *simulation, roll dice) {
		s.refuseEvents = true
		s.after(time.Duration(roll("no events for", 30))*time.Second, func() { s.refuseEvents = false })
	},
	func(s *simulation, roll dice) { s.operator.skew = time.Duration(roll("skew", 240)-120) * time.Second },
	func(s *simulation, _ dice) { s.addCondition() },
	func(s *simulation, _ dice) { s.forgeEvent() },
	func(s *simulation, roll dice) { s.squat(roll) },
}

// editStep changes what a step does, whether it has started or not.
func editStep(o *v1alpha1.WorkOrder, roll dice) {
	step := &o.Spec.Steps[roll("which", len(o.Spec.Steps))]
	if step.Run != nil {
		step.Run.Image = fmt.Sprintf("registry/agent:%d", o.Generation+1)
	} else {
		step.Wait.Seconds = int64(roll("wait", 20))
	}
}

// insertStep puts a step somewhere, and in a graph before another one.
func insertStep(o *v1alpha1.WorkOrder, roll dice) {
	at := roll("where", len(o.Spec.Steps)+1)
	added := run(fmt.Sprintf("more-%d", o.Generation))
	if after := roll("before", len(o.Spec.Steps)); o.Spec.Strategy == v1alpha1.StrategyGraph {
		o.Spec.Steps[after].DependsOn = append(o.Spec.Steps[after].DependsOn, added.Name)
	}
	o.Spec.Steps = slices.Insert(o.Spec.Steps, at, added)
}

// removeStep takes a step out, and out of what others say of it.
func removeStep(o *v1alpha1.WorkOrder, roll dice) {
	if len(o.Spec.Steps) == 1 {
		return
	}
	at := roll("which", len(o.Spec.Steps))
	gone := o.Spec.Steps[at].Name
	o.Spec.Steps = slices.Delete(o.Spec.Steps, at, at+1)
	for i := range o.Spec.Steps {
		step := &o.Spec.Steps[i]
		step.DependsOn = slices.DeleteFunc(step.DependsOn, func(name string) bool { return name == gone })
		step.When = ""
	}
	o.Spec.Rewinds = slices.DeleteFunc(o.Spec.Rewinds, func(r v1alpha1.RewindRequest) bool { return r.Step == gone })
}

// askForRewind asks for a step to run once more, or twice.
func askForRewind(o *v1alpha1.WorkOrder, roll dice) {
	all := slices.Concat(o.Spec.Steps, o.Spec.Finally)
	name, epoch := all[roll("which", len(all))].Name, int64(1+roll("further", 2))
	for _, s := range o.Status.Steps {
		if s.Name == name {
			epoch += s.Epoch
		}
	}
	o.Spec.Rewinds = slices.DeleteFunc(o.Spec.Rewinds, func(r v1alpha1.RewindRequest) bool { return r.Step == name })
	o.Spec.Rewinds = append(o.Spec.Rewinds, v1alpha1.RewindRequest{Step: name, ToEpoch: epoch})
}

// mend makes a spec valid again.
func mend(o *v1alpha1.WorkOrder) {
	if plan.Validate(&o.Spec) == nil {
		return
	}
	o.Spec.Strategy = ""
	o.Spec.Parallelism, o.Spec.Rewinds = nil, nil
	for i := range o.Spec.Steps {
		o.Spec.Steps[i].DependsOn, o.Spec.Steps[i].When = nil, ""
	}
}

// forgeEvent adds an event that no operator wrote, as a child of the head.
func (s *simulation) forgeEvent() {
	if s.order == nil {
		return
	}
	forged := v1alpha1.ProgressEventSpec{
		WorkOrder: v1alpha1.WorkOrderReference{Name: s.order.Name, UID: s.order.UID}, Sequence: s.order.Status.Sequence + 1,
		Previous: s.order.Status.Head, Type: v1alpha1.EventSucceeded, Time: metav1.NewTime(s.now),
		Changes: v1alpha1.Changes{Order: v1alpha1.OrderState{Outcome: v1alpha1.OutcomeSucceeded}},
	}
	_ = s.postEvent(plan.EventName(&forged), forged)
}

// squat lets somebody else take the name of a Pod that the order is about to need, for a while.
func (s *simulation) squat(roll dice) {
	if s.order == nil || s.order.DeletionTimestamp != nil {
		return
	}
	step := s.order.Spec.Steps[roll("which", len(s.order.Spec.Steps))].Name
	pod := steppod.Seal(s.order, step, 1)
	pod.OwnerReferences[0].UID = "somebody-else"
	if s.postPod(pod) == nil {
		s.after(20*time.Second, func() { s.deletePod(pod.Name, "") })
	}
}
