package commands

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/follow"
)

// logging are the arguments and flags of logs.
type logging struct {
	step        string
	epoch       int64
	follow, raw bool
}

func (t *tool) logs() *cobra.Command {
	l := &logging{}
	command := &cobra.Command{
		Use:   "logs NAME [STEP]",
		Short: "Read what an order's steps have written",
		Long: `Read what an order's steps have written, without having to know the names of their Pods.

With -f it goes on from step to step and from epoch to epoch until the order has finished. Logs are as old as the Pods:
those of a finished order are kept for ten minutes, and those of failed attempts until the order is deleted, unless
spec.keepPods says otherwise. Characters that would have a terminal do something are shown escaped; --raw shows them as
they are.`,
		Example: `  kubectl workorder logs add-dark-mode implement --epoch 1
  kubectl workorder logs add-dark-mode -f`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: t.names(true),
		RunE: func(command *cobra.Command, args []string) error {
			if l.epoch < 0 || l.epoch > 0 && len(args) == 1 {
				return usagef("--epoch is one of a step's, from 1 on: name the step too")
			}
			c, order, err := t.open(command.Context(), args[0])
			if err != nil {
				return err
			}
			if len(args) == 2 {
				if l.step = args[1]; !slices.Contains(stepNames(order), l.step) {
					return unknownStep(order, l.step)
				}
			}
			return t.printLogs(command.Context(), c, order, l)
		},
	}
	command.Flags().Int64Var(&l.epoch, "epoch", 0, "Only that start of the step; 0 is all of which there are Pods.")
	command.Flags().BoolVarP(&l.follow, "follow", "f", false, "Go on until the order has finished.")
	command.Flags().BoolVar(&l.raw, "raw", false, "Do not escape what a terminal would heed.")
	return command
}

func (t *tool) printLogs(ctx context.Context, c *cluster, order *v1alpha1.WorkOrder, l *logging) error {
	pods, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return explained(err)
	}
	s := &streams{tool: t, logging: l, cluster: c, pods: pods, begun: map[string]bool{}, current: map[string]bool{}}
	attempts, err := s.attempts(ctx, order)
	if err != nil {
		return explained(err)
	}
	if l.follow {
		return s.followed(ctx, order, attempts)
	}
	if len(attempts) == 0 {
		return s.lastWords(ctx, order)
	}
	s.named = len(attempts) > 1
	failed := false
	for _, a := range attempts {
		if !a.ran {
			fmt.Fprintf(t.ErrOut, "%s has no log in epoch %d: its container has not started\n", a.step, a.epoch)
			continue
		}
		if _, err := s.copy(ctx, a, time.Time{}); err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			failed = true
			s.unreadable(a, err)
		}
	}
	switch {
	case ctx.Err() != nil:
		return exit(exitInterrupted)
	case failed:
		return exit(exitFailed)
	}
	return nil
}

// lastWords are what the log of the order has kept of attempts whose Pods are gone.
func (s *streams) lastWords(ctx context.Context, order *v1alpha1.WorkOrder) error {
	chain, err := follow.Log(ctx, s.cluster, order)
	if err != nil {
		return explained(err)
	}
	said := false
	s.named = s.step == "" || s.epoch == 0
	for _, event := range chain.Events {
		spec := &event.Spec
		if spec.Result == nil || !s.wanted(spec.Step, spec.Epoch) {
			continue
		}
		words := spec.Result.Output
		if spec.Error != nil {
			words = cmp.Or(spec.Error.Details, spec.Error.Message)
		}
		if !said {
			fmt.Fprintln(s.ErrOut, "The Pods are gone, and their logs with them. What the order's log has kept:")
		}
		said = true
		for line := range strings.Lines(words) {
			s.line(attempt{step: spec.Step, epoch: spec.Epoch}, line)
		}
	}
	if said {
		return nil
	}
	return fmt.Errorf("nothing of that has a log: kubectl workorder status %s shows what has run, and -f follows what will", order.Name)
}
