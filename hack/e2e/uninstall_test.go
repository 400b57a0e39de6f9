package e2e

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

var _ = Describe("An installation from config/default, removed in mid-run as docs/uninstall.md says", Label(labelOutage), SpecPriority(-2), func() {
	It("while the operator runs leaves nothing behind", func(ctx SpecContext) {
		row := showing("R11", theRemovals)
		namespace := newNamespace(ctx, nil)
		install(ctx)
		inEveryState(ctx, namespace)
		followDoc(ctx, "The operator runs")
		expectNothingLeft(ctx)
		row.removed("uninstall while the operator runs")
	})

	It("after the operator has gone leaves nothing behind, and lets go of a namespace that hung", func(ctx SpecContext) {
		row := showing("R11", theRemovals)
		namespace, hanging := newNamespace(ctx, nil), newNamespace(ctx, nil)
		install(ctx)
		inEveryState(ctx, namespace)
		inEveryState(ctx, hanging)
		kubectl(ctx, "delete", "namespace", "workorders-system")
		kubectl(ctx, "delete", "namespace", hanging, "--wait=false")
		// The node has ended all that it is to end, and still there are Pods.
		Eventually(ctx, func(g Gomega) []string { return held(ctx, g, hanging) }).Should(And(Not(BeEmpty()), HaveEach(HavePrefix("ended "))))
		followDoc(ctx, "The operator is already gone")
		expectNothingLeft(ctx)
		expectGone(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: hanging}})
		row.removed("uninstall after the operator has gone")
	})
})

// install installs everything, with an operator in a Pod instead of the tests' own.
func install(ctx context.Context) {
	GinkgoHelper()
	operator.kill()
	DeferCleanup(func(ctx SpecContext) {
		kubectl(ctx, "delete", "--kustomize=../../config/default", "--ignore-not-found")
		installCRDs(ctx)
	})
	kubectl(ctx, "apply", "--kustomize=../../config/default")
	kubectl(ctx, "rollout", "status", "--namespace=workorders-system", "deployment/workorder-operator", "--timeout=2m")
}

// inEveryState makes orders of which one has ended, one runs, one waits for its next epoch, one is suspended with a step
// that runs on, one has a Pod that no node takes, one has no Pod as it is refused, and one has been cancelled meanwhile.
func inEveryState(ctx context.Context, namespace string) {
	GinkgoHelper()
	quick, long := step("quick", "--duration=0s"), step("long", "--duration=10m")
	huge, failing := step("huge"), step("failing", "--duration=0s", "--fail-epochs=9")
	huge.Run.Resources.Requests = tooMuch()
	retry := &v1alpha1.Retry{Limit: pointer(int32(9)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(600)), MaxSeconds: pointer(int32(600))}}

	ended := submit(ctx, namespace, "ended", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{quick}})
	running := submit(ctx, namespace, "running", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{quick, long}})
	waiting := submit(ctx, namespace, "waiting", v1alpha1.WorkOrderSpec{Retry: retry, Steps: []v1alpha1.Step{failing}})
	suspended := submit(ctx, namespace, "suspended", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{long, quick}})
	pending := submit(ctx, namespace, "pending", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{huge}})
	refused := submit(ctx, namespace, "refused", v1alpha1.WorkOrderSpec{
		Pod: &v1alpha1.PodSettings{ServiceAccountName: "missing"}, Steps: []v1alpha1.Step{long},
	})
	cancelled := submit(ctx, namespace, "cancelled", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{long}})

	expectPhase(ctx, ended, v1alpha1.WorkOrderSucceeded)
	expectRunning(ctx, running, "long")
	expectStep(ctx, waiting, "failing", HaveField("Phase", v1alpha1.StepBackoff))
	expectRunning(ctx, suspended, "long")
	edit(ctx, suspended, `{"spec":{"suspend":true}}`)
	expectPhase(ctx, suspended, v1alpha1.WorkOrderSuspended)
	expectStep(ctx, pending, "huge", HaveField("Error", HaveValue(HaveField("Code", v1alpha1.CodeUnschedulable))))
	expectStep(ctx, refused, "long", HaveField("Error", HaveValue(HaveField("Code", v1alpha1.CodeServiceAccountNotFound))))
	expectRunning(ctx, cancelled, "long")
	edit(ctx, cancelled, `{"spec":{"cancel":true}}`)
}

// followDoc does what a section of docs/uninstall.md says to type.
func followDoc(ctx context.Context, section string) {
	GinkgoHelper()
	all, err := blocks()
	Expect(err).NotTo(HaveOccurred())
	all = slices.DeleteFunc(all, func(b block) bool { return b.file != "uninstall.md" || b.section != section })
	Expect(all).NotTo(BeEmpty(), "there is no section %q", section)
	for _, b := range all {
		b.follow(ctx, "")
	}
}

// expectNothingLeft checks that nothing of the installation is there any more, nor a Pod of a step.
func expectNothingLeft(ctx context.Context) {
	GinkgoHelper()
	Expect(kubectl(ctx, "get", "--kustomize=../../config/default", "--ignore-not-found", "--output=name")).To(BeEmpty())
	Expect(kubectl(ctx, "get", "pods", "--all-namespaces", "--selector=workorders.dev/order", "--output=name")).To(BeEmpty())
	Expect(kubectl(ctx, "api-resources", "--api-group=workorders.dev", "--output=name")).To(BeEmpty())
}

// held are the Pods that only a finalizer keeps, and the others, each said which it is.
func held(ctx context.Context, g Gomega, namespace string) (names []string) {
	for _, pod := range pods(ctx, g, namespace) {
		state := "at work "
		if pod.DeletionTimestamp != nil && (hasEnded(&pod) || pod.Spec.NodeName == "") {
			state = "ended "
		}
		names = append(names, state+pod.Name)
	}
	return names
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

var _ = Describe("A namespace that is deleted with orders in every state", Label(labelOutage), func() {
	It("goes", func(ctx SpecContext) {
		row := showing("R11", theRemovals)
		namespace := newNamespace(ctx, nil)
		inEveryState(ctx, namespace)
		gone := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		Expect(cluster.Delete(ctx, gone)).To(Succeed())
		expectGone(ctx, gone)
		row.removed("namespace")
	})
})
