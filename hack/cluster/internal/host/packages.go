package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"workorders.dev/operator/hack/cluster/internal/screen"
)

// systemPath also finds what lives in folders that are not on an ordinary user's PATH.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// pluginFolders are where distributions put CNI's plugins.
var pluginFolders = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// programs the node needs, and the Debian packages they come in.
var programs = []struct{ name, debian string }{
	{"containerd", "containerd"},
	{"containerd-shim-runc-v2", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"nft", "nftables"},
	{"mount", "mount"},
}

// FindProgram returns the path of a program, or nothing.
func FindProgram(name string) string {
	for _, dir := range filepath.SplitList(Path()) {
		candidate := filepath.Join(dir, name)
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return candidate
		}
	}
	return ""
}

// Path is the PATH that the node's programs get.
func Path() string {
	return systemPath + string(filepath.ListSeparator) + os.Getenv("PATH")
}

// PluginFolder is where this machine's CNI plugins are, or nothing.
func PluginFolder() string {
	for _, dir := range pluginFolders {
		complete := true
		for _, plugin := range []string{"ptp", "host-local", "loopback"} {
			if _, err := os.Stat(filepath.Join(dir, plugin)); err != nil {
				complete = false
			}
		}
		if complete {
			return dir
		}
	}
	return ""
}

// InstallPackages gets from Debian what is missing, and elsewhere says what that is.
func InstallPackages(ctx context.Context, show *screen.Screen) error {
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	list := strings.Join(missing, " ")
	if !isDebian() || os.Geteuid() != 0 || FindProgram("apt-get") == "" {
		return fmt.Errorf("the node needs what Debian calls %s: install it (apt-get install %s, or what your system calls it), or use kind or any other cluster with KUBECONFIG=… make demo", list, list)
	}
	phase := show.Start("installing %s", list)
	for _, args := range [][]string{
		{"update"},
		append([]string{"install", "-y", "--no-install-recommends"}, missing...),
	} {
		command := exec.CommandContext(ctx, "apt-get", args...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := command.CombinedOutput(); err != nil {
			phase.Fail()
			return fmt.Errorf("apt-get %s failed; install %s by hand: %w\n%s", args[0], list, err, lastLines(string(output), 10))
		}
	}
	if still := missingPackages(); len(still) > 0 {
		phase.Fail()
		return fmt.Errorf("%s is installed, but its programs are not found; look whether they are on the PATH", strings.Join(still, " "))
	}
	phase.Done("installed %s", list)
	return nil
}

func missingPackages() []string {
	var missing []string
	for _, program := range programs {
		if FindProgram(program.name) == "" {
			missing = append(missing, program.debian)
		}
	}
	if PluginFolder() == "" {
		missing = append(missing, "containernetworking-plugins")
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// isDebian also holds for its descendants, which have the same packages.
func isDebian() bool {
	content, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if (key == "ID" || key == "ID_LIKE") && slices.Contains(strings.Fields(strings.Trim(value, `"`)), "debian") {
			return true
		}
	}
	return false
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
