// Package proxy stands between an operator and its API server, and makes the trouble that networks and API servers
// make, at the very request that a test chooses.
//
// It tells requests apart (what is asked of which resource), numbers those that change something, and asks a Script
// what is to happen to each: a Fault, or nothing. A fault may keep the request from the API server, lose or forge the
// reply, take its time, and run a function before or after, in which a test kills the operator, freezes it or looks at
// the cluster, at exactly that point.
//
// Watches can be frozen and thawed, cut, told that their version is gone, and robbed of events. A list can be answered
// from an earlier one, as an API server that is behind does.
//
// The proxy speaks plain HTTP to the operator, on the loopback interface, and JSON to the API server, so that it can
// tell one watch event from the next. It can confine the operator to one namespace, by which several operators can
// work on one API server without seeing each other's orders.
package proxy
