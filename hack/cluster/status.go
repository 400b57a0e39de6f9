package main

import (
	"github.com/spf13/cobra"

	"workorders.dev/operator/hack/cluster/internal/node"
)

func (t *tool) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the cluster is; exit code 0 if all of it is up, 3 if not",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			state, err := t.stateDir()
			if err != nil {
				return err
			}
			up, err := node.Status(command.Context(), command.OutOrStdout(), node.Layout{State: state})
			if err == nil && !up {
				return errNotUp
			}
			return err
		},
	}
}
