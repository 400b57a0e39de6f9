package reliability

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/node"
)

// site is a cluster to work on: an API server, one node, and one witness of all that happens. None of them goes through
// a proxy.
type site struct {
	config  *rest.Config
	cluster client.Client
	machine *node.Node
	seen    *witness
}

// newEnvironment is an API server with its etcd that has yet to be started.
func newEnvironment() *envtest.Environment {
	environment := &envtest.Environment{CRDDirectoryPaths: []string{"../../config/crd/bases"}, ErrorIfCRDPathMissing: true}
	// A Pod without its ServiceAccount is refused on a cluster of people's; envtest would let it pass.
	environment.ControlPlane.GetAPIServer().Configure().Disable("disable-admission-plugins")
	return environment
}

// newSite puts a node and a witness before an API server, until the context ends.
func newSite(ctx context.Context, config *rest.Config) (*site, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.QPS = -1
	cluster, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	s := &site{config: config, cluster: cluster, machine: node.New(cluster)}
	s.seen, err = watchCluster(ctx, config, scheme, s.machine)
	return s, err
}
