package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"workorders.dev/operator/hack/cluster/internal/host"
	"workorders.dev/operator/hack/cluster/internal/process"
)

// TestLifecycle brings a real cluster up, uses it, breaks it, and proves that nothing of it stays behind. It
// needs root and a machine whose node nobody has: CLUSTER_TEST=1 go test -run TestLifecycle -v .
func TestLifecycle(t *testing.T) {
	if os.Getenv("CLUSTER_TEST") == "" {
		t.Skip("set CLUSTER_TEST=1 to run a real cluster")
	}
	if owner, err := host.ReadOwner(); err != nil || owner != nil {
		t.Fatalf("this machine's node is in use (%+v, %v); take that cluster down first", owner, err)
	}
	c := newCLI(t)
	c.must("assets") // so that the first `up` below is no build
	before := takeSnapshot()
	t.Cleanup(func() { _ = c.command("down").Run() })

	t.Run("up", func(t *testing.T) { c.in(t).must("up") })
	t.Run("twice", func(t *testing.T) { c.in(t).upAgain() })
	t.Run("workloads", func(t *testing.T) { c.in(t).workloads() })
	t.Run("another checkout", func(t *testing.T) { c.in(t).refusesAnother() })
	for _, names := range [][]string{{"kube-apiserver"}, {"etcd"}, {"kubelet"}, {"containerd"}, {"kube-apiserver", "etcd", "kubelet", "kube-proxy"}, everything} {
		t.Run("killed "+strings.Join(names, " "), func(t *testing.T) { c.in(t).survives(names) })
	}
	t.Run("down", func(t *testing.T) { c.in(t).must("down") })
	t.Run("nothing stays", func(t *testing.T) { before.mustEqual(t, takeSnapshot(), c.state) })
	t.Run("down without a cluster", func(t *testing.T) { c.in(t).must("down") })

	t.Run("deleted checkout", func(t *testing.T) { c.in(t).takesOverDeleted() })
	t.Run("port in use", func(t *testing.T) { c.in(t).refusesPort() })
	t.Run("component that dies", func(t *testing.T) { c.in(t).cleansUpAfterFailure() })
	t.Run("interrupt", func(t *testing.T) { c.in(t).cleansUpAfterInterrupt() })
	t.Run("still nothing stays", func(t *testing.T) { before.mustEqual(t, takeSnapshot(), c.state) })
}

// everything is all the components there are.
var everything = []string{"containerd", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"}

// cli is the built program with a state folder.
type cli struct {
	t       *testing.T
	program string
	state   string
	scratch string
}

func newCLI(t *testing.T) cli {
	scratch := t.TempDir()
	c := cli{t: t, program: filepath.Join(scratch, "cluster"), state: filepath.Join(scratch, "state"), scratch: scratch}
	if output, err := exec.Command("go", "build", "-o", c.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return c
}

func (c cli) in(t *testing.T) cli {
	t.Helper()
	c.t = t
	return c
}

func (c cli) command(args ...string) *exec.Cmd {
	return exec.Command(c.program, append(args, "--state", c.state)...)
}

func (c cli) must(args ...string) string {
	c.t.Helper()
	output, err := c.command(args...).CombinedOutput()
	c.t.Logf("%s\n%s", strings.Join(args, " "), output)
	if err != nil {
		c.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return string(output)
}

// fails expects an exit code, and returns what was said.
func (c cli) fails(code int, args ...string) string {
	c.t.Helper()
	output, err := c.command(args...).CombinedOutput()
	c.t.Logf("%s\n%s", strings.Join(args, " "), output)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		c.t.Fatalf("%s: %v, want exit code %d", strings.Join(args, " "), err, code)
	}
	return string(output)
}

func (c cli) kubectl(stdin string, args ...string) (string, error) {
	assets, err := c.command("assets").Output()
	if err != nil {
		return "", err
	}
	command := exec.Command(filepath.Join(strings.TrimSpace(string(assets)), "kubectl"), append(args, "--cache-dir="+c.scratch)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(c.state, "kubeconfig"))
	command.Stdin = strings.NewReader(stdin)
	output, err := command.CombinedOutput()
	return string(output), err
}

func (c cli) mustKubectl(stdin string, args ...string) string {
	c.t.Helper()
	output, err := c.kubectl(stdin, args...)
	if err != nil {
		c.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return output
}

func (c cli) upAgain() {
	began := time.Now()
	if said := c.must("up"); !strings.Contains(said, "already up") {
		c.t.Errorf("the second up does not say that the cluster is up")
	}
	if took := time.Since(began); took > 2*time.Second {
		c.t.Errorf("the second up took %s", took)
	}
	c.must("status")
}

func (c cli) refusesAnother() {
	other := c
	other.state = filepath.Join(c.scratch, "other")
	if said := other.fails(exitFailed, "up"); !strings.Contains(said, c.state) || !strings.Contains(said, "down --state") {
		c.t.Errorf("it is not said who has the node and how to free it: %s", said)
	}
	other.must("down")
	other.fails(exitNotUp, "status")
	c.must("status")
}

// survives kills components without warning and expects `up` to start them again, with nothing lost.
func (c cli) survives(names []string) {
	for _, name := range names {
		record, err := process.Load(filepath.Join(c.state, "run"), name)
		if err != nil || !record.Alive() {
			c.t.Fatalf("%s does not run: %v", name, err)
		}
		if err := syscall.Kill(record.PID, syscall.SIGKILL); err != nil {
			c.t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	c.fails(exitNotUp, "status")
	said := c.must("up")
	for _, name := range names {
		if len(names) < len(everything) && !strings.Contains(said, name) {
			c.t.Errorf("it is not said that %s was started again", name)
		}
	}
	c.must("status")
	c.mustKubectl("", "get", "pod", "server")
	c.runPod(fmt.Sprintf("after-%d-%s", len(names), names[0]), "true")
}

// takesOverDeleted deletes a state folder under a running cluster.
func (c cli) takesOverDeleted() {
	deleted := c
	deleted.state = filepath.Join(c.scratch, "deleted")
	deleted.must("up")
	for _, entry := range []string{"kubeconfig", "config", "pki", "logs", "etcd"} {
		if err := os.RemoveAll(filepath.Join(deleted.state, entry)); err != nil {
			c.t.Fatal(err)
		}
	}
	c.must("up")
	c.must("status")
	c.must("down")
	deleted.must("down")
}

func (c cli) refusesPort() {
	listener := listen(c.t, "127.0.0.1:12379")
	defer listener.Close()
	if said := c.fails(exitFailed, "up"); !strings.Contains(said, "12379") {
		c.t.Errorf("it is not said which port is in use: %s", said)
	}
}

// cleansUpAfterFailure puts a file where etcd expects a folder.
func (c cli) cleansUpAfterFailure() {
	if err := os.MkdirAll(c.state, 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.state, "etcd"), nil, 0o600); err != nil {
		c.t.Fatal(err)
	}
	said := c.fails(exitFailed, "up")
	if !strings.Contains(said, "etcd ended right after its start") || !strings.Contains(said, filepath.Join(c.state, "logs", "etcd.log")) {
		c.t.Errorf("it is not said what has died and where its log is: %s", said)
	}
	c.must("down")
}

func (c cli) cleansUpAfterInterrupt() {
	command := c.command("up")
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		c.t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	_ = command.Process.Signal(os.Interrupt)
	err := command.Wait()
	c.t.Logf("interrupted: %v\n%s", err, said.String())
	if err == nil {
		c.t.Fatal("it was up before it could be interrupted")
	}
	c.must("down")
}

// phase is how a Pod ended, once it has.
func (c cli) phase(name string) string {
	c.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		var pod struct {
			Status struct{ Phase, Reason string }
		}
		output := c.mustKubectl("", "get", "pod", name, "-o", "json")
		if err := json.Unmarshal([]byte(output), &pod); err != nil {
			c.t.Fatal(err)
		}
		if pod.Status.Phase == "Succeeded" || pod.Status.Phase == "Failed" {
			return fmt.Sprint(pod.Status.Phase, pod.Status.Reason)
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("Pod %s is still %s:\n%s", name, pod.Status.Phase, c.mustKubectl("", "describe", "pod", name))
		}
		time.Sleep(100 * time.Millisecond)
	}
}
