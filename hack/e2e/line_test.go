package e2e

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/api/v1alpha1"
)

var _ = Describe("With --max-running-orders, orders wait in line", func() {
	It("the oldest first, namespaces by turns, each told where it stands, through a crash too", func(ctx SpecContext) {
		one, other := newNamespace(ctx, nil), newNamespace(ctx, nil)
		limited("--max-running-orders=2")

		long := v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("only", "--duration=8s")}}
		orders := []*v1alpha1.WorkOrder{submit(ctx, one, "first", long), submit(ctx, one, "beside", long)}
		expectRunning(ctx, orders[0], "only")
		expectRunning(ctx, orders[1], "only")
		for _, at := range []struct{ namespace, name string }{{one, "second"}, {one, "third"}, {other, "guest"}} {
			orders = append(orders, submit(ctx, at.namespace, at.name, v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("only", "--duration=1s")}}))
			time.Sleep(1100 * time.Millisecond) // Ages are told in whole seconds.
		}
		Eventually(ctx, reread(ctx, orders[3])).Should(And(HaveField("Phase", v1alpha1.WorkOrderPending), HaveField("Queued", BeNumerically(">", 0)),
			HaveField("Message", HavePrefix("waits for a place to run"))))
		operator.kill()
		operator.start("--max-running-orders=2")

		for _, order := range orders {
			expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		}
		inTurn(orders)
		for i, order := range orders {
			beside := 0
			for _, other := range orders[:i] {
				if other.Status.CompletionTime.After(order.Status.StartTime.Time) {
					beside++
				}
			}
			Expect(beside).To(BeNumerically("<", 2), order.Name+" must have waited for a place")
		}
		Expect(orders[4].Name).To(Equal("third"), "the namespace of which nothing runs goes first, though its order is the youngest")
	})
})

var _ = Describe("With --max-running-orders-per-namespace, orders wait in line", func() {
	It("behind those of their own namespace, whatever runs in others", func(ctx SpecContext) {
		one, other := newNamespace(ctx, nil), newNamespace(ctx, nil)
		limited("--max-running-orders-per-namespace=1")
		brief := v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{quick("only", "")}}
		first := submit(ctx, one, "first", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("only", "--duration=8s")}})
		expectRunning(ctx, first, "only")
		second, guest := submit(ctx, one, "second", brief), submit(ctx, other, "guest", brief)
		waiting := And(HaveField("Phase", v1alpha1.WorkOrderPending), HaveField("Queued", BeEquivalentTo(1)),
			HaveField("Message", HaveSuffix("waits for a place to run: it is next")))
		Eventually(ctx, reread(ctx, second)).Should(waiting)
		expectPhase(ctx, guest, v1alpha1.WorkOrderSucceeded)
		Expect(reread(ctx, second)(Default)).To(waiting)

		expectPhase(ctx, first, v1alpha1.WorkOrderSucceeded)
		expectPhase(ctx, second, v1alpha1.WorkOrderSucceeded)
		Expect(second.Status.StartTime.Time).NotTo(BeTemporally("<", first.Status.CompletionTime.Time))
	})
})

// limited starts the operator anew with a limit. The one that comes with the end of the spec's namespaces, which must be
// there by now, has none again.
func limited(flag string) {
	GinkgoHelper()
	operator.kill()
	DeferCleanup(operator.kill)
	operator.start(flag)
}

// inTurn sorts orders by when they started.
func inTurn(orders []*v1alpha1.WorkOrder) {
	slices.SortStableFunc(orders, func(a, b *v1alpha1.WorkOrder) int { return a.Status.StartTime.Compare(b.Status.StartTime.Time) })
}
