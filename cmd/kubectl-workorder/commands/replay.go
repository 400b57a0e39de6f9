package commands

import (
	"context"
	"fmt"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/live"
	"workorders.dev/operator/controllers/follow"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/progress"
)

func (t *tool) replay() *cobra.Command {
	speed, plain := 10.0, false
	command := &cobra.Command{
		Use:   "replay NAME",
		Short: "Play an order's log from the start, and check that it gives the status",
		Long: `Play an order's log from the start, step by step, as it was to be seen then. In the end it says whether the log, played,
is the status, as it has to be.

Exit code: 0 it is, 1 it is not, 2 usage, 130 interrupted.`,
		Example:           "  kubectl workorder replay add-dark-mode --speed 20",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.names(false),
		RunE: func(command *cobra.Command, args []string) error {
			if speed <= 0 {
				return usagef("--speed is how many times faster than it was: write a number above 0")
			}
			c, order, err := t.open(command.Context(), args[0])
			if err != nil {
				return err
			}
			chain, err := follow.Log(command.Context(), c, order)
			if err != nil {
				return explained(err)
			}
			if err := t.play(command.Context(), order, chain, speed, plain); err != nil {
				return err
			}
			return t.compare(order, chain)
		},
	}
	command.Flags().Float64Var(&speed, "speed", speed, "How many times faster than it was.")
	command.Flags().BoolVar(&plain, "plain", false, "A line for each event, all at once.")
	return command
}

// play shows the log as it was written: on a terminal as pictures, elsewhere as lines.
func (t *tool) play(ctx context.Context, order *v1alpha1.WorkOrder, chain progress.Chain, speed float64, plain bool) error {
	screen := terminal(t.Out)
	if screen == nil || plain {
		for _, entry := range entries(chain, chain.Events) {
			fmt.Fprintln(t.Out, entry.Line(style(t.Out)))
		}
		return nil
	}
	return live.While(ctx, screen, func(ctx context.Context, display *live.Display) error {
		return project(ctx, display, order, chain, speed)
	})
}

// longestShot is how long nothing may happen in a replay: nobody wants to see a pause of days in real time.
const longestShot = 3 * time.Second

// project shows a picture for each event.
func project(ctx context.Context, display *live.Display, order *v1alpha1.WorkOrder, chain progress.Chain, speed float64) error {
	then := order.DeepCopy()
	then.Status = v1alpha1.WorkOrderStatus{}
	for i, event := range chain.Events {
		then = then.DeepCopy()
		then.Status = plan.Fold(&then.Status, event)
		display.At(follow.State{Order: then, Chain: progress.Chain{Events: chain.Events[:i+1], Missing: chain.Missing}}, event.Spec.Time.Time)
		pause := time.Duration(0)
		if i+1 < len(chain.Events) {
			pause = chain.Events[i+1].Spec.Time.Sub(event.Spec.Time.Time)
		}
		select {
		case <-time.After(min(longestShot, max(time.Duration(float64(pause)/speed), 100*time.Millisecond))):
		case <-ctx.Done():
			return exit(exitInterrupted)
		}
	}
	return nil
}

// compare says whether the log, folded, is the status. Conditions of others are no part of it.
func (t *tool) compare(order *v1alpha1.WorkOrder, chain progress.Chain) error {
	if order.Status.Head == "" {
		return fmt.Errorf("nothing has been written down of %s yet: nobody has looked at it", order.Name)
	}
	folded, whole := chain.Fold()
	status := order.Status.DeepCopy()
	status.Conditions = slices.DeleteFunc(status.Conditions, func(c metav1.Condition) bool {
		return !slices.Contains(v1alpha1.Conditions, c.Type)
	})
	switch diff := gocmp.Diff(folded, *status); {
	case !whole:
		return fmt.Errorf("the log of %s has no beginning, so that nothing can be folded: its first events were deleted", order.Name)
	case status.Sequence > folded.Sequence:
		return fmt.Errorf("the status is ahead of the log by %d transitions: they could not be written down, and will be made up for by the next event", status.Sequence-folded.Sequence)
	case diff != "":
		return fmt.Errorf("the log, folded, is not the status; somebody has changed one of them by hand (-log +status):\n%s", diff)
	}
	fmt.Fprintf(t.Out, "✔ %d events, folded, are the status\n", len(chain.Events))
	return nil
}
