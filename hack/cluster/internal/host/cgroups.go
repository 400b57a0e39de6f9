package host

import (
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

	"workorders.dev/operator/hack/cluster/internal/process"
)

// Cgroup is the control group below which the kubelet keeps every Pod.
const Cgroup = "/workorders"

// MakeCgroup makes the kubelet's control group in every hierarchy; a kubelet expects its root to exist.
func MakeCgroup() error {
	hierarchies, unified, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	if len(hierarchies) == 0 {
		return errors.New("no control groups are mounted below /sys/fs/cgroup; mount them, or use another machine")
	}
	if unified {
		if err := delegateControllers(hierarchies[0]); err != nil {
			return err
		}
	}
	for _, hierarchy := range hierarchies {
		dir := hierarchy + Cgroup
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("cannot make a control group; a writable /sys/fs/cgroup is needed: %w", err)
		}
		// A new cpuset of version 1 is empty, and nothing can run in it.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if value, err := os.ReadFile(filepath.Join(hierarchy, file)); err == nil && !unified {
				_ = os.WriteFile(filepath.Join(dir, file), value, 0o644)
			}
		}
	}
	return nil
}

// delegateControllers lets children of the root of a unified hierarchy have limits of their own.
func delegateControllers(root string) error {
	offered, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(offered)) {
		err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
		if err != nil && slices.Contains([]string{"cpu", "memory", "pids"}, controller) {
			return fmt.Errorf("the %s controller cannot be handed down from %s; in a container, start it with a control group namespace of the host: %w", controller, root, err)
		}
	}
	return nil
}

// RemoveCgroup kills what still runs in the kubelet's control group, and removes it.
func RemoveCgroup(ctx context.Context) error {
	hierarchies, _, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		var errs []error
		for _, hierarchy := range hierarchies {
			errs = append(errs, removeTree(ctx, hierarchy+Cgroup))
		}
		// A group stays busy for a moment after its last process has gone.
		if err := errors.Join(errs...); err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func removeTree(ctx context.Context, root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range slices.Backward(dirs) {
		killAll(ctx, dir)
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func killAll(ctx context.Context, dir string) {
	content, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return
	}
	for _, field := range strings.Fields(string(content)) {
		pid, err := strconv.Atoi(field)
		if err != nil || pid <= 0 {
			continue
		}
		if record, err := process.Of("a container's process", pid); err == nil {
			_ = record.Kill(ctx) // what cannot be killed keeps its group busy, which is reported
		}
	}
}

// cgroupHierarchies lists where they are mounted, and whether there is but the unified one of version 2.
func cgroupHierarchies() ([]string, bool, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, false, err
	}
	mounted, unified := parseHierarchies(string(content))
	return mounted, unified, nil
}

func parseHierarchies(mountInfo string) (mounted []string, unified bool) {
	unified = true
	for line := range strings.Lines(mountInfo) {
		before, after, found := strings.Cut(line, " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 5 || len(types) == 0 {
			continue
		}
		point := unescape(fields[4])
		if !strings.HasPrefix(types[0], "cgroup") || !within(point, "/sys/fs/cgroup") {
			continue
		}
		unified = unified && types[0] == "cgroup2"
		if !slices.Contains(mounted, point) {
			mounted = append(mounted, point)
		}
	}
	return mounted, unified && len(mounted) > 0
}
