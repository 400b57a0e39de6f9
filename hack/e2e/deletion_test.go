package e2e

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// moment is when in its life a Pod is taken away.
type moment struct {
	// before prepares the cluster.
	before func(context.Context)
	// spec is what the orders do; the Pod is that of the step called first.
	spec func() v1alpha1.WorkOrderSpec
	// bring waits until all Pods are there, having done what it takes.
	bring func(context.Context, *load)
	// after lets the world go on.
	after func(context.Context, *load)
	// starts is what is in the ledger of each order in the end.
	starts []string
}

// takings are the ways to take a Pod away.
var takings = map[string]func(context.Context, *corev1.Pod) error{
	"deleted": func(ctx context.Context, pod *corev1.Pod) error { return cluster.Delete(ctx, pod) },
	"forced": func(ctx context.Context, pod *corev1.Pod) error {
		return cluster.Delete(ctx, pod, client.GracePeriodSeconds(0))
	},
	"evicted": func(ctx context.Context, pod *corev1.Pod) error {
		return cluster.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{})
	},
}

var _ = Describe("A step's Pod that is deleted, deleted by force, or evicted", Label(labelOutage), func() {
	DescribeTable("is recorded, or interrupted and run again; never silently run again",
		func(ctx SpecContext, m moment) {
			ownCluster()
			row := showing("R10", removals)
			if m.before != nil {
				m.before(ctx)
			}
			work := newLoad(ctx)
			orders := map[string][]*v1alpha1.WorkOrder{}
			for how := range takings {
				for i := range often(1, 2) {
					orders[how] = append(orders[how], work.add(ctx, fmt.Sprintf("%s-%d", how, i), m.spec()))
				}
			}
			m.bring(ctx, work)
			for how, taken := range orders {
				for _, order := range taken {
					reread(ctx, order)(Default)
					Expect(takings[how](ctx, podOf(ctx, order, "first"))).To(Succeed(), order.Name)
					row.Cases++
					row.count(how, 1)
				}
			}
			if m.after != nil {
				m.after(ctx, work)
			}
			work.expectDone(ctx)
			for _, order := range work.orders {
				Expect(work.startsOf(order)).To(Equal(m.starts), order.Name)
				for _, step := range order.Status.Steps {
					Expect(step.Retries).To(BeZero(), "%s: it was taken for a failure: %+v", order.Name, step)
				}
				Expect(order.Status.Rewinds).To(BeEquivalentTo(statusOf(order, "first").Epoch - 1))
			}
			work.tell(row)
		},
		Entry("before it has a node", moment{
			before: cordon, spec: lasting("0s", "0s"), bring: nodeless, after: withNode, starts: []string{"first/2", "second/1"},
		}),
		Entry("that has a node, but not started", moment{
			spec: wanting, bring: bound, after: given, starts: []string{"first/2", "second/1"},
		}),
		Entry("while it runs", moment{
			spec: hanging, bring: firstRuns, starts: []string{"first/1", "first/2", "second/1"},
		}),
		Entry("while it terminates", moment{
			spec: hanging, bring: terminating, after: thawed, starts: []string{"first/1", "first/2", "second/1"},
		}),
		Entry("that has ended, before that is recorded", moment{
			before: cordon, spec: lasting("0s", "0s"), bring: endedUnseen, after: look, starts: []string{"first/1", "second/1"},
		}),
		Entry("that has ended, after that is recorded", moment{
			spec: lasting("0s", "10s"), bring: recorded, starts: []string{"first/1", "second/1"},
		}),
	)
})

// lasting is an order whose two steps take that long.
func lasting(first, second string) func() v1alpha1.WorkOrderSpec {
	return func() v1alpha1.WorkOrderSpec {
		return v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}},
			Steps: []v1alpha1.Step{step("first", "--duration="+first, "--output=done"), step("second", "--duration="+second)},
		}
	}
}

// hanging is an order whose first step does not end by itself the first time.
func hanging() v1alpha1.WorkOrderSpec {
	spec := lasting("0s", "0s")()
	spec.Steps[0].Run.Args = append(spec.Steps[0].Run.Args, "--hang-epochs=1")
	return spec
}

// wanting is an order whose Pods need what is not there yet.
func wanting() v1alpha1.WorkOrderSpec {
	spec := lasting("0s", "0s")()
	spec.Pod = &v1alpha1.PodSettings{Volumes: []v1alpha1.Volume{{
		Name: "wanted", ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "wanted"}},
	}}}
	for i := range spec.Steps {
		spec.Steps[i].Run.VolumeMounts = []corev1.VolumeMount{{Name: "wanted", MountPath: "/wanted"}}
	}
	return spec
}

func cordon(ctx context.Context) {
	GinkgoHelper()
	node := theNode(ctx)
	DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "uncordon", node) })
	kubectl(ctx, "cordon", node)
}

func nodeless(ctx context.Context, l *load) {
	GinkgoHelper()
	for _, order := range l.orders {
		expectStep(ctx, order, "first", HaveField("Error", HaveValue(HaveField("Code", v1alpha1.CodeUnschedulable))))
	}
}

func withNode(ctx context.Context, l *load) {
	GinkgoHelper()
	for _, order := range l.orders {
		expectEpoch(ctx, order, "first", 2)
	}
	kubectl(ctx, "uncordon", theNode(ctx))
}

func bound(ctx context.Context, l *load) {
	GinkgoHelper()
	for _, order := range l.orders {
		expectStep(ctx, order, "first", HaveField("PodName", Not(BeEmpty())))
		pod := podOf(ctx, order, "first")
		Eventually(ctx, func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
			g.Expect(pod.Spec.NodeName).NotTo(BeEmpty())
			g.Expect(pod.Status.ContainerStatuses).To(HaveExactElements(HaveField("State.Waiting", Not(BeNil()))))
		}).Should(Succeed())
	}
}

func given(ctx context.Context, l *load) {
	GinkgoHelper()
	for _, order := range l.orders {
		expectEpoch(ctx, order, "first", 2)
	}
	Expect(cluster.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: "wanted"}})).To(Succeed())
}

func firstRuns(ctx context.Context, l *load) {
	GinkgoHelper()
	for _, order := range l.orders {
		expectRunning(ctx, order, "first")
	}
}

// terminating deletes each Pod a first time, with a kubelet that is frozen and does nothing about it.
func terminating(ctx context.Context, l *load) {
	GinkgoHelper()
	firstRuns(ctx, l)
	freeze("kubelet")
	for _, order := range l.orders {
		Expect(cluster.Delete(ctx, podOf(ctx, order, "first"))).To(Succeed())
		Expect(podOf(ctx, order, "first").DeletionTimestamp).NotTo(BeNil())
	}
}

func thawed(context.Context, *load) {
	GinkgoHelper()
	thaw("kubelet")
}

// endedUnseen lets the Pods run when there is no operator any more.
func endedUnseen(ctx context.Context, l *load) {
	GinkgoHelper()
	nodeless(ctx, l)
	operator.kill()
	kubectl(ctx, "uncordon", theNode(ctx))
	for _, order := range l.orders {
		expectEnded(ctx, podOf(ctx, order, "first"))
	}
}

func look(context.Context, *load) {
	GinkgoHelper()
	operator.start()
}

func recorded(ctx context.Context, l *load) {
	GinkgoHelper()
	for _, order := range l.orders {
		expectRunning(ctx, order, "second")
	}
}
