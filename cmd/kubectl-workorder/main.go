// Command kubectl-workorder is a kubectl plugin for WorkOrders: kubectl workorder watch, status, events, logs and more.
package main

import (
	"os"

	_ "k8s.io/client-go/plugin/pkg/client/auth" // So that it gets into every cluster that kubectl gets into.

	"workorders.dev/operator/cmd/kubectl-workorder/commands"
)

func main() { os.Exit(commands.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
