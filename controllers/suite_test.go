package controllers

import (
	"context"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"workorders.dev/operator/api/v1alpha1"
)

// The suite talks to a real kube-apiserver with a real etcd. No controller runs: each spec turns the crank itself, one
// Reconcile at a time, with a clock of its own, and plays the node by writing the Pods' status.
var mgr ctrl.Manager

func TestControllers(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("KUBEBUILDER_ASSETS is not set: run `make test-envtest`")
		}
		t.Skip("SKIPPED: no kube-apiserver to test against; run `make test-envtest`, which builds one")
	}
	RegisterFailHandler(Fail)
	RunSpecs(t, "Controllers, against a real kube-apiserver")
}

var _ = BeforeSuite(func() {
	logf.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())

	environment := &envtest.Environment{CRDDirectoryPaths: []string{"../config/crd/bases"}, ErrorIfCRDPathMissing: true}
	// A Pod without its ServiceAccount is refused on a cluster of people's; envtest would let it pass.
	environment.ControlPlane.GetAPIServer().Configure().Disable("disable-admission-plugins")
	config, err := environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)

	wait := true
	mgr, err = ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Metrics: metricsserver.Options{BindAddress: "0"},
		Client:  client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &wait}},
	})
	Expect(err).NotTo(HaveOccurred())
	ctx, stop := context.WithCancel(context.Background())
	Expect(Index(ctx, mgr)).To(Succeed())
	ended := make(chan error)
	go func() { ended <- mgr.Start(ctx) }()
	DeferCleanup(func() {
		stop()
		Eventually(ended).WithTimeout(30 * time.Second).Should(Receive(Succeed()))
	})
	Expect(mgr.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
})

// newNamespace makes a namespace with the ServiceAccount that Pods need, as no controller manager runs here.
func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(mgr.GetClient().Create(ctx, namespace)).To(Succeed())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"}}
	Expect(mgr.GetClient().Create(ctx, account)).To(Succeed())
	return namespace.Name
}
