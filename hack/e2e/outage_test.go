package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// clusterRun is where hack/cluster says which process is which component.
const clusterRun = "../../.cluster/run"

var _ = Describe("A component of the cluster, killed with -9 under load", Label("outage"), func() {
	DescribeTable("leaves no order stuck, starts no step twice and loses no result",
		func(ctx SpecContext, component string) {
			if _, err := os.Stat(filepath.Join(clusterRun, component+".json")); err != nil {
				Skip("SKIPPED: " + component + " is not hack/cluster's, so it cannot be started again")
			}
			work := newLoad(ctx, 20)
			work.expectUnderWay(ctx)
			killComponent(component)
			restored, err := exec.Command("go", "-C", "../cluster", "run", ".", "up").CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), string(restored))
			work.expectDone(ctx)
		},
		Entry("kube-apiserver", "kube-apiserver"),
		Entry("etcd", "etcd"),
		Entry("kubelet", "kubelet"),
	)

	It("the operator itself, three times", func(ctx SpecContext) {
		work := newLoad(ctx, 20)
		work.expectUnderWay(ctx)
		for range 3 {
			operator.kill()
			operator.start()
		}
		work.expectDone(ctx)
	})
})

var _ = Describe("A node that is drained", Label("outage"), func() {
	It("interrupts what runs; every step starts again in a new epoch, as the same attempt", func(ctx SpecContext) {
		work := newLoad(ctx, 6)
		work.expectUnderWay(ctx)
		evictAll(ctx, work.namespace)
		work.expectDone(ctx)
		for _, order := range work.orders {
			for _, step := range order.Status.Steps {
				Expect(step.Retries).To(BeZero(), "an eviction was taken for a failure: %+v", step)
			}
		}
	})
})

// load is a number of orders that run at once, and the book of what started.
type load struct {
	namespace string
	book      *ledger
	orders    []*v1alpha1.WorkOrder
}

func newLoad(ctx context.Context, orders int) *load {
	GinkgoHelper()
	work := &load{namespace: newNamespace(ctx, nil)}
	work.book = newLedger(ctx, work.namespace)
	for i := range orders {
		name := fmt.Sprintf("order-%02d", i)
		spec := v1alpha1.WorkOrderSpec{
			Retry: &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}},
			Steps: []v1alpha1.Step{
				step(name+"-a", "--duration=1s", "--output=a"),
				step(name+"-b", "--duration=1s", "--fail-epochs=1", "--output=b"),
				step(name+"-c", "--duration=1s", "--output=c"),
			},
		}
		work.book.keep(&spec)
		work.orders = append(work.orders, submit(ctx, work.namespace, name, spec))
	}
	return work
}

// expectUnderWay waits until steps have started and some have ended.
func (l *load) expectUnderWay(ctx context.Context) {
	GinkgoHelper()
	Eventually(ctx, func() int { return len(l.book.starts()) }).Should(BeNumerically(">", len(l.orders)))
}

// expectDone waits until every order has succeeded, and checks against the book: no attempt started twice, and every
// start is an epoch that the log knows.
func (l *load) expectDone(ctx context.Context) {
	GinkgoHelper()
	for _, order := range l.orders {
		Eventually(ctx, func(g Gomega) v1alpha1.WorkOrderPhase { return reread(ctx, order)(g).Phase }).
			WithTimeout(5 * time.Minute).WithPolling(200 * time.Millisecond).Should(Equal(v1alpha1.WorkOrderSucceeded))
	}
	seen := map[string]bool{}
	for _, start := range l.book.starts() {
		Expect(seen[start]).To(BeFalse(), "%s started twice", start)
		seen[start] = true
	}
	for _, order := range l.orders {
		for _, s := range order.Status.Steps {
			Expect(seen).To(HaveKey(fmt.Sprintf("%s/%d", s.Name, s.Epoch)), "a result of what never started")
		}
	}
}

// killComponent kills a process of hack/cluster, if it still is the one that was recorded.
func killComponent(component string) {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(clusterRun, component+".json"))
	Expect(err).NotTo(HaveOccurred())
	var recorded struct {
		PID int `json:"pid"`
	}
	Expect(json.Unmarshal(content, &recorded)).To(Succeed())
	Expect(syscall.Kill(recorded.PID, syscall.SIGKILL)).To(Succeed())
}

// evictAll evicts every Pod of a namespace, as a drain does.
func evictAll(ctx context.Context, namespace string) {
	GinkgoHelper()
	list := &corev1.PodList{}
	Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	for i := range list.Items {
		pod := &list.Items[i]
		eviction := &policyv1.Eviction{}
		eviction.Namespace, eviction.Name = pod.Namespace, pod.Name
		Expect(client.IgnoreNotFound(retry.RetryOnConflict(retry.DefaultRetry, func() error {
			return cluster.SubResource("eviction").Create(ctx, pod, eviction)
		}))).To(Succeed())
	}
}
