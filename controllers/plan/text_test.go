package plan_test

import (
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/hostile"
	"workorders.dev/operator/hack/reliability/report"
)

// saying is a Pod that does something else after a second, of which its node or a controller speaks.
func saying(speak func(*corev1.Pod), then ...occurrence) behaviour {
	return append(behaviour{bound, {time.Second, func(c *cluster, pod string) { c.changePod(pod, speak) }}}, then...)
}

// hostileRun is an order that is told a text wherever users, Pods, nodes and schedulers can say one, run to its end.
func hostileRun(t *testing.T, text string) *simulation {
	t.Helper()
	names := []string{"talks", "no-image", "no-node", "evicted", "refused", "fails"}
	o := order()
	o.Spec.Params = []v1alpha1.Param{{Name: "text", Value: text}}
	o.Spec.Retry = &v1alpha1.Retry{Limit: ptr(int32(1))}
	for _, name := range names {
		step := run(name)
		step.Agent = text
		o.Spec.Steps = append(o.Spec.Steps, step)
	}
	s := simulate(o, calm)
	evicted := occurrence{time.Second, func(c *cluster, pod string) { c.kill(pod, "Evicted", 137) }}
	notAdmitted := occurrence{time.Second, func(c *cluster, pod string) { c.finishPod(pod, corev1.PodFailed, text, nil) }}
	s.behave = script{
		"talks": {succeeds(text)},
		"no-image": {saying(func(p *corev1.Pod) {
			waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerError", Message: text}}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: steppod.ContainerName, State: waiting}}
		}, succeeds("")[1:]...)},
		"no-node": {behaviour{{time.Second, func(c *cluster, pod string) {
			c.changePod(pod, func(p *corev1.Pod) {
				p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: text}}
			})
		}}, bound, started, succeeds("")[2]}},
		"evicted": {saying(func(p *corev1.Pod) { p.Status.Message = text }, started, evicted)},
		"refused": {saying(func(p *corev1.Pod) { p.Status.Message = text }, notAdmitted)},
		"fails":   {exits(1, text), exits(2, "log\n"+text)},
	}.behave
	s.does(time.Second, "writes a strategy", func(o *v1alpha1.WorkOrder) { o.Spec.Strategy = v1alpha1.Strategy(text) })
	s.does(20*time.Second, "takes it back", func(o *v1alpha1.WorkOrder) { o.Spec.Strategy = "" })
	if err := s.run(); err != nil {
		t.Error(err)
	}
	return s
}

func TestNoHarmfulTextReachesAnObject(t *testing.T) {
	began, violations, spoken := time.Now(), 0, map[v1alpha1.ErrorCode]bool{}
	for _, text := range hostile.Texts {
		s := hostileRun(t, text)
		for _, breach := range s.laws.broken {
			t.Errorf("%.40q: %s", text, breach)
		}
		found := hostile.Find(s.order.Status)
		for i := range s.events {
			spec := &s.events[i].Spec
			found = append(found, hostile.Find(spec)...)
			if flaw := hostile.LineFlaw(spec.Message); flaw != "" || size(t, spec.Message) > steppod.MaxMessage {
				found = append(found, "message: "+flaw)
			}
			if spec.Error != nil {
				spoken[spec.Error.Code] = true
			}
		}
		for _, flaw := range found {
			violations++
			t.Errorf("%.40q: %s", text, flaw)
		}
		if s.order.Status.Phase != v1alpha1.WorkOrderFailed || s.order.Status.Progress != "5/6" {
			t.Errorf("%.40q: the order came to %s %s", text, s.order.Status.Phase, s.order.Status.Progress)
		}
	}
	for _, code := range []v1alpha1.ErrorCode{v1alpha1.CodeNonZeroExit, v1alpha1.CodeEvicted, v1alpha1.CodeNotAdmitted, v1alpha1.CodeContainerConfig, v1alpha1.CodeUnschedulable} {
		if !spoken[code] {
			t.Errorf("nothing was said with the code %s, so its text was not tried", code)
		}
	}
	line := report.Line{Row: "S3", Harness: "unit", Cases: len(hostile.Texts), Unit: "texts", Violations: violations, Full: report.Full(),
		Notes: []string{"each said by a user, a container, a node and a scheduler, in 11 places"}}
	if err := line.Since(began).Add(); err != nil {
		t.Error(err)
	}
}

// size is the bytes of a text in JSON.
func size(t *testing.T, text string) int {
	t.Helper()
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return len(encoded) - 2
}
