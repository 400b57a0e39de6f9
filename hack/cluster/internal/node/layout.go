// Package node is the cluster itself: its certificates, its components and their order, and how it is brought
// up, looked at and taken down.
package node

import (
	"path/filepath"

	"workorders.dev/operator/hack/cluster/internal/host"
)

// Name is what the one node is called.
const Name = "workorders"

// Ports are below those that the kernel hands out, so that control planes for tests, which take any port they
// are given, never meet them.
const (
	apiServerPort         = 16443
	etcdPort              = 12379
	etcdPeerPort          = 12380
	kubeletPort           = 20250
	kubeletHealthPort     = 20248
	proxyMetricsPort      = 20249
	proxyHealthPort       = 20256
	controllerManagerPort = 20257
	schedulerPort         = 20259
)

// ports by what they are for, as a person would say it.
var ports = map[string]int{
	"API server":              apiServerPort,
	"etcd":                    etcdPort,
	"etcd (peers)":            etcdPeerPort,
	"kubelet":                 kubeletPort,
	"kubelet (health)":        kubeletHealthPort,
	"kube-proxy (metrics)":    proxyMetricsPort,
	"kube-proxy (health)":     proxyHealthPort,
	"kube-controller-manager": controllerManagerPort,
	"kube-scheduler":          schedulerPort,
}

// Layout is where the files of a cluster are. Sockets and processes' records are in host.RunDir, and are gone
// after a reboot, as they should be.
type Layout struct {
	State string // the state folder
}

// Kubeconfig is the file for people and programs on this machine.
func (l Layout) Kubeconfig() string { return l.path("kubeconfig") }

// Logs is the folder with a log per component.
func (l Layout) Logs() string { return l.path("logs") }

func (l Layout) path(parts ...string) string {
	return filepath.Join(append([]string{l.State}, parts...)...)
}

func (l Layout) log(component string) string { return l.path("logs", component+".log") }

// pki is the path of a certificate (.crt) or key (.key).
func (l Layout) pki(file string) string { return l.path("pki", file) }

// config is the path of a component's configuration or kubeconfig.
func (l Layout) config(file string) string { return l.path("config", file) }

// inState are all the things that are made in the state folder, and all that is removed from it.
var inState = []string{
	"kubeconfig", "config", "pki", "run", "logs", "etcd", "containerd", "kubelet", "pods", "cni", "volumes",
}

// ours are the paths of inState. The state folder itself may be somebody's mount.
func (l Layout) ours() []string {
	var paths []string
	for _, name := range inState {
		paths = append(paths, l.path(name))
	}
	return paths
}

func runPath(parts ...string) string {
	return filepath.Join(append([]string{host.RunDir}, parts...)...)
}

// records is the folder of the processes' records; .cluster/run is a link to it.
func records() string { return runPath("run") }

func containerdSocket() string { return runPath("containerd.sock") }
