package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// shortWhile is long enough to see that nothing happens.
const shortWhile = 2 * time.Second

// theRefusals is what is counted of row R22.
const theRefusals = "kinds of refusal, each with its own reason"

var _ = Describe("A Pod that the API server refuses", Label(labelReliability), func() {
	DescribeTable("is named in the conditions, tried again, and runs once that is mended",
		func(ctx SpecContext, labels map[string]string, spoil client.Object, settings *v1alpha1.PodSettings, code v1alpha1.ErrorCode, mend func(context.Context, string)) {
			row := showing("R22", theRefusals)
			namespace := newNamespace(ctx, labels)
			if spoil != nil {
				spoil.SetNamespace(namespace)
				Expect(cluster.Create(ctx, spoil)).To(Succeed())
				quotaInForce(ctx, spoil)
			}
			order := submit(ctx, namespace, "refused", v1alpha1.WorkOrderSpec{Pod: settings, Steps: []v1alpha1.Step{step("only", "--duration=500ms")}})
			expectStep(ctx, order, "only", HaveField("Error", HaveValue(HaveField("Code", code))))
			ready := meta.FindStatusCondition(order.Status.Conditions, v1alpha1.ConditionReady)
			Expect(ready.Reason).To(Equal(v1alpha1.ReasonWaiting))
			Expect(ready.Message).To(ContainSubstring("only cannot start: " + string(code)))
			expectStill(ctx, order)
			mend(ctx, namespace)
			expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
			Expect(order.Status.Rewinds).To(BeZero())
			row.refused(code)
		},
		Entry("by a quota", nil, quota(), nil, v1alpha1.CodeQuotaExceeded, func(ctx context.Context, namespace string) {
			full := quota()
			full.SetNamespace(namespace)
			Expect(cluster.Delete(ctx, full)).To(Succeed())
		}),
		Entry("by the Pod security level", map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}, nil, nil,
			v1alpha1.CodePodSecurity, func(ctx context.Context, namespace string) {
				relaxed := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
				Expect(cluster.Patch(ctx, relaxed, client.RawPatch("application/merge-patch+json",
					[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":null}}}`)))).To(Succeed())
			}),
		Entry("for want of a ServiceAccount", nil, nil, &v1alpha1.PodSettings{ServiceAccountName: "builder"},
			v1alpha1.CodeServiceAccountNotFound, func(ctx context.Context, namespace string) {
				account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "builder"}}
				Expect(cluster.Create(ctx, account)).To(Succeed())
			}),
	)
})

// expectStill checks that the status does not change while nothing does.
func expectStill(ctx context.Context, order *v1alpha1.WorkOrder) {
	GinkgoHelper()
	version := order.ResourceVersion
	Consistently(ctx, func(g Gomega) string { reread(ctx, order)(g); return order.ResourceVersion }).
		WithTimeout(2*shortWhile).Should(Equal(version), "the status changes while nothing does")
}

// refused counts a refusal that was told by its code.
func (t *tally) refused(code v1alpha1.ErrorCode) {
	t.Cases++
	t.count(string(code), 1)
}

func quota() *corev1.ResourceQuota {
	return &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "full"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}
}

// quotaInForce waits until a quota has counted what there is; before that it refuses nothing.
func quotaInForce(ctx context.Context, object client.Object) {
	GinkgoHelper()
	if counted, ok := object.(*corev1.ResourceQuota); ok {
		Eventually(ctx, func(g Gomega) corev1.ResourceList {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(counted), counted)).To(Succeed())
			return counted.Status.Hard
		}).ShouldNot(BeEmpty())
	}
}

var _ = Describe("A Pod that does not start", Label(labelReliability), func() {
	It("as its image cannot be pulled says so, and fails the order when its disruptions are used up", func(ctx SpecContext) {
		row := showing("R22", theRefusals)
		bad := v1alpha1.Step{Name: "only", Run: &v1alpha1.Run{Image: "workorders.dev/nowhere:1", ImagePullPolicy: corev1.PullNever}, StartTimeoutSeconds: pointer(int64(8))}
		order := submit(ctx, newNamespace(ctx, nil), "imageless", v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{DisruptionLimit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}},
			Steps: []v1alpha1.Step{bad},
		})
		expectStep(ctx, order, "only", HaveField("Error", HaveValue(HaveField("Code", v1alpha1.CodeImagePull))))
		Expect(order.Status.Message).To(HavePrefix("only cannot start: ImagePull: "))
		expectStill(ctx, order)
		expectPhase(ctx, order, v1alpha1.WorkOrderFailed)
		Expect(statusOf(order, "only")).To(And(
			HaveField("Epoch", BeEquivalentTo(2)),
			HaveField("Disruptions", BeEquivalentTo(1)),
			HaveField("Error", HaveValue(HaveField("Code", v1alpha1.CodeStartTimeout))),
		))
		row.refused(v1alpha1.CodeImagePull)
	})

	It("as no node has room says so, and is deleted when it has waited long enough", func(ctx SpecContext) {
		row := showing("R22", theRefusals)
		huge := step("only")
		huge.Run.Resources.Requests = tooMuch()
		huge.StartTimeoutSeconds = pointer(int64(3))
		order := submit(ctx, newNamespace(ctx, nil), "huge", v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{DisruptionLimit: pointer(int32(0))}, Steps: []v1alpha1.Step{huge},
		})
		expectStep(ctx, order, "only", HaveField("Error", HaveValue(HaveField("Code", v1alpha1.CodeUnschedulable))))
		expectPhase(ctx, order, v1alpha1.WorkOrderFailed)
		Expect(statusOf(order, "only").Error.Code).To(Equal(v1alpha1.CodeStartTimeout))
		row.refused(v1alpha1.CodeUnschedulable)
	})

	It("as its image has no such command never ran, which is told apart from a failure", func(ctx SpecContext) {
		row := showing("R22", theRefusals)
		nothing := step("only")
		nothing.Run.Command = []string{"/no-such-command"}
		order := submit(ctx, newNamespace(ctx, nil), "commandless", v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{DisruptionLimit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}},
			Steps: []v1alpha1.Step{nothing},
		})
		expectPhase(ctx, order, v1alpha1.WorkOrderFailed)
		Expect(statusOf(order, "only")).To(And(
			HaveField("Epoch", BeEquivalentTo(2)), HaveField("Attempt", BeEquivalentTo(1)), HaveField("ExitCode", BeNil()),
			HaveField("Error", HaveValue(And(HaveField("Code", v1alpha1.CodeStartError), HaveField("Message", ContainSubstring("no-such-command"))))),
		))
		row.refused(v1alpha1.CodeStartError)
	})
})

// tooMuch is more memory than any node has.
func tooMuch() corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("100Ti")}
}

var _ = Describe("A step that takes too long", func() {
	It("is ended by its own Pod's deadline and has failed", func(ctx SpecContext) {
		order := submit(ctx, newNamespace(ctx, nil), "slow", tooSlow(3))
		expectTimeout(ctx, order, 3)
	})
})

// tooSlow is an order whose step takes longer than the seconds that it has.
func tooSlow(seconds int64) v1alpha1.WorkOrderSpec {
	slow := step("only", "--duration=10m")
	slow.TimeoutSeconds = &seconds
	return v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{slow}}
}

// expectTimeout waits until such an order has failed, and checks that it says why.
func expectTimeout(ctx context.Context, order *v1alpha1.WorkOrder, seconds int64) {
	GinkgoHelper()
	expectPhase(ctx, order, v1alpha1.WorkOrderFailed)
	Expect(statusOf(order, "only").Error).To(HaveValue(Equal(v1alpha1.StepError{
		Code: v1alpha1.CodeTimeout, Message: fmt.Sprintf("it took longer than its timeout of %d s: %s", seconds, lastWords(ctx, order)),
	})))
}

// lastWords is what the step of a failed order said last, from the event's details.
func lastWords(ctx context.Context, order *v1alpha1.WorkOrder) string {
	GinkgoHelper()
	for _, e := range logOf(ctx, Default, order).Events {
		if e.Spec.Type == v1alpha1.EventStepFailed {
			return e.Spec.Error.Details
		}
	}
	return ""
}

// expectEnded waits until the node has said how a Pod ended.
func expectEnded(ctx context.Context, pod *corev1.Pod) {
	GinkgoHelper()
	expectPodPhase(ctx, pod, corev1.PodSucceeded, corev1.PodFailed)
}
