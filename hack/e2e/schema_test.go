package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

var _ = Describe("The API server, where no webhook is installed", func() {
	DescribeTable("refuses an order that cannot run, with a sentence that says what to write",
		func(ctx SpecContext, spec v1alpha1.WorkOrderSpec, sentence string) {
			Expect(try(ctx, metav1.NamespaceDefault, spec)).To(beRefused(sentence))
		},
		Entry("without a step", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{}}, "spec.steps in body should have at least 1 items"),
		Entry("with two steps of one name", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("a"), step("a")}},
			`spec.steps[1]: Duplicate value: {"name":"a"}`),
		Entry("with a step that both runs and waits", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{
			{Name: "a", Run: &v1alpha1.Run{Image: stepImage}, Wait: &v1alpha1.Wait{Seconds: 1}},
		}}, "a step does one thing: set either run (a container) or wait (a pause)"),
		Entry("with a step that does neither", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{{Name: "a"}}},
			"a step does one thing: set either run (a container) or wait (a pause)"),
		Entry("with a step that needs itself", v1alpha1.WorkOrderSpec{
			Strategy: v1alpha1.StrategyGraph, Steps: []v1alpha1.Step{needing("a", "a")},
		}, "a step cannot depend on itself: take its own name out of dependsOn"),
		Entry("with a step of a Sequence that depends on another", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("a"), needing("b", "a")}},
			"dependsOn belongs to a Graph: set strategy: Graph, or leave dependsOn out, as a Sequence runs its steps in the order listed"),
		Entry("with a step of finally that depends on another", v1alpha1.WorkOrderSpec{
			Strategy: v1alpha1.StrategyGraph, Steps: []v1alpha1.Step{step("a")}, Finally: []v1alpha1.Step{needing("b", "a")},
		}, "a step of finally depends on nothing, as it runs after all steps: leave dependsOn out"),
	)

	It("refuses another workspace, one that is added and one that is taken away, but no other edit", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		spec := v1alpha1.WorkOrderSpec{Suspend: true, Steps: []v1alpha1.Step{step("only")}}
		without := submit(ctx, namespace, "without", spec)
		spec.Workspace = &v1alpha1.Workspace{Storage: resource.MustParse("1Mi"), StorageClassName: pointer("by-hand-" + namespace)}
		with := submit(ctx, namespace, "with", spec)
		for patch, order := range map[string]*v1alpha1.WorkOrder{
			`{"spec":{"workspace":{"storage":"2Mi"}}}`:            with,
			`{"spec":{"workspace":{"storageClassName":"other"}}}`: with,
			`{"spec":{"workspace":{"storageClassName":null}}}`:    with,
			`{"spec":{"workspace":null}}`:                         with,
			`{"spec":{"workspace":{"storage":"1Mi"}}}`:            without,
		} {
			Expect(tryEdit(ctx, order, patch)).To(
				beRefused("workspace cannot be changed once the order is created: delete the order and apply it anew"), patch)
		}
		edit(ctx, with, `{"spec":{"cancel":true}}`)
		expectPhase(ctx, with, v1alpha1.WorkOrderCancelled)
	})
})

// needing is a step that depends on others.
func needing(name string, others ...string) v1alpha1.Step {
	s := step(name)
	s.DependsOn = others
	return s
}

// beRefused matches what the API server answers to an order that is not valid, if that sentence is in it.
func beRefused(sentence string) OmegaMatcher {
	return And(WithTransform(apierrors.IsInvalid, BeTrue()), MatchError(ContainSubstring(sentence)))
}
