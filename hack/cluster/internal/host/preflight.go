package host

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxState is how long the state folder's path may be: sockets of the kubelet below it have a limit of 107.
const maxState = 70

// needed is what the node takes at first: etcd, images, logs.
const needed = 2 << 30

// CheckMachine says, in a sentence, why the node cannot run here at all; call it before anything is changed.
func CheckMachine(state string) error {
	switch {
	case os.Geteuid() != 0:
		return errors.New("a node needs root: run this with sudo, or use kind or any other cluster with KUBECONFIG=… make demo")
	case !hasCapability(unix.CAP_SYS_ADMIN) || !hasCapability(unix.CAP_NET_ADMIN):
		return errors.New("a node needs the capabilities CAP_SYS_ADMIN and CAP_NET_ADMIN: start this container privileged, or use another machine")
	case len(state) > maxState:
		return fmt.Errorf("the path %s is too long for the sockets in it: use --state with a folder whose path has at most %d characters", state, maxState)
	case strings.ContainsFunc(state, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`,:"\`, r) }):
		return fmt.Errorf("the path %q has characters that containers' mounts do not take: use --state with a plain one", state)
	}
	if name := AddressInUse(); name != "" {
		return fmt.Errorf("the interface %s has an address in %s, which the node uses for itself: remove it, or use another machine", name, wholeRange)
	}
	return enoughSpace(state)
}

// CheckPorts says which of the ports, by what they are for, somebody else listens on.
func CheckPorts(ports map[string]int) error {
	for what, port := range ports {
		if err := checkPort(port); err != nil {
			return fmt.Errorf("port %d is in use, and the cluster needs it for its %s: stop what listens there (ss -ltnp 'sport = :%d' shows it)", port, what, port)
		}
	}
	return nil
}

func checkPort(port int) error {
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
}

// RestrictedOOM is whether processes here cannot be made less likely to be killed when memory runs out, which a
// runtime otherwise insists on.
func RestrictedOOM() bool { return !hasCapability(unix.CAP_SYS_RESOURCE) }

// OverlayWorks is whether containers' file systems below the folder can be layered by the kernel.
func OverlayWorks(folder string) bool {
	base, err := os.MkdirTemp(folder, "overlay-")
	if err != nil {
		return false
	}
	defer os.RemoveAll(base)
	path := func(name string) string { return filepath.Join(base, name) }
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if os.Mkdir(path(name), 0o755) != nil {
			return false
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", path("lower"), path("upper"), path("work"))
	if unix.Mount("overlay", path("merged"), "overlay", 0, options) != nil {
		return false
	}
	return unix.Unmount(path("merged"), 0) == nil
}

func hasCapability(which uint) bool {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, "CapEff:"); found {
			set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			return err == nil && set&(1<<which) != 0
		}
	}
	return false
}

func enoughSpace(state string) error {
	dir := state
	for {
		var disk syscall.Statfs_t
		err := syscall.Statfs(dir, &disk)
		if errors.Is(err, syscall.ENOENT) && dir != "/" {
			dir = filepath.Dir(dir)
			continue
		}
		if free := disk.Bavail * uint64(disk.Bsize); err == nil && free < needed {
			return fmt.Errorf("the node takes %d GiB of disk to start with, and %s has %.1f GiB left: free some space, or use --state with a folder elsewhere", needed>>30, dir, float64(free)/(1<<30))
		}
		return err
	}
}
