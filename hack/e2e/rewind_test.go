package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/api/v1alpha1"
)

// three are the steps a, b and c, which take their time.
func three(c ...string) v1alpha1.WorkOrderSpec {
	return v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{
		step("a", "--duration=200ms", "--output=a$(WORKORDER_EPOCH)"),
		step("b", "--duration=200ms", "--output=b$(WORKORDER_EPOCH)"),
		step("c", append([]string{"--output=c$(WORKORDER_EPOCH)"}, c...)...),
	}}
}

// kept is an order of which each start is in a book.
func kept(ctx context.Context, spec v1alpha1.WorkOrderSpec) (*v1alpha1.WorkOrder, *ledger) {
	GinkgoHelper()
	namespace := newNamespace(ctx, nil)
	book := newLedger(ctx, namespace)
	book.keep(&spec)
	return submit(ctx, namespace, "order", spec), book
}

var _ = Describe("A rewind and an edit of an order that runs", func() {
	It("stops what runs of it, writes its end down, and starts all of it again in one transition", func(ctx SpecContext) {
		order, book := kept(ctx, three("--duration=3s"))
		expectRunning(ctx, order, "c")
		edit(ctx, order, `{"spec":{"rewinds":[{"step":"b","toEpoch":2},{"step":"a","toEpoch":3}]}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{"a/3 Succeeded a3", "b/2 Succeeded b2", "c/2 Succeeded c2"}))
		Expect(book.starts()).To(ConsistOf("a/1", "b/1", "c/1", "a/3", "b/2", "c/2"))
		stopped, rewound := 0, 0
		for _, e := range logOf(ctx, Default, order).Events {
			switch {
			case e.Spec.Type == v1alpha1.EventStepFailed && e.Spec.Step == "c":
				stopped++
				Expect(e.Spec.Error.Code).To(Equal(v1alpha1.CodeRewound))
			case e.Spec.Type == v1alpha1.EventRewound:
				rewound++
				Expect(e.Spec.Rewind.Reason).To(Equal(v1alpha1.RewindRequested))
				Expect(e.Spec.Rewind.Steps).To(HaveLen(3))
			}
		}
		Expect([]int{stopped, rewound}).To(Equal([]int{1, 1}))
	})

	It("an edit of a step that has ended runs it and what comes after it again; what comes before keeps its result", func(ctx SpecContext) {
		order, book := kept(ctx, three("--duration=3s"))
		expectRunning(ctx, order, "c")
		spec := order.Spec.DeepCopy()
		spec.Steps[1].Run.Args = append(spec.Steps[1].Run.Args, "--output=mended")
		spec.Steps[2].Run.Args = append(spec.Steps[2].Run.Args, "--duration=100ms")
		replaceSpec(ctx, order, spec)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{"a/1 Succeeded a1", "b/2 Succeeded mended", "c/2 Succeeded c2"}))
		Expect(book.starts()).To(ConsistOf("a/1", "b/1", "c/1", "b/2", "c/2"))
	})

	It("a step that is removed while it runs is stopped; when it comes back its epochs go on", func(ctx SpecContext) {
		spec := three("--duration=3s")
		spec.Steps = append(spec.Steps, step("d", "--duration=100ms"))
		order, book := kept(ctx, spec)
		expectRunning(ctx, order, "c")
		whole := order.Spec.DeepCopy()
		without := order.Spec.DeepCopy()
		without.Suspend, without.Steps = true, append(without.Steps[:2:2], without.Steps[3]) // So that it does not end meanwhile.
		replaceSpec(ctx, order, without)
		expectStep(ctx, order, "c", And(HaveField("Removed", true), HaveField("Phase", v1alpha1.StepCancelled)))
		replaceSpec(ctx, order, whole)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(statusOf(order, "c")).To(And(HaveField("Epoch", BeEquivalentTo(2)), HaveField("Removed", false)))
		Expect(book.starts()).To(ConsistOf("a/1", "b/1", "c/1", "c/2", "d/1"))
	})

	It("what comes after a step that is inserted runs again, once that has succeeded", func(ctx SpecContext) {
		last := step("last", "--duration=10s")
		order, book := kept(ctx, v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("first", "--duration=0s"), last}})
		expectRunning(ctx, order, "last")
		spec := order.Spec.DeepCopy()
		spec.Steps = []v1alpha1.Step{spec.Steps[0], step("between", "--duration=0s"), spec.Steps[1]}
		replaceSpec(ctx, order, spec)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{"first/1 Succeeded", "between/1 Succeeded", "last/2 Succeeded"}))
		Expect(book.starts()).To(Equal([]string{"first/1", "last/1", "last/2"}), "which the inserted step does not write down")
	})

	It("a step that has not started starts at the epoch asked for; and an order that failed is brought back", func(ctx SpecContext) {
		order, book := kept(ctx, v1alpha1.WorkOrderSpec{
			Rewinds: []v1alpha1.RewindRequest{{Step: "then", ToEpoch: 3}},
			Steps:   []v1alpha1.Step{step("shaky", "--duration=0s", "--fail-epochs=1"), step("then", "--duration=0s")},
		})
		expectPhase(ctx, order, v1alpha1.WorkOrderFailed)
		Expect(ended(order)).To(Equal([]string{"shaky/1 Failed", "then/3 Blocked"}))
		edit(ctx, order, `{"spec":{"rewinds":[{"step":"shaky","toEpoch":2},{"step":"then","toEpoch":3}]}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{"shaky/2 Succeeded", "then/3 Succeeded"}))
		Expect(book.starts()).To(Equal([]string{"shaky/1", "shaky/2", "then/3"}))
	})

	It("a step that a retry has brought to the epoch asked for does not start again", func(ctx SpecContext) {
		order, book := kept(ctx, v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}},
			Steps: []v1alpha1.Step{step("shaky", "--duration=4s", "--fail-epochs=1"), step("then", "--duration=0s")},
		})
		expectStep(ctx, order, "shaky", And(HaveField("Epoch", BeEquivalentTo(2)), HaveField("Phase", v1alpha1.StepRunning)))
		edit(ctx, order, `{"spec":{"rewinds":[{"step":"shaky","toEpoch":2}]}}`)
		Eventually(ctx, reread(ctx, order)).Should(And(HaveField("ObservedGeneration", BeEquivalentTo(2)), HaveField("CurrentStep", "shaky")))
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{"shaky/2 Succeeded", "then/1 Succeeded"}))
		Expect(order.Status.Rewinds).To(BeEquivalentTo(1))
		Expect(book.starts()).To(Equal([]string{"shaky/1", "shaky/2", "then/1"}))
	})

	It("nothing of an order that has finished runs again by an edit", func(ctx SpecContext) {
		order, book := kept(ctx, three("--duration=100ms"))
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		spec := order.Spec.DeepCopy()
		spec.Steps[0].Run.Args = append(spec.Steps[0].Run.Args, "--output=never")
		replaceSpec(ctx, order, spec)
		Eventually(ctx, reread(ctx, order)).Should(HaveField("ObservedGeneration", BeEquivalentTo(2)))
		Expect(order.Status.Message).To(HavePrefix("3 of 3 steps succeeded; edited after its end, which does not run it again"))
		edit(ctx, order, `{"spec":{"rewinds":[{"step":"c","toEpoch":2}]}}`)
		expectStep(ctx, order, "c", And(HaveField("Epoch", BeEquivalentTo(2)), HaveField("Phase", v1alpha1.StepSucceeded)))
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{"a/1 Succeeded a1", "b/1 Succeeded b1", "c/2 Succeeded c2"}))
		Expect(book.starts()).To(ConsistOf("a/1", "b/1", "c/1", "c/2"))
	})
})

// replaceSpec is `kubectl apply` of another spec.
func replaceSpec(ctx context.Context, order *v1alpha1.WorkOrder, spec *v1alpha1.WorkOrderSpec) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) error {
		reread(ctx, order)(g)
		order.Spec = *spec
		return cluster.Update(ctx, order)
	}).Should(Succeed())
}
