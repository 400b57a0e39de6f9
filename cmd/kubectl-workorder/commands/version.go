package commands

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"workorders.dev/operator/api/v1alpha1"
)

func (t *tool) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			version, commit := "unknown", ""
			if info, known := debug.ReadBuildInfo(); known {
				version = info.Main.Version
				for _, setting := range info.Settings {
					if setting.Key == "vcs.revision" {
						commit = ", commit " + setting.Value
					}
				}
			}
			_, err := fmt.Fprintf(t.Out, "kubectl-workorder %s%s, for %s, %s\n", version, commit, v1alpha1.GroupVersion, runtime.Version())
			return err
		},
	}
}
