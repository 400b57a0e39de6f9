package e2e

import (
	"context"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// retained are orders that ended before the first spec began, by what of their Pods they keep. The time for which all Pods
// stay passes while the specs run; those that take the CRDs away with an installation come last of all.
var retained = map[v1alpha1.KeepPods]*v1alpha1.WorkOrder{}

// finishRetained makes them. Each has a Pod that failed, and two that succeeded.
func finishRetained(ctx context.Context) {
	GinkgoHelper()
	namespace := newNamespace(ctx, nil)
	for keep, name := range map[v1alpha1.KeepPods]string{"": "by-default", v1alpha1.KeepAllPods: "all", v1alpha1.KeepNoPods: "none"} {
		retained[keep] = submit(ctx, namespace, name, v1alpha1.WorkOrderSpec{
			KeepPods: keep, Retry: &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}},
			Steps: []v1alpha1.Step{step("good", "--duration=0s"), step("shaky", "--duration=0s", "--fail-epochs=1")},
		})
	}
	for _, order := range retained {
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
	}
}

// attempts are the Pods of an order that exist, as STEP/EPOCH.
func attempts(ctx context.Context, g Gomega, order *v1alpha1.WorkOrder) []string {
	pods := &corev1.PodList{}
	g.Expect(cluster.List(ctx, pods, client.InNamespace(order.Namespace), client.MatchingLabels{steppod.LabelOrder: order.Name})).To(Succeed())
	names := []string{}
	for _, pod := range pods.Items {
		names = append(names, pod.Labels[steppod.LabelStep]+"/"+pod.Labels[steppod.LabelEpoch])
	}
	slices.Sort(names)
	return names
}

var _ = Describe("A finished order", func() {
	It("keeps all its Pods for ten minutes, and after that those that keepPods says", SpecPriority(-1), func(ctx SpecContext) {
		all := []string{"good/1", "shaky/1", "shaky/2"}
		for keep, want := range map[v1alpha1.KeepPods][]string{"": {"shaky/1"}, v1alpha1.KeepAllPods: all, v1alpha1.KeepNoPods: {}} {
			order := retained[keep]
			over := order.Status.CompletionTime.Add(plan.PodRetention)
			Eventually(ctx, func(g Gomega) []string {
				found := attempts(ctx, g, order)
				early := time.Now().Before(over)
				if early && !slices.Equal(found, all) {
					StopTrying("Pods went before their time").Attach("left", found).Now()
				}
				if early {
					return nil
				}
				return found
			}).WithTimeout(plan.PodRetention + 2*time.Minute).WithPolling(time.Second).Should(Equal(want))
		}
	})
})
