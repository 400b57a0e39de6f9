package admission

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
)

// orderOf reads a manifest.
func orderOf(t testing.TB, manifest string) *v1alpha1.WorkOrder {
	t.Helper()
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Name: "order"}}
	if err := yaml.UnmarshalStrict([]byte(manifest), order); err != nil {
		t.Fatalf("%s: %v", manifest, err)
	}
	return order
}

// causes are the refusal's, as kubectl lists them.
func causes(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	status, ok := err.(apierrors.APIStatus)
	if !ok || !apierrors.IsInvalid(err) || status.Status().Details.Name != "order" || status.Status().Details.Kind != "WorkOrder" {
		t.Fatalf("no refusal that clients can read: %v", err)
	}
	var lines []string
	for _, cause := range status.Status().Details.Causes {
		lines = append(lines, cause.Field+": "+cause.Message)
	}
	return lines
}

func expect(t *testing.T, warnings admission.Warnings, err error, wantWarnings, wantCauses []string) {
	t.Helper()
	if diff := cmp.Diff(wantCauses, causes(t, err)); diff != "" {
		t.Errorf("refused: %s", diff)
	}
	if diff := cmp.Diff(wantWarnings, []string(warnings)); diff != "" {
		t.Errorf("warned: %s", diff)
	}
}

const (
	sound  = `{spec: {steps: [{name: a, wait: {seconds: 1}}]}}`
	circle = `{spec: {strategy: Graph, steps: [{name: a, dependsOn: [b], wait: {seconds: 1}}, {name: b, dependsOn: [a], wait: {seconds: 1}}]}}`
)

func TestANewOrderMustBeAbleToRun(t *testing.T) {
	warnings, err := validator{}.ValidateCreate(t.Context(), orderOf(t, sound))
	expect(t, warnings, err, nil, nil)
	warnings, err = validator{}.ValidateCreate(t.Context(), orderOf(t, `{spec: {steps: [{name: a, dependsOn: [b], wait: {seconds: 1}, when: nope}], rewinds: [{step: c, toEpoch: 2}]}}`))
	expect(t, warnings, err, nil, []string{
		`spec.steps[0].dependsOn: Invalid value: step "a" has dependsOn, which belongs to a Graph: set strategy: Graph, or leave dependsOn out`,
		`spec.rewinds[0].step: Invalid value: rewinds names "c", and there is no such step (did you mean "a"?)`,
		`spec.steps[0].when: Invalid value: step "a": when does not compile: undeclared reference to 'nope' (column 1)`,
	})
}

func TestALongListOfProblemsIsCut(t *testing.T) {
	order := orderOf(t, sound)
	for i := range 100 {
		order.Spec.Rewinds = append(order.Spec.Rewinds, v1alpha1.RewindRequest{Step: fmt.Sprint("nothing", i)})
	}
	_, err := validator{}.ValidateCreate(t.Context(), order)
	lines := causes(t, err)
	if len(lines) != maxTold+1 || lines[maxTold] != "spec: Invalid value: and 84 more problems" {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
}

func TestAnEditMustBringNoProblem(t *testing.T) {
	refused := []string{"spec.steps[0].dependsOn[0]: Invalid value: the steps depend on each other in a circle: a → b → a; take one of these dependencies out"}
	stays := []string{"spec.steps[0].dependsOn[0]: the order still cannot run: the steps depend on each other in a circle: a → b → a; take one of these dependencies out"}
	for _, test := range []struct {
		when, before     string
		edit             func(*v1alpha1.WorkOrder)
		warnings, causes []string
	}{
		{"the spec is spoilt", sound, func(o *v1alpha1.WorkOrder) { o.Spec = orderOf(t, circle).Spec }, nil, refused},
		{"it is spoilt while it is deleted", sound, func(o *v1alpha1.WorkOrder) {
			o.Spec, o.DeletionTimestamp = orderOf(t, circle).Spec, &metav1.Time{}
		}, nil, nil},
		{"it is mended", circle, func(o *v1alpha1.WorkOrder) { o.Spec = orderOf(t, sound).Spec }, nil, nil},
		{"only the metadata change", circle, func(o *v1alpha1.WorkOrder) { o.Finalizers, o.Labels = nil, map[string]string{"a": "b"} }, nil, nil},
		{"only the status changes", circle, func(o *v1alpha1.WorkOrder) { o.Status.Phase = v1alpha1.WorkOrderPending }, nil, nil},
		{"it is cancelled, broken as it is", circle, func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = true }, stays, nil},
		{"something else is spoilt", circle, func(o *v1alpha1.WorkOrder) { o.Spec.Rewinds = []v1alpha1.RewindRequest{{Step: "zebra"}} }, stays,
			[]string{`spec.rewinds[0].step: Invalid value: rewinds names "zebra", and there is no such step`}},
		{"a step comes before the circle", circle, func(o *v1alpha1.WorkOrder) {
			o.Spec.Steps = slices.Insert(o.Spec.Steps, 0, orderOf(t, sound).Spec.Steps[0])
			o.Spec.Steps[0].Name = "first"
		},
			[]string{strings.Replace(stays[0], "steps[0]", "steps[1]", 1)}, nil},
	} {
		t.Run(test.when, func(t *testing.T) {
			before := orderOf(t, test.before)
			after := before.DeepCopy()
			test.edit(after)
			warnings, err := validator{}.ValidateUpdate(t.Context(), before, after)
			expect(t, warnings, err, test.warnings, test.causes)
		})
	}
}

func TestAnOrderWithTooManyRemovedStepsIsToldToStartAnew(t *testing.T) {
	before := orderOf(t, sound)
	for i := range 400 {
		before.Status.Steps = append(before.Status.Steps, v1alpha1.StepStatus{Name: fmt.Sprint("gone-", i), Epoch: 1})
	}
	_, err := validator{}.ValidateUpdate(t.Context(), orderOf(t, sound), before)
	expect(t, nil, err, nil, nil) // The spec is the same.
	after := before.DeepCopy()
	after.Spec.Suspend = true
	if _, err := (validator{}).ValidateUpdate(t.Context(), before, after); err != nil {
		t.Errorf("it cannot be suspended any more: %v", err)
	}
	before.Status.Steps = before.Status.Steps[:319]
	after = before.DeepCopy()
	after.Spec.Steps[0].Name = "another"
	before.Status.Steps = append(before.Status.Steps, v1alpha1.StepStatus{Name: "a", Epoch: 1})
	after.Status = before.Status
	_, err = validator{}.ValidateUpdate(t.Context(), before, after)
	expect(t, nil, err, nil, []string{"spec.steps: Invalid value: the order has 321 steps, with those that were removed after they had started, and at most 320 are allowed: delete it and apply it anew"})
}

func TestADeletionIsNeverRefused(t *testing.T) {
	warnings, err := validator{}.ValidateDelete(t.Context(), orderOf(t, circle))
	expect(t, warnings, err, nil, nil)
}
