// Package commands are the commands of the kubectl plugin, a file each.
package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
	"workorders.dev/operator/controllers/plan"
)

// The exit codes, but for 0: all went well, and the order, if one was waited for, has succeeded.
const (
	exitFailed      = 1   // Something failed: the order, or what was to be done.
	exitUsage       = 2   // The command line makes no sense.
	exitTimedOut    = 124 // What --timeout allows is over, as of timeout(1).
	exitInterrupted = 130 // Control-C: 128 and the number of the signal.
)

// exit ends the program with a code, and nothing more to say than what was said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a command line that makes no sense.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Run runs the plugin, and returns its exit code.
func Run(args []string, in io.Reader, out, err io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // Who presses Control-C twice means it.
	output := &checkedWriter{Writer: out}
	// Libraries keep their thoughts to themselves: what matters is said in a sentence.
	klog.SetLogger(logr.Discard())
	ctrllog.SetLogger(logr.Discard())
	root := newRoot(genericiooptions.IOStreams{In: in, Out: output, ErrOut: err})
	root.SetArgs(args)
	failure := root.ExecuteContext(ctx)
	if failure == nil && output.failure != nil {
		failure = fmt.Errorf("what there is to say could not be written: %w", output.failure)
	}
	code := exit(0)
	var usage usageError
	switch {
	case failure == nil:
		return 0
	case errors.As(failure, &code):
		return int(code)
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(failure, &usage):
		fmt.Fprintf(err, "error: %v\n", failure)
		return exitUsage
	}
	fmt.Fprintf(err, "error: %v\n", failure)
	return exitFailed
}

// checkedWriter remembers that something could not be written, so that nobody takes half of a log for all of it.
type checkedWriter struct {
	io.Writer
	failure error
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.failure = cmp.Or(w.failure, err)
	return n, err
}

func newRoot(streams genericiooptions.IOStreams) *cobra.Command {
	t := &tool{IOStreams: streams, flags: genericclioptions.NewConfigFlags(true)}
	root := &cobra.Command{
		Use:   "kubectl-workorder",
		Short: "See work orders advance, read their history, and have a say in it",
		Annotations: map[string]string{
			cobra.CommandDisplayNameAnnotation: "kubectl workorder", // As kubectl calls its plugins.
		},
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) == 0 {
				return command.Help()
			}
			return unknownCommand(command, args[0])
		},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return usagef("%w: see %s --help", err, command.CommandPath())
	})
	t.flags.AddFlags(root.PersistentFlags())
	hide(root)
	root.AddGroup(&cobra.Group{ID: "see", Title: "See:"}, &cobra.Group{ID: "do", Title: "Do:"}, &cobra.Group{ID: "try", Title: "Try out:"})
	for group, commands := range map[string][]*cobra.Command{
		"see": {t.watch(), t.status(), t.list(), t.events(), t.logs(), t.replay()},
		"do":  {t.run(), t.wait(), t.rewind(), t.suspend(), t.resume(), t.cancel()},
		"try": {t.validate(), t.graph()},
		"":    {t.version()},
	} {
		for _, command := range commands {
			command.GroupID = group
			command.Args = orUsage(command, command.Args)
			root.AddCommand(command)
		}
	}
	must(root.RegisterFlagCompletionFunc("namespace", t.completeNamespaces))
	return root
}

func unknownCommand(root *cobra.Command, name string) error {
	names := []string{}
	for _, command := range root.Commands() {
		names = append(names, command.Name())
	}
	hint := plan.Nearest(name, names)
	if hint == "" {
		hint = ": see kubectl workorder --help"
	}
	return usagef("there is no command %q%s", timeline.Safe(name), hint)
}

// hide keeps flags that hardly anybody sets out of every help text.
func hide(root *cobra.Command) {
	for _, name := range []string{
		"cache-dir", "certificate-authority", "client-certificate", "client-key", "tls-server-name", "insecure-skip-tls-verify",
		"disable-compression", "as-uid", "as-group", "as-user-extra", "token", "proxy-url",
	} {
		if flag := root.PersistentFlags().Lookup(name); flag != nil {
			flag.Hidden = true
		}
	}
}

// orUsage has wrong arguments end with a usage error that says how to see what is right.
func orUsage(command *cobra.Command, check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(command, args); err != nil {
			return usagef("%w: write %s, and see --help", err, command.UseLine())
		}
		return nil
	}
}

// must is for what can fail only if the code is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
