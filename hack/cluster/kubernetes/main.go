// Command kubernetes is a whole Kubernetes in one executable: which component it is depends on the name
// it is called by, so one file with a few links to it serves a node as well as envtest.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// components are the programs in here, by the name of the link that starts them.
var components = map[string]func() int{
	"etcd":                    etcd,
	"kube-apiserver":          apiServer,
	"kube-controller-manager": controllerManager,
	"kube-scheduler":          scheduler,
	"kube-proxy":              proxy,
	"kubelet":                 kubelet,
	"kubectl":                 kubectl,
}

func main() {
	name := filepath.Base(os.Args[0])
	run, known := components[name]
	if !known {
		names := slices.Sorted(maps.Keys(components))
		fmt.Fprintf(os.Stderr, "Call this by a link named after what it should be: %s.\n", strings.Join(names, ", "))
		os.Exit(1)
	}
	os.Exit(run())
}
