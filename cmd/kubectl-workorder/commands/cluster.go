package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
	"workorders.dev/operator/controllers/plan"
)

// tool is what the commands have in common: where they read and write, and the way into the cluster.
type tool struct {
	genericiooptions.IOStreams
	flags *genericclioptions.ConfigFlags
}

// cluster is the way into a cluster, and the namespace that is meant.
type cluster struct {
	client.WithWatch
	config    *rest.Config
	namespace string
}

// newCluster is the cluster that the flags and the kubeconfig name. Nothing is asked of it yet.
func (t *tool) newCluster() (*cluster, error) {
	config, err := t.flags.ToRESTConfig()
	if err != nil {
		return nil, explained(err)
	}
	raw, err := t.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, explained(err)
	}
	if len(raw.Clusters) == 0 && *t.flags.APIServer == "" && config.BearerTokenFile == "" { // Nor is this a Pod.
		return nil, errUnconfigured
	}
	namespace, _, err := t.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, explained(err)
	}
	config = rest.CopyConfig(config)
	config.UserAgent, config.QPS = "kubectl-workorder", -1
	config.WarningHandlerWithContext = warnings{t.ErrOut}
	scheme := runtime.NewScheme()
	must(clientgoscheme.AddToScheme(scheme))
	must(v1alpha1.AddToScheme(scheme))
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: mapper()})
	if err != nil {
		return nil, explained(err)
	}
	return &cluster{WithWatch: c, config: config, namespace: namespace}, nil
}

// mapper knows all kinds that are asked for, so that no cluster needs to be asked which there are.
func mapper() meta.RESTMapper {
	known := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"WorkOrder", "ProgressEvent"} {
		known.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	known.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	known.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	return known
}

// open reads an order of the cluster that is meant.
func (t *tool) open(ctx context.Context, name string) (*cluster, *v1alpha1.WorkOrder, error) {
	c, err := t.newCluster()
	if err != nil {
		return nil, nil, err
	}
	order, err := c.order(ctx, name)
	return c, order, err
}

// order reads an order; if there is none of that name, the error names the one that is most like it.
func (c *cluster) order(ctx context.Context, name string) (*v1alpha1.WorkOrder, error) {
	order := &v1alpha1.WorkOrder{}
	err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, order)
	switch {
	case err == nil:
		return order, nil
	case !apierrors.IsNotFound(err) || notServed(err):
		return nil, explained(err)
	}
	others := &v1alpha1.WorkOrderList{}
	_ = c.List(ctx, others, client.InNamespace(c.namespace)) // Who may not list them gets no hint.
	var names []string
	for i := range others.Items {
		names = append(names, others.Items[i].Name)
	}
	hint := plan.Nearest(name, names)
	if hint == "" {
		hint = ": kubectl workorder list shows which there are, and -A those of all namespaces"
	}
	return nil, fmt.Errorf("there is no work order %q in namespace %s%s", timeline.Safe(name), c.namespace, hint)
}

// warnings are those of the API server, and of its webhooks.
type warnings struct{ out io.Writer }

// HandleWarningHeaderWithContext prints a warning. 299 is the code of all that are meant for people.
func (w warnings) HandleWarningHeaderWithContext(_ context.Context, code int, _, text string) {
	if code == 299 && text != "" {
		fmt.Fprintf(w.out, "warning: %s\n", timeline.Line(text))
	}
}

var errUnconfigured = errors.New("no cluster is configured: set KUBECONFIG, or name a file with --kubeconfig")

// notServed says whether a cluster does not know a kind at all.
func notServed(err error) bool {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || !apierrors.IsNotFound(err) {
		return meta.IsNoMatchError(err)
	}
	details := status.Status().Details
	return details == nil || details.Name == "" || apierrors.IsUnexpectedServerError(err)
}

// denied is how an API server says which right is missing.
var denied = regexp.MustCompile(` cannot ([a-z]+) resource "([^"]+)"`)

// explained is an error as a sentence that says what to do.
func explained(err error) error {
	var unreachable *net.OpError
	switch {
	case err == nil:
		return nil
	case clientcmd.IsEmptyConfig(err) || errors.Is(err, genericclioptions.ErrEmptyConfig):
		return errUnconfigured
	case notServed(err):
		return errors.New("this cluster does not know work orders: install the operator (kubectl apply -k config/default in a clone of its repository), or choose another cluster with --context")
	case apierrors.IsForbidden(err) && denied.MatchString(err.Error()): // Quotas and the like forbid things too.
		right := denied.FindStringSubmatch(err.Error())
		return fmt.Errorf("you may not %s %s here: ask for a role that allows it, and see kubectl auth can-i --list (%s)", right[1], right[2], timeline.Line(err.Error()))
	case apierrors.IsUnauthorized(err):
		return errors.New("the cluster does not know you: log in again, or choose another user with --context or --user")
	case errors.As(err, &unreachable):
		return fmt.Errorf("the cluster does not answer: start it, or choose another one with --context (%s)", timeline.Line(unreachable.Error()))
	}
	return errors.New(timeline.Line(err.Error()))
}
