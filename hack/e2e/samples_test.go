package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/api/v1alpha1"
)

// ended is how each step of an order ended: "NAME/EPOCH PHASE", and its output.
func ended(order *v1alpha1.WorkOrder) []string {
	var said []string
	for _, s := range order.Status.Steps {
		said = append(said, strings.TrimSpace(fmt.Sprintf("%s/%d %s %s", s.Name, s.Epoch, s.Phase, s.Output)))
	}
	return said
}

// apply creates the order of a sample.
func apply(ctx context.Context, file string) *v1alpha1.WorkOrder {
	GinkgoHelper()
	order := sample(file)
	return submit(ctx, newNamespace(ctx, nil), order.Name, order.Spec)
}

var _ = Describe("The samples", func() {
	It("simple-pipeline: each step gets what the one before it found", func(ctx SpecContext) {
		order := apply(ctx, "simple-pipeline.yaml")
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{
			"fetch/1 Succeeded 1200 rows", "transform/1 Succeeded kept 1187 of 1200 rows", "load/1 Succeeded loaded: kept 1187 of 1200 rows",
		}))
	})

	It("diamond: what is ready runs side by side, what is not needed is skipped", func(ctx SpecContext) {
		order := apply(ctx, "diamond.yaml")
		Eventually(ctx, reread(ctx, order)).Should(HaveField("CurrentStep", "docs+1"))
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{
			`build/1 Succeeded {"image":"shop:1.4","lint":false}`, "lint/0 Skipped", "docs/1 Succeeded 42 pages",
			"test/1 Succeeded 118 tests passed", "deploy/1 Succeeded deployed",
		}))
	})

	It("order-processing: a charge that failed is tried again, and the customer is told at the end", func(ctx SpecContext) {
		order := apply(ctx, "order-processing.yaml")
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		charge := statusOf(order, "charge")
		Expect(charge).To(And(HaveField("Epoch", BeEquivalentTo(2)), HaveField("Attempt", BeEquivalentTo(2))))
		Expect(statusOf(order, "tell-customer").Output).To(Equal("mail sent: shipped after: " + charge.Output))
	})

	It("retry-and-rewind: a step runs again after the end, with what comes after it", func(ctx SpecContext) {
		order := apply(ctx, "retry-and-rewind.yaml")
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{
			"draft/2 Succeeded draft 1", "review/1 Succeeded approved in epoch 1", "publish/1 Succeeded published: approved in epoch 1",
		}))
		edit(ctx, order, `{"spec":{"rewinds":[{"step":"review","toEpoch":2}]}}`)
		expectStep(ctx, order, "publish", And(HaveField("Epoch", BeEquivalentTo(2)), HaveField("Phase", v1alpha1.StepSucceeded)))
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{
			"draft/2 Succeeded draft 1", "review/2 Succeeded approved in epoch 2", "publish/2 Succeeded published: approved in epoch 2",
		}))
		Expect(order.Status.Rewinds).To(BeEquivalentTo(3))
		edit(ctx, order, `{"spec":{"rewinds":null}}`)
		Eventually(ctx, reread(ctx, order)).Should(HaveField("ObservedGeneration", BeEquivalentTo(3)))
		Consistently(ctx, reread(ctx, order)).WithTimeout(shortWhile).Should(HaveField("Phase", v1alpha1.WorkOrderSucceeded))
	})

	It("release: what needs a step that failed is blocked, and finally runs and changes nothing", func(ctx SpecContext) {
		order := apply(ctx, "release.yaml")
		expectPhase(ctx, order, v1alpha1.WorkOrderFailed)
		Expect(ended(order)).To(Equal([]string{
			"lock/1 Succeeded lock 7", "smoke-test/1 Succeeded", "scan/1 Succeeded", "soak/1 Succeeded", "roll-out/2 Failed",
			"announce/0 Blocked", "unlock/1 Succeeded unlocked", "tell-team/1 Succeeded told, of lock 7",
		}))
		Expect(statusOf(order, "roll-out")).To(And(HaveField("ExitCode", HaveValue(BeEquivalentTo(3))), HaveField("Retries", BeEquivalentTo(1))))
	})
})
