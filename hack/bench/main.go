// Command bench measures the operator on a real cluster, beside floors that are measured in the same run: what bare
// clients take for the same Pods, or for the same writes. Absolute times say little on a machine that others use too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/klog/v2"

	"workorders.dev/operator/hack/bench/result"
	"workorders.dev/operator/hack/bench/rig"
	"workorders.dev/operator/hack/bench/rows"
)

// settings are what can be set on the command line.
type settings struct {
	kubeconfig, operator, kwok, image, out, page, commit, only string
	quick                                                      bool
	rest                                                       time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	klog.SetOutput(os.Stderr)
	if err := run(ctx, parse(flag.CommandLine, os.Args[1:])); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func parse(flags *flag.FlagSet, args []string) settings {
	var s settings
	flags.StringVar(&s.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "The cluster to measure on; nothing else should happen there.")
	flags.StringVar(&s.operator, "operator", "", "Executable of the operator.")
	flags.StringVar(&s.kwok, "kwok", "", "Executable of kwok, which plays nodes.")
	flags.StringVar(&s.image, "image", "workorders.dev/step:dev", "Image of a step that ends at once.")
	flags.StringVar(&s.out, "out", "dist/bench", "Folder for the figures, the charts and the logs.")
	flags.StringVar(&s.page, "write", "", "Document to write, with its charts in the folder performance beside it; none if empty.")
	flags.StringVar(&s.commit, "commit", "", "What is measured, for the report.")
	flags.StringVar(&s.only, "only", "", "Rows to measure, as in P1,P3; all if empty.")
	flags.BoolVar(&s.quick, "quick", false, "Take fewer and smaller samples, which shows whether something is badly wrong.")
	flags.DurationVar(&s.rest, "rest", 10*time.Minute, "How long nothing is to happen in P8.")
	_ = flags.Parse(args) // ExitOnError.
	return s
}

func run(ctx context.Context, s settings) (err error) {
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	r, err := rig.New(s.kubeconfig, s.operator)
	if err != nil {
		return err
	}
	r.Operator.Log = filepath.Join(s.out, "operator.log")
	nodes, err := r.PlayNodes(ctx, s.kwok, filepath.Join(s.out, "kwok.log"))
	if err != nil {
		return err
	}
	defer func() {
		tidy := context.WithoutCancel(ctx) // What is interrupted leaves nothing behind either.
		err = errors.Join(err, r.Clear(tidy), r.Operator.Stop(), nodes.Close(tidy))
	}()
	report := &result.Report{When: time.Now().UTC().Truncate(time.Second), Commit: s.commit, Machine: machine(), Quick: s.quick}
	if err := measure(ctx, s, r, report); err != nil {
		return err
	}
	return show(s, report)
}

// measure takes one row after the other, and says what is going on.
func measure(ctx context.Context, s settings, r *rig.Rig, report *result.Report) error {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("%7s    %s\n", time.Since(began).Round(time.Second), fmt.Sprintf(format, args...))
	}
	b := &rows.Bench{Rig: r, Quick: s.quick, Image: s.image, Rest: s.rest, Say: say}
	only := strings.FieldsFunc(s.only, func(c rune) bool { return c == ',' })
	for _, row := range b.All() {
		if len(only) > 0 && !slices.Contains(only, row.ID) || len(only) == 0 && s.quick && row.ID == "P8" {
			continue // Finished orders keep their Pods for longer than a quick run takes.
		}
		fmt.Printf("%7s  %s: %s\n", time.Since(began).Round(time.Second), row.ID, row.Title)
		lines, err := row.Measure(ctx)
		report.Lines, report.Sizes = append(report.Lines, lines...), b.Sizes
		if err != nil {
			return fmt.Errorf("%s: %w", row.ID, err)
		}
		if row.ID != "P7" { // P8 wants what it leaves.
			if err := r.Clear(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// show writes the figures, draws the charts and prints the table.
func show(s settings, report *result.Report) error {
	figures := filepath.Join(s.out, "bench.json")
	if err := report.Write(figures); err != nil {
		return err
	}
	charts, err := report.Charts(s.out)
	if err != nil {
		return err
	}
	fmt.Println()
	if err := report.Table(os.Stdout); err != nil {
		return err
	}
	fmt.Printf("\n%s\nfigures: %s\n", report.Machine, figures)
	if s.page != "" {
		if err := publish(s.page, report); err != nil {
			return err
		}
	}
	if len(charts) > 0 {
		fmt.Printf("charts: %s/{%s}\n", s.out, strings.Join(charts, ","))
	}
	return nil
}

// publish writes the document, and its charts beside it.
func publish(page string, report *result.Report) error {
	folder := filepath.Join(filepath.Dir(page), "performance")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	charts, err := report.Charts(folder)
	if err != nil {
		return err
	}
	text, err := report.Document(charts)
	if err != nil {
		return err
	}
	return os.WriteFile(page, text, 0o644)
}

// machine says what was measured on.
func machine() string {
	kernel, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		kernel = []byte(runtime.GOOS)
	}
	return fmt.Sprintf("%d processors, %s, %s", runtime.NumCPU(), runtime.GOARCH, strings.TrimSpace(string(kernel)))
}
