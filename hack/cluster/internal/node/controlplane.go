package node

import (
	"fmt"
	"path/filepath"

	"workorders.dev/operator/hack/cluster/internal/host"
)

func etcdArgs(l Layout) []string {
	client := fmt.Sprintf("https://127.0.0.1:%d", etcdPort)
	peer := fmt.Sprintf("https://127.0.0.1:%d", etcdPeerPort)
	return []string{
		"--name=" + Name,
		"--data-dir=" + l.path("etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=" + Name + "=" + peer,
		"--client-cert-auth=true",
		"--trusted-ca-file=" + l.pki("etcd-ca.crt"),
		"--cert-file=" + l.pki("etcd.crt"),
		"--key-file=" + l.pki("etcd.key"),
		"--peer-client-cert-auth=true",
		"--peer-trusted-ca-file=" + l.pki("etcd-ca.crt"),
		"--peer-cert-file=" + l.pki("etcd.crt"),
		"--peer-key-file=" + l.pki("etcd.key"),
		// Killed processes lose nothing by it; only a machine that loses its power would.
		"--unsafe-no-fsync=true",
		"--quota-backend-bytes=4294967296",
		"--auto-compaction-mode=periodic",
		"--auto-compaction-retention=5m",
		"--log-level=warn",
	}
}

func apiServerArgs(l Layout) []string {
	return []string{
		"--bind-address=" + host.NodeAddress,
		"--advertise-address=" + host.NodeAddress,
		fmt.Sprintf("--secure-port=%d", apiServerPort),
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", etcdPort),
		"--etcd-cafile=" + l.pki("etcd-ca.crt"),
		"--etcd-certfile=" + l.pki("etcd-client.crt"),
		"--etcd-keyfile=" + l.pki("etcd-client.key"),
		"--client-ca-file=" + l.pki("ca.crt"),
		"--tls-cert-file=" + l.pki("kube-apiserver.crt"),
		"--tls-private-key-file=" + l.pki("kube-apiserver.key"),
		"--cert-dir=" + l.path("pki"),
		"--kubelet-certificate-authority=" + l.pki("ca.crt"),
		"--kubelet-client-certificate=" + l.pki("kubelet-client.crt"),
		"--kubelet-client-key=" + l.pki("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + host.ServiceRange,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + l.pki("service-accounts.pub"),
		"--service-account-signing-key-file=" + l.pki("service-accounts.key"),
		"--requestheader-client-ca-file=" + l.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + l.pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + l.pki("front-proxy-client.key"),
	}
}

func controllerManagerArgs(l Layout) []string {
	return append(leaderArgs(l, "kube-controller-manager", controllerManagerPort),
		"--controllers=*,-node-ipam-controller,-node-route-controller",
		"--use-service-account-credentials=true",
		"--root-ca-file="+l.pki("ca.crt"),
		"--service-account-private-key-file="+l.pki("service-accounts.key"),
		"--cluster-signing-cert-file="+l.pki("ca.crt"),
		"--cluster-signing-key-file="+l.pki("ca.key"),
		"--service-cluster-ip-range="+host.ServiceRange,
		"--enable-hostpath-provisioner=true",
		"--flex-volume-plugin-dir="+l.path("kubelet", "volume-plugins"),
	)
}

func schedulerArgs(l Layout) []string {
	return leaderArgs(l, "kube-scheduler", schedulerPort)
}

// leaderArgs are what the controller manager and the scheduler have in common. Each is the only one, so none
// has to be elected. Their default rates are for clusters with many nodes that share an API server.
func leaderArgs(l Layout, component string, port int) []string {
	kubeconfig := l.config(component + ".kubeconfig")
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--cert-dir=" + filepath.Join(l.path("config"), component),
		"--leader-elect=false",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	}
}
