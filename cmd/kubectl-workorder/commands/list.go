package commands

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
)

// listing are the flags of list.
type listing struct {
	allNamespaces            bool
	selector, sortBy, output string
}

// sortings are how orders can be sorted.
var sortings = map[string]func(a, b *v1alpha1.WorkOrder) int{
	"age": func(a, b *v1alpha1.WorkOrder) int {
		return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
	},
	"name": func(a, b *v1alpha1.WorkOrder) int { return cmp.Compare(a.Name, b.Name) },
	"phase": func(a, b *v1alpha1.WorkOrder) int {
		rank := func(o *v1alpha1.WorkOrder) int {
			return slices.Index(phases, cmp.Or(o.Status.Phase, v1alpha1.WorkOrderPending))
		}
		return cmp.Compare(rank(a), rank(b))
	},
}

// phases are in the order in which they are looked at: first what goes on, then what went wrong.
var phases = []v1alpha1.WorkOrderPhase{
	v1alpha1.WorkOrderRunning, v1alpha1.WorkOrderPending, v1alpha1.WorkOrderSuspended,
	v1alpha1.WorkOrderFailed, v1alpha1.WorkOrderCancelled, v1alpha1.WorkOrderSucceeded,
}

func (t *tool) list() *cobra.Command {
	l := &listing{}
	command := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List orders with how far they are",
		Example: "  kubectl workorder list -A --sort-by phase",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if sortings[l.sortBy] == nil {
				return usagef("--sort-by %q is not known: write age, name or phase", l.sortBy)
			}
			if err := checkOutput(l.output, "json", "name"); err != nil {
				return err
			}
			c, err := t.newCluster()
			if err != nil {
				return err
			}
			orders, err := l.read(command.Context(), c)
			if err != nil {
				return err
			}
			return t.printList(orders, l)
		},
	}
	command.Flags().BoolVarP(&l.allNamespaces, "all-namespaces", "A", false, "List those of all namespaces.")
	command.Flags().StringVarP(&l.selector, "selector", "l", "", "Labels of the orders to list, such as team=payments.")
	command.Flags().StringVar(&l.sortBy, "sort-by", "age", "age (the newest first), name, or phase (first what runs).")
	command.Flags().StringVarP(&l.output, "output", "o", "", "json prints the orders themselves, name only their names.")
	must(command.RegisterFlagCompletionFunc("sort-by", oneOf("age", "name", "phase")))
	must(command.RegisterFlagCompletionFunc("output", oneOf("json", "name")))
	return command
}

func (l *listing) read(ctx context.Context, c *cluster) (*v1alpha1.WorkOrderList, error) {
	selector, err := labels.Parse(l.selector)
	if err != nil {
		return nil, usagef("-l %q is no selector: write it as key=value,key2=value2 (%w)", l.selector, err)
	}
	options := []client.ListOption{client.MatchingLabelsSelector{Selector: selector}}
	if !l.allNamespaces {
		options = append(options, client.InNamespace(c.namespace))
	}
	orders := &v1alpha1.WorkOrderList{}
	if err := c.List(ctx, orders, options...); err != nil {
		return nil, explained(err)
	}
	slices.SortFunc(orders.Items, func(a, b v1alpha1.WorkOrder) int {
		return cmp.Or(sortings[l.sortBy](&a, &b), sortings["age"](&a, &b), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return orders, nil
}

func (t *tool) printList(orders *v1alpha1.WorkOrderList, l *listing) error {
	switch l.output {
	case "json":
		orders.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("WorkOrderList"))
		for i := range orders.Items {
			bare(&orders.Items[i])
		}
		return printJSON(t.Out, orders)
	case "name":
		for i := range orders.Items {
			fmt.Fprintf(t.Out, "workorder.%s/%s\n", v1alpha1.GroupVersion.Group, orders.Items[i].Name)
		}
		return nil
	}
	if len(orders.Items) == 0 {
		fmt.Fprintln(t.ErrOut, "No work orders here: kubectl apply one, or look with -A in all namespaces.")
		return nil
	}
	_, err := fmt.Fprint(t.Out, timeline.Table(orders.Items, l.allNamespaces, style(t.Out), time.Now()))
	return err
}
