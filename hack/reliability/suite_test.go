package reliability

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// What the cases share, but for those that say otherwise: one site, and the operator's binary.
var (
	home     *site
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
	for _, failure := range broken { // Once more, at the end, where one looks first.
		head, _, _ := strings.Cut(failure, "\n")
		t.Log(head)
	}
}

var _ = BeforeSuite(func() {
	logf.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	environment := newEnvironment()
	GinkgoT().Setenv("GOGC", "400") // A fifth of the API server's time would go into collecting garbage.
	config, err := environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)

	operator, err = gexec.Build("workorders.dev/operator")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(gexec.CleanupBuildArtifacts)

	ctx, stop := context.WithCancel(context.Background())
	DeferCleanup(stop)
	home, err = newSite(ctx, config)
	Expect(err).NotTo(HaveOccurred())
})

var _ = AfterSuite(func() {
	if home != nil {
		Expect(home.machine.Err()).NotTo(HaveOccurred(), "the simulated node itself went wrong")
	}
})
