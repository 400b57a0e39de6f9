package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// clusterRun is where hack/cluster says which process is which component.
const clusterRun = "../../.cluster/run"

// ownCluster skips a spec that breaks what it could not mend on a cluster that is not hack/cluster's.
func ownCluster() {
	GinkgoHelper()
	if _, err := os.Stat(filepath.Join(clusterRun, "kubelet.json")); err != nil {
		Skip("SKIPPED: the cluster is not hack/cluster's, so what is killed there cannot be started again")
	}
}

// killComponent ends a component of the cluster as a power cut would. It is started again when the spec ends, at the latest.
func killComponent(component string) {
	GinkgoHelper()
	DeferCleanup(clusterUp)
	signal(component, syscall.SIGKILL)
}

// freeze stops a component until thaw, or until the spec ends.
func freeze(component string) {
	GinkgoHelper()
	DeferCleanup(thaw, component)
	signal(component, syscall.SIGSTOP)
}

func thaw(component string) {
	GinkgoHelper()
	signal(component, syscall.SIGCONT)
}

// signal sends a signal to a component of the cluster, if the process still is the one that was recorded.
func signal(component string, which syscall.Signal) {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(clusterRun, component+".json"))
	Expect(err).NotTo(HaveOccurred())
	var recorded struct {
		PID int `json:"pid"`
	}
	Expect(json.Unmarshal(content, &recorded)).To(Succeed())
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", recorded.PID))
	Expect(err).NotTo(HaveOccurred(), component+" does not run")
	program, _, _ := bytes.Cut(command, []byte{0})
	Expect(filepath.Base(string(program))).To(Equal(component), "its number is another process's")
	Expect(syscall.Kill(recorded.PID, which)).To(Succeed())
}

// clusterUp starts again what was killed, and waits until the node is ready.
func clusterUp(ctx context.Context) {
	GinkgoHelper()
	restored, err := exec.CommandContext(ctx, "go", "-C", "../cluster", "run", ".", "up").CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(restored))
}

// theNode is the name of the one node.
func theNode(ctx context.Context) string {
	GinkgoHelper()
	names := strings.Fields(kubectl(ctx, "get", "nodes", "--output=name"))
	Expect(names).To(HaveLen(1), "drained and deleted is the one node of a cluster for tests, and nothing else")
	return strings.TrimPrefix(names[0], "node/")
}

// kubectl does what a person would type.
func kubectl(ctx context.Context, words ...string) string {
	GinkgoHelper()
	return typed(ctx, "kubectl", words...)
}

// typed does what a person would type, and is what that prints.
func typed(ctx context.Context, program string, words ...string) string {
	GinkgoHelper()
	command := exec.CommandContext(ctx, program, words...)
	command.Env = withKubectl(ctx)
	command.Stderr = GinkgoWriter
	said, err := command.Output()
	Expect(err).NotTo(HaveOccurred(), "%s %s: %s", program, strings.Join(words, " "), said)
	return string(said)
}

// withKubectl is the environment with helm on the path, and kubectl: there is one already, or else it is hack/cluster's.
func withKubectl(ctx context.Context) []string {
	GinkgoHelper()
	bin, err := filepath.Abs("../../bin")
	Expect(err).NotTo(HaveOccurred())
	path := bin + string(os.PathListSeparator) + os.Getenv("PATH")
	if _, err := exec.LookPath("kubectl"); err == nil {
		return append(os.Environ(), "PATH="+path)
	}
	assets, err := exec.CommandContext(ctx, "go", "-C", "../cluster", "run", ".", "assets").Output()
	Expect(err).NotTo(HaveOccurred())
	return append(os.Environ(), "PATH="+path+string(os.PathListSeparator)+strings.TrimSpace(string(assets)))
}
