// Package monitoring tests the alerts and the dashboard that are shipped in config, with Prometheus's own parser and engine. It is a
// module of its own, as Prometheus is large.
package monitoring
