package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
	"workorders.dev/operator/controllers/plan"
)

// running are the flags of run.
type running struct {
	watching
	file   string
	params []string
	watch  bool
}

func (t *tool) run() *cobra.Command {
	r := &running{}
	command := &cobra.Command{
		Use:   "run -f FILE",
		Short: "Create an order, and watch it if asked to",
		Long: `Create an order from a file, with other params if asked to, and watch it to its end if asked to.

Use metadata.generateName to run the same file again and again. The exit code is that of watch.`,
		Example: `  kubectl workorder run -f release.yaml --param version=1.4.2 --watch`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := errors.Join(checkOutput(r.output, "json"), checkTimeout(r.timeout)); err != nil {
				return err
			}
			order, err := t.orderToRun(r)
			if err != nil {
				return err
			}
			c, err := t.newCluster()
			if err != nil {
				return err
			}
			if given := *t.flags.Namespace; given != "" && order.Namespace != "" && given != order.Namespace {
				return usagef("the file says namespace %s, and -n says %s: leave one of them out", timeline.Safe(order.Namespace), timeline.Safe(given))
			}
			c.namespace = cmp.Or(order.Namespace, c.namespace)
			if err := t.create(command.Context(), c, order); err != nil || !r.watch {
				return err
			}
			return t.watchUntilEnd(command.Context(), c.follow(order.Name), &r.watching)
		},
	}
	command.Flags().StringVarP(&r.file, "filename", "f", "", "The file; - is the standard input.")
	command.Flags().StringArrayVar(&r.params, "param", nil, "name=value: another value for a param of the order; may be given several times.")
	command.Flags().BoolVar(&r.watch, "watch", false, "Watch the order until it has finished.")
	r.addTo(command)
	return command
}

// orderToRun is the order of the file with the params of the command line.
func (t *tool) orderToRun(r *running) (*v1alpha1.WorkOrder, error) {
	document, err := t.one(r.file)
	if err != nil {
		return nil, err
	}
	found, err := document.Check()
	if err != nil {
		return nil, err
	}
	for _, finding := range found {
		if !finding.Warning { // A field that is not known would else be left out, and something else be run.
			return nil, errors.New(t.finding(r.file, finding))
		}
	}
	order, err := document.Order()
	if err != nil {
		return nil, err
	}
	for _, param := range r.params {
		name, value, found := strings.Cut(param, "=")
		if !found {
			return nil, usagef("--param %q has no value: write it as name=value", param)
		}
		i := slices.IndexFunc(order.Spec.Params, func(p v1alpha1.Param) bool { return p.Name == name })
		if i < 0 {
			return nil, usagef("the order has no param %q%s", timeline.Safe(name), plan.Nearest(name, paramsOf(order)))
		}
		order.Spec.Params[i].Value = value
	}
	order.Status = v1alpha1.WorkOrderStatus{}
	return order, nil
}

func paramsOf(order *v1alpha1.WorkOrder) (names []string) {
	for _, param := range order.Spec.Params {
		names = append(names, param.Name)
	}
	return names
}

func (t *tool) create(ctx context.Context, c *cluster, order *v1alpha1.WorkOrder) error {
	order.Namespace = c.namespace
	err := c.Create(ctx, order, client.FieldOwner("kubectl-workorder"))
	switch {
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("there is a work order %s already: delete it, or use metadata.generateName, or rewind a step of it", order.Name)
	case err != nil:
		return explained(err)
	}
	fmt.Fprintf(t.ErrOut, "%s created\n", order.Name)
	return nil
}
