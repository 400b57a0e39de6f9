package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/report"
)

// planned is a fault at one write of the operator's, counted from 0.
type planned struct {
	write int
	kind  fault
}

// walk simulates an order with faults planned at some of its writes.
func walk(o *v1alpha1.WorkOrder, pods script, plans ...planned) (*simulation, error) {
	writes, kind := 0, noFault
	s := simulate(o.DeepCopy(), func(what string, sides int) int {
		if kind != noFault { // This roll is about how it goes wrong.
			defer func() { kind = noFault }()
			return int(kind)
		}
		if what == "stale order" || what == "stale Pods" || what == "give up on the event" || what == "frozen for" {
			return 0
		}
		i := slices.IndexFunc(plans, func(p planned) bool { return p.write == writes })
		writes++
		if i < 0 {
			return 0
		}
		kind = plans[i].kind
		return 1
	})
	s.operator.trouble = -1 // Faults come as planned, so there need be no end to them.
	s.behave = pods.behave
	err := s.run()
	return s, err
}

// outcome is what must not depend on faults: how the order and its steps ended, but not when.
func outcome(s *simulation) []string {
	told := []string{string(s.order.Status.Phase) + " " + s.order.Status.Progress}
	for _, step := range s.order.Status.Steps {
		told = append(told, fmt.Sprint(step.Name, step.Phase, step.Epoch, step.Attempt, step.Retries, step.Disruptions, step.Output))
	}
	return told
}

func TestAFaultAtAnyWriteChangesNothingOfWhatAnOrderComesTo(t *testing.T) {
	o := agentOrder()
	pods := script{"implement": {exits(1, "no"), isEvicted(), succeeds("done")}, "review": {exits(2, "no"), succeeds("fine")}}
	calm, err := walk(o, pods)
	if err != nil {
		t.Fatal(err)
	}
	if calm.operator.writes < 40 {
		t.Fatalf("a calm run makes %d writes: too few to be true", calm.operator.writes)
	}
	began, broken := time.Now(), 0
	for write := range calm.operator.writes {
		for kind := writeRefused; kind < faults; kind++ {
			if !t.Run(fmt.Sprintf("write %d, fault %d", write, kind), func(t *testing.T) {
				checkWalk(t, o, pods, outcome(calm), planned{write, kind})
			}) {
				broken++
			}
		}
	}
	shown := report.Line{Row: "R1", Harness: "unit", Cases: calm.operator.writes * int(faults-1), Unit: "writes × faults, simulated", Violations: broken, Full: report.Full(),
		Notes: []string{fmt.Sprintf("7 steps, 3 starts again, %d writes", calm.operator.writes)}}
	if err := shown.Since(began).Add(); err != nil {
		t.Error(err)
	}
}

func TestTwoFaultsAtAnyTwoWritesChangeNothingEither(t *testing.T) {
	o := order(run("build"), run("test"))
	o.Spec.Retry = &v1alpha1.Retry{Limit: ptr(int32(1))}
	pods := script{"build": {exits(1, "no"), succeeds("done")}}
	calm, err := walk(o, pods)
	if err != nil {
		t.Fatal(err)
	}
	began, cases, broken := time.Now(), 0, 0
	for first := range calm.operator.writes {
		for second := first + 1; second < calm.operator.writes+1; second++ {
			ok := t.Run(fmt.Sprintf("writes %d and %d", first, second), func(t *testing.T) {
				for kinds := range 25 {
					cases++
					checkWalk(t, o, pods, outcome(calm), planned{first, fault(1 + kinds/5)}, planned{second, fault(1 + kinds%5)})
				}
			})
			if !ok {
				broken++
			}
		}
	}
	shown := report.Line{Row: "R2", Harness: "unit", Cases: cases, Unit: "pairs of faults, simulated", Violations: broken, Full: report.Full(),
		Notes: []string{fmt.Sprintf("every pair at any two of %d writes", calm.operator.writes)}}
	if err := shown.Since(began).Add(); err != nil {
		t.Error(err)
	}
}

func checkWalk(t *testing.T, o *v1alpha1.WorkOrder, pods script, want []string, plans ...planned) {
	t.Helper()
	s, err := walk(o, pods, plans...)
	if err != nil {
		t.Fatalf("%v: %v", plans, err)
	}
	for _, breach := range s.laws.broken {
		t.Errorf("%v: %s", plans, breach)
	}
	if diff := cmp.Diff(want, outcome(s)); diff != "" {
		t.Errorf("%v: the order came to something else\n%s", plans, diff)
	}
}

func TestACalmOrderStaysWithinItsBudgetOfWrites(t *testing.T) {
	s, err := walk(order(run("a"), wait("b", 5), run("c")), nil)
	if err != nil {
		t.Fatal(err)
	}
	// Four a step with a Pod, two a step without, two each for the beginning and the end, and one clean-up of two Pods.
	if want := 4*2 + 2*1 + 2 + 2 + 2; s.operator.writes > want {
		t.Errorf("it takes %d writes, and %d are in the budget", s.operator.writes, want)
	}
}
