package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"workorders.dev/operator/hack/cluster/internal/host"
	"workorders.dev/operator/hack/cluster/internal/process"
	"workorders.dev/operator/hack/cluster/internal/screen"
)

// Start is a cluster to bring up.
type Start struct {
	Layout
	Module   string // folder of this program's sources
	Binaries string // folder of Kubernetes' programs
	Screen   *screen.Screen
}

// Up brings the cluster up, or starts again what of it has died. If it fails, then nothing that it has started
// is left running, unless parts of the cluster ran before.
func (s Start) Up(ctx context.Context) error {
	began := time.Now()
	unlock, err := host.Lock(ctx, s.Screen)
	if err != nil {
		return err
	}
	defer unlock()
	found, err := claim(ctx, s.Screen, s.Layout)
	if err != nil {
		return err
	}
	if found == free && host.OtherProxy(ctx) {
		return errors.New("another Kubernetes node runs on this machine (there are rules of a kube-proxy): stop it first, or use it with KUBECONFIG=… make demo")
	}
	dead := deadComponents()
	switch {
	case len(dead) == 0 && nodeReady(ctx, s.Layout) == nil:
		s.Screen.Note("the cluster is already up: KUBECONFIG=%s", s.Kubeconfig())
		return nil
	case len(dead) < len(components):
		if len(dead) > 0 {
			s.Screen.Warn("%s had died and will be started again", strings.Join(dead, ", "))
		}
		err = s.start(ctx)
	default:
		err = s.startFresh(ctx)
	}
	if err != nil {
		return err
	}
	s.Screen.Done(time.Since(began), "the cluster is up: KUBECONFIG=%s", s.Kubeconfig())
	return nil
}

// startFresh starts a cluster of which nothing runs, and leaves nothing half-started.
func (s Start) startFresh(ctx context.Context) error {
	if err := host.CheckPorts(ports); err != nil {
		return err
	}
	err := s.start(ctx)
	if err == nil {
		return nil
	}
	s.Screen.Note("stopping what has been started; the logs stay in %s", s.Logs())
	// Also after an interrupt, which has ended ctx.
	return errors.Join(err, tearDown(context.WithoutCancel(ctx), s.Layout))
}

func deadComponents() []string {
	var dead []string
	for _, c := range components {
		if !c.alive() {
			dead = append(dead, c.name)
		}
	}
	return dead
}

// start starts what does not run, in order.
func (s Start) start(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	phases := []struct {
		name  string
		first []string // components to start together
		then  func(context.Context) error
	}{
		{"container runtime", []string{"containerd"}, func(ctx context.Context) error { return loadPause(ctx, s.Layout, s.Module) }},
		{"control plane", []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}, s.furnish},
		{"node", []string{"kubelet", "kube-proxy"}, s.nodeIsReady},
	}
	for _, phase := range phases {
		shown := s.Screen.Start("starting the %s", phase.name)
		err := s.startAll(ctx, shown, phase.first)
		if err == nil {
			err = phase.then(ctx)
		}
		if err != nil {
			shown.Fail()
			return err
		}
		shown.Done("%s ready", phase.name)
	}
	return nil
}

// prepare makes the files and what the machine must have before the first component starts. Everything in it
// can be done again.
func (s Start) prepare(ctx context.Context) error {
	if err := host.RememberChanges(); err != nil {
		return err
	}
	if err := (host.Owner{State: s.State, Module: s.Module}).Write(); err != nil {
		return err
	}
	for _, dir := range []string{s.Logs(), s.path("pods"), s.path("kubelet", "volume-plugins"), records()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := linkRecords(s.Layout); err != nil {
		return err
	}
	if err := s.writeFiles(); err != nil {
		return err
	}
	if err := host.SetUpNetwork(ctx, apiServerPort); err != nil {
		return err
	}
	if err := host.MakeCgroup(); err != nil {
		return err
	}
	return host.MountVolumes(s.path("volumes"))
}

func (s Start) writeFiles() error {
	if err := makeCertificates(s.Layout); err != nil {
		return err
	}
	if err := writeKubeconfigs(s.Layout); err != nil {
		return err
	}
	if err := writeContainerdConfig(s.Layout); err != nil {
		return err
	}
	if err := writeJSON(s.config("kubelet.json"), kubeletConfig(s.Layout)); err != nil {
		return err
	}
	return writeJSON(s.config("kube-proxy.json"), proxyConfig(s.Layout))
}

// linkRecords shows the processes' records in the state folder.
func linkRecords(l Layout) error {
	err := os.Symlink(records(), l.path("run"))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// startAll starts components one by one: each is ready before the next one needs it.
func (s Start) startAll(ctx context.Context, shown *screen.Phase, names []string) error {
	for _, name := range names {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		shown.Say("starting %s", name)
		c := componentNamed(name)
		var child *process.Child
		child, err := c.start(s.Layout, s.Binaries)
		if err != nil {
			return err
		}
		if err := c.wait(ctx, s.Layout, child); err != nil {
			return err
		}
	}
	return nil
}

// furnish gives the cluster what workloads expect of one.
func (s Start) furnish(ctx context.Context) error {
	return waitFor(ctx, "the API server", func(ctx context.Context) error { return applyStorageClass(ctx, s.Layout) })
}

func (s Start) nodeIsReady(ctx context.Context) error {
	if err := waitFor(ctx, "the node", func(ctx context.Context) error { return nodeReady(ctx, s.Layout) }); err != nil {
		return err
	}
	return waitFor(ctx, "the default service account", func(ctx context.Context) error { return accountReady(ctx, s.Layout) })
}
