package reliability

import (
	"context"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/node"
)

// What all cases share: one API server, one node, one witness of all that happens, and the operator's binary. None of
// them goes through a proxy.
var (
	config   *rest.Config
	cluster  client.Client
	machine  *node.Node
	seen     *witness
	operator string
)

func TestReliability(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("KUBEBUILDER_ASSETS is not set: run `make test-envtest`")
		}
		t.Skip("SKIPPED: no kube-apiserver to test against; run `make test-envtest`, which builds one")
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Reliability, against a real kube-apiserver")
}

var _ = BeforeSuite(func() {
	logf.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())

	environment := &envtest.Environment{CRDDirectoryPaths: []string{"../../config/crd/bases"}, ErrorIfCRDPathMissing: true}
	// A Pod without its ServiceAccount is refused on a cluster of people's; envtest would let it pass.
	environment.ControlPlane.GetAPIServer().Configure().Disable("disable-admission-plugins")
	GinkgoT().Setenv("GOGC", "400") // A fifth of the API server's time would go into collecting garbage.
	var err error
	config, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	config.QPS = -1
	cluster, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	operator, err = gexec.Build("workorders.dev/operator")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(gexec.CleanupBuildArtifacts)

	ctx, stop := context.WithCancel(context.Background())
	DeferCleanup(stop)
	machine = node.New(cluster)
	seen, err = watchCluster(ctx, scheme, machine)
	Expect(err).NotTo(HaveOccurred())
})

var _ = AfterSuite(func() {
	if machine != nil {
		Expect(machine.Err()).NotTo(HaveOccurred(), "the simulated node itself went wrong")
	}
})
