// Package stages has orders at every point of their lives that a tool has to tell from others, for tests of such tools.
package stages

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// Stage is an order at some point of its life.
type Stage struct {
	order *v1alpha1.WorkOrder
	now   time.Time
}

// begin is an order of two steps that nobody has looked at yet. Its first step may be tried once more.
func begin() *Stage {
	once, pause := int32(1), int32(30)
	step := func(name string) v1alpha1.Step {
		return v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: "registry/agent:1"}}
	}
	return &Stage{now: time.Date(2030, 1, 2, 10, 0, 0, 0, time.UTC), order: &v1alpha1.WorkOrder{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "WorkOrder"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "release", UID: "5f1c0d52-7a34-4d0e-9a53-000000000001", Generation: 1},
		Spec: v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{Limit: &once, Backoff: &v1alpha1.Backoff{InitialSeconds: &pause}},
			Steps: []v1alpha1.Step{step("build"), step("deploy")},
		},
		Status: v1alpha1.WorkOrderStatus{ObservedGeneration: -1, Phase: v1alpha1.WorkOrderPending}, // As the schema has it.
	}}
}

// turn has the operator look at the order once, a minute later.
func (s *Stage) turn(pods ...steppod.Report) *Stage {
	s.now = s.now.Add(time.Minute)
	world := plan.World{Pods: map[steppod.Attempt]steppod.Report{}}
	for _, pod := range pods {
		world.Pods[pod.Attempt] = pod
	}
	if next := plan.Next(s.order, world, s.now); next != nil {
		s.order.Status = next.Status
	}
	return s
}

// edit changes the order as a person does.
func (s *Stage) edit(change func(*v1alpha1.WorkOrder)) *Stage {
	change(s.order)
	s.order.Generation++
	return s
}

// ends is the Pod of a step that has ended.
func ends(step string, epoch int64, verdict steppod.Verdict) steppod.Report {
	end := &steppod.End{Verdict: verdict}
	if verdict == steppod.Failed {
		code := int32(1)
		end.Code, end.Message, end.ExitCode = v1alpha1.CodeNonZeroExit, "exit code 1", &code
	}
	return steppod.Report{Attempt: steppod.Attempt{Step: step, Epoch: epoch}, Name: step, Bound: true, Started: true, End: end}
}

// All are the stages, by what a person would say of such an order.
func All() map[string]*Stage {
	failed := func() *Stage {
		return begin().turn().turn(ends("build", 1, steppod.Failed)).turn().turn(ends("build", 2, steppod.Failed)).turn()
	}
	done := func() *Stage {
		return begin().turn().turn(ends("build", 1, steppod.Succeeded)).turn(ends("deploy", 1, steppod.Succeeded)).turn()
	}
	again := func(o *v1alpha1.WorkOrder) {
		o.Spec.Rewinds = []v1alpha1.RewindRequest{{Step: "build", ToEpoch: 3}}
	}
	return map[string]*Stage{
		"new":       begin(),
		"running":   begin().turn(),
		"retrying":  begin().turn().turn(ends("build", 1, steppod.Failed)),
		"rewinding": begin().turn().turn(ends("build", 1, steppod.Failed)).turn(),
		"suspended": begin().turn().edit(func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = true }).turn(),
		"cancelled": begin().turn().turn(ends("build", 1, steppod.Succeeded)).edit(func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = true }).
			turn().turn(ends("deploy", 1, steppod.Stopped)).turn(),
		"failed": failed(),
		"failed again after it was asked to run again": failed().edit(again).turn().turn(ends("build", 3, steppod.Failed)).
			turn().turn(ends("build", 4, steppod.Failed)).turn(),
		"failed before its first step started": begin().edit(func(o *v1alpha1.WorkOrder) {
			o.Spec.Params = []v1alpha1.Param{{Name: "count", Value: "none"}}
			o.Spec.Steps[0].When = `int(params["count"]) > 0`
		}).turn().turn().turn(),
		"ended by its deadline": begin().edit(func(o *v1alpha1.WorkOrder) {
			seconds := int64(30)
			o.Spec.ActiveDeadlineSeconds = &seconds
		}).turn().turn().turn(ends("build", 1, steppod.Stopped)).turn(),
		"failed, and asked to run again": failed().edit(again).turn(),
		"invalid":                        begin().edit(func(o *v1alpha1.WorkOrder) { o.Spec.Steps[1].Name = "build" }).turn(),
		"done":                           done(),
		"done, and asked to run again":   done().edit(again).turn(),
		"done, and edited, which nobody has seen yet": done().edit(func(o *v1alpha1.WorkOrder) { o.Spec.Steps[0].Run.Image = "registry/agent:2" }),
		"deleting": begin().turn().edit(func(o *v1alpha1.WorkOrder) {
			o.DeletionTimestamp = &metav1.Time{Time: time.Date(2030, 1, 2, 10, 5, 0, 0, time.UTC)}
		}),
	}
}

// Object is the order as the API server shows it: its status is what the operator makes of it.
func (s *Stage) Object() (*unstructured.Unstructured, error) {
	encoded, err := json.Marshal(s.order)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(encoded)
}
