package plan_test

import (
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
