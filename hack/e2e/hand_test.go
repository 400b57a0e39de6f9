package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

var _ = Describe("A hand on an order", func() {
	It("suspends it: what runs goes on, nothing new starts until it is resumed", func(ctx SpecContext) {
		order := submit(ctx, newNamespace(ctx, nil), "pausing", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{
			step("first", "--duration=2s"), step("second", "--duration=500ms"),
		}})
		expectRunning(ctx, order, "first")
		edit(ctx, order, `{"spec":{"suspend":true}}`)
		expectStep(ctx, order, "first", HaveField("Phase", v1alpha1.StepSucceeded))
		Consistently(ctx, reread(ctx, order)).WithTimeout(shortWhile).Should(And(
			HaveField("Phase", v1alpha1.WorkOrderSuspended), HaveField("Progress", "1/2")))
		edit(ctx, order, `{"spec":{"suspend":false}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
	})

	It("cancels it: the running step is ended gracefully and its result recorded, the others never start", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		book := newLedger(ctx, namespace)
		spec := v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("first", "--duration=10m"), step("second")}}
		book.keep(&spec)
		order := submit(ctx, namespace, "unwanted", spec)
		expectRunning(ctx, order, "first")
		edit(ctx, order, `{"spec":{"cancel":true}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderCancelled)
		Expect(statusOf(order, "first")).To(And(
			HaveField("Phase", v1alpha1.StepCancelled),
			HaveField("ExitCode", HaveValue(BeEquivalentTo(143))),
		))
		Expect(statusOf(order, "second").Phase).To(Equal(v1alpha1.StepCancelled))
		Expect(book.starts()).To(Equal([]string{"first/1"}))
	})

	It("cancels for good: more than a suspension, and whatever is asked for afterwards", func(ctx SpecContext) {
		order := submit(ctx, newNamespace(ctx, nil), "over", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("long", "--duration=10m"), step("next")}})
		expectRunning(ctx, order, "long")
		edit(ctx, order, `{"spec":{"suspend":true,"cancel":true}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderCancelled)
		edit(ctx, order, `{"spec":{"suspend":false,"cancel":false,"rewinds":[{"step":"long","toEpoch":2}]}}`)
		Eventually(ctx, reread(ctx, order)).Should(HaveField("ObservedGeneration", BeEquivalentTo(3)))
		Expect(ended(order)).To(Equal([]string{"long/1 Cancelled", "next/0 Cancelled"}))
		Expect(order.Status.Message).To(HaveSuffix("what is cancelled cannot be rewound: delete it and apply it anew"))
	})

	It("suspends, but not the deadline", func(ctx SpecContext) {
		spec := v1alpha1.WorkOrderSpec{ActiveDeadlineSeconds: pointer(int64(6)), Steps: []v1alpha1.Step{step("long", "--duration=10m"), step("next")}}
		order := submit(ctx, newNamespace(ctx, nil), "late-and-held", spec)
		expectRunning(ctx, order, "long")
		edit(ctx, order, `{"spec":{"suspend":true}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderFailed)
		Expect(order.Status.Message).To(HavePrefix("it took longer than its deadline of 6 s"))
	})

	It("edits the step that runs: it is stopped, and starts again with the new spec", func(ctx SpecContext) {
		order := submit(ctx, newNamespace(ctx, nil), "mended", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("only", "--duration=10m")}})
		expectRunning(ctx, order, "only")
		edit(ctx, order, `{"spec":{"steps":[{"name":"only","run":{"image":"`+stepImage+`","args":["--duration=500ms","--output=mended"]}}]}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(statusOf(order, "only")).To(And(HaveField("Epoch", BeEquivalentTo(2)), HaveField("Output", "mended")))
	})

	It("edits params and pod: what runs goes on, and what starts later gets them", func(ctx SpecContext) {
		order := submit(ctx, newNamespace(ctx, nil), "informed", v1alpha1.WorkOrderSpec{
			Params: []v1alpha1.Param{{Name: "x", Value: "old"}},
			Steps:  []v1alpha1.Step{step("first", "--duration=6s", "--output=$(PARAM_X)"), quick("second", "$(PARAM_X)")},
		})
		running := expectRunning(ctx, order, "first")
		edit(ctx, order, `{"spec":{"params":[{"name":"x","value":"new"}],"pod":{"labels":{"team":"blue"},"annotations":{"note":"later"}}}}`)
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{"first/1 Succeeded old", "second/1 Succeeded new"}))
		Expect(order.Status.Rewinds).To(BeZero())
		first := podOf(ctx, order, "first")
		Expect(first.UID).To(Equal(running.UID))
		Expect(first.Labels).NotTo(HaveKey("team"))
		Expect(podOf(ctx, order, "second")).To(And(
			HaveField("Labels", HaveKeyWithValue("team", "blue")), HaveField("Annotations", HaveKeyWithValue("note", "later"))))
	})

	It("passes params on byte for byte", func(ctx SpecContext) {
		hostile := `$(WORKORDER_NAME) $HOME "quoted" ` + "`id`" + ` ü`
		order := submit(ctx, newNamespace(ctx, nil), "literal", v1alpha1.WorkOrderSpec{
			Params: []v1alpha1.Param{{Name: "the-text", Value: hostile}},
			Steps:  []v1alpha1.Step{step("only", "--duration=0s", "--output=$(PARAM_THE_TEXT)")},
		})
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(statusOf(order, "only").Output).To(Equal(hostile))
	})

	It("keeps the idempotency key over an interruption, and gives a new one to a retry", func(ctx SpecContext) {
		spec := v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}},
			Steps: []v1alpha1.Step{step("only", "--duration=2s", "--fail-epochs=2", "--output=$(WORKORDER_IDEMPOTENCY_KEY)")},
		}
		order := submit(ctx, newNamespace(ctx, nil), "keyed", spec)
		first := expectRunning(ctx, order, "only")
		Expect(cluster.Delete(ctx, first)).To(Succeed())
		expectStep(ctx, order, "only", HaveField("Epoch", BeEquivalentTo(2)))
		second := podOf(ctx, order, "only")
		Expect(key(second)).To(Equal(key(first)))
		expectStep(ctx, order, "only", HaveField("Epoch", BeEquivalentTo(3)))
		Expect(key(podOf(ctx, order, "only"))).NotTo(Equal(key(first)))
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(statusOf(order, "only")).To(And(HaveField("Retries", BeEquivalentTo(1)), HaveField("Disruptions", BeEquivalentTo(1))))
	})
})

// edit merges into an order, as `kubectl patch` would.
func edit(ctx context.Context, order *v1alpha1.WorkOrder, patch string) {
	GinkgoHelper()
	Expect(tryEdit(ctx, order, patch)).To(Succeed())
}

// tryEdit does the same, and returns what the API server has against it.
func tryEdit(ctx context.Context, order *v1alpha1.WorkOrder, patch string) error {
	return cluster.Patch(ctx, order.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch)))
}

func key(pod *corev1.Pod) string {
	for _, variable := range pod.Spec.Containers[0].Env {
		if strings.HasSuffix(variable.Name, "IDEMPOTENCY_KEY") {
			return variable.Value
		}
	}
	return ""
}

func pointer[T any](value T) *T { return &value }
