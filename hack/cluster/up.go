package main

import (
	"github.com/spf13/cobra"

	"workorders.dev/operator/hack/cluster/internal/binaries"
	"workorders.dev/operator/hack/cluster/internal/host"
	"workorders.dev/operator/hack/cluster/internal/node"
)

func (t *tool) up() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Bring the cluster up, or start again what of it has died",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx := command.Context()
			state, err := t.stateDir()
			if err != nil {
				return err
			}
			module, err := moduleDir()
			if err != nil {
				return err
			}
			if err := host.CheckMachine(state); err != nil {
				return err
			}
			if err := host.InstallPackages(ctx, t.screen); err != nil {
				return err
			}
			dir, err := binaries.Ensure(ctx, t.screen, module)
			if err != nil {
				return err
			}
			start := node.Start{Layout: node.Layout{State: state}, Module: module, Binaries: dir, Screen: t.screen}
			return start.Up(ctx)
		},
	}
}
