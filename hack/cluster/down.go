package main

import (
	"github.com/spf13/cobra"

	"workorders.dev/operator/hack/cluster/internal/node"
)

func (t *tool) down() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Take the cluster down and remove all of it from this machine, its data too",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			state, err := t.stateDir()
			if err != nil {
				return err
			}
			return node.Down(command.Context(), t.screen, node.Layout{State: state})
		},
	}
}
