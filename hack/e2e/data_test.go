package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/api/v1alpha1"
)

// fill is a text of so many letters.
func fill(letters int) string { return strings.Repeat("x", letters) }

var _ = Describe("What steps hand on", func() {
	It("is only what inputs names, and what is true of it decides what is skipped", func(ctx SpecContext) {
		a, b, c, d := quick("a", `{"errors":0}`), quick("b", "of b"), quick("c", "a said $(STEP_A_OUTPUT), b said $(STEP_B_OUTPUT)"), quick("d", "d")
		c.Inputs = []string{"a"}
		c.When = `steps["a"].results.errors == 0 && params["stage"] == "test"`
		d.When = `steps["a"].results.errors > 0`
		order := run(ctx, v1alpha1.WorkOrderSpec{
			Params: []v1alpha1.Param{{Name: "stage", Value: "test"}}, Steps: []v1alpha1.Step{a, b, c, d},
		}, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{
			`a/1 Succeeded {"errors":0}`, "b/1 Succeeded of b", `c/1 Succeeded a said {"errors":0}, b said $(STEP_B_OUTPUT)`, "d/0 Skipped",
		}))
	})

	It("is cut in the status when it is long, which it says, and whole in its event", func(ctx SpecContext) {
		order := run(ctx, v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{quick("long", fill(3000))}}, v1alpha1.WorkOrderSucceeded)
		long := statusOf(order, "long")
		Expect(long.Output).To(And(HavePrefix(fill(900)), HaveSuffix("…")))
		Expect(len(long.Output)).To(BeNumerically("<=", 1024))
		Expect(long.Message).To(ContainSubstring("cut"))
		Expect(resultOf(ctx, order, "long").Spec.Result.Output).To(Equal(fill(3000)))
	})

	It("is no result when it is a JSON object that is too large: the step has failed", func(ctx SpecContext) {
		order := run(ctx, v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{quick("large", `{"text":"`+fill(2000)+`"}`)}}, v1alpha1.WorkOrderFailed)
		Expect(statusOf(order, "large").Error.Code).To(Equal(v1alpha1.CodeResultsTooLarge))
	})

	It("is not there when a condition asks for it: the step has failed, and says for what it asked", func(ctx SpecContext) {
		asking := quick("asking", "")
		asking.When = `steps["plain"].results.errors > 0`
		order := run(ctx, v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{quick("plain", "no JSON"), asking}}, v1alpha1.WorkOrderFailed)
		Expect(statusOf(order, "asking").Error).To(HaveValue(And(
			HaveField("Code", v1alpha1.CodeExpressionFailed), HaveField("Message", ContainSubstring("errors")))))
	})

	It("is, of a step that failed, the last lines of its log", func(ctx SpecContext) {
		order := run(ctx, v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("failing", "--duration=0s", "--fail-epochs=9", "--exit-code=3")}}, v1alpha1.WorkOrderFailed)
		Expect(resultOf(ctx, order, "failing").Spec.Error).To(HaveValue(And(
			HaveField("Code", v1alpha1.CodeNonZeroExit), HaveField("Details", ContainSubstring("asked to fail by --fail-epochs=9")))))
	})
})

// quick is a step that ends at once with that output.
func quick(name, output string) v1alpha1.Step { return step(name, "--duration=0s", "--output="+output) }

// run submits an order in a namespace of its own, and waits until it has ended in that phase.
func run(ctx context.Context, spec v1alpha1.WorkOrderSpec, phase v1alpha1.WorkOrderPhase) *v1alpha1.WorkOrder {
	GinkgoHelper()
	order := submit(ctx, newNamespace(ctx, nil), "order", spec)
	expectPhase(ctx, order, phase)
	return order
}

// resultOf is the event that holds the result of a step's last attempt.
func resultOf(ctx context.Context, order *v1alpha1.WorkOrder, name string) (last *v1alpha1.ProgressEvent) {
	GinkgoHelper()
	for _, event := range logOf(ctx, Default, order).Events {
		if event.Spec.Step == name && event.Spec.Result != nil {
			last = event
		}
	}
	Expect(last).NotTo(BeNil(), "the log has no result of "+name)
	return last
}
