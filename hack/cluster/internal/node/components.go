package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"workorders.dev/operator/hack/cluster/internal/host"
	"workorders.dev/operator/hack/cluster/internal/process"
)

// startLimit is how long a component may take to be ready on a slow, busy machine.
const startLimit = 3 * time.Minute

// longestLog is when a component's log is put aside at its next start.
const longestLog = 64 << 20

// component is one of the node's processes.
type component struct {
	name    string
	system  bool // from the machine's packages; otherwise built here
	address string
	args    func(Layout) []string
	env     func() []string
	ready   func(context.Context, Layout) error
}

// components in the order of their start: each needs only those before it.
var components = []component{
	{name: "containerd", system: true, address: containerdSocket(), args: containerdArgs, ready: containerdReady},
	{name: "etcd", address: loopback(etcdPort), args: etcdArgs, ready: etcdReady},
	{name: "kube-apiserver", address: loopback(apiServerPort), args: apiServerArgs, env: apiServerEnv, ready: apiServerReady},
	{name: "kube-controller-manager", address: loopback(controllerManagerPort), args: controllerManagerArgs, ready: healthy("https", controllerManagerPort)},
	{name: "kube-scheduler", address: loopback(schedulerPort), args: schedulerArgs, ready: healthy("https", schedulerPort)},
	{name: "kubelet", address: fmt.Sprintf("%s:%d", host.NodeAddress, kubeletPort), args: kubeletArgs, ready: healthy("http", kubeletHealthPort)},
	{name: "kube-proxy", address: loopback(proxyHealthPort), args: proxyArgs, ready: healthy("http", proxyHealthPort)},
}

func componentNamed(name string) component {
	return components[slices.IndexFunc(components, func(c component) bool { return c.name == name })]
}

func (c component) record() (process.Record, error) { return process.Load(records(), c.name) }

func (c component) alive() bool {
	record, err := c.record()
	return err == nil && record.Alive()
}

// start starts the component if it does not run. The returned child is nil if it ran already.
func (c component) start(l Layout, binaries string) (*process.Child, error) {
	if c.alive() {
		return nil, nil
	}
	path := filepath.Join(binaries, c.name)
	if c.system {
		path = host.FindProgram(c.name)
	}
	env := []string{"PATH=" + host.Path(), "HOME=/root", "TMPDIR=/tmp"}
	if c.env != nil {
		env = append(env, c.env()...)
	}
	if info, err := os.Stat(l.log(c.name)); err == nil && info.Size() > longestLog {
		if err := os.Rename(l.log(c.name), l.log(c.name)+".old"); err != nil {
			return nil, err
		}
	}
	child, err := process.Start(process.Spec{Name: c.name, Path: path, Args: c.args(l), Env: env}, l.log(c.name))
	if err != nil {
		return nil, err
	}
	return child, child.Save(records())
}

// wait waits until the component is ready, or has ended, or takes too long.
func (c component) wait(ctx context.Context, l Layout, child *process.Child) error {
	if child == nil {
		return waitFor(ctx, c.name, func(ctx context.Context) error { return c.ready(ctx, l) })
	}
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-child.Ended():
			cancel(errEnded)
		case <-watched.Done():
		}
	}()
	err := waitFor(watched, c.name, func(ctx context.Context) error { return c.ready(ctx, l) })
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(context.Cause(watched), errEnded):
		err = fmt.Errorf("%s ended right after its start", c.name)
	}
	return fmt.Errorf("%w; its log, %s, ends with:\n%s", err, l.log(c.name), tail(l.log(c.name), 15))
}

var errEnded = errors.New("the process has ended")

// waitFor asks until the answer is good.
func waitFor(ctx context.Context, what string, ask func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := ask(limited)
		if err == nil {
			return nil
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%s is not ready after %s (%w)", what, startLimit, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// apiServerEnv keeps the API server's garbage within a quarter of the machine's memory, and within 2 GiB.
func apiServerEnv() []string {
	limit := uint64(2 << 30)
	if total := totalMemory(); total > 0 {
		limit = min(limit, total/4)
	}
	return []string{"GOMEMLIMIT=" + strconv.FormatUint(limit, 10)}
}

func totalMemory() uint64 {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(content)) // MemTotal: 123 kB
	if len(fields) < 2 {
		return 0
	}
	kilobytes, _ := strconv.ParseUint(fields[1], 10, 64)
	return kilobytes << 10
}

// tail is the end of a log, with very long lines cut.
func tail(path string, count int) string {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	lines = lines[max(0, len(lines)-count):]
	for i, line := range lines {
		if len(line) > 400 {
			lines[i] = append(line[:400:400], "…"...)
		}
	}
	return string(bytes.Join(lines, []byte("\n")))
}
