package controllers

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

var _ = Describe("A sequence of steps", func() {
	It("advances one step a turn, each saved before the next one starts", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("fetch", "transform", "load"))
		Expect(c.order.Status).To(Equal(v1alpha1.WorkOrderStatus{ObservedGeneration: -1, Phase: v1alpha1.WorkOrderPending}))

		c.turn(ctx)
		Expect(c.order.Status.Phase).To(Equal(v1alpha1.WorkOrderRunning))
		Expect(c.order.Status.Progress).To(Equal("0/3"))
		Expect(c.order.Status.CurrentStep).To(Equal("fetch"))
		Expect(c.pods(ctx)).To(HaveLen(1))

		c.ends(ctx, "fetch", 0, "12 rows")
		c.turn(ctx)
		Expect(c.order.Status.Progress).To(Equal("1/3"))
		Expect(c.step("fetch").Output).To(Equal("12 rows"))
		Expect(c.step("transform").Phase).To(Equal(v1alpha1.StepRunning))
		Expect(c.pods(ctx)).To(HaveLen(2))

		c.ends(ctx, "transform", 0, "")
		c.turn(ctx)
		c.ends(ctx, "load", 0, "")
		c.turn(ctx)
		Expect(c.order.Status.Progress).To(Equal("3/3"))
		Expect(c.order.Status.Phase).To(Equal(v1alpha1.WorkOrderRunning))
		c.turn(ctx)
		Expect(c.order.Status.Phase).To(Equal(v1alpha1.WorkOrderSucceeded))
		Expect(c.log(ctx)).To(Equal([]string{
			"1 Accepted",
			"2 StepSucceeded fetch 1",
			"3 StepSucceeded transform 1",
			"4 StepSucceeded load 1",
			"5 Succeeded",
		}))
		c.expectFold(ctx)

		version := c.order.ResourceVersion
		c.turn(ctx)
		Expect(c.order.ResourceVersion).To(Equal(version), "a finished order is not written to again")
	})

	It("holds a Pod until its result is saved, then lets it go", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		Expect(c.pod(ctx, "only").Finalizers).To(ConsistOf(steppod.Finalizer))
		c.ends(ctx, "only", 0, "")
		c.turn(ctx)
		Expect(c.step("only").Phase).To(Equal(v1alpha1.StepSucceeded))
		Expect(c.pod(ctx, "only").Finalizers).To(BeEmpty())
	})
})

var _ = Describe("A step that fails", func() {
	It("is rewound to the next epoch after its backoff, and the log keeps what it superseded", func(ctx SpecContext) {
		spec := sequence("build", "ship")
		spec.Retry = &v1alpha1.Retry{Limit: pointer(int32(1))}
		c := newCrank(ctx, spec)
		c.turn(ctx)
		c.ends(ctx, "build", 3, "no compiler")
		result := c.turn(ctx)
		Expect(c.step("build").Phase).To(Equal(v1alpha1.StepBackoff))
		Expect(c.step("build").Error.Message).To(Equal("exit code 3: no compiler"))
		Expect(result.RequeueAfter).To(BeNumerically(">", 0))

		c.clock.SetTime(c.step("build").NotBefore.Time)
		c.turn(ctx)
		Expect(c.step("build").Phase).To(Equal(v1alpha1.StepRunning))
		Expect(c.step("build").Epoch).To(BeEquivalentTo(2))
		Expect(c.order.Status.Rewinds).To(BeEquivalentTo(1))
		Expect(c.pods(ctx)).To(HaveLen(2), "the ended Pod stays as a tombstone")

		c.ends(ctx, "build", 3, "still no compiler")
		c.turn(ctx)
		Expect(c.step("build").Phase).To(Equal(v1alpha1.StepFailed))
		Expect(c.step("ship").Phase).To(Equal(v1alpha1.StepBlocked))
		c.turn(ctx)
		Expect(c.order.Status.Phase).To(Equal(v1alpha1.WorkOrderFailed))
		Expect(c.log(ctx)).To(Equal([]string{
			"1 Accepted",
			"2 StepFailed build 1",
			"3 Rewound build 2",
			"4 StepFailed build 2",
			"5 Failed",
		}))
		c.expectFold(ctx)
	})
})

var _ = Describe("A crash", func() {
	It("between the save and the Pod leaves nothing out and starts nothing twice", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		pod := c.pod(ctx, "only")
		pod.Finalizers = nil
		Expect(c.Update(ctx, pod)).To(Succeed())
		Expect(c.Delete(ctx, pod)).To(Succeed()) // As if the Pod had never been made.

		c.restart()
		c.turn(ctx)
		Expect(c.order.Status.Sequence).To(BeEquivalentTo(1))
		Expect(c.pods(ctx)).To(HaveLen(1))
	})
})

var _ = Describe("A Pod that is refused", func() {
	It("is named with its reason, and made once the reason is gone", func(ctx SpecContext) {
		spec := sequence("only")
		spec.Pod = &v1alpha1.PodSettings{ServiceAccountName: "builder"}
		c := newCrank(ctx, spec)
		c.turn(ctx)
		c.turn(ctx)
		Expect(c.step("only").Error.Code).To(Equal(v1alpha1.CodeServiceAccountNotFound))
		Expect(c.order.Status.Message).To(ContainSubstring(`serviceaccount "builder" not found`))

		version := c.order.ResourceVersion
		c.turn(ctx)
		Expect(c.order.ResourceVersion).To(Equal(version), "the refusal is said once")

		account := &corev1.ServiceAccount{}
		account.Namespace, account.Name = c.namespace, "builder"
		Expect(c.Create(ctx, account)).To(Succeed())
		c.clock.SetTime(c.clock.Now().Add(longestRefusalPause))
		c.turn(ctx)
		Expect(c.pods(ctx)).To(HaveLen(1))
		c.expectFold(ctx)
	})
})
