package commands

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
	"workorders.dev/operator/controllers/follow"
)

func (t *tool) wait() *cobra.Command {
	timeout := time.Duration(0)
	command := &cobra.Command{
		Use:   "wait NAME...",
		Short: "Wait until orders have finished, and say by the exit code how",
		Long: `Wait until orders have finished, and say by the exit code how: 0 all have succeeded, 1 one has not, 124 --timeout is
over, 130 interrupted. It prints how each has ended, and nothing before.`,
		Example:           "  kubectl workorder wait add-dark-mode --timeout 1h && ./deploy",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: t.completeOrders,
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkTimeout(timeout); err != nil {
				return err
			}
			c, err := t.newCluster()
			if err != nil {
				return err
			}
			f, err := (&watching{}).chosen(command.Context(), c, args)
			if err != nil {
				return err
			}
			f.options.StatusOnly = true
			ctx, stop := within(command.Context(), timeout)
			defer stop()
			err = f.until(ctx, &endsView{patience{errOut: t.ErrOut}, t, map[types.UID]bool{}})
			if errors.Is(err, exit(exitTimedOut)) {
				fmt.Fprintf(t.ErrOut, "not finished after %s: kubectl workorder status shows where it is\n", timeout)
			}
			return err
		},
	}
	command.Flags().DurationVar(&timeout, "timeout", 0, "How long to wait at most, such as 30m; 0 is without end.")
	return command
}

// endsView says how orders have ended, once each time.
type endsView struct {
	patience
	*tool
	told map[types.UID]bool
}

func (v *endsView) show(state follow.State) {
	order := state.Order
	ended := finished(order)
	if told := v.told[order.UID]; !ended || told {
		v.told[order.UID] = ended
		return
	}
	v.told[order.UID] = true
	fmt.Fprintf(v.Out, "%s %s: %s\n", order.Name, order.Status.Phase, timeline.Line(order.Status.Message))
}
