package commands

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// completePatience is how long a shell waits for names that would complete a word.
const completePatience = 3 * time.Second

// completeOrders completes the names of orders, however many.
func (t *tool) completeOrders(command *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	return t.names(false)(command, nil, word)
}

// names completes an order's name, and after it, if steps are wanted, one of its steps. What cannot be read completes
// nothing: there is no place for an error.
func (t *tool) names(steps bool) cobra.CompletionFunc {
	return func(command *cobra.Command, args []string, _ string) (words []string, _ cobra.ShellCompDirective) {
		c, err := t.newCluster()
		if err != nil || len(args) > 1 || len(args) == 1 && !steps {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, enough := context.WithTimeout(command.Context(), completePatience)
		defer enough()
		if len(args) == 1 {
			order := &v1alpha1.WorkOrder{}
			if c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: args[0]}, order) == nil {
				words = stepNames(order)
			}
			return words, cobra.ShellCompDirectiveNoFileComp
		}
		orders := &v1alpha1.WorkOrderList{}
		if c.List(ctx, orders, client.InNamespace(c.namespace)) == nil {
			for i := range orders.Items {
				words = append(words, cobra.CompletionWithDesc(orders.Items[i].Name, string(orders.Items[i].Status.Phase)))
			}
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

func (t *tool) completeNamespaces(command *cobra.Command, _ []string, _ string) (words []string, _ cobra.ShellCompDirective) {
	c, err := t.newCluster()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, enough := context.WithTimeout(command.Context(), completePatience)
	defer enough()
	namespaces := &corev1.NamespaceList{}
	if c.List(ctx, namespaces) == nil {
		for i := range namespaces.Items {
			words = append(words, namespaces.Items[i].Name)
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// oneOf completes one of these words.
func oneOf(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}
