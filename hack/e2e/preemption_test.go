package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// For the time of this spec there is hardly any room on the node, so it runs beside no other.
var _ = Describe("A step's Pod that makes room for one of higher priority", func() {
	It("is interrupted, and runs again, as the same attempt, when there is room again", func(ctx SpecContext) {
		ownCluster()
		most, spec := mostRoom(ctx), hanging()
		spec.Steps[0].Run.Resources.Requests = most
		order, book := kept(ctx, spec)
		expectRunning(ctx, order, "first")
		urgent := submitUrgent(ctx, order.Namespace, most)
		expectPodPhase(ctx, urgent, corev1.PodRunning)
		expectStep(ctx, order, "first", And(
			HaveField("Epoch", BeEquivalentTo(2)), HaveField("Error", HaveValue(HaveField("Code", v1alpha1.CodeUnschedulable)))))
		Expect(resultOf(ctx, order, "first").Spec.Error).To(HaveValue(And(
			HaveField("Code", v1alpha1.CodeEvicted), HaveField("Message", ContainSubstring("preempting")))))
		Expect(cluster.Delete(ctx, urgent)).To(Succeed())

		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(statusOf(order, "first")).To(And(
			HaveField("Epoch", BeEquivalentTo(2)), HaveField("Attempt", BeEquivalentTo(1)),
			HaveField("Disruptions", BeEquivalentTo(1)), HaveField("Retries", BeZero())))
		Expect(book.starts()).To(Equal([]string{"first/1", "first/2", "second/1"}))
	})
})

// mostRoom is most of the CPU that nobody has asked for on the one node, so that there is room for it only once.
func mostRoom(ctx context.Context) corev1.ResourceList {
	GinkgoHelper()
	node := &corev1.Node{}
	Expect(cluster.Get(ctx, client.ObjectKey{Name: theNode(ctx)}, node)).To(Succeed())
	free := node.Status.Allocatable.Cpu().MilliValue()
	for _, pod := range pods(ctx, Default, metav1.NamespaceAll) {
		if pod.Spec.NodeName == "" || hasEnded(&pod) {
			continue
		}
		for _, container := range pod.Spec.Containers {
			free -= container.Resources.Requests.Cpu().MilliValue()
		}
	}
	Expect(free).To(BeNumerically(">", 0), "the node has no room")
	return corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(free*3/4, resource.DecimalSI)}
}

// submitUrgent makes a Pod that goes before those of steps, with a priority of its own.
func submitUrgent(ctx context.Context, namespace string, needs corev1.ResourceList) *corev1.Pod {
	GinkgoHelper()
	priority := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: namespace}, Value: 1000}
	Expect(cluster.Create(ctx, priority)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, priority))).To(Succeed()) })
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "urgent"},
		Spec: corev1.PodSpec{
			PriorityClassName: priority.Name, RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: pointer(false),
			Containers: []corev1.Container{{
				Name: "urgent", Image: stepImage, Args: []string{"--duration=10m"}, Resources: corev1.ResourceRequirements{Requests: needs},
			}},
		},
	}
	// A priority is known a little after it was made.
	Eventually(ctx, func() error { return cluster.Create(ctx, pod) }).Should(Succeed())
	return pod
}
