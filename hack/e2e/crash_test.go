package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/api/v1alpha1"
)

var _ = Describe("The operator, killed with -9 in the middle of a step", func() {
	It("picks up where it was: no step starts twice, and nothing done is done again", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		book := newLedger(ctx, namespace)
		spec := v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{
			step("first", "--duration=500ms", "--output=one"), step("second", "--duration=5s", "--output=two"), step("third", "--duration=500ms"),
		}}
		book.keep(&spec)
		order := submit(ctx, namespace, "survivor", spec)
		expectRunning(ctx, order, "second")
		started := order.Status.StartTime

		operator.kill()
		operator.start()
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(order.Status.StartTime).To(Equal(started))
		Expect(order.Status.Rewinds).To(BeZero())
		Expect(book.starts()).To(Equal([]string{"first/1", "second/1", "third/1"}))
	})

	It("finds the result of a step that ended while it was away", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		book := newLedger(ctx, namespace)
		spec := v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("first", "--duration=2s", "--output=one"), step("second", "--duration=500ms")}}
		book.keep(&spec)
		order := submit(ctx, namespace, "absent", spec)
		pod := expectRunning(ctx, order, "first")

		operator.kill()
		expectEnded(ctx, pod)
		Expect(cluster.Delete(ctx, pod)).To(Succeed()) // Nobody is there to save its result, so it must stay.
		operator.start()
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(statusOf(order, "first").Output).To(Equal("one"))
		Expect(book.starts()).To(Equal([]string{"first/1", "second/1"}))
	})

	It("finds that a step took too long while it was away", func(ctx SpecContext) {
		order, book := kept(ctx, tooSlow(5))
		pod := expectRunning(ctx, order, "only")
		operator.kill()
		expectEnded(ctx, pod)
		expectPhase(ctx, order, v1alpha1.WorkOrderRunning) // Nobody has written it down.
		operator.start()
		expectTimeout(ctx, order, 5)
		Expect(book.starts()).To(Equal([]string{"only/1"}))
	})

	It("again and again, while orders run beside each other", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		book := newLedger(ctx, namespace)
		names := []string{"one", "two", "three"}
		orders := make([]*v1alpha1.WorkOrder, 0, len(names))
		for _, name := range names {
			spec := v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{
				step(name+"-a", "--duration=500ms"), {Name: name + "-wait", Wait: &v1alpha1.Wait{Seconds: 1}}, step(name+"-b", "--duration=500ms"),
			}}
			book.keep(&spec)
			orders = append(orders, submit(ctx, namespace, name, spec))
		}
		for range 5 {
			operator.kill()
			operator.start()
		}
		var wanted []string
		for i, order := range orders {
			expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
			wanted = append(wanted, names[i]+"-a/1", names[i]+"-b/1")
		}
		Expect(book.starts()).To(ConsistOf(wanted))
	})
})
