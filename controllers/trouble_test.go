package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

var _ = Describe("An event that cannot be written", func() {
	It("does not stop the work; the gap shows, and the next event closes it", func(ctx SpecContext) {
		spec := sequence("a", "b", "c")
		spec.Retry = &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}}
		c := newCrank(ctx, spec)
		c.turn(ctx)
		head := c.order.Status.Head
		full := c.quota(ctx, "count/progressevents.workorders.dev", "1")

		c.ends(ctx, "a", 1, "")
		c.turn(ctx)
		c.turn(ctx)
		Expect(c.step("a").Epoch).To(BeEquivalentTo(2), "the work goes on")
		Expect(c.order.Status.Head).To(Equal(head))
		Expect(c.order.Status.Sequence).To(BeEquivalentTo(3))
		complete := meta.FindStatusCondition(c.order.Status.Conditions, v1alpha1.ConditionLogComplete)
		Expect(complete.Status).To(Equal(metav1.ConditionFalse))
		Expect(complete.Message).To(Equal("the events after number 1 could not be written"))

		Expect(c.Delete(ctx, full)).To(Succeed())
		c.ends(ctx, "a", 0, "done")
		c.turn(ctx)
		Expect(c.log(ctx)).To(Equal([]string{"1 Accepted", "4 StepSucceeded a 2"}))
		Expect(meta.IsStatusConditionTrue(c.order.Status.Conditions, v1alpha1.ConditionLogComplete)).To(BeTrue())
		last := c.chain(ctx).Events[1].Spec
		Expect(last.Changes.AllSteps).To(BeTrue())
		Expect(last.Rewind).To(HaveValue(Equal(v1alpha1.Rewind{
			Reason: v1alpha1.RewindGap, Steps: []v1alpha1.RewoundStep{{Step: "a", NewEpoch: 2}},
		})))
		c.expectFold(ctx)
	})
})

var _ = Describe("A race", func() {
	It("that is lost leaves an event off the chain, and the decision is made again", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		c.ends(ctx, "only", 0, "")
		stale := c.order.DeepCopy()
		c.syncCache(ctx)
		world, err := c.reconciler.observe(ctx, stale)
		Expect(err).NotTo(HaveOccurred())
		next := plan.Next(stale, world, c.clock.Now())
		Expect(c.reconciler.record(ctx, stale, next)).To(Succeed())
		edited := c.order.DeepCopy()
		edited.Spec.Suspend = true
		Expect(c.Update(ctx, edited)).To(Succeed())
		err = c.reconciler.save(ctx, stale, next)
		Expect(err).To(MatchError(errRaceLost))
		Expect(err).To(MatchError(ContainSubstring("the object has been modified")))

		c.turn(ctx)
		c.turn(ctx)
		Expect(c.log(ctx)).To(Equal([]string{"1 Accepted", "2 Suspended", "3 StepSucceeded only 1"}))
		Expect(c.eventList(ctx)).To(HaveLen(4), "the one that lost stays, off the chain")
		c.expectFold(ctx)
	})

	It("against somebody who writes what the decision does not rest on is not lost", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		c.ends(ctx, "only", 0, "")
		for _, recorded := range []bool{true, false} { // The end of the step, and then that of the order.
			c.syncCache(ctx)
			stale := c.order.DeepCopy()
			world, err := c.reconciler.observe(ctx, stale)
			Expect(err).NotTo(HaveOccurred())
			next := plan.Next(stale, world, c.clock.Now())
			if recorded {
				Expect(c.reconciler.record(ctx, stale, next)).To(Succeed())
			} else {
				next.Status = next.Unrecorded()
			}
			c.touch(ctx)
			Expect(c.reconciler.save(ctx, stale, next)).To(Succeed())
			c.read(ctx)
			Expect(c.order.Labels).To(HaveKey("touched"))
			Expect(meta.IsStatusConditionTrue(c.order.Status.Conditions, "example.com/Touched")).To(BeTrue())
			Expect(meta.IsStatusConditionTrue(c.order.Status.Conditions, v1alpha1.ConditionLogComplete)).To(Equal(recorded))
			Expect(c.order.Status.Sequence).To(Equal(next.Event.Sequence))
		}
	})

	It("against its own earlier try, whose reply was lost, is no race: the event is found again", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.read(ctx)
		next := plan.Next(c.order, plan.World{}, c.clock.Now())
		Expect(c.reconciler.record(ctx, c.order, next)).To(Succeed())
		c.turn(ctx)
		Expect(c.order.Status.Head).To(Equal(next.Name))
		Expect(c.eventList(ctx)).To(HaveLen(1))
		c.expectFold(ctx)
	})

	It("against a forger who took the event's name never puts the forged event on the chain", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.read(ctx)
		next := plan.Next(c.order, plan.World{}, c.clock.Now())
		forged := eventFor(c.order, next)
		forged.Spec.Message = "forged"
		Expect(c.Create(ctx, forged)).To(Succeed())
		_, err := c.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(c.order)})
		Expect(err).NotTo(HaveOccurred())
		c.read(ctx)
		Expect(c.order.Status.Sequence).To(BeZero())
		c.clock.SetTime(c.clock.Now().Add(plan.PodRetention))
		c.turn(ctx)
		Expect(c.order.Status.Head).NotTo(Equal(forged.Name))
		c.expectFold(ctx)
	})
})

// touch writes what people and tools of theirs write into an order: a label, and a condition.
func (c *crank) touch(ctx context.Context) {
	GinkgoHelper()
	c.read(ctx)
	c.order.Labels = map[string]string{"touched": c.order.ResourceVersion}
	Expect(c.Update(ctx, c.order)).To(Succeed())
	meta.SetStatusCondition(&c.order.Status.Conditions, metav1.Condition{
		Type: "example.com/Touched", Status: metav1.ConditionTrue, Reason: "Touched", Message: c.order.ResourceVersion,
	})
	Expect(c.Status().Update(ctx, c.order)).To(Succeed())
}

var _ = Describe("A stale cache", func() {
	It("that shows a step before its rewind neither stops nor frees what runs now", func(ctx SpecContext) {
		spec := sequence("only")
		spec.Retry = &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}}
		c := newCrank(ctx, spec)
		c.turn(ctx)
		c.ends(ctx, "only", 1, "")
		c.turn(ctx)
		stale := c.order.DeepCopy()
		c.turn(ctx)
		Expect(c.step("only").Epoch).To(BeEquivalentTo(2))

		stale.Spec.Suspend = true // As if it had been so then, and nothing were to be decided.
		stale.Status.Suspended = true
		c.syncCache(ctx)
		world, err := c.reconciler.observe(ctx, stale)
		Expect(err).NotTo(HaveOccurred())
		Expect(plan.Act(stale, world, c.clock.Now()).Stop).To(HaveLen(1), "on its own evidence it would")
		_, err = c.reconciler.act(ctx, stale, world, false)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.pod(ctx, "only").Annotations).NotTo(HaveKey(steppod.AnnotationStopped))
	})

	It("that shows a Pod before its start does not have it given up for not starting", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		stale, err := c.reconciler.observe(ctx, c.order)
		Expect(err).NotTo(HaveOccurred())
		c.ends(ctx, "only", 1, "it ran, and failed")
		c.clock.SetTime(c.clock.Now().Add(time.Hour))

		Expect(plan.Act(c.order, stale, c.clock.Now()).Stop).To(HaveLen(1), "on its own evidence it would")
		_, err = c.reconciler.act(ctx, c.order, stale, true)
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "got %v", err)
		Expect(c.pod(ctx, "only").Annotations).NotTo(HaveKey(steppod.AnnotationStopped))
	})
})

var _ = Describe("A foreign Pod", func() {
	It("that took the name of a step's Pod is not adopted, and not touched", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		foreign := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: steppod.Name(c.order.Name, c.order.UID, "only", 1)},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "step", Image: "somebody/else"}}},
		}
		Expect(c.Create(ctx, foreign)).To(Succeed())
		foreign.Status.Phase = corev1.PodSucceeded
		Expect(c.Status().Update(ctx, foreign)).To(Succeed())

		c.turn(ctx)
		c.turn(ctx)
		Expect(c.step("only").Phase).To(Equal(v1alpha1.StepRunning))
		Expect(c.step("only").Error.Code).To(Equal(v1alpha1.CodeNameConflict))

		Expect(c.Delete(ctx, foreign, client.GracePeriodSeconds(0))).To(Succeed())
		c.clock.SetTime(c.clock.Now().Add(longestRefusalPause))
		c.turn(ctx)
		Expect(steppod.Owned(c.pod(ctx, "only"), c.order.UID)).To(BeTrue())
	})
})

var _ = Describe("A step without a Pod in an order that is cancelled", func() {
	It("has its Pod's name taken, so that a controller that wakes late can start nothing", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		full := c.quota(ctx, "pods", "0")
		c.turn(ctx)
		Expect(c.pods(ctx)).To(BeEmpty())
		Expect(c.Delete(ctx, full)).To(Succeed())

		c.restart()
		late := c.order.DeepCopy()
		edited := c.order.DeepCopy()
		edited.Spec.Cancel = true
		Expect(c.Update(ctx, edited)).To(Succeed())
		c.turn(ctx)
		Expect(c.order.Status.Cancelled).To(BeTrue())
		Expect(c.pod(ctx, "only").Spec.SchedulingGates).To(ConsistOf(HaveField("Name", steppod.GateSealed)))

		pod := steppod.Build(late, &late.Spec.Steps[0], &late.Status.Steps[0], nil)
		Expect(c.Create(ctx, pod)).To(MatchError(ContainSubstring("already exists")))
		c.turn(ctx)
		Expect(c.step("only").Phase).To(Equal(v1alpha1.StepCancelled))
		c.turn(ctx)
		Expect(c.order.Status.Phase).To(Equal(v1alpha1.WorkOrderCancelled))
		c.expectFold(ctx)
	})
})

var _ = Describe("A cancellation", func() {
	It("does not wait for a quota that refuses every Pod", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.quota(ctx, "pods", "0")
		c.turn(ctx)
		edited := c.order.DeepCopy()
		edited.Spec.Cancel = true
		Expect(c.Update(ctx, edited)).To(Succeed())
		c.turn(ctx) // Its Pod was refused, and so is the one that takes its name.
		c.turn(ctx)
		c.turn(ctx)
		Expect(c.order.Status.Phase).To(Equal(v1alpha1.WorkOrderCancelled))
		c.expectFold(ctx)
	})
})

var _ = Describe("A finished order", func() {
	It("keeps its Pods for ten minutes and then costs one clean-up", func(ctx SpecContext) {
		c := newCrank(ctx, sequence("only"))
		c.turn(ctx)
		c.ends(ctx, "only", 0, "")
		c.turn(ctx)
		result := c.turn(ctx)
		Expect(result.RequeueAfter).To(Equal(plan.PodRetention))
		c.clock.SetTime(c.clock.Now().Add(plan.PodRetention))
		c.turn(ctx)
		Expect(c.pods(ctx)).To(BeEmpty())
		version := c.order.ResourceVersion
		Expect(c.turn(ctx).RequeueAfter).To(BeZero())
		Expect(c.order.ResourceVersion).To(Equal(version))
	})
})

// quota is a limit that is in force, though no controller is there to count.
func (c *crank) quota(ctx context.Context, what, limit string) *corev1.ResourceQuota {
	GinkgoHelper()
	hard := corev1.ResourceList{corev1.ResourceName(what): resource.MustParse(limit)}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "full"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}
	Expect(c.Create(ctx, quota)).To(Succeed())
	quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: hard}
	Expect(c.Status().Update(ctx, quota)).To(Succeed())
	// The API server learns of it by a watch of its own.
	Eventually(ctx, func() error {
		return client.NewDryRunClient(c.Client).Create(ctx, c.probe(what))
	}).Should(MatchError(ContainSubstring("exceeded quota")))
	return quota
}

// probe is something that a quota refuses.
func (c *crank) probe(what string) client.Object {
	switch what {
	case "persistentvolumeclaims":
		claim := steppod.Workspace(&v1alpha1.WorkOrder{Spec: sharing()})
		claim.ObjectMeta = metav1.ObjectMeta{Namespace: c.namespace, Name: "probe"}
		return claim
	case "pods":
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "probe"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "probe"}}},
		}
	}
	return &v1alpha1.ProgressEvent{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "probe"},
		Spec: v1alpha1.ProgressEventSpec{
			WorkOrder: v1alpha1.WorkOrderReference{Name: "probe", UID: "probe"}, Sequence: 1, Type: v1alpha1.EventAccepted, Time: metav1.Now(),
		},
	}
}

var _ = Describe("The largest order that is let in", func() {
	It("can be saved with every step at its fullest", func(ctx SpecContext) {
		spec := v1alpha1.WorkOrderSpec{}
		for i := range 256 {
			name := fmt.Sprintf("%s-%03d", strings.Repeat("n", 36), i)
			step := runStep(name)
			step.Run.Args = []string{strings.Repeat("x", 800)}
			spec.Steps = append(spec.Steps, step)
		}
		c := newCrank(ctx, spec)
		c.turn(ctx)
		Expect(c.order.Status.Phase).To(Equal(v1alpha1.WorkOrderRunning))

		for i := range c.order.Status.Steps {
			step := &c.order.Status.Steps[i]
			step.Phase, step.Epoch, step.Attempt = v1alpha1.StepSucceeded, steppod.MaxEpoch, steppod.MaxEpoch
			step.Output = steppod.Cut(strings.Repeat("<", 2000), steppod.MaxOutputInStatus)
			step.Error = &v1alpha1.StepError{Code: v1alpha1.CodeServiceAccountNotFound, Message: steppod.Cut(strings.Repeat("<", 2000), steppod.MaxErrorMessage)}
			step.Message = steppod.Cut(strings.Repeat("<", 2000), steppod.MaxMessage)
		}
		c.order.Status.Sequence++ // As after a gap, so that the next event holds every step.
		Expect(c.Status().Update(ctx, c.order)).To(Succeed())
		encoded, err := json.Marshal(c.order)
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("bytes of the order", len(encoded), ReportEntryVisibilityAlways)
		Expect(len(encoded)).To(BeNumerically(">", 512<<10), "it is not as large as it was meant to be")
		c.turn(ctx)
		Expect(c.order.Status.Phase).To(Equal(v1alpha1.WorkOrderSucceeded))
		newest := c.chain(ctx).Events
		Expect(newest[len(newest)-1].Spec.Changes.Steps).To(HaveLen(256))
	})

	It("is not exceeded: a spec above the limit is refused with the limit", func(ctx SpecContext) {
		spec := sequence("a", "b")
		for range 40 {
			spec.Steps[0].Run.Args = append(spec.Steps[0].Run.Args, strings.Repeat("x", 7000))
		}
		c := newCrank(ctx, spec)
		c.turn(ctx)
		stalled := meta.FindStatusCondition(c.order.Status.Conditions, v1alpha1.ConditionStalled)
		Expect(stalled.Reason).To(Equal(v1alpha1.ReasonTooLarge))
		Expect(stalled.Message).To(ContainSubstring("at most 262144 are allowed"))
		Expect(c.pods(ctx)).To(BeEmpty())
	})
})
