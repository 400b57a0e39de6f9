package commands

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
)

// change changes an order's spec, and says what that does; it changes nothing if that is done already.
type change func(order *v1alpha1.WorkOrder) (said string, err error)

// changed makes a change, again if somebody else has changed the order meanwhile.
func (t *tool) changed(ctx context.Context, name string, make change) error {
	c, err := t.newCluster()
	if err != nil {
		return err
	}
	said := ""
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		order, err := c.order(ctx, name)
		if err != nil {
			return err
		}
		before := order.DeepCopy()
		if said, err = make(order); err != nil {
			return err
		}
		return c.Patch(ctx, order, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner("kubectl-workorder"))
	})
	if err != nil {
		return explained(err)
	}
	fmt.Fprintf(t.Out, "%s %s\n", name, said)
	return nil
}

// simple is a command that makes one change to the order that it names.
func (t *tool) simple(use, short string, make change) *cobra.Command {
	return &cobra.Command{
		Use:               use + " NAME",
		Short:             short,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.names(false),
		RunE: func(command *cobra.Command, args []string) error {
			return t.changed(command.Context(), args[0], make)
		},
	}
}

func (t *tool) suspend() *cobra.Command {
	return t.simple("suspend", "Keep an order's next steps from starting; what runs goes on", func(order *v1alpha1.WorkOrder) (string, error) {
		switch {
		case finished(order):
			return "", alreadyOver(order)
		case order.Spec.Suspend:
			return "is suspended already", nil
		}
		order.Spec.Suspend = true
		return fmt.Sprintf("is suspended: kubectl workorder resume %s lets it go on", order.Name), nil
	})
}

func (t *tool) resume() *cobra.Command {
	return t.simple("resume", "Let a suspended order go on", func(order *v1alpha1.WorkOrder) (string, error) {
		if !order.Spec.Suspend {
			return "is not suspended", nil
		}
		order.Spec.Suspend = false
		return "goes on", nil
	})
}

func (t *tool) cancel() *cobra.Command {
	return t.simple("cancel", "End an order: what runs is stopped, and nothing more starts but finally", func(order *v1alpha1.WorkOrder) (string, error) {
		switch {
		case finished(order):
			return "", alreadyOver(order)
		case order.Spec.Cancel:
			return "is cancelled already", nil
		}
		order.Spec.Cancel = true
		return "is being cancelled", nil
	})
}

func alreadyOver(order *v1alpha1.WorkOrder) error {
	return fmt.Errorf("work order %s has finished (%s), and nothing of it runs: rewind a step to run it again, or delete it", order.Name, order.Status.Phase)
}

// causeAnnotation is where Kubernetes keeps why somebody changed something.
const causeAnnotation = "kubernetes.io/change-cause"

func (t *tool) rewind() *cobra.Command {
	reason := ""
	command := &cobra.Command{
		Use:   "rewind NAME STEP",
		Short: "Run a step again, with all that comes after it",
		Long: `Run a step again, with all that comes after it. It starts in a new epoch; what it supersedes stays in the log.

It writes spec.rewinds, which asks for an epoch and not for "once more": to say it twice changes nothing. An order that
is kept in Git is rewound there, by the same line, or the next sync takes it out again, which undoes nothing.`,
		Example:           "  kubectl workorder rewind add-dark-mode implement --reason 'the branch was force-pushed'",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: t.names(true),
		RunE: func(command *cobra.Command, args []string) error {
			return t.changed(command.Context(), args[0], func(order *v1alpha1.WorkOrder) (string, error) {
				return rewound(order, args[1], reason)
			})
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "Why; it is kept in the annotation "+causeAnnotation+".")
	return command
}

// rewound asks for the next epoch of a step.
func rewound(order *v1alpha1.WorkOrder, name, reason string) (string, error) {
	step := stepOf(order, name)
	switch {
	case order.Spec.Cancel || order.Status.Cancelled:
		return "", fmt.Errorf("work order %s was cancelled, and what is cancelled cannot be rewound: delete it and apply it anew", order.Name)
	case !slices.Contains(stepNames(order), name) || step != nil && step.Removed:
		return "", unknownStep(order, name)
	case step == nil || step.Epoch == 0 && step.Phase == v1alpha1.StepPending:
		return "", fmt.Errorf("step %s of work order %s has not started, so there is nothing to run again: it runs when its turn comes", name, order.Name)
	}
	request := v1alpha1.RewindRequest{Step: step.Name, ToEpoch: step.Epoch + 1}
	if i := slices.IndexFunc(order.Spec.Rewinds, func(r v1alpha1.RewindRequest) bool { return r.Step == name }); i < 0 {
		order.Spec.Rewinds = append(order.Spec.Rewinds, request)
	} else if order.Spec.Rewinds[i].ToEpoch > step.Epoch {
		return fmt.Sprintf("is being rewound already: %s to epoch %d", step.Name, order.Spec.Rewinds[i].ToEpoch), nil
	} else {
		order.Spec.Rewinds[i] = request
	}
	if reason != "" {
		if order.Annotations == nil {
			order.Annotations = map[string]string{}
		}
		order.Annotations[causeAnnotation] = fmt.Sprintf("rewind of %s: %s", step.Name, timeline.Line(reason))
	}
	return fmt.Sprintf("runs %s again, in epoch %d, and all that comes after it", step.Name, request.ToEpoch), nil
}
