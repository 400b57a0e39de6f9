// Command cluster runs a real, single-node Kubernetes on this machine, built from its published Go modules:
// a control plane, a kubelet on containerd, and nothing that plays a part.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"workorders.dev/operator/hack/cluster/internal/screen"
)

// Exit codes beside 0.
const (
	exitFailed = 1
	exitNotUp  = 3
)

// errNotUp ends `status` with its own exit code, without a word: the table has said it.
var errNotUp = errors.New("the cluster is not up")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := newCommand().ExecuteContext(ctx); {
	case err == nil:
	case errors.Is(err, errNotUp):
		os.Exit(exitNotUp)
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
}

// tool is what the verbs share: where the checkout is, where its state goes, and how to speak.
type tool struct {
	state  string
	screen *screen.Screen
}

func newCommand() *cobra.Command {
	t := &tool{screen: screen.New(os.Stderr)}
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "Run a real, single-node Kubernetes on this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&t.state, "state", "", "folder for the cluster's state (default: .cluster in the checkout)")
	root.AddCommand(t.up(), t.down(), t.status(), t.assets(), t.image(), t.load())
	return root
}
