// Package reliability shows what survives: it breaks the operator, its connection and its cluster on purpose, and checks
// after each case that the laws of docs/design still held. The rows (R1, R2, ...) are those of docs/reliability.
//
// A real kube-apiserver with a real etcd serves all cases. The operator is a process of its own, which can be killed and
// frozen, and talks to the API server through a proxy that makes the faults (package proxy). A simulated node runs the
// Pods and keeps the ledger of what really ran (package node), by which package laws judges.
//
// These environment variables matter:
//
//   - KUBEBUILDER_ASSETS: the folder with etcd and kube-apiserver; `make test-envtest` sets it.
//   - RELIABILITY=full runs every case there is; otherwise a sample of the larger rows is run.
//   - RELIABILITY_SEED draws other random cases; the default is 1, so that two runs are the same.
//   - RELIABILITY_CASE=R1 runs one row, and RELIABILITY_CASE='R1/create pods#3/kill-after' one case, as a failure prints it.
//   - RELIABILITY_REPORT names a file to which a line of JSON is added for each row.
package reliability
