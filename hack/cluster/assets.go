package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"workorders.dev/operator/hack/cluster/internal/binaries"
)

func (t *tool) assets() *cobra.Command {
	return &cobra.Command{
		Use:   "assets",
		Short: "Print the folder that holds etcd, kube-apiserver and kubectl, for KUBEBUILDER_ASSETS; build it if it is missing",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			module, err := moduleDir()
			if err != nil {
				return err
			}
			dir, err := binaries.Ensure(command.Context(), t.screen, module)
			if err != nil {
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), dir)
			return nil
		},
	}
}
