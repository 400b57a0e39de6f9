package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// removals is what is counted of row R10.
const removals = "Pods taken away"

var _ = Describe("The node under running steps", Label(labelOutage), func() {
	It("is drained: what runs is interrupted and starts again, as the same attempt, when there is a node again", func(ctx SpecContext) {
		ownCluster()
		row := showing("R10", removals)
		node := theNode(ctx)
		work := newLoad(ctx)
		work.topUp(ctx, atOnce)
		DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "uncordon", node) })
		kubectl(ctx, "drain", node, "--timeout=2m")
		row.Cases += atOnce
		row.count("by a drain", atOnce)
		Expect(onNode(ctx, work.namespace)).To(BeEmpty(), "the drain is not over")
		kubectl(ctx, "uncordon", node)
		work.expectDone(ctx)
		work.expectRest(ctx)
		for _, order := range work.orders {
			for _, step := range order.Status.Steps {
				allowed := 0
				if step.Name == "fails-first" {
					allowed = 1
				}
				Expect(step.Retries).To(BeNumerically("<=", allowed), "an eviction was taken for a failure: %+v", step)
			}
		}
		work.tell(row)
	})

	It("is deleted: what ran there is interrupted, and runs once there is a node again", func(ctx SpecContext) {
		ownCluster()
		row := showing("R10", removals)
		node := theNode(ctx)
		work := newLoad(ctx)
		for _, name := range []string{"first", "second", "third"} {
			order := work.add(ctx, name, hanging())
			expectRunning(ctx, order, "first")
		}
		kubectl(ctx, "delete", "node", node)
		for _, order := range work.orders {
			expectEpoch(ctx, order, "first", 2)
			Expect(statusOf(order, "first").Disruptions).To(BeEquivalentTo(1))
		}
		killComponent("kubelet") // It registers its node only when it starts.
		clusterUp(ctx)
		work.expectDone(ctx)
		work.expectRest(ctx)
		for _, order := range work.orders {
			Expect(work.startsOf(order)).To(Equal([]string{"first/1", "first/2", "second/1"}))
		}
		row.Cases += len(work.orders)
		row.count("by the deletion of the Node", len(work.orders))
	})

	It("cannot be reached: what ended there meanwhile is found, and what was removed by force is lost and runs again", func(ctx SpecContext) {
		ownCluster()
		row := showing("R10", removals)
		work := newLoad(ctx)
		ended, lost := work.add(ctx, "ended", lasting("20s", "0s")()), work.add(ctx, "lost", hanging())
		found, gone := expectRunning(ctx, ended, "first"), expectRunning(ctx, lost, "first")
		killComponent("kubelet")
		// What the control plane does if there are other nodes: it never empties the last one.
		Expect(cluster.Delete(ctx, found)).To(Succeed())
		Expect(cluster.Delete(ctx, gone, client.GracePeriodSeconds(0))).To(Succeed())
		expectEpoch(ctx, lost, "first", 2)
		Expect(codes(ctx, lost)).To(Equal([]v1alpha1.ErrorCode{v1alpha1.CodeLost}))
		expectStep(ctx, ended, "first", HaveField("Phase", v1alpha1.StepRunning))

		clusterUp(ctx)
		expectPhase(ctx, ended, v1alpha1.WorkOrderSucceeded)
		Expect(statusOf(ended, "first")).To(And(HaveField("Epoch", BeEquivalentTo(1)), HaveField("Output", "done")))
		expectPhase(ctx, lost, v1alpha1.WorkOrderSucceeded)
		Expect(work.startsOf(ended)).To(Equal([]string{"first/1", "second/1"}))
		// Until its node was back nobody could stop the container of a lost Pod: that is the limit. It was not started again.
		Expect(work.startsOf(lost)).To(Equal([]string{"first/1", "first/2", "second/1"}))
		row.Cases += 2
		row.count("on a node that could not be reached", 2)
	})
})

// expectEpoch waits until a step has started again, in which a minute for a lost Pod is included.
func expectEpoch(ctx context.Context, order *v1alpha1.WorkOrder, name string, epoch int64) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) int64 {
		reread(ctx, order)(g)
		return statusOf(order, name).Epoch
	}).WithTimeout(3 * time.Minute).Should(Equal(epoch))
}

// onNode are the Pods of a namespace that have a node.
func onNode(ctx context.Context, namespace string) (names []string) {
	GinkgoHelper()
	for _, pod := range pods(ctx, Default, namespace) {
		if pod.Spec.NodeName != "" {
			names = append(names, pod.Name)
		}
	}
	return names
}

// startsOf are the attempts of an order that started.
func (l *load) startsOf(order *v1alpha1.WorkOrder) (starts []string) {
	GinkgoHelper()
	for _, run := range runsOf(l.book.runs(), order) {
		starts = append(starts, fmt.Sprintf("%s/%d", run.Step, run.Epoch))
	}
	return starts
}

// codes say why attempts of an order ended badly, in the order in which they did.
func codes(ctx context.Context, order *v1alpha1.WorkOrder) (codes []v1alpha1.ErrorCode) {
	GinkgoHelper()
	for _, event := range logOf(ctx, Default, order).Events {
		if event.Spec.Type == v1alpha1.EventStepFailed {
			codes = append(codes, event.Spec.Error.Code)
		}
	}
	return codes
}
