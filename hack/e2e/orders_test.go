package e2e

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
)

// stepImage is the simulated step, hack/step.
const stepImage = "workorders.dev/step:dev"

// step is a simulated step with those flags.
func step(name string, flags ...string) v1alpha1.Step {
	return v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: stepImage, Args: flags}}
}

func submit(ctx context.Context, namespace, name string, spec v1alpha1.WorkOrderSpec) *v1alpha1.WorkOrder {
	GinkgoHelper()
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec}
	Expect(cluster.Create(ctx, order)).To(Succeed())
	return order
}

// sample is the WorkOrder of a file in config/samples.
func sample(file string) *v1alpha1.WorkOrder {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join("../../config/samples", file))
	Expect(err).NotTo(HaveOccurred())
	order := &v1alpha1.WorkOrder{}
	Expect(yaml.UnmarshalStrict(content, order)).To(Succeed())
	return order
}

// reread is an assertion's view of an order: its newest status.
func reread(ctx context.Context, order *v1alpha1.WorkOrder) func(Gomega) v1alpha1.WorkOrderStatus {
	return func(g Gomega) v1alpha1.WorkOrderStatus {
		fresh := &v1alpha1.WorkOrder{}
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(order), fresh)).To(Succeed())
		fresh.DeepCopyInto(order)
		return fresh.Status
	}
}

// expectPhase waits until an order is in a phase.
func expectPhase(ctx context.Context, order *v1alpha1.WorkOrder, phase v1alpha1.WorkOrderPhase) {
	GinkgoHelper()
	Eventually(ctx, reread(ctx, order)).Should(HaveField("Phase", phase))
}

// expectStep waits until a step of an order matches.
func expectStep(ctx context.Context, order *v1alpha1.WorkOrder, name string, matcher OmegaMatcher) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) v1alpha1.StepStatus {
		for _, s := range reread(ctx, order)(g).Steps {
			if s.Name == name {
				return s
			}
		}
		return v1alpha1.StepStatus{}
	}).Should(matcher)
}

// statusOf is the status of a step as it was last read.
func statusOf(order *v1alpha1.WorkOrder, name string) v1alpha1.StepStatus {
	GinkgoHelper()
	for _, s := range order.Status.Steps {
		if s.Name == name {
			return s
		}
	}
	Fail("the status has no step " + name)
	return v1alpha1.StepStatus{}
}

// podOf is the Pod of a step's present epoch.
func podOf(ctx context.Context, order *v1alpha1.WorkOrder, name string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{}
	key := client.ObjectKey{Namespace: order.Namespace, Name: statusOf(order, name).PodName}
	Eventually(ctx, func() error { return cluster.Get(ctx, key, pod) }).Should(Succeed())
	return pod
}

// expectRunning waits until the container of a step runs.
func expectRunning(ctx context.Context, order *v1alpha1.WorkOrder, name string) *corev1.Pod {
	GinkgoHelper()
	expectStep(ctx, order, name, HaveField("PodName", Not(BeEmpty())))
	pod := podOf(ctx, order, name)
	expectPodPhase(ctx, pod, corev1.PodRunning)
	return pod
}

// expectPodPhase waits until the node has said that a Pod is in one of these phases.
func expectPodPhase(ctx context.Context, pod *corev1.Pod, phases ...corev1.PodPhase) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) corev1.PodPhase {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		return pod.Status.Phase
	}).Should(BeElementOf(phases))
}
