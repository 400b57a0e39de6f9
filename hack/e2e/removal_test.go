package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// theRemovals is what is counted of row R11.
const theRemovals = "removals in mid-run"

// removed counts a removal that left nothing behind.
func (t *tally) removed(what string) {
	t.Cases++
	t.count(what, 1)
}

var _ = Describe("An order that is deleted in mid-run", Label(labelReliability), func() {
	DescribeTable("leaves nothing behind",
		func(ctx SpecContext, propagation metav1.DeletionPropagation) {
			row := showing("R11", theRemovals)
			order := twoSteps(ctx, newNamespace(ctx, nil))
			expectRunning(ctx, order, "second")
			Expect(cluster.Delete(ctx, order, client.PropagationPolicy(propagation))).To(Succeed())
			expectGone(ctx, order)
			expectNoPods(ctx, order.Namespace)
			Eventually(ctx, func(g Gomega) []v1alpha1.ProgressEvent {
				events := &v1alpha1.ProgressEventList{}
				g.Expect(cluster.List(ctx, events, client.InNamespace(order.Namespace))).To(Succeed())
				return events.Items
			}).Should(BeEmpty())
			row.removed("order, " + string(propagation))
		},
		Entry("in the background", metav1.DeletePropagationBackground),
		Entry("in the foreground", metav1.DeletePropagationForeground),
	)

	It("with its Pods orphaned lets them end, and lets them go", func(ctx SpecContext) {
		row := showing("R11", theRemovals)
		order := twoSteps(ctx, newNamespace(ctx, nil))
		pod := expectRunning(ctx, order, "second")
		Expect(cluster.Delete(ctx, order, client.PropagationPolicy(metav1.DeletePropagationOrphan))).To(Succeed())
		expectGone(ctx, order)
		expectEnded(ctx, pod)
		Eventually(ctx, func(g Gomega) []string {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
			return pod.Finalizers
		}).Should(BeEmpty())
		row.removed("order, " + string(metav1.DeletePropagationOrphan))
	})

	It("while the operator is away is cleaned up when it is back, and the same name can be used again", func(ctx SpecContext) {
		row := showing("R11", theRemovals)
		order := twoSteps(ctx, newNamespace(ctx, nil))
		expectRunning(ctx, order, "second")
		operator.kill()
		Expect(cluster.Delete(ctx, order)).To(Succeed())
		expectGone(ctx, order)
		again := twoSteps(ctx, order.Namespace)
		operator.start()
		expectPhase(ctx, again, v1alpha1.WorkOrderSucceeded)
		Eventually(ctx, func(g Gomega) (of []string) {
			for _, pod := range pods(ctx, g, order.Namespace) {
				of = append(of, pod.Labels["workorders.dev/order-uid"])
			}
			return of
		}).Should(HaveEach(string(again.UID)))
		row.removed("order while the operator is away")
	})
})

func twoSteps(ctx context.Context, namespace string) *v1alpha1.WorkOrder {
	GinkgoHelper()
	return submit(ctx, namespace, "short-lived", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{
		step("first", "--duration=0s"), step("second", "--duration=5s"),
	}})
}

func expectGone(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Eventually(ctx, func() error {
		return cluster.Get(ctx, client.ObjectKeyFromObject(object), object)
	}).Should(MatchError(ContainSubstring("not found")))
}

func expectNoPods(ctx context.Context, namespace string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) []corev1.Pod { return pods(ctx, g, namespace) }).Should(BeEmpty())
}

func pods(ctx context.Context, g Gomega, namespace string) []corev1.Pod {
	list := &corev1.PodList{}
	g.Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	return list.Items
}
