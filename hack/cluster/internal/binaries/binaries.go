// Package binaries builds Kubernetes from its published modules, once, and keeps it in the user's cache.
package binaries

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"workorders.dev/operator/hack/cluster/internal/screen"
)

const multiCall = "kubernetes"

// names are the links to the one binary, each a component.
var names = []string{
	"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl",
}

// Ensure returns the folder that holds a link for each component, and builds what they point to if it has to.
func Ensure(ctx context.Context, show *screen.Screen, moduleDir string) (string, error) {
	goMod, err := os.ReadFile(filepath.Join(moduleDir, "go.mod"))
	if err != nil {
		return "", err
	}
	version, err := Version(goMod)
	if err != nil {
		return "", err
	}
	key, err := Key(moduleDir, version)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("the built Kubernetes is kept in your cache folder; set HOME or XDG_CACHE_HOME: %w", err)
	}
	dir := filepath.Join(cache, "workorders", multiCall+"-"+version+"-"+key)
	if complete(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder writable: %w", err)
	}
	unlock, err := lock(ctx, show, filepath.Dir(dir))
	if err != nil {
		return "", err
	}
	defer unlock()
	if complete(dir) { // whoever held the lock has built it
		return dir, nil
	}
	if err := enoughSpace(filepath.Dir(dir)); err != nil {
		return "", err
	}
	return dir, create(ctx, show, moduleDir, dir, version)
}

// create builds in a folder aside and renames it, so that a folder under its final name is whole.
func create(ctx context.Context, show *screen.Screen, moduleDir, dir, version string) error {
	aside, err := os.MkdirTemp(filepath.Dir(dir), ".building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside)
	if err := os.Chmod(aside, 0o755); err != nil {
		return err
	}
	if err := build(ctx, show, moduleDir, filepath.Join(aside, multiCall), version); err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Symlink(multiCall, filepath.Join(aside, name)); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(aside, dir)
}

func complete(dir string) bool {
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// lock makes two builds at once one build: the second waits for the first, and says so.
func lock(ctx context.Context, show *screen.Screen, cache string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(cache, "build.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	held := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(held, unix.EWOULDBLOCK) {
		phase := show.Start("waiting for another build of Kubernetes on this machine")
		if held = waitForLock(ctx, file); held != nil {
			phase.Fail()
		} else {
			phase.Done("another build of Kubernetes has ended")
		}
	}
	if held != nil {
		file.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", file.Name(), held)
	}
	return func() { file.Close() }, nil
}

// waitForLock waits aside, so that an interrupt still ends the program at once.
func waitForLock(ctx context.Context, file *os.File) error {
	held := make(chan error, 1)
	go func() { held <- unix.Flock(int(file.Fd()), unix.LOCK_EX) }()
	select {
	case err := <-held:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
