package commands

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
	"workorders.dev/operator/controllers/follow"
)

func (t *tool) status() *cobra.Command {
	output := ""
	command := &cobra.Command{
		Use:               "status NAME",
		Short:             "Show an order as it is now",
		Example:           "  kubectl workorder status add-dark-mode",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.names(false),
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkOutput(output, "json"); err != nil {
				return err
			}
			c, order, err := t.open(command.Context(), args[0])
			if err != nil {
				return err
			}
			if output == "json" {
				return printJSON(t.Out, bare(order))
			}
			chain, err := follow.Log(command.Context(), c, order)
			if err != nil {
				return explained(err)
			}
			picture := timeline.Of(order, chain, time.Now())
			_, err = fmt.Fprint(t.Out, picture.Draw(style(t.Out)))
			return err
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "", "json prints the order itself.")
	must(command.RegisterFlagCompletionFunc("output", oneOf("json")))
	return command
}
