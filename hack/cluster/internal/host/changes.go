package host

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Changes is what was so on the machine before the node came, and shall be so again when it has gone.
type Changes struct {
	Sysctls map[string]string `json:"sysctls"` // value by path
	Absent  []string          `json:"absent"`  // folders that were not there
}

// sysctls are what a kubelet sets without asking, and what it takes to forward packets.
var sysctls = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
	// Setting ip_forward also sets these two.
	"net/ipv4/ip_forward", "net/ipv4/conf/*/accept_redirects", "net/ipv4/conf/*/forwarding",
}

// strangeFolders are used by the kubelet, containerd's shims, CNI and mount under fixed names, deepest first.
var strangeFolders = []string{
	"/run/containerd/s", "/run/containerd/fifo", "/run/containerd", "/run/netns", "/run/mount",
	"/var/lib/cni/results", "/var/lib/cni/cache", "/var/lib/cni",
	"/var/lib/kubelet/device-plugins", "/var/lib/kubelet/pki", "/var/lib/kubelet",
	"/var/log/containers", "/var/log/pods", "/var/run/kubernetes",
	"/etc/cni/net.d", "/etc/cni", "/opt/containerd", "/opt/cni",
	Volumes,
}

// Volumes is where Kubernetes' host-path provisioner makes volumes; it has no setting for it.
const Volumes = "/tmp/hostpath_pv"

// RememberChanges notes how the machine is, unless that has been noted since the node came.
func RememberChanges() error {
	if _, err := os.Stat(changesFile()); err == nil {
		return nil
	}
	changes := Changes{Sysctls: map[string]string{}}
	for _, pattern := range sysctls {
		files, _ := filepath.Glob("/proc/sys/" + pattern)
		for _, file := range files {
			if value, err := os.ReadFile(file); err == nil {
				changes.Sysctls[file] = strings.TrimSpace(string(value))
			}
		}
	}
	for _, folder := range strangeFolders {
		if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
			changes.Absent = append(changes.Absent, folder)
		}
	}
	content, err := json.MarshalIndent(changes, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(RunDir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(changesFile(), content, 0o644)
}

// UndoChanges sets back what the node has set, and removes the folders it has left empty.
func UndoChanges() error {
	content, err := os.ReadFile(changesFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var changes Changes
	if err := json.Unmarshal(content, &changes); err != nil {
		return err
	}
	errs := []error{setBack(changes.Sysctls, "/ip_forward")} // first: it overwrites others
	errs = append(errs, setBack(changes.Sysctls, ""))
	for _, folder := range changes.Absent {
		_ = os.Remove(folder) // what is not empty belongs to somebody else
	}
	return errors.Join(errs...)
}

func setBack(values map[string]string, suffix string) error {
	var errs []error
	for file, value := range values {
		now, err := os.ReadFile(file)
		if !strings.HasSuffix(file, suffix) || err != nil || strings.TrimSpace(string(now)) == value {
			continue // an interface may have gone with its settings
		}
		errs = append(errs, os.WriteFile(file, []byte(value), 0o644))
	}
	return errors.Join(errs...)
}

func changesFile() string { return filepath.Join(RunDir, "before.json") }
