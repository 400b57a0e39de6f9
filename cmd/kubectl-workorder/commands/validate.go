package commands

import (
	"fmt"

	"github.com/spf13/cobra"

	"workorders.dev/operator/cmd/kubectl-workorder/manifest"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
)

func (t *tool) validate() *cobra.Command {
	files := []string{}
	command := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check orders without a cluster",
		Long: `Check orders without a cluster, as one would: the schema and its rules, the graph, the expressions. It says what is
wrong by file and line, and what is allowed but hardly meant as a warning.

Exit code: 0 all would be taken, 1 one would not, 2 usage.`,
		Example: `  kubectl workorder validate -f order.yaml
  kustomize build . | kubectl workorder validate -f -`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if len(files) == 0 {
				return usagef("name the file with -f, or - for the standard input")
			}
			bad := 0
			for _, file := range files {
				n, err := t.validateFile(file)
				if err != nil {
					return err
				}
				bad += n
			}
			if bad > 0 {
				return exit(exitFailed)
			}
			return nil
		},
	}
	command.Flags().StringSliceVarP(&files, "filename", "f", nil, "The file; - is the standard input.")
	return command
}

// validateFile says what is wrong with the orders of a file, and how many of them would be refused.
func (t *tool) validateFile(file string) (bad int, err error) {
	documents, err := t.read(file)
	if err != nil {
		return 0, err
	}
	for _, document := range documents {
		found, err := document.Check()
		if err != nil {
			return 0, err
		}
		wrong := 0
		for _, finding := range found {
			if !finding.Warning {
				wrong++
			}
			fmt.Fprintln(t.Out, t.finding(file, finding))
		}
		switch name := timeline.Safe(document.Name()); {
		case wrong > 0:
			bad++
			fmt.Fprintf(t.Out, "%s would be refused\n", name)
		default:
			fmt.Fprintf(t.Out, "%s is in order\n", name)
		}
	}
	return bad, nil
}

// finding is a line as compilers write them, which editors know how to follow.
func (t *tool) finding(file string, f manifest.Finding) string {
	line := fmt.Sprintf("%s:%d: ", timeline.Safe(file), f.Line)
	if f.Warning {
		line += "warning: "
	}
	if f.Field != "" {
		line += timeline.Line(f.Field) + ": "
	}
	return line + timeline.Line(f.Message)
}
