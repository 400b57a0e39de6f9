package follow

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
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"workorders.dev/operator/api/v1alpha1"
)

// The suite reads a real kube-apiserver, through a proxy that disturbs. No operator runs: the specs write the logs.
var (
	config  *rest.Config
	cluster client.WithWatch
	// restart stops the API server, and starts it again.
	restart func()
)

func TestFollow(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("KUBEBUILDER_ASSETS is not set: run `make test-envtest`")
		}
		t.Skip("SKIPPED: no kube-apiserver to test against; run `make test-envtest`, which builds one")
	}
	RegisterFailHandler(Fail)
	RunSpecs(t, "Follow, against a real kube-apiserver")
}

var _ = BeforeSuite(func() {
	environment := &envtest.Environment{CRDDirectoryPaths: []string{"../../config/crd/bases"}, ErrorIfCRDPathMissing: true}
	environment.ControlPlaneStopTimeout = time.Minute
	server := environment.ControlPlane.GetAPIServer()
	// It waits that long for those who watch before it stops, a minute unless it is told otherwise.
	server.Configure().Set("request-timeout", "10s")
	server.CertDir = GinkgoT().TempDir() // Kept while it is stopped.
	var err error
	config, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	config.QPS = -1
	cluster = connect(config)
	restart = func() {
		GinkgoHelper()
		Expect(server.Stop()).To(Succeed())
		Expect(server.Start()).To(Succeed())
	}
})

func connect(config *rest.Config) client.WithWatch {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(cluster.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}
