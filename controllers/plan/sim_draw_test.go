package plan_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/queue"
	"workorders.dev/operator/controllers/steppod"
)

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
	s.waitInLine(roll)
	s.happen(roll, roll("deeds", 6))
	return s
}

// waitInLine has the order stand in the line for a while, where it moves both ways, as others are rewound or go.
func (s *simulation) waitInLine(roll dice) {
	if roll("in the line", 4) != 1 {
		return
	}
	place := func() int32 { return queue.Rounded(1 + roll("place", 30)) }
	s.place = place()
	var at time.Duration
	for range roll("moves", 4) {
		at += time.Duration(1+roll("until it moves", 20)) * time.Second
		s.after(at, func() { s.place = place() })
	}
	s.after(at+time.Second, func() { s.place = 0 })
}

func randomOrder(roll dice) *v1alpha1.WorkOrder {
	o := order()
	o.Spec.KeepPods = v1alpha1.KeepNoPods
	if graph := roll("graph", 2) == 1; graph {
		o.Spec.Strategy = v1alpha1.StrategyGraph
	}
	for i := range 1 + roll("steps", 12) {
		step := randomStep(fmt.Sprintf("step-%d", i), roll)
		for j := range i {
			if o.Spec.Strategy == v1alpha1.StrategyGraph && roll("depends on an earlier one", 4) == 1 {
				step.DependsOn = append(step.DependsOn, o.Spec.Steps[j].Name)
			}
		}
		o.Spec.Steps = append(o.Spec.Steps, step)
		lookBack(&o.Spec, &o.Spec.Steps[i], roll)
	}
	if o.Spec.Strategy == v1alpha1.StrategyGraph {
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
		lookBack(&o.Spec, &o.Spec.Finally[i], roll)
	}
	if roll("deadline", 6) == 1 {
		o.Spec.ActiveDeadlineSeconds = ptr(int64(1 + roll("seconds", 60)))
	}
	if roll("time to live", 8) == 1 {
		o.Spec.TTLSecondsAfterFinished = ptr(int64(roll("seconds", 1500)))
	}
	if roll("workspace", 5) == 1 {
		o.Spec.Workspace = &v1alpha1.Workspace{Storage: resource.MustParse("1Gi")}
	}
	o.Spec.Suspend = roll("suspended from the start", 8) == 1
	o.Spec.Retry = &v1alpha1.Retry{
		Limit:                 ptr(int32(roll("limit", 4))),
		DisruptionLimit:       ptr(int32(roll("disruption limit", 8))),
		NonRetryableExitCodes: randomExitCodes(roll),
		Backoff:               &v1alpha1.Backoff{InitialSeconds: ptr(int32(roll("backoff", 6))), MaxSeconds: ptr(int32(10))},
	}
	return o
}

// randomGraph is an order of so many steps that run side by side as far as their dependencies let them.
func randomGraph(size int, roll dice) *v1alpha1.WorkOrder {
	o := order()
	o.Spec.Strategy, o.Spec.KeepPods = v1alpha1.StrategyGraph, v1alpha1.KeepNoPods
	for i := range size {
		step := run(fmt.Sprintf("step-%d", i))
		for range min(i, roll("dependencies", 17)) {
			if need := fmt.Sprintf("step-%d", roll("on", i)); !slices.Contains(step.DependsOn, need) {
				step.DependsOn = append(step.DependsOn, need)
			}
		}
		o.Spec.Steps = append(o.Spec.Steps, step)
	}
	slices.Reverse(o.Spec.Steps)
	o.Spec.Retry = &v1alpha1.Retry{Limit: ptr(int32(2))}
	if limit := roll("parallelism", 20); limit > 0 {
		o.Spec.Parallelism = ptr(int32(limit))
	}
	return o
}

// lookBack gives a step inputs and a condition now and then, if it comes after others.
func lookBack(spec *v1alpha1.WorkOrderSpec, step *v1alpha1.Step, roll dice) {
	earlier := allBefore(spec, step.Name)
	if len(earlier) == 0 {
		return
	}
	if roll("inputs", 4) == 1 {
		for range 1 + roll("how many", 3) {
			if input := earlier[roll("input", len(earlier))]; !slices.Contains(step.Inputs, input) {
				step.Inputs = append(step.Inputs, input)
			}
		}
	}
	if roll("conditional", 4) == 1 {
		step.When = fmt.Sprintf(whens[roll("when", len(whens))].says, earlier[roll("on", len(earlier))])
	}
}

// exitCodes are those with which containers fail here: what a program may say, and what signals leave.
var exitCodes = []int32{1, 2, 3, 126, 137, 143, 255}

// randomExitCodes are, now and then, those that no further try would mend.
func randomExitCodes(roll dice) (codes []int32) {
	if roll("final exit codes", 3) == 1 {
		first := roll("exit code", len(exitCodes))
		codes = exitCodes[first:min(len(exitCodes), first+4)]
	}
	return codes
}

func randomStep(name string, roll dice) v1alpha1.Step {
	step := run(name)
	if roll("kind", 4) == 1 {
		return wait(name, int64(roll("wait", 20)))
	}
	if roll("start timeout", 2) == 1 {
		step.StartTimeoutSeconds = ptr(int64(10))
	}
	if roll("timeout", 3) == 1 {
		step.TimeoutSeconds = ptr(int64(2 + roll("seconds", 6)))
	}
	if roll("its own retry", 5) == 1 {
		step.Retry = &v1alpha1.Retry{Limit: ptr(int32(roll("limit", 3))), NonRetryableExitCodes: randomExitCodes(roll)}
	}
	return step
}

// outputs are what steps write that succeed: text, and objects that conditions look into, of which some are long, and two too
// long to be kept.
var outputs = []string{
	"fine <b>&\x1b[31m \xff", "", `{"errors": 0}`, `{"errors": 2, "plan": "$(HOME) costs $$5"}`, `["errors"]`, `{"errors": "none"}`,
	strings.Repeat("long $", 400), `{"errors": 1` + strings.Repeat(" ", 2000) + `}`, `{"errors": 1, "log": "` + strings.Repeat("x", 1000) + `"}`,
	`{"errors": 1, "page": "` + strings.Repeat("<", 800) + `"}`,
}

func randomBehaviour(roll dice) behaviour {
	kinds := []func() behaviour{
		func() behaviour { return succeeds(outputs[roll("output", len(outputs))]) },
		func() behaviour {
			return exits(exitCodes[roll("exit code", len(exitCodes))], "oh no\nit is broken "+strings.Repeat("<", roll("length", 5000)))
		},
		func() behaviour { return isSeenLate(exitCodes[roll("exit code", len(exitCodes))], "") },
		func() behaviour { return isSeenLate(0, `{"errors": 0}`) },
		runsOutOfMemory, isEvicted, isForced, isNotAdmitted, isNeverScheduled,
		func() behaviour { return isDeleted(true) },
		func() behaviour { return isDeleted(false) },
		func() behaviour { return pullsItsImage(succeeds("")) },
	}
	b := behaviour{}
	kind, longest := 0, 3000
	if roll("trouble with the Pod", 3) == 1 {
		kind = roll("Pod", len(kinds))
	}
	if roll("slow", 6) == 1 {
		longest = 9000
	}
	for _, o := range kinds[kind]() {
		o.after = time.Duration(roll("pause", longest)) * time.Millisecond
		b = append(b, o)
	}
	return b
}
