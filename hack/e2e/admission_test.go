package e2e

import (
	"context"
	"strconv"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

var _ = Describe("The webhook of an installation from config/default", Label(labelReliability), SpecPriority(-2), func() {
	It("refuses what cannot run; while it is away such an order is taken, stalls, and runs once it is mended", func(ctx SpecContext) {
		row := showing("R21", "outages of the webhook, as it is installed")
		namespace := newNamespace(ctx, nil)
		install(ctx)
		// It makes its certificates first, and the API server learns of their authority a little later.
		Eventually(ctx, func() error { return try(ctx, namespace, circle()) }).Should(MatchError(ContainSubstring("in a circle: a → b → a")))
		for sentence, spec := range unrunnable() {
			Expect(try(ctx, namespace, spec)).To(beRefused(sentence))
		}

		scale(ctx, 0)
		order := submit(ctx, namespace, "round", circle())
		sound := submit(ctx, namespace, "sound", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("only", "--duration=0s")}})
		scale(ctx, 1)
		expectPhase(ctx, sound, v1alpha1.WorkOrderSucceeded)
		Eventually(ctx, func(g Gomega) *metav1.Condition {
			reread(ctx, order)(g)
			return meta.FindStatusCondition(order.Status.Conditions, v1alpha1.ConditionStalled)
		}).Should(HaveValue(And(HaveField("Reason", v1alpha1.ReasonInvalidSpec), HaveField("Message", ContainSubstring("a → b → a")))))
		edit(ctx, order, `{"spec":{"strategy":null,"steps":[{"name":"a","wait":{"seconds":0}},{"name":"b","wait":{"seconds":0}}]}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		expectFolds(ctx, namespace)
		row.Cases++
		kubectl(ctx, "delete", "workorders", "--all", "--namespace="+namespace)
		expectNoPods(ctx, namespace)
	})
})

// circle is an order that cannot run, and of which no schema can say so.
func circle() v1alpha1.WorkOrderSpec {
	return v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph, Steps: []v1alpha1.Step{needing("a", "b"), needing("b", "a")}}
}

// unrunnable are more of the kind, by what is said of them.
func unrunnable() map[string]v1alpha1.WorkOrderSpec {
	unclear := v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("a"), step("b")}}
	unclear.Steps[1].When = `steps["a"].output > 3`
	early := v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("a"), step("b")}}
	early.Steps[0].Inputs = []string{"b"}
	return map[string]v1alpha1.WorkOrderSpec{
		"when does not compile": unclear,
		`step "a" takes "b" as an input, which comes after it: list "b" first, or take it out of inputs`: early,
		`step "test" depends on "biuld", and there is no such step (did you mean "build"?)`: {
			Strategy: v1alpha1.StrategyGraph, Steps: []v1alpha1.Step{step("build"), needing("test", "biuld")},
		},
		`two steps are called "a": rename one`: {Steps: []v1alpha1.Step{step("a")}, Finally: []v1alpha1.Step{step("a")}},
		`rewinds names "zebra", and there is no such step`: {
			Steps: []v1alpha1.Step{step("a")}, Rewinds: []v1alpha1.RewindRequest{{Step: "zebra", ToEpoch: 2}},
		},
	}
}

// try submits an order without making it.
func try(ctx context.Context, namespace string, spec v1alpha1.WorkOrderSpec) error {
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tried"}, Spec: spec}
	return cluster.Create(ctx, order, client.DryRunAll)
}

// scale sets how many operators the installation has, and waits until there are no more and no fewer.
func scale(ctx context.Context, replicas int) {
	GinkgoHelper()
	kubectl(ctx, "scale", "--namespace=workorders-system", "deployment/workorder-operator", "--replicas="+strconv.Itoa(replicas))
	kubectl(ctx, "rollout", "status", "--namespace=workorders-system", "deployment/workorder-operator", "--timeout=2m")
	Eventually(ctx, func(g Gomega) []corev1.Pod { return pods(ctx, g, "workorders-system") }).Should(HaveLen(replicas))
}
