// Package node plays the part of a cluster that runs Pods: it is the scheduler, which binds a Pod to a node unless a
// gate holds it back, and the kubelet, which starts its container, ends it, reports that, and heeds deadlines and
// deletions. It writes every start and every end into a ledger before anybody can hear of it, which makes the ledger
// the oracle for what ran: nothing of the operator is between it and the node.
//
// What a container does is in its arguments, as with the simulated step of hack/step: --duration, --output,
// --fail-epochs, --exit-code, and --evict-epochs, in which the Pod is evicted. All take milliseconds if they say so. With
// --fill=4096 its last words are made as long as that, and with --hold=unbound, bound or running the Pod of the first
// epoch stays in that phase until somebody deletes it.
package node
