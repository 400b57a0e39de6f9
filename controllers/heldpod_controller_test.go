package controllers

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("A Pod that the operator holds", func() {
	var held *HeldPodReconciler
	BeforeEach(func() { held = &HeldPodReconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader()} })

	turn := func(ctx context.Context, pod *corev1.Pod) []string {
		GinkgoHelper()
		_, err := held.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(pod)})
		Expect(err).NotTo(HaveOccurred())
		Expect(mgr.GetAPIReader().Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		return pod.Finalizers
	}

	It("is kept while its order is there, however it ended", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		c.ends(ctx, "only", 0, "")
		Expect(turn(ctx, c.pod(ctx, "only"))).NotTo(BeEmpty())
	})

	It("is kept while it runs, though its order is gone", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		pod := c.pod(ctx, "only")
		Expect(c.Delete(ctx, c.order)).To(Succeed())
		Expect(turn(ctx, pod)).NotTo(BeEmpty())
	})

	It("is let go when it has ended and its order is gone, though another one has its name", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		c.ends(ctx, "only", 0, "")
		pod := c.pod(ctx, "only")
		Expect(c.Delete(ctx, c.order)).To(Succeed())
		again := c.order.DeepCopy()
		again.ObjectMeta = metav1.ObjectMeta{Namespace: c.namespace, Name: c.order.Name}
		Expect(c.Create(ctx, again)).To(Succeed())
		Expect(turn(ctx, pod)).To(BeEmpty())
	})

	It("is let go when its order does not own it any more", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		c.ends(ctx, "only", 0, "")
		pod := c.pod(ctx, "only")
		pod.OwnerReferences = nil
		Expect(c.Update(ctx, pod)).To(Succeed())
		Expect(turn(ctx, pod)).To(BeEmpty())
	})
})
