package node

import (
	"os"
	"path/filepath"
	"strings"
)

// Components keep some files under fixed names outside our folders, shared with whoever else is on the machine.
const (
	containerLogLinks = "/var/log/containers"
	networkNotes      = "/var/lib/cni/results"
	devicePlugins     = "/var/lib/kubelet/device-plugins"
)

// removeStrays removes what of those files is ours. The folders go later, if they are empty and new.
func removeStrays(l Layout) {
	for _, remove := range []func(Layout) []string{shimSockets, logLinks, notes, deviceFiles} {
		for _, file := range remove(l) {
			os.Remove(file) // a file that stays is in nobody's way
		}
	}
}

// shimSockets are where containerd spoke with the shims; each shim's folder tells which is its own.
func shimSockets(Layout) []string {
	var sockets []string
	for _, file := range glob(runPath("containerd", "io.containerd.runtime.v2.task", "*", "*", "address")) {
		if address, err := os.ReadFile(file); err == nil {
			sockets = append(sockets, strings.TrimPrefix(strings.TrimSpace(string(address)), "unix://"))
		}
	}
	return sockets
}

// logLinks are the kubelet's links into our folder of logs.
func logLinks(l Layout) []string {
	var links []string
	for _, link := range glob(containerLogLinks + "/*.log") {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, l.path("pods")+"/") {
			links = append(links, link)
		}
	}
	return links
}

// notes are what CNI writes down about each of our sandboxes: one about our network, one about its loopback,
// which is called the same with every runtime.
func notes(l Layout) []string {
	var files []string
	for _, sandbox := range glob(l.path("containerd", "io.containerd.grpc.v1.cri", "sandboxes", "*")) {
		files = append(files, glob(filepath.Join(networkNotes, "*-"+filepath.Base(sandbox)+"-*"))...)
	}
	for _, note := range glob(filepath.Join(networkNotes, podNetwork+"-*-eth0")) {
		sandbox := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(note), podNetwork+"-"), "-eth0")
		files = append(files, note, filepath.Join(networkNotes, "cni-loopback-"+sandbox+"-lo"))
	}
	return files
}

// deviceFiles is the kubelet's socket for device plugins; only one kubelet of a machine can have it.
func deviceFiles(Layout) []string {
	return []string{filepath.Join(devicePlugins, "kubelet.sock")}
}

func glob(pattern string) []string {
	files, _ := filepath.Glob(pattern)
	return files
}
