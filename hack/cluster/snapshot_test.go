package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"workorders.dev/operator/hack/cluster/internal/host"
)

// snapshot is how a machine looks, by what is looked at. It leaves out what others on a busy machine change.
type snapshot map[string][]string

func takeSnapshot() snapshot {
	s := snapshot{
		"mounts":      mounts(),
		"interfaces":  interfaces(),
		"routes":      routes(),
		"nftables":    output("nft", "list", "ruleset"),
		"iptables":    output("iptables-save"),
		"groups":      groups(),
		"files":       files(),
		"sysctls":     sysctls(),
		"containerds": processes(),
	}
	for _, lines := range s {
		slices.Sort(lines)
	}
	return s
}

// mustEqual reports every line that one snapshot has and the other has not.
func (s snapshot) mustEqual(t *testing.T, now snapshot, state string) {
	t.Helper()
	lines := 0
	for what, before := range s {
		lines += len(before)
		for _, line := range now[what] {
			if !slices.Contains(before, line) {
				t.Errorf("%s: new: %s", what, line)
			}
		}
		for _, line := range before {
			if !slices.Contains(now[what], line) && !transient(what, line) {
				t.Errorf("%s: gone: %s", what, line)
			}
		}
	}
	if _, err := os.Stat(state); err == nil {
		t.Errorf("%s is still there", state)
	}
	t.Logf("compared %d lines about the machine", lines)
}

// transient is whether a line may go without our doing: somebody else's file or control group.
func transient(what, _ string) bool { return what == "files" || what == "groups" }

func mounts() []string {
	content, _ := os.ReadFile("/proc/self/mounts")
	return strings.Split(string(content), "\n")
}

func interfaces() []string {
	var lines []string
	links, _ := netlink.LinkList()
	for _, link := range links {
		lines = append(lines, link.Attrs().Name)
		addresses, _ := netlink.AddrList(link, netlink.FAMILY_ALL)
		for _, address := range addresses {
			lines = append(lines, address.String())
		}
	}
	return lines
}

func routes() []string {
	var lines []string
	all, _ := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, 0)
	for _, route := range all {
		lines = append(lines, route.String())
	}
	return lines
}

func output(name string, args ...string) []string {
	content, _ := exec.Command(name, args...).Output()
	return strings.Split(string(content), "\n")
}

// groups are the control groups at the top of each hierarchy: below somebody else's is somebody else's.
func groups() []string {
	top, _ := filepath.Glob("/sys/fs/cgroup/*/")
	below, _ := filepath.Glob("/sys/fs/cgroup/*/*/")
	return append(top, below...)
}

// sysctls are those that a node or its parts are known to change.
func sysctls() []string {
	var lines []string
	for _, pattern := range []string{"net/ipv4/*", "net/ipv4/conf/*/*", "net/ipv6/conf/*/forwarding", "vm/overcommit*", "vm/panic*", "kernel/panic*", "kernel/keys/*", "net/netfilter/nf_conntrack_tcp*", "net/netfilter/nf_conntrack_max"} {
		paths, _ := filepath.Glob("/proc/sys/" + pattern)
		for _, path := range paths {
			if content, err := os.ReadFile(path); err == nil {
				lines = append(lines, path+" = "+strings.TrimSpace(string(content)))
			}
		}
	}
	return lines
}

// processes are those that have to do with the node, wherever they came from.
func processes() []string {
	var lines []string
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		content, _ := os.ReadFile(path)
		line := strings.ReplaceAll(string(content), "\x00", " ")
		group, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cgroup"))
		if strings.Contains(line, host.RunDir) || strings.Contains(line, "containerd") || strings.Contains(string(group), host.Cgroup) {
			lines = append(lines, line)
		}
	}
	return lines
}

// others are files that come and go with other programs on a machine.
var others = regexp.MustCompile(`^/tmp/[^/]|^/var/lib/(apt|dpkg|systemd|postgresql|private)(/|$)|^/run/(user|systemd|lock)(/|$)|^/var/log/(journal|apt|postgresql)(/|$)|^/run/workorders-cluster\.lock$`)

// ourTemporary are those that the node's parts would leave in the folder for temporary files.
var ourTemporary = regexp.MustCompile(`^/tmp/(hostpath_pv|containerd|ctd-|cni|kube|image-|overlay-)`)

func files() []string {
	var lines []string
	for _, root := range []string{"/run", "/etc", "/var/lib", "/var/log", "/var/run/", "/tmp", "/opt", "/usr/libexec", "/dev/shm"} {
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil
			case ourTemporary.MatchString(path):
				lines = append(lines, path)
			case others.MatchString(path):
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			default:
				lines = append(lines, path)
			}
			return nil
		})
	}
	return lines
}
