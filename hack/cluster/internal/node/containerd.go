package node

import (
	"fmt"
	"os"
	"strings"
	"text/template"

	"workorders.dev/operator/hack/cluster/internal/host"
)

// pauseImage is made here, like every image: none comes from a registry.
const pauseImage = "workorders.dev/pause:dev"

// podNetwork is what CNI calls the Pods' network.
const podNetwork = "workorders"

// containerdConfig is for an instance of our own, beside the distribution's. The snapshotters and the folder
// below /opt that are turned off would only leave things behind.
var containerdConfig = template.Must(template.New("containerd").Parse(`version = 2
root = "{{.Root}}"
state = "{{.Run}}/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{{.Socket}}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{{.Pause}}"
  restrict_oom_score_adj = {{.RestrictedOOM}}
  netns_mounts_under_state_dir = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{{.Plugins}}"
  conf_dir = "{{.Networks}}"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "{{.Snapshotter}}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
  Root = "{{.Run}}/runc"
`))

func writeContainerdConfig(l Layout) error {
	snapshotter := "overlayfs"
	if !host.OverlayWorks(l.State) {
		snapshotter = "native" // slower, and takes more room, but works on any file system
	}
	var config strings.Builder
	err := containerdConfig.Execute(&config, object{
		"Root": l.path("containerd"), "Run": runPath(), "Socket": containerdSocket(),
		"Pause": pauseImage, "RestrictedOOM": host.RestrictedOOM(), "Snapshotter": snapshotter,
		"Plugins": host.PluginFolder(), "Networks": l.path("cni", "conf"),
	})
	if err != nil {
		return err
	}
	if err := writeFile(l.config("containerd.toml"), []byte(config.String())); err != nil {
		return err
	}
	if err := os.MkdirAll(l.path("cni", "conf"), 0o755); err != nil {
		return err
	}
	return writeJSON(l.path("cni", "conf", "10-workorders.conflist"), networkConfig(l))
}

// networkConfig links every Pod to the machine on its own, so that packets between Pods pass through the
// machine's rules, which a shared bridge would keep them from.
func networkConfig(l Layout) object {
	return object{
		"cniVersion": "0.4.0",
		"name":       podNetwork,
		"plugins": []object{{
			"type":   "ptp",
			"ipMasq": false, // the node's own rules do that, without iptables
			"ipam": object{
				"type":    "host-local",
				"dataDir": l.path("cni", "addresses"),
				"ranges":  [][]object{{{"subnet": host.PodRange, "gateway": host.PodGateway}}},
				"routes":  []object{{"dst": "0.0.0.0/0"}},
			},
		}},
	}
}

func containerdArgs(l Layout) []string {
	return []string{"--config", l.config("containerd.toml"), "--log-level", "warn"}
}

// ctrArgs are those of containerd's client, for the images and containers that the kubelet sees.
func ctrArgs(args ...string) []string {
	return append([]string{fmt.Sprintf("--address=%s", containerdSocket()), "--namespace=k8s.io"}, args...)
}
