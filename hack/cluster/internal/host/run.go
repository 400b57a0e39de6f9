// Package host is about the machine that the node runs on: what it must have, what the node changes on it,
// and how that is undone.
package host

// RunDir holds what belongs to the one node of this machine: who owns it, its processes, its sockets (whose
// paths must be short) and what has to be undone.
const RunDir = "/run/workorders-cluster"

// Addresses of the node. No interface that leads out of the machine ever has one of them.
const (
	// Bridge is an interface without ports: it holds the node's address, which cannot be a loopback one.
	Bridge = "workorders0"
	// NodeAddress is where the API server and the kubelet listen.
	NodeAddress = "10.213.255.1"
	// PodGateway is the machine's end of every Pod's link.
	PodGateway = "10.213.0.1"
	// PodRange is where Pods get their addresses.
	PodRange = "10.213.0.0/22"
	// ServiceRange is where Services get theirs.
	ServiceRange = "10.213.128.0/20"
	// KubernetesService is the first of them: kubernetes.default.svc.
	KubernetesService = "10.213.128.1"
	// everything that is ours
	wholeRange = "10.213.0.0/16"
)
