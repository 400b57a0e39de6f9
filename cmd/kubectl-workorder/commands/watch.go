package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/live"
	"workorders.dev/operator/controllers/follow"
)

// watching are the flags of watch, and of what watches on the side.
type watching struct {
	selector      string
	allNamespaces bool
	plain         bool
	output        string
	timeout       time.Duration
}

func (t *tool) watch() *cobra.Command {
	w := &watching{}
	command := &cobra.Command{
		Use:   "watch NAME... | -l SELECTOR",
		Short: "Watch orders advance until they have finished",
		Long: `Watch orders advance until they have finished.

On a terminal the picture is redrawn in place: a row for each step, with its mark, how long it has taken and what
came of it. When a step is started again, the attempt before is struck out. Elsewhere, with --plain or with NO_COLOR
set, each thing that happens is a line; with -o json, a JSON object.

A lost connection or a restart of the API server costs nothing: it goes on where it was.

Exit code: 0 all have succeeded, 1 one has not, 2 usage, 124 --timeout is over, 130 interrupted.`,
		Example: `  kubectl workorder watch add-dark-mode
  kubectl workorder watch -l team=payments --timeout 1h
  kubectl workorder watch add-dark-mode -o json | jq .type`,
		ValidArgsFunction: t.completeOrders,
		RunE: func(command *cobra.Command, args []string) error {
			switch {
			case (len(args) == 0) == (w.selector == ""):
				return usagef("name the orders to watch, or choose them with -l, and not both: see %s --help", command.CommandPath())
			case len(args) > 0 && w.allNamespaces:
				return usagef("-A goes with -l: an order that is named is in one namespace, which -n says")
			}
			c, err := t.newCluster()
			if err != nil {
				return err
			}
			f, err := w.chosen(command.Context(), c, args)
			if err != nil {
				return err
			}
			return t.watchUntilEnd(command.Context(), f, w)
		},
	}
	w.addTo(command)
	command.Flags().StringVarP(&w.selector, "selector", "l", "", "Labels of the orders to watch, such as team=payments.")
	command.Flags().BoolVarP(&w.allNamespaces, "all-namespaces", "A", false, "Choose from all namespaces; goes with -l.")
	return command
}

// addTo adds the flags that say how to watch.
func (w *watching) addTo(command *cobra.Command) {
	command.Flags().BoolVar(&w.plain, "plain", false, "A line for each thing that happens, on a terminal too.")
	command.Flags().StringVarP(&w.output, "output", "o", "", "json prints a JSON object for each thing that happens.")
	command.Flags().DurationVar(&w.timeout, "timeout", 0, "How long to watch at most, such as 30m; 0 is without end.")
	must(command.RegisterFlagCompletionFunc("output", oneOf("json")))
}

// chosen are the orders that are to be watched. That there are any is found out beforehand: nobody would wait for a
// name that is mistyped.
func (w *watching) chosen(ctx context.Context, c *cluster, names []string) (*following, error) {
	if err := errors.Join(checkOutput(w.output, "json"), checkTimeout(w.timeout)); err != nil {
		return nil, err
	}
	if len(names) > 0 {
		for _, name := range names {
			if _, err := c.order(ctx, name); err != nil {
				return nil, err
			}
		}
		return c.follow(names...), nil
	}
	selector, err := labels.Parse(w.selector)
	if err != nil {
		return nil, usagef("-l %q is no selector: write it as key=value,key2=value2 (%w)", w.selector, err)
	}
	f := c.follow()
	if w.allNamespaces {
		f.options.Which = nil
	}
	f.options.Which = append(f.options.Which, client.MatchingLabelsSelector{Selector: selector})
	found := &v1alpha1.WorkOrderList{}
	if err := c.List(ctx, found, f.options.Which...); err != nil {
		return nil, explained(err)
	}
	if len(found.Items) == 0 {
		return nil, fmt.Errorf("no work order has the labels %s: kubectl get workorders --show-labels shows which there are", selector)
	}
	return f, nil
}

// watchUntilEnd shows the orders in the way that suits the output.
func (t *tool) watchUntilEnd(ctx context.Context, f *following, w *watching) error {
	ctx, stop := within(ctx, w.timeout)
	defer stop()
	err := t.watchOn(ctx, f, w)
	if errors.Is(err, exit(exitTimedOut)) {
		fmt.Fprintf(t.ErrOut, "not finished after %s: watch again to go on\n", w.timeout)
	}
	return err
}

func (t *tool) watchOn(ctx context.Context, f *following, w *watching) error {
	screen := terminal(t.Out)
	switch {
	case w.output == "json":
		return f.until(ctx, &jsonView{patience: patience{errOut: t.ErrOut}, out: t.Out})
	case w.plain || screen == nil:
		return f.until(ctx, &plainView{patience: patience{errOut: t.ErrOut}, out: t.Out, named: len(f.names) != 1, after: map[types.UID]int64{}})
	}
	return live.While(ctx, screen, func(ctx context.Context, display *live.Display) error { return f.until(ctx, liveView{display}) })
}

// liveView shows orders on a terminal.
type liveView struct{ *live.Display }

func (v liveView) show(state follow.State) { v.Show(state) }
func (v liveView) trouble(err error)       { v.Trouble(explained(err).Error()) }
func (v liveView) well()                   { v.Trouble("") }
