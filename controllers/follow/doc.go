// Package follow follows orders and their logs on a cluster, through lost connections and restarts of the API server. What
// it shows it shows once, in order, and only when it counts: an event is there before the order's head moves on to it, so
// it is shown once a head was read that leads to it. The thinking is in package progress; here are the reads.
package follow
