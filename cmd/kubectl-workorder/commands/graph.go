package commands

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
)

func (t *tool) graph() *cobra.Command {
	file, output := "", ""
	command := &cobra.Command{
		Use:   "graph NAME | -f FILE",
		Short: "Draw what depends on what",
		Long: `Draw what depends on what: the steps of an order, layer by layer. Steps of a layer may run side by side.
-o dot is for Graphviz, -o mermaid for pages that draw it, such as those of Git hosts.`,
		Example: `  kubectl workorder graph -f diamond.yaml
  kubectl workorder graph release -o dot | dot -Tsvg > release.svg`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: t.names(false),
		RunE: func(command *cobra.Command, args []string) error {
			if (len(args) == 1) == (file != "") {
				return usagef("name an order, or a file with -f, and not both")
			}
			if err := checkOutput(output, "dot", "mermaid"); err != nil {
				return err
			}
			order, err := t.orderToDraw(command.Context(), args, file)
			if err != nil {
				return err
			}
			switch output {
			case "dot":
				_, err = fmt.Fprint(t.Out, timeline.Dot(order))
			case "mermaid":
				_, err = fmt.Fprint(t.Out, timeline.Mermaid(order))
			default:
				_, err = fmt.Fprint(t.Out, timeline.Graph(order, style(t.Out)))
			}
			return err
		},
	}
	command.Flags().StringVarP(&file, "filename", "f", "", "The file; - is the standard input.")
	command.Flags().StringVarP(&output, "output", "o", "", "dot or mermaid.")
	must(command.RegisterFlagCompletionFunc("output", oneOf("dot", "mermaid")))
	return command
}

func (t *tool) orderToDraw(ctx context.Context, args []string, file string) (*v1alpha1.WorkOrder, error) {
	if file != "" {
		document, err := t.one(file)
		if err != nil {
			return nil, err
		}
		return document.Order()
	}
	_, order, err := t.open(ctx, args[0])
	return order, err
}
