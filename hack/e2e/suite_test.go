// Package e2e tests the operator as people meet it: as a process of its own, on a real node that runs real Pods.
package e2e

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/progress"
)

var (
	cluster  client.WithWatch
	operator *process
)

func TestEndToEnd(t *testing.T) {
	if os.Getenv("KUBECONFIG") == "" {
		if os.Getenv("CI") == "true" && runtime.GOOS == "linux" && os.Geteuid() == 0 {
			t.Fatal("KUBECONFIG is not set: run `make test-e2e`")
		}
		t.Skip("SKIPPED: no cluster to test on; run `make test-e2e`, which brings one up")
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "End to end, on a real node")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	logf.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	scheme := k8sruntime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	config, err := ctrl.GetConfig()
	Expect(err).NotTo(HaveOccurred())
	config.QPS = -1
	cluster, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	installCRDs(ctx)
	operator = newProcess()
	operator.start()
	DeferCleanup(operator.kill)
	finishRetained(ctx)
})

func installCRDs(ctx context.Context) {
	GinkgoHelper()
	config, err := ctrl.GetConfig()
	Expect(err).NotTo(HaveOccurred())
	_, err = envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: []string{"../../config/crd/bases"}, ErrorIfPathMissing: true})
	Expect(err).NotTo(HaveOccurred())
	for _, list := range []client.ObjectList{&v1alpha1.WorkOrderList{}, &v1alpha1.ProgressEventList{}} {
		// It is announced a little before it is served.
		Eventually(ctx, func() error { return cluster.List(ctx, list) }).Should(Succeed())
	}
}

// newNamespace makes a namespace for one spec. At the spec's end every order in it must be the fold of its log, and
// the namespace must go without a rest.
func newNamespace(ctx context.Context, labels map[string]string) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", Labels: labels}}
	Expect(cluster.Create(ctx, namespace)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		expectFolds(ctx, namespace.Name)
		operator.start() // A spec may have left it killed.
		Expect(client.IgnoreNotFound(cluster.Delete(ctx, namespace))).To(Succeed())
		Eventually(ctx, func() error {
			return cluster.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)
		}).WithTimeout(2 * time.Minute).Should(MatchError(ContainSubstring("not found")))
	})
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"}}
	Eventually(ctx, func() error { return cluster.Get(ctx, client.ObjectKeyFromObject(account), account) }).Should(Succeed())
	return namespace.Name
}

// expectFolds checks of every order in a namespace that its log, folded, is its status.
func expectFolds(ctx context.Context, namespace string) {
	GinkgoHelper()
	orders := &v1alpha1.WorkOrderList{}
	Expect(cluster.List(ctx, orders, client.InNamespace(namespace))).To(Succeed())
	for i := range orders.Items {
		order := &orders.Items[i]
		Eventually(ctx, func(g Gomega) { // An order that is still at work moves on between the two reads.
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(order), order)).To(Succeed())
			folded, whole := logOf(ctx, g, order).Fold()
			g.Expect(whole).To(BeTrue())
			g.Expect(folded).To(BeComparableTo(order.Status))
		}).WithTimeout(10 * time.Second).Should(Succeed())
	}
}

// logOf is the chain of an order's events.
func logOf(ctx context.Context, g Gomega, order *v1alpha1.WorkOrder) progress.Chain {
	events := &v1alpha1.ProgressEventList{}
	g.Expect(cluster.List(ctx, events, client.InNamespace(order.Namespace))).To(Succeed())
	chain := progress.Follow(order.UID, order.Status.Head, events.Items)
	g.Expect(chain.Missing).To(BeEmpty())
	return chain
}
