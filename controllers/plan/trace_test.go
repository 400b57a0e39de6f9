package plan_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// script is what the Pods of each step do, epoch by epoch; all others succeed.
type script map[string][]behaviour

func (s script) behave(a steppod.Attempt) behaviour {
	if epochs := s[a.Step]; int(a.Epoch) <= len(epochs) {
		return epochs[a.Epoch-1]
	}
	return succeeds("")
}

// does lets a person do something to the order after a time.
func (s *simulation) does(after time.Duration, what string, change func(*v1alpha1.WorkOrder)) {
	s.after(after, func() {
		s.tell("user", steppod.Attempt{}, what)
		s.edit(change)
	})
}

func agentOrder() *v1alpha1.WorkOrder {
	o := order(run("classify"), run("find-plan"), run("implement"), run("test"), run("review"), run("merge"), run("notify"))
	o.Spec.Retry = &v1alpha1.Retry{Limit: ptr(int32(2))}
	return o
}

// diamond is a graph: test and lint come after build, and deploy after both.
func diamond() *v1alpha1.WorkOrder {
	o := order(after(run("deploy"), "test", "lint"), after(run("lint"), "build"), after(run("test"), "build"), run("build"))
	o.Spec.Strategy = v1alpha1.StrategyGraph
	return o
}

func after(step v1alpha1.Step, needs ...string) v1alpha1.Step {
	step.DependsOn = needs
	return step
}

// with is an order, changed.
func with(o *v1alpha1.WorkOrder, change func(*v1alpha1.WorkOrder)) *v1alpha1.WorkOrder {
	change(o)
	return o
}

func threeSteps() *v1alpha1.WorkOrder { return order(run("build"), run("test"), run("deploy")) }

// A trace is a story: who orders what, what happens, and what one sees of it.
var traces = []struct {
	file, heading string
	order         *v1alpha1.WorkOrder
	pods          script
	story         func(*simulation)
}{
	{
		file: "agents", heading: "Seven agents, one after the other. What implement makes first does not compile, so it runs again.",
		order: agentOrder(),
		pods: script{
			"classify":  {succeeds("/feature")},
			"find-plan": {succeeds("plan 12: dark mode\nin three parts")},
			"implement": {exits(1, "compiling\ntheme.go:7: undefined: dark"), succeeds("3 files changed")},
			"review":    {succeeds("approved")},
		},
	},
	{
		file: "failure", heading: "The tests fail for good: one retry, then the order fails, and what needs them is blocked.",
		order: func() *v1alpha1.WorkOrder {
			o := threeSteps()
			o.Spec.Retry = &v1alpha1.Retry{Limit: ptr(int32(1))}
			return o
		}(),
		pods: script{"test": {exits(1, "FAIL: dark_test.go"), exits(2, "FAIL: dark_test.go, again")}},
	},
	{
		file: "disruption", heading: "Evicted, deleted before it had a node, deleted by force, refused by its node: not the step's fault,\nso the attempt stays the same, and no retry is used up.",
		order: order(run("build")),
		pods:  script{"build": {isEvicted(), isDeleted(false), isForced(), isNotAdmitted(), succeeds("done")}},
	},
	{
		file: "no-room", heading: "No node has room: said once; the Pod is given up after startTimeoutSeconds, and another is tried.",
		order: func() *v1alpha1.WorkOrder {
			o := order(run("build"))
			o.Spec.Steps[0].StartTimeoutSeconds = ptr(int64(120))
			return o
		}(),
		pods: script{"build": {isNeverScheduled(), succeeds("")}},
	},
	{
		file: "slow-image", heading: "An image cannot be pulled at first. It is said once, however often the node's words change, and once when it is over.",
		order: order(run("build"), run("test")),
		pods:  script{"build": {pullsItsImage(succeeds(""))}},
	},
	{
		file: "suspend", heading: "Suspended while the first step runs, resumed a minute later.",
		order: threeSteps(),
		story: func(s *simulation) {
			s.does(2*time.Second, "sets suspend", func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = true })
			s.does(time.Minute, "unsets suspend", func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = false })
		},
	},
	{
		file: "cancel", heading: "Cancelled while the second step runs: its Pod is stopped, the third never starts. Unsetting cancel resumes nothing.",
		order: threeSteps(),
		pods:  script{"test": {runsForEver()}},
		story: func(s *simulation) {
			s.does(20*time.Second, "sets cancel", func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = true })
			s.does(30*time.Second, "unsets cancel", func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = false })
		},
	},
	{
		file: "cancel-unborn", heading: "Cancelled while the Pod of the first step is refused: its name is taken, so that it can never be made.",
		order: threeSteps(),
		story: func(s *simulation) {
			refused := s.refuseUntil(time.Hour, v1alpha1.CodeQuotaExceeded, "exceeded quota: pods")
			s.refuse = func(pod *corev1.Pod) *v1alpha1.StepError {
				if len(pod.Spec.SchedulingGates) > 0 {
					return nil
				}
				return refused(pod)
			}
			s.does(12*time.Second, "sets cancel", func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = true })
		},
	},
	{
		file: "waits", heading: "A wait needs no Pod.",
		order: order(wait("calm-down", 30), run("build"), wait("breathe", 0)),
	},
	{
		file: "refused", heading: "A quota refuses the first Pod for half a minute: said once, tried again, and it goes on by itself.",
		order: order(run("build"), run("test")),
		story: func(s *simulation) {
			s.refuse = s.refuseUntil(25*time.Second, v1alpha1.CodeQuotaExceeded, "exceeded quota: pods, requested: 1, used: 10, limited: 10")
		},
	},
	{
		file: "edited", heading: "Somebody edits the step that runs: it is stopped and starts again with the new spec, which counts as no retry.",
		order: threeSteps(),
		pods:  script{"test": {runsForEver(), succeeds("ok")}},
		story: func(s *simulation) {
			s.does(12*time.Second, "edits the image of test", func(o *v1alpha1.WorkOrder) { o.Spec.Steps[1].Run.Image = "registry/agent:2" })
		},
	},
	{
		file: "gap", heading: "No event can be written for a while. The work goes on; the first event that can be written closes the gap,\nand says which step started again inside it.",
		order: func() *v1alpha1.WorkOrder {
			o := threeSteps()
			o.Spec.Retry = &v1alpha1.Retry{Limit: ptr(int32(1))}
			return o
		}(),
		pods: script{"test": {exits(1, "FAIL"), succeeds("ok")}},
		story: func(s *simulation) {
			s.after(6*time.Second, func() { s.refuseEvents = true; s.tell("admin", steppod.Attempt{}, "forbids events") })
			s.after(18*time.Second, func() { s.refuseEvents = false; s.tell("admin", steppod.Attempt{}, "allows events again") })
		},
	},
	{
		file: "deleted", heading: "Deleted in the foreground while the second step runs: the last result is still saved, then all is gone.",
		order: threeSteps(),
		pods:  script{"test": {runsForEver()}},
		story: func(s *simulation) {
			s.after(12*time.Second, func() {
				s.tell("user", steppod.Attempt{}, "deletes the order")
				s.deleteOrder(true)
			})
		},
	},
	{
		file: "diamond", heading: "A graph, declared backwards: what is ready runs side by side.",
		order: diamond(),
	},
	{
		file: "branch-fails", heading: "One branch of a graph fails for good: the other goes on, what needs both is blocked, finally cleans up and cannot save it.",
		order: with(diamond(), func(o *v1alpha1.WorkOrder) { o.Spec.Finally = []v1alpha1.Step{run("clean-up")} }),
		pods:  script{"lint": {exits(1, "tabs")}, "test": {{bound, started, {20 * time.Second, func(c *cluster, pod string) { c.exit(pod, 0, "", "") }}}}},
	},
	{
		file: "fail-fast", heading: "The same, failing fast: what runs ends, and nothing new starts.",
		order: with(diamond(), func(o *v1alpha1.WorkOrder) {
			o.Spec.FailFast = true
			o.Spec.Steps = append(o.Spec.Steps, after(run("publish"), "test"))
		}),
		pods: script{"lint": {exits(1, "tabs")}, "test": {{bound, started, {20 * time.Second, func(c *cluster, pod string) { c.exit(pod, 0, "", "") }}}}},
	},
	{
		file: "conditions", heading: "What the first step found out decides which of the others run.",
		order: with(diamond(), func(o *v1alpha1.WorkOrder) {
			o.Spec.Steps[1].When = `steps["build"].results.lint == true`
			o.Spec.Steps[2].When = `steps["build"].results.tests > 10`
		}),
		pods: script{"build": {succeeds(`{"tests": 12, "lint": false}`)}},
	},
	{
		file: "rewind-finished", heading: "Rewound after its end: test and what comes after it run again, and the rest keeps its results.",
		order: threeSteps(),
		story: func(s *simulation) {
			s.does(time.Minute, "asks for test at epoch 2", func(o *v1alpha1.WorkOrder) {
				o.Spec.Rewinds = []v1alpha1.RewindRequest{{Step: "test", ToEpoch: 2}}
			})
			s.does(2*time.Minute, "takes that out again", func(o *v1alpha1.WorkOrder) { o.Spec.Rewinds = nil })
		},
	},
	{
		file: "rewind-running", heading: "Rewound while a later step runs: that is stopped first, and its end is in the log.",
		order: threeSteps(),
		pods:  script{"deploy": {runsForEver(), succeeds("")}},
		story: func(s *simulation) {
			s.does(15*time.Second, "asks for build at epoch 3 and test at epoch 2", func(o *v1alpha1.WorkOrder) {
				o.Spec.Rewinds = []v1alpha1.RewindRequest{{Step: "build", ToEpoch: 3}, {Step: "test", ToEpoch: 2}}
			})
		},
	},
	{
		file: "inserted", heading: "A step is put before ones that have ended: they run again after it.",
		order: threeSteps(),
		pods:  script{"deploy": {runsForEver(), succeeds("")}},
		story: func(s *simulation) {
			s.does(15*time.Second, "inserts lint before test", func(o *v1alpha1.WorkOrder) {
				o.Spec.Steps = slices.Insert(o.Spec.Steps, 1, run("lint"))
			})
		},
	},
	{
		file: "removed", heading: "The step that runs is removed from the spec, and comes back later: its epochs go on.",
		order: threeSteps(),
		pods:  script{"test": {runsForEver(), succeeds("")}, "deploy": {runsForEver(), succeeds("")}},
		story: func(s *simulation) {
			s.does(8*time.Second, "removes test", func(o *v1alpha1.WorkOrder) { o.Spec.Steps = slices.Delete(o.Spec.Steps, 1, 2) })
			s.does(20*time.Second, "puts test back", func(o *v1alpha1.WorkOrder) { o.Spec.Steps = slices.Insert(o.Spec.Steps, 1, run("test")) })
		},
	},
	{
		file: "deadline", heading: "The order takes too long: what runs is stopped, finally runs. A rewind brings it back, with a deadline anew.",
		order: with(threeSteps(), func(o *v1alpha1.WorkOrder) {
			o.Spec.ActiveDeadlineSeconds = ptr(int64(30))
			o.Spec.Finally = []v1alpha1.Step{run("clean-up")}
		}),
		pods: script{"test": {runsForEver(), succeeds("")}},
		story: func(s *simulation) {
			s.does(time.Minute, "asks for test at epoch 2", func(o *v1alpha1.WorkOrder) {
				o.Spec.Rewinds = []v1alpha1.RewindRequest{{Step: "test", ToEpoch: 2}}
			})
		},
	},
	{
		file: "cancel-finally", heading: "Cancelled: what runs is stopped, and finally runs all the same.",
		order: with(threeSteps(), func(o *v1alpha1.WorkOrder) { o.Spec.Finally = []v1alpha1.Step{run("clean-up"), run("notify")} }),
		pods:  script{"test": {runsForEver()}},
		story: func(s *simulation) {
			s.does(20*time.Second, "sets cancel", func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = true })
		},
	},
	{
		file: "mended", heading: "A spec that cannot run is refused with a sentence, and runs once it is mended.",
		order: order(run("build"), v1alpha1.Step{Name: "test"}),
		story: func(s *simulation) {
			s.does(time.Minute, "gives test a run", func(o *v1alpha1.WorkOrder) { o.Spec.Steps[1] = run("test") })
		},
	},
}

// refuseUntil refuses every Pod until some time has passed.
func (s *simulation) refuseUntil(pause time.Duration, code v1alpha1.ErrorCode, message string) func(*corev1.Pod) *v1alpha1.StepError {
	until := s.now.Add(pause)
	return func(*corev1.Pod) *v1alpha1.StepError {
		if !s.now.Before(until) {
			return nil
		}
		return &v1alpha1.StepError{Code: code, Message: message}
	}
}

func TestTheStoryOfAnOrderIsToldAsBefore(t *testing.T) {
	for _, story := range traces {
		t.Run(story.file, func(t *testing.T) {
			s := simulate(story.order.DeepCopy(), calm)
			s.behave = story.pods.behave
			tr := newTrace(s, story.heading)
			if story.story != nil {
				story.story(s)
			}
			if err := s.run(); err != nil {
				t.Error(err)
			}
			for _, breach := range s.laws.broken {
				t.Error(breach)
			}
			tr.golden(t, story.file)
		})
	}
}
