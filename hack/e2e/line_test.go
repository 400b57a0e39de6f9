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
		operator.kill()
		DeferCleanup(operator.kill) // The one that comes with the namespaces' end has no limits again.
		operator.start("--max-running-orders=2")

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

// inTurn sorts orders by when they started.
func inTurn(orders []*v1alpha1.WorkOrder) {
	slices.SortStableFunc(orders, func(a, b *v1alpha1.WorkOrder) int { return a.Status.StartTime.Compare(b.Status.StartTime.Time) })
}
