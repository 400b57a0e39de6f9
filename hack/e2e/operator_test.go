package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"

	"workorders.dev/operator/hack/freeport"
)

// process is the operator as a process that can be killed and started again.
type process struct {
	binary, probe, metrics string
	session                *gexec.Session
}

func newProcess() *process {
	GinkgoHelper()
	binary, err := gexec.Build("workorders.dev/operator")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(gexec.CleanupBuildArtifacts)
	p := &process{binary: binary}
	for _, address := range []*string{&p.probe, &p.metrics} {
		port, err := freeport.Next()
		Expect(err).NotTo(HaveOccurred())
		*address = fmt.Sprintf("127.0.0.1:%d", port)
	}
	return p
}

// start starts the operator unless it runs, with those flags besides, and waits until it is ready.
func (p *process) start(flags ...string) {
	GinkgoHelper()
	if p.session != nil && p.session.ExitCode() < 0 {
		return
	}
	command := exec.Command(p.binary, append(flags, "--metrics-bind-address="+p.metrics, "--health-probe-bind-address="+p.probe)...)
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

// expectUp checks that the operator is still the process that was started last.
func (p *process) expectUp() {
	GinkgoHelper()
	Expect(p.session.ExitCode()).To(BeNumerically("<", 0), "the operator has ended by itself")
}

// Metrics of the operator, and labels of theirs.
const (
	requestsMetric = "rest_client_requests_total"
	turnsMetric    = "controller_runtime_reconcile_total"
	reading        = `method="GET"`
	ofOrders       = `controller="workorder"`
)

// writes is how many requests other than reads this process has sent to the API server.
func (p *process) writes(g Gomega) int {
	return p.counted(g, requestsMetric, "") - p.counted(g, requestsMetric, reading)
}

// counted is a metric of this process, summed up over all series that have a label.
func (p *process) counted(g Gomega, metric, label string) (sum int) {
	reply, err := http.Get(fmt.Sprintf("http://%s/metrics", p.metrics))
	g.Expect(err).NotTo(HaveOccurred())
	defer reply.Body.Close()
	g.Expect(reply.StatusCode).To(Equal(http.StatusOK))
	content, err := io.ReadAll(reply.Body)
	g.Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(content)) {
		series, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if found && strings.HasPrefix(series, metric+"{") && strings.Contains(series, label) {
			n, err := strconv.Atoi(value)
			g.Expect(err).NotTo(HaveOccurred())
			sum += n
		}
	}
	return sum
}
