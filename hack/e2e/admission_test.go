package e2e

import (
	"context"
	"strconv"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
		unclear := v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("a"), step("b")}}
		unclear.Steps[1].When = `steps["a"].output > 3`
		Expect(try(ctx, namespace, unclear)).To(And(WithTransform(apierrors.IsInvalid, BeTrue()), MatchError(ContainSubstring("when does not compile"))))

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
	a, b := step("a"), step("b")
	a.DependsOn, b.DependsOn = []string{"b"}, []string{"a"}
	return v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph, Steps: []v1alpha1.Step{a, b}}
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
