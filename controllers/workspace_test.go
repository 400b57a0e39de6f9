package controllers

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// sharing is an order of two steps with a workspace.
func sharing() v1alpha1.WorkOrderSpec {
	spec := sequence("first", "second")
	spec.Workspace = &v1alpha1.Workspace{Storage: resource.MustParse("1Gi"), StorageClassName: pointer("fast")}
	return spec
}

func (c *crank) claim(ctx context.Context) *corev1.PersistentVolumeClaim {
	GinkgoHelper()
	claim := &corev1.PersistentVolumeClaim{}
	Expect(mgr.GetAPIReader().Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: steppod.WorkspaceName(c.order)}, claim)).To(Succeed())
	return claim
}

var _ = Describe("A workspace", func() {
	It("is made before the first Pod, once, and belongs to the order", func(ctx SpecContext) {
		c := newCrank(ctx, sharing())
		c.turn(ctx)
		claim := c.claim(ctx)
		Expect(claim.OwnerReferences).To(ConsistOf(HaveField("UID", c.order.UID)))
		Expect(claim.Spec.StorageClassName).To(HaveValue(Equal("fast")))
		Expect(c.pod(ctx, "first").Spec.Containers[0].VolumeMounts).To(ConsistOf(HaveField("MountPath", "/workspace")))

		c.ends(ctx, "first", 0, "")
		c.restart() // It remembers nothing, and finds it.
		c.turn(ctx)
		Expect(c.pod(ctx, "second").Spec.Volumes).To(ConsistOf(HaveField("PersistentVolumeClaim.ClaimName", claim.Name)))
		Expect(c.claim(ctx).UID).To(Equal(claim.UID))
	})

	It("that a quota refuses holds up the step, which says why, and goes on by itself", func(ctx SpecContext) {
		c := newCrank(ctx, sharing())
		full := c.quota(ctx, "persistentvolumeclaims", "0")
		c.turn(ctx)
		c.turn(ctx)
		Expect(c.step("first").Error.Code).To(Equal(v1alpha1.CodeQuotaExceeded))
		Expect(c.pods(ctx)).To(BeEmpty())
		Expect(c.Delete(ctx, full)).To(Succeed())
		Eventually(ctx, func(g Gomega) { // The quota is forgotten a little after it is gone.
			c.clock.SetTime(c.clock.Now().Add(longestRefusalPause))
			c.turn(ctx)
			g.Expect(c.pods(ctx)).To(HaveLen(1))
		}).Should(Succeed())
	})

	It("of somebody else's under its name is not taken", func(ctx SpecContext) {
		c := newCrank(ctx, sharing())
		foreign := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: steppod.WorkspaceName(c.order)},
			Spec:       steppod.Workspace(c.order).Spec,
		}
		Expect(c.Create(ctx, foreign)).To(Succeed())
		c.turn(ctx)
		c.turn(ctx)
		Expect(c.step("first").Error).To(HaveValue(And(
			HaveField("Code", v1alpha1.CodeNameConflict), HaveField("Message", ContainSubstring("PersistentVolumeClaim")))))
		Expect(c.pods(ctx)).To(BeEmpty())
	})

	It("cannot be changed", func(ctx SpecContext) {
		c := newCrank(ctx, sharing())
		c.order.Spec.Workspace.Storage = resource.MustParse("2Gi")
		Expect(c.Update(ctx, c.order)).To(MatchError(ContainSubstring("workspace cannot be changed once the order is created")))
		c.read(ctx)
		c.order.Spec.Workspace = nil
		Expect(c.Update(ctx, c.order)).To(MatchError(ContainSubstring("workspace cannot be changed once the order is created")))
	})
})

var _ = Describe("An order with a time to live", func() {
	It("is deleted when that is over, but not if somebody has just asked for more", func(ctx SpecContext) {
		spec := sequence("only")
		spec.TTLSecondsAfterFinished = pointer(int64(60))
		c := newCrank(ctx, spec)
		c.turn(ctx)
		c.ends(ctx, "only", 0, "")
		c.turn(ctx)
		Expect(c.turn(ctx).RequeueAfter).To(Equal(time.Minute))
		c.clock.SetTime(c.clock.Now().Add(time.Minute))

		stale := c.order.DeepCopy()
		c.order.Spec.Rewinds = []v1alpha1.RewindRequest{{Step: "only", ToEpoch: 2}}
		Expect(c.Update(ctx, c.order)).To(Succeed())
		Expect(c.reconciler.deleteOrder(ctx, stale)).To(Succeed())
		c.turn(ctx)
		c.turn(ctx)
		Expect(c.step("only")).To(And(HaveField("Epoch", BeEquivalentTo(2)), HaveField("Phase", v1alpha1.StepRunning)))

		c.ends(ctx, "only", 0, "")
		c.turn(ctx)
		c.turn(ctx)
		c.clock.SetTime(c.clock.Now().Add(time.Minute))
		c.syncCache(ctx)
		_, err := c.reconciler.Reconcile(ctx, requestFor(c.order))
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, func() error {
			return mgr.GetAPIReader().Get(ctx, client.ObjectKeyFromObject(c.order), &v1alpha1.WorkOrder{})
		}).Should(MatchError(ContainSubstring("not found")))
	})
})
