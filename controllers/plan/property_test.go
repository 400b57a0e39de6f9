package plan_test

import (
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
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/report"
)

// TestMain asks for 400 walks instead of the 100 that rapid takes by itself, or 10,000 with RELIABILITY=full, from another
// seed each time. One that failed is walked again by -rapid.seed, which the failure prints.
func TestMain(m *testing.M) {
	flag.Parse()
	ours := map[string]string{"rapid.checks": "400", "rapid.nofailfile": "true", "rapid.shrinktime": "10s", "rapid.seed": fmt.Sprint(time.Now().Unix())}
	if report.Full() {
		ours["rapid.checks"] = "10000"
	}
	flag.Visit(func(f *flag.Flag) { delete(ours, f.Name) })
	for name, value := range ours {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
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
		if err := s.run(); err != nil {
			t.Fatalf("I5: %v", err)
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

// checkRest checks I5 when nothing happens any more: the order has ended, its Pods are gone, and nothing is written.
func checkRest(t *rapid.T, s *simulation) {
	if s.order != nil && !slices.Contains([]v1alpha1.WorkOrderPhase{v1alpha1.WorkOrderSucceeded, v1alpha1.WorkOrderFailed, v1alpha1.WorkOrderCancelled}, s.order.Status.Phase) {
		t.Errorf("I5: the order has come to rest as %s: %s", s.order.Status.Phase, encode(s.order.Status))
	}
	if len(s.pods) > 0 {
		t.Errorf("I5: %d Pods are left", len(s.pods))
	}
	s.operator.trouble = 0
	writes := s.operator.writes
	s.now = s.now.Add(24 * time.Hour)
	if s.operator.turn() || s.operator.writes != writes {
		t.Error("I5: the operator still writes")
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
	s.after(5*time.Minute, func() {
		s.refuseEvents = false
		s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = false; mend(o) })
	})
	return s
}

func randomOrder(roll dice) *v1alpha1.WorkOrder {
	o := order()
	for i := range 1 + roll("steps", 12) {
		name := fmt.Sprintf("step-%d", i)
		step := run(name)
		if roll("kind", 4) == 1 {
			step = wait(name, int64(roll("wait", 20)))
		} else if roll("start timeout", 2) == 1 {
			step.StartTimeoutSeconds = ptr(int64(10))
		}
		o.Spec.Steps = append(o.Spec.Steps, step)
	}
	o.Spec.Suspend = roll("suspended from the start", 8) == 1
	o.Spec.Retry = &v1alpha1.Retry{
		Limit:           ptr(int32(roll("limit", 4))),
		DisruptionLimit: ptr(int32(roll("disruption limit", 8))),
		Backoff:         &v1alpha1.Backoff{InitialSeconds: ptr(int32(roll("backoff", 6))), MaxSeconds: ptr(int32(10))},
	}
	return o
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

// mend makes a spec valid again: what has started goes back to where it was.
func mend(o *v1alpha1.WorkOrder) {
	o.Spec.Strategy = ""
	var started, rest []v1alpha1.Step
	for _, s := range o.Status.Steps {
		if s.Epoch == 0 {
			continue
		}
		if i := slices.IndexFunc(o.Spec.Steps, func(x v1alpha1.Step) bool { return x.Name == s.Name }); i >= 0 {
			started = append(started, o.Spec.Steps[i])
		} else {
			started = append(started, run(s.Name))
		}
	}
	for _, s := range o.Spec.Steps {
		if !slices.ContainsFunc(started, func(x v1alpha1.Step) bool { return x.Name == s.Name }) {
			rest = append(rest, s)
		}
	}
	o.Spec.Steps = append(started, rest...)
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
