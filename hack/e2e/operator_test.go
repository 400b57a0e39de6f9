package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
)

// process is the operator as a process that can be killed and started again.
type process struct {
	binary, probe string
	session       *gexec.Session
}

func newProcess() *process {
	GinkgoHelper()
	binary, err := gexec.Build("workorders.dev/operator")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(gexec.CleanupBuildArtifacts)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer free.Close()
	return &process{binary: binary, probe: free.Addr().String()}
}

// start starts the operator unless it runs, and waits until it is ready.
func (p *process) start() {
	GinkgoHelper()
	if p.session != nil && p.session.ExitCode() < 0 {
		return
	}
	command := exec.Command(p.binary, "--metrics-bind-address=0", "--health-probe-bind-address="+p.probe)
	session, err := gexec.Start(command, GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	p.session = session
	Eventually(func() error {
		reply, err := http.Get(fmt.Sprintf("http://%s/readyz", p.probe))
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		if reply.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %s", reply.Status)
		}
		return nil
	}).Should(Succeed())
}

// kill ends the operator as a power cut would.
func (p *process) kill() {
	GinkgoHelper()
	p.session.Kill()
	Eventually(p.session).Should(gexec.Exit())
}
