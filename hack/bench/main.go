// Command bench measures the operator on a real cluster, beside floors that are measured in the same run: what bare
// clients take for the same Pods, or for the same writes. Absolute times say little on a machine that others use too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
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
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"workorders.dev/operator/hack/bench/result"
	"workorders.dev/operator/hack/bench/rig"
	"workorders.dev/operator/hack/bench/rows"
)

// settings are what can be set on the command line.
type settings struct {
	kubeconfig, operator, kwok, image, out, page, commit, code, only, profiles string
	quick                                                                      bool
	rest                                                                       time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	klog.SetOutput(os.Stderr)
	ctrllog.SetLogger(klog.Background())
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
	flags.StringVar(&s.image, "image", "workorders.dev/step:dev", "Image of hack/step, of which steps and bare Pods are.")
	flags.StringVar(&s.out, "out", "dist/bench", "Folder for the figures, the charts and the logs.")
	flags.StringVar(&s.page, "write", "", "Document to write once all rows are measured, with its charts in the folder performance beside it; none if empty.")
	flags.StringVar(&s.commit, "commit", "", "What is measured, for the report.")
	flags.StringVar(&s.code, "code", "", "A digest of what is measured: figures of the same are kept together.")
	flags.StringVar(&s.only, "only", "", "Rows to measure, as in P1,P3; all if empty. The others are kept, if they were measured of the same code on the same machine.")
	flags.BoolVar(&s.quick, "quick", false, "Take fewer and smaller samples, which shows whether something is badly wrong.")
	flags.DurationVar(&s.rest, "rest", time.Hour, "How long nothing is to happen in P8; at most ten seconds with -quick.")
	flags.StringVar(&s.profiles, "profiles", "", "Folder for profiles of the operator, for `go tool pprof`, taken in P3 and P7; none if empty.")
	_ = flags.Parse(args) // ExitOnError.
	if s.quick {
		s.rest = min(s.rest, quickRest)
	}
	return s
}

// quickRest is how long nothing is to happen in a quick run.
const quickRest = 10 * time.Second

func run(ctx context.Context, s settings) (err error) {
	for _, folder := range []string{s.out, s.profiles} {
		if folder != "" {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
		}
	}
	ctx, fail := context.WithCancelCause(ctx)
	r, err := rig.New(s.kubeconfig, s.operator, fail)
	if err != nil {
		return err
	}
	b := &rows.Bench{Rig: r, Quick: s.quick, Image: s.image, Rest: s.rest, Profiles: s.profiles}
	wanted, err := s.rows(b)
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
		fmt.Println("tidying up")
		err = errors.Join(err, r.Clear(tidy), r.Operator.Stop(), nodes.Close(tidy))
	}()
	report := &result.Report{When: time.Now().UTC().Truncate(time.Second), Commit: s.commit, Code: s.code, Machine: machine(r), Quick: s.quick, Failed: map[string]string{}}
	if err := r.Clear(ctx); err != nil { // What a run that was killed has left.
		return err
	}
	if report.Yardstick, err = b.Yardstick(ctx); err != nil {
		return err
	}
	if err := measure(ctx, s, b, wanted, report); err != nil {
		return err
	}
	return show(s, report)
}

// rows are the rows to measure.
func (s settings) rows(b *rows.Bench) (wanted []rows.Row, err error) {
	all := b.All()
	only := strings.FieldsFunc(s.only, func(c rune) bool { return c == ',' })
	for _, id := range only {
		if !slices.ContainsFunc(all, func(row rows.Row) bool { return row.ID == id }) {
			return nil, fmt.Errorf("there is no row %s; rows are P1 to P8, as in -only=P1,P3", id)
		}
	}
	for _, row := range all {
		if len(only) == 0 || slices.Contains(only, row.ID) {
			wanted = append(wanted, row)
		}
	}
	return wanted, nil
}

// figures is the file that a run's figures are kept in.
func (s settings) figures() string {
	if s.quick {
		return filepath.Join(s.out, "bench-quick.json")
	}
	return filepath.Join(s.out, "bench.json")
}

// measure takes one row after the other, and says what is going on. What was measured is kept, whatever becomes of the next row.
func measure(ctx context.Context, s settings, b *rows.Bench, wanted []rows.Row, report *result.Report) error {
	if err := carryOver(s, wanted, report); err != nil {
		return err
	}
	began := time.Now()
	say := func(indent, format string, args ...any) {
		fmt.Printf("%7s  %s%s\n", time.Since(began).Round(time.Second), indent, fmt.Sprintf(format, args...))
	}
	b.Say = func(format string, args ...any) { say("  ", format, args...) }
	for i, row := range wanted {
		say("", "%s: %s", row.ID, row.Title)
		lines, err := row.Measure(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", row.ID, context.Cause(ctx))
		}
		if err == nil {
			err = result.Sound(lines)
		}
		if err != nil {
			say("  ", "%s could not be measured: %v", row.ID, err)
			report.Failed[row.ID], lines, b.Sizes = err.Error(), nil, nil
		}
		report.Add(lines, b.Sizes)
		if err := report.Write(s.figures()); err != nil {
			return err
		}
		if row.ID == "P7" && err == nil && i+1 < len(wanted) {
			continue // P8 wants what it leaves.
		}
		if err := b.Clear(ctx); err != nil {
			return err
		}
	}
	return nil
}

// carryOver adds what is known of other rows. Figures of other code, or of another machine, are put aside: they took hours.
func carryOver(s settings, wanted []rows.Row, report *result.Report) error {
	earlier, err := result.Read(s.figures())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s is no report; remove it: %w", s.figures(), err)
	case s.quick && (!report.Same(earlier) || s.only == ""):
		return nil
	case !report.Same(earlier) || s.only == "":
		aside := strings.TrimSuffix(s.figures(), ".json") + earlier.When.Format("-2006-01-02-150405.json")
		fmt.Printf("the figures of before are in %s now\n", aside)
		return os.Rename(s.figures(), aside)
	}
	for _, row := range wanted {
		earlier.Forget(row.ID)
	}
	report.Merge(earlier)
	return nil
}

// show prints the table, draws the charts, and writes the document if nothing is missing.
func show(s settings, report *result.Report) error {
	fmt.Println()
	if err := report.Table(os.Stdout); err != nil {
		return err
	}
	charts, err := report.Charts(s.out)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s; a small ConfigMap is written in %.1f ms\nfigures: %s\n", report.Machine, report.Yardstick, s.figures())
	if len(charts) > 0 {
		fmt.Printf("charts: %s/{%s}\n", s.out, strings.Join(charts, ","))
	}
	if len(report.Failed) > 0 {
		return fmt.Errorf("%d rows could not be measured", len(report.Failed))
	}
	if missing := report.Missing(); s.page != "" && len(missing) > 0 {
		fmt.Printf("%s is not written: %s are not measured yet\n", s.page, strings.Join(missing, ", "))
	} else if s.page != "" {
		return publish(s.page, report)
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
func machine(r *rig.Rig) string {
	said := []string{fmt.Sprintf("%d processors, %s", runtime.NumCPU(), runtime.GOARCH)}
	if memory, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kilobytes int
		if _, err := fmt.Sscanf(string(memory), "MemTotal: %d kB", &kilobytes); err == nil {
			said = append(said, fmt.Sprintf("%d GiB of memory", (kilobytes+1<<19)>>20))
		}
	}
	if kernel, err := exec.Command("uname", "-sr").Output(); err == nil {
		said = append(said, strings.TrimSpace(string(kernel)))
	}
	if version, err := r.Version(); err == nil {
		said = append(said, "Kubernetes "+version)
	}
	return strings.Join(said, ", ")
}
