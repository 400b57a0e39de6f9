package commands

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
	"workorders.dev/operator/controllers/follow"
	"workorders.dev/operator/controllers/progress"
)

// reading are the flags of events.
type reading struct {
	after            int64
	collapse, follow bool
	output           string
}

func (t *tool) events() *cobra.Command {
	r := &reading{}
	command := &cobra.Command{
		Use:   "events NAME",
		Short: "Read an order's log",
		Long: `Read an order's log: all that has happened to it, in order.

What a rewind has superseded is marked; --collapse leaves it out. Numbers that are missing are shown as a gap: that was
not written down, as events could not be. With --after a program goes on from the number that it has read up to; what
comes later never changes what came before.`,
		Example: `  kubectl workorder events add-dark-mode --collapse
  kubectl workorder events add-dark-mode --after 7 -f -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.names(false),
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkOutput(r.output, "json"); err != nil {
				return err
			}
			c, order, err := t.open(command.Context(), args[0])
			if err != nil {
				return err
			}
			return t.readEvents(command.Context(), c, order, r)
		},
	}
	command.Flags().Int64Var(&r.after, "after", 0, "Only what has happened after that number.")
	command.Flags().BoolVar(&r.collapse, "collapse", false, "Leave out what a rewind has superseded.")
	command.Flags().BoolVarP(&r.follow, "follow", "f", false, "Go on until the order has finished.")
	command.Flags().StringVarP(&r.output, "output", "o", "", "json prints a JSON object for each event.")
	must(command.RegisterFlagCompletionFunc("output", oneOf("json")))
	return command
}

func (t *tool) readEvents(ctx context.Context, c *cluster, order *v1alpha1.WorkOrder, r *reading) error {
	shown := &logView{patience: patience{errOut: t.ErrOut}, tool: t, reading: r, last: r.after}
	if !r.follow {
		chain, err := follow.Log(ctx, c, order)
		if err != nil {
			return explained(err)
		}
		shown.show(follow.State{Order: order, Chain: chain, Fresh: chain.Events})
		return nil
	}
	return whateverTheEnd(c.follow(order.Name).until(ctx, shown))
}

// logView shows the log as far as it is asked for.
type logView struct {
	patience
	breaks
	*tool
	*reading
	last int64
}

func (v *logView) show(state follow.State) {
	fresh := progress.Chain{Events: state.Fresh}.After(v.after)
	if broken := v.broken(state); broken != "" {
		fmt.Fprintln(v.ErrOut, broken)
		if len(fresh) > 0 {
			v.last = fresh[0].Spec.Sequence - 1
		}
	}
	for _, entry := range entries(state.Chain, fresh) {
		if v.collapse && entry.Superseded {
			v.last = entry.Spec.Sequence
			continue
		}
		if v.output == "json" {
			writeJSON(v.Out, entry)
			continue
		}
		if gap := timeline.Gap(v.last, entry.ProgressEvent, style(v.Out)); gap != "" {
			fmt.Fprintln(v.Out, gap)
		}
		fmt.Fprintln(v.Out, entry.Line(style(v.Out)))
		v.last = entry.Spec.Sequence
	}
}
