package e2e

import (
	"context"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// withFinally is an order of a step that takes long, and one that comes after it, with a step of finally.
func withFinally() v1alpha1.WorkOrderSpec {
	return v1alpha1.WorkOrderSpec{
		Steps:   []v1alpha1.Step{step("long", "--duration=10m"), step("next")},
		Finally: []v1alpha1.Step{step("clean-up", "--duration=200ms", "--output=clean")},
	}
}

var _ = Describe("The end of an order", func() {
	It("by its deadline: what runs is stopped, finally runs, and the order has failed", func(ctx SpecContext) {
		spec := withFinally()
		spec.ActiveDeadlineSeconds = pointer(int64(4))
		order := submit(ctx, newNamespace(ctx, nil), "late", spec)
		expectPhase(ctx, order, v1alpha1.WorkOrderFailed)
		Expect(ended(order)).To(Equal([]string{"long/1 Cancelled", "next/0 Cancelled", "clean-up/1 Succeeded clean"}))
		Expect(order.Status.Message).To(HavePrefix("it took longer than its deadline of 4 s"))
		Expect(statusOf(order, "long").Error.Code).To(Equal(v1alpha1.CodeDeadlineExceeded))
	})

	It("by a cancellation: finally runs all the same", func(ctx SpecContext) {
		order := submit(ctx, newNamespace(ctx, nil), "cancelled", withFinally())
		expectRunning(ctx, order, "long")
		edit(ctx, order, `{"spec":{"cancel":true}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderCancelled)
		Expect(ended(order)).To(Equal([]string{"long/1 Cancelled", "next/0 Cancelled", "clean-up/1 Succeeded clean"}))
	})

	It("is what its steps make it, though a step of finally fails; that has ten minutes, as it says nothing else", func(ctx SpecContext) {
		order := run(ctx, v1alpha1.WorkOrderSpec{
			Steps:   []v1alpha1.Step{quick("only", "done")},
			Finally: []v1alpha1.Step{step("clean-up", "--duration=0s", "--fail-epochs=9")},
		}, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{"only/1 Succeeded done", "clean-up/1 Failed"}))
		Expect(order.Status.Message).To(Equal("1 of 2 steps succeeded; clean-up failed"))
		Expect(meta.IsStatusConditionTrue(order.Status.Conditions, v1alpha1.ConditionSucceeded)).To(BeTrue())
		Expect(podOf(ctx, order, "clean-up").Spec.ActiveDeadlineSeconds).To(HaveValue(BeEquivalentTo(600)))
		Expect(podOf(ctx, order, "only").Spec.ActiveDeadlineSeconds).To(BeNil())
	})

	It("for a step whose exit code no try would mend comes without a retry", func(ctx SpecContext) {
		spec := v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{Limit: pointer(int32(5)), NonRetryableExitCodes: []int32{4}},
			Steps: []v1alpha1.Step{step("only", "--duration=100ms", "--fail-epochs=9", "--exit-code=4")},
		}
		order := submit(ctx, newNamespace(ctx, nil), "declined", spec)
		expectPhase(ctx, order, v1alpha1.WorkOrderFailed)
		Expect(ended(order)).To(Equal([]string{"only/1 Failed"}))
	})

	It("for a step that fails comes after its retries, with a pause that grows and has a limit", func(ctx SpecContext) {
		order := run(ctx, v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{Limit: pointer(int32(3)), Backoff: &v1alpha1.Backoff{
				InitialSeconds: pointer(int32(1)), Factor: pointer(int32(3)), MaxSeconds: pointer(int32(4)),
			}},
			Steps: []v1alpha1.Step{step("only", "--duration=0s", "--fail-epochs=9")},
		}, v1alpha1.WorkOrderFailed)
		Expect(ended(order)).To(Equal([]string{"only/4 Failed"}))
		var pauses []time.Duration
		events := logOf(ctx, Default, order).Events
		for i, event := range events[1:] {
			if event.Spec.Type == v1alpha1.EventRewound {
				pauses = append(pauses, event.Spec.Time.Sub(events[i].Spec.Time.Time))
			}
		}
		// Each begins when its failure is written down, and is up to a tenth longer; times are in whole seconds.
		Expect(pauses).To(HaveExactElements(
			BeNumerically(">=", time.Second), BeNumerically(">=", 3*time.Second), And(BeNumerically(">=", 4*time.Second), BeNumerically("<", 9*time.Second))))
	})

	It("is followed by its deletion when its time to live is over", func(ctx SpecContext) {
		spec := v1alpha1.WorkOrderSpec{TTLSecondsAfterFinished: pointer(int64(3)), Steps: []v1alpha1.Step{step("only", "--duration=0s")}}
		namespace := newNamespace(ctx, nil)
		order := submit(ctx, namespace, "short-lived", spec)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Eventually(ctx, func() error { return cluster.Get(ctx, client.ObjectKeyFromObject(order), order) }).Should(MatchError(ContainSubstring("not found")))
		Eventually(ctx, func(g Gomega) []corev1.Pod {
			pods := &corev1.PodList{}
			g.Expect(cluster.List(ctx, pods, client.InNamespace(namespace))).To(Succeed())
			return pods.Items
		}).Should(BeEmpty(), "its Pods go with it")
	})
})

var _ = Describe("A workspace", func() {
	It("is shared by the steps of its order, and deleted with it", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		spec := v1alpha1.WorkOrderSpec{
			Workspace: &v1alpha1.Workspace{Storage: resource.MustParse("1Mi"), StorageClassName: pointer("by-hand-" + namespace)},
			Steps: []v1alpha1.Step{
				step("write", "--duration=0s", "--start-ledger=/workspace/book"),
				step("write-too", "--duration=0s", "--start-ledger=/workspace/book", "--termination-log=/workspace/last", "--output=shared"),
				step("read", "--duration=0s", "--termination-log=/workspace/last"),
			},
		}
		order := submit(ctx, namespace, "sharing", spec)
		expectStep(ctx, order, "write", HaveField("Error", HaveValue(HaveField("Code", v1alpha1.CodeUnschedulable))))
		provideVolume(ctx, order)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		expectTogether(ctx, order)
		claim := &corev1.PersistentVolumeClaim{}
		key := client.ObjectKey{Namespace: namespace, Name: steppod.WorkspaceName(order)}
		Expect(cluster.Get(ctx, key, claim)).To(Succeed())
		Expect(claim.Status.Phase).To(Equal(corev1.ClaimBound))
		Expect(cluster.Delete(ctx, order)).To(Succeed())
		Eventually(ctx, func() error { return cluster.Get(ctx, key, claim) }).Should(MatchError(ContainSubstring("not found")))
	})
})

// expectTogether checks that the Pods of an order have to be on the node of its other Pods.
func expectTogether(ctx context.Context, order *v1alpha1.WorkOrder) {
	GinkgoHelper()
	made := pods(ctx, Default, order.Namespace)
	Expect(made).To(HaveLen(len(order.Spec.Steps)))
	for _, pod := range made {
		Expect(pod.Spec.Affinity).To(HaveField("PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution", Equal([]corev1.PodAffinityTerm{{
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{steppod.LabelOrderUID: string(order.UID)}},
			TopologyKey:   corev1.LabelHostname,
		}})))
	}
}

// provideVolume is what an administrator does where nothing makes volumes by itself.
func provideVolume(ctx context.Context, order *v1alpha1.WorkOrder) {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	Expect(os.Chmod(folder, 0o777)).To(Succeed()) // The steps are nobody in particular.
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "workspace-" + order.Namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			StorageClassName:              *order.Spec.Workspace.StorageClassName,
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{
				Path: folder,
			}},
		},
	}
	Expect(cluster.Create(ctx, volume)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, volume))).To(Succeed()) })
}
