package node

import (
	"net"
	"os"
	"strings"

	"workorders.dev/operator/hack/cluster/internal/host"
)

// maxPods is more than a kubelet's 110: steps are small.
const maxPods = 250

func kubeletArgs(l Layout) []string {
	return []string{
		"--config=" + l.config("kubelet.json"),
		"--kubeconfig=" + l.config("kubelet.kubeconfig"),
		"--hostname-override=" + Name,
		"--node-ip=" + host.NodeAddress,
		"--root-dir=" + l.path("kubelet"),
		"--cert-dir=" + l.path("kubelet", "pki"),
	}
}

// kubeletConfig keeps the kubelet off the machine as far as it can be told to. Images are never collected, nor
// Pods evicted for want of disk, because an image that came from no registry could not be had again.
func kubeletConfig(l Layout) object {
	return object{
		"apiVersion":         "kubelet.config.k8s.io/v1beta1",
		"kind":               "KubeletConfiguration",
		"address":            host.NodeAddress,
		"port":               kubeletPort,
		"readOnlyPort":       0,
		"healthzBindAddress": "127.0.0.1",
		"healthzPort":        kubeletHealthPort,
		"tlsCertFile":        l.pki("kubelet-server.crt"),
		"tlsPrivateKeyFile":  l.pki("kubelet-server.key"),
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": l.pki("ca.crt")},
		},
		"authorization":               object{"mode": "Webhook"},
		"containerRuntimeEndpoint":    "unix://" + containerdSocket(),
		"cgroupDriver":                "cgroupfs",
		"cgroupRoot":                  host.Cgroup,
		"failCgroupV1":                false,
		"failSwapOn":                  false,
		"oomScoreAdj":                 0,
		"maxPods":                     maxPods,
		"podLogsDir":                  l.path("pods"),
		"volumePluginDir":             l.path("kubelet", "volume-plugins"),
		"makeIPTablesUtilChains":      false,
		"clusterDomain":               "cluster.local",
		"clusterDNS":                  nameServers(),
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,
		"evictionHard": object{
			"memory.available": "100Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%", "imagefs.inodesFree": "0%",
		},
	}
}

// nameServers are the machine's: the cluster has none of its own, and a kubelet without any complains about it
// at every Pod.
func nameServers() []string {
	for _, file := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if servers := parseNameServers(string(content)); len(servers) > 0 {
			return servers
		}
	}
	return []string{}
}

// parseNameServers leaves out those that only this machine itself can reach.
func parseNameServers(resolvConf string) []string {
	var servers []string
	for line := range strings.Lines(resolvConf) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if ip := net.ParseIP(fields[1]); ip != nil && ip.To4() != nil && !ip.IsLoopback() && len(servers) < 3 {
			servers = append(servers, fields[1])
		}
	}
	return servers
}

func proxyArgs(l Layout) []string {
	return []string{"--config=" + l.config("kube-proxy.json")}
}

// proxyConfig leaves the machine's connection tracking as it is.
func proxyConfig(l Layout) object {
	return object{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"mode":               "nftables",
		"hostnameOverride":   Name,
		"bindAddress":        host.NodeAddress,
		"healthzBindAddress": loopback(proxyHealthPort),
		"metricsBindAddress": loopback(proxyMetricsPort),
		"clientConnection":   object{"kubeconfig": l.config("kube-proxy.kubeconfig")},
		"clusterCIDR":        host.PodRange,
		"detectLocalMode":    "ClusterCIDR",
		"nodePortAddresses":  []string{host.NodeAddress + "/32"},
		"oomScoreAdj":        0,
		"conntrack": object{
			"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
		},
	}
}
