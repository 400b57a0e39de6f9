package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"workorders.dev/operator/hack/cluster/internal/host"
	"workorders.dev/operator/hack/cluster/internal/process"
	"workorders.dev/operator/hack/cluster/internal/screen"
)

// patience is how long a component has to end by itself. Nothing is lost by killing one after that: either the
// data goes too, or it is as safe as after any crash.
const patience = 5 * time.Second

// Down takes the cluster down and removes everything it has made on the machine, its data too.
func Down(ctx context.Context, show *screen.Screen, l Layout) error {
	owner, err := host.ReadOwner()
	if err != nil {
		return err
	}
	if !owner.Has(l.State) && !hasState(l) {
		show.Note("there is no cluster in %s", l.State)
		tellOwner(show, owner)
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("taking a node down needs root: run this with sudo")
	}
	unlock, err := host.Lock(ctx, show)
	if err != nil {
		return err
	}
	defer unlock()
	if owner, err = host.ReadOwner(); err != nil {
		return err
	}
	if !owner.Has(l.State) {
		show.Note("no cluster runs in %s; removing what is left of one", l.State)
		tellOwner(show, owner)
		return removeState(l)
	}
	phase := show.Start("taking the cluster down")
	// An interrupt must not leave half of it.
	err = tearDown(context.WithoutCancel(ctx), l)
	if err == nil {
		err = removeState(l)
	}
	if err != nil {
		phase.Fail()
		return err
	}
	phase.Done("the cluster is down, and nothing of it is left")
	return nil
}

// tellOwner says whose the machine's node is, if it is somebody's.
func tellOwner(show *screen.Screen, owner *host.Owner) {
	if owner != nil {
		show.Note("this machine's node belongs to another cluster: `%s` takes that down", downCommand(owner))
	}
}

// tearDown ends everything that runs and undoes everything outside the state folder. It works just as well on a
// cluster that is half dead.
func tearDown(ctx context.Context, l Layout) error {
	// First those that would start things, or react to things ending.
	errs := []error{stop(ctx, "kubelet", "kube-proxy", "kube-controller-manager", "kube-scheduler", "kube-apiserver")}
	errs = append(errs, host.RemoveCgroup(ctx)) // with every container
	errs = append(errs, stop(ctx, "containerd", "etcd"), stopShims(ctx))
	errs = append(errs, host.UnmountBelow(append(l.ours(), host.RunDir, host.Volumes)...))
	errs = append(errs, host.RemoveCgroup(ctx), host.TearDownNetwork(ctx))
	removeStrays(l)
	errs = append(errs, host.UndoChanges())
	if err := errors.Join(errs...); err != nil {
		return err // and the node stays ours, so that this can be tried again
	}
	return host.Release()
}

// stop ends components, all at the same time.
func stop(ctx context.Context, names ...string) error {
	errs := make([]error, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() {
			record, err := process.Load(records(), name)
			if err == nil {
				err = record.Stop(ctx, patience)
			}
			if err == nil {
				err = process.Forget(records(), name)
			}
			errs[i] = err
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// stopShims ends the processes that containerd leaves behind for each Pod, to hold it while containerd is away.
// They are told from others by the address of our containerd, which each was given.
func stopShims(ctx context.Context) error {
	var errs []error
	shims := process.Find("a container's shim", func(args []string) bool {
		return strings.HasPrefix(filepath.Base(args[0]), "containerd-shim") && slices.Contains(args, containerdSocket())
	})
	for _, shim := range shims {
		errs = append(errs, shim.Kill(ctx))
	}
	return errors.Join(errs...)
}

func hasState(l Layout) bool {
	return slices.ContainsFunc(l.ours(), func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	})
}

// removeState removes what was made in the state folder, and the folder if there is nothing else in it.
func removeState(l Layout) error {
	if err := host.UnmountBelow(l.ours()...); err != nil {
		return err
	}
	for _, path := range l.ours() {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	err := os.Remove(l.State)
	if err == nil || errors.Is(err, fs.ErrNotExist) || hasOther(l.State) {
		return nil
	}
	return err
}

func hasOther(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0
}
