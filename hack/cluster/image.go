package main

import (
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"workorders.dev/operator/hack/cluster/internal/image"
	"workorders.dev/operator/hack/cluster/internal/node"
)

func (t *tool) image() *cobra.Command {
	var spec image.Spec
	command := &cobra.Command{
		Use:   "image --package DIR --name NAME --out FILE.tar",
		Short: "Pack a Go program into an image, as a tarball; the same sources make the same bytes",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			began := time.Now()
			if err := image.Build(command.Context(), spec); err != nil {
				return err
			}
			t.screen.Done(time.Since(began), "%s packed into %s", spec.Name, spec.Out)
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&spec.Package, "package", "", "folder of a main package")
	flags.StringVar(&spec.Name, "name", "", "name and tag of the image, such as workorders.dev/step:dev")
	flags.StringVar(&spec.Out, "out", "", "tarball to write")
	flags.StringVar(&spec.User, "user", "65532", "numeric user that the program runs as")
	for _, name := range []string{"package", "name", "out"} {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return command
}

func (t *tool) load() *cobra.Command {
	return &cobra.Command{
		Use:   "load FILE.tar...",
		Short: "Load tarballs of images into the node",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, files []string) error {
			state, err := t.stateDir()
			if err != nil {
				return err
			}
			for _, file := range files {
				path, err := filepath.Abs(file)
				if err != nil {
					return err
				}
				if err := node.Load(command.Context(), t.screen, node.Layout{State: state}, path); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
