package e2e

import (
	"context"
	"fmt"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/progress"
)

var _ = Describe("The seven steps of an agent", func() {
	It("complete one by one in the status, never torn and never backwards, and the failure shows before the end", func(ctx SpecContext) {
		order := sample("agent.yaml")
		order.Namespace = newNamespace(ctx, nil)
		book := newLedger(ctx, order.Namespace)
		book.keep(&order.Spec)
		seen := record(ctx, order.Namespace)
		Expect(cluster.Create(ctx, order)).To(Succeed())
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)

		states := seen()
		for _, s := range states {
			AddReportEntry(line(s), ReportEntryVisibilityFailureOrVerbose)
		}
		Expect(succeeded(states)).To(Equal([]int{0, 1, 2, 3, 4, 5, 6, 7}))
		for i, s := range states[1:] {
			expectWhole(states[i], s)
		}
		failure := slices.IndexFunc(states, func(s v1alpha1.WorkOrderStatus) bool {
			return slices.ContainsFunc(s.Steps, func(step v1alpha1.StepStatus) bool { return step.Phase == v1alpha1.StepBackoff })
		})
		Expect(failure).To(BeNumerically(">", 0), "the failed attempt was never seen")
		Expect(states[failure].Phase).To(Equal(v1alpha1.WorkOrderRunning))

		Expect(book.starts()).To(Equal([]string{
			"classify/1", "plan/1", "find-plan/1", "generate-branch/1", "implement/1", "implement/2", "commit/1", "create-pr/1",
		}))
		Expect(statusOf(order, "plan").Output).To(Equal("plan for: Add dark mode"))
		Expect(statusOf(order, "plan").Agent).To(Equal("planner"))
		chain := logOf(ctx, Default, order)
		Expect(superseded(chain)).To(Equal([]string{"StepFailed implement 1"}))
	})
})

// record watches the orders of a namespace; the function it returns gives every status seen so far.
func record(ctx context.Context, namespace string) func() []v1alpha1.WorkOrderStatus {
	GinkgoHelper()
	watcher, err := cluster.Watch(ctx, &v1alpha1.WorkOrderList{}, client.InNamespace(namespace))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(watcher.Stop)
	return func() (states []v1alpha1.WorkOrderStatus) {
		for {
			select {
			case event := <-watcher.ResultChan():
				if order, ok := event.Object.(*v1alpha1.WorkOrder); ok && event.Type != watch.Deleted {
					states = append(states, order.Status)
				}
				if order, ok := event.Object.(*v1alpha1.WorkOrder); ok && order.Status.CompletionTime != nil {
					return states
				}
			case <-ctx.Done():
				Fail("the watch did not show the order's end")
			}
		}
	}
}

// succeeded is how many steps had succeeded, each time that number changed.
func succeeded(states []v1alpha1.WorkOrderStatus) []int {
	var counts []int
	for _, s := range states {
		n := 0
		for _, step := range s.Steps {
			if step.Phase == v1alpha1.StepSucceeded && step.CompletionTime != nil {
				n++
			}
		}
		if len(counts) == 0 || counts[len(counts)-1] != n {
			counts = append(counts, n)
		}
	}
	return counts
}

// expectWhole checks that what one status showed, the next one shows as well.
func expectWhole(before, after v1alpha1.WorkOrderStatus) {
	GinkgoHelper()
	Expect(after.Sequence).To(BeNumerically(">=", before.Sequence))
	Expect(after.LastEventTime.Time).NotTo(BeTemporally("<", timeOr(before.LastEventTime, *after.LastEventTime).Time))
	Expect(len(after.Steps)).To(BeNumerically(">=", len(before.Steps)))
	for i, step := range before.Steps {
		if step.Phase == v1alpha1.StepSucceeded {
			Expect(after.Steps[i]).To(BeComparableTo(step), "a result changed")
		}
		Expect(after.Steps[i].Epoch).To(BeNumerically(">=", step.Epoch))
	}
}

func timeOr(at *metav1.Time, otherwise metav1.Time) metav1.Time {
	if at == nil {
		return otherwise
	}
	return *at
}

// line is a status as `kubectl get` shows it.
func line(s v1alpha1.WorkOrderStatus) string {
	return fmt.Sprintf("%-10s %-5s %-16s epoch %d, %d rewinds: %s", s.Phase, s.Progress, s.CurrentStep, s.Epoch, s.Rewinds, s.Message)
}

// superseded are the events of a chain that a rewind made void.
func superseded(chain progress.Chain) (void []string) {
	names := chain.Superseded()
	for _, e := range chain.Events {
		if names[e.Name] {
			void = append(void, fmt.Sprintf("%s %s %d", e.Spec.Type, e.Spec.Step, e.Spec.Epoch))
		}
	}
	return void
}
