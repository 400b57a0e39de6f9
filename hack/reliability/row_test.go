package reliability

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/hack/reliability/report"
)

// lanes is how many cases run side by side. Most of a case is waiting for whole seconds to pass.
const lanes = 6

// either is the size of something in a full run, or in a quick one.
func either[T any](whole, quick T) T {
	if report.Full() {
		return whole
	}
	return quick
}

// firstSeed is the seed of the first random case.
func firstSeed() uint64 {
	GinkgoHelper()
	text := os.Getenv("RELIABILITY_SEED")
	if text == "" {
		return 1
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	Expect(err).NotTo(HaveOccurred(), "RELIABILITY_SEED must be a number")
	return seed
}

// trial is one case of a row.
type trial struct {
	// name is the row's id and what tells the case from the row's others.
	name string
	// run does it, and says which laws were broken.
	run func(ctx context.Context, l *lane) []string
}

// row is a line of the table of hazards.
type row struct {
	setup
	id      string
	unit    string // What is counted, in the plural.
	started time.Time
	lanes   int
	// ownLanes says that the cases make the lanes that they need themselves.
	ownLanes bool

	mu         sync.Mutex
	seeds      string
	took       time.Duration
	cases      int
	violations int
	failures   []string
	notes      []string
}

func newRow(id, unit string) *row { return &row{id: id, unit: unit, lanes: lanes, started: time.Now()} }

// asked says whether a row is asked for.
func asked(id string) bool {
	only := os.Getenv("RELIABILITY_CASE")
	return only == "" || only == id || strings.HasPrefix(only, id+"/")
}

// begin begins a row, unless another one is asked for.
func begin(id, unit string) *row {
	if !asked(id) {
		Skip("only " + os.Getenv("RELIABILITY_CASE") + " is asked for")
	}
	return newRow(id, unit)
}

// wanted says whether a case of that name is asked for.
func wanted(name string) bool {
	only := os.Getenv("RELIABILITY_CASE")
	return only == "" || !strings.Contains(only, "/") || only == name
}

// askedByName says whether this one case is asked for. It is then run in a quick run too that would have left it out.
func askedByName(name string) bool { return os.Getenv("RELIABILITY_CASE") == name }

// note adds a number worth knowing to the report.
func (r *row) note(format string, values ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, fmt.Sprintf(format, values...))
}

// seeded are the seeds of so many random cases, which the report names.
func (r *row) seeded(cases uint64) []uint64 {
	GinkgoHelper()
	first := firstSeed()
	r.seeds = fmt.Sprintf("%d-%d", first, first+cases-1)
	seeds := make([]uint64, 0, cases)
	for seed := first; seed < first+cases; seed++ {
		seeds = append(seeds, seed)
	}
	return seeds
}

// try runs cases, several at a time if there are many, each lane one after the other. A lane in which something went
// wrong is not used again, so that what is left of a case disturbs no other.
func (r *row) try(ctx context.Context, trials ...trial) {
	queue := make(chan trial)
	var working sync.WaitGroup
	for range min(r.lanes, len(trials)) {
		working.Go(func() { r.work(ctx, queue) })
	}
	for _, t := range trials {
		if wanted(t.name) {
			queue <- t
		}
	}
	close(queue)
	working.Wait()
	r.took = time.Since(r.started)
}

// hazard makes a row and its cases.
type hazard func(ctx context.Context) (*row, []trial)

// together runs rows whose cases mostly wait at the same time.
func together(ctx context.Context, hazards map[string]hazard) {
	GinkgoHelper()
	var rows []*row
	var working sync.WaitGroup
	for id, plan := range hazards {
		if !asked(id) {
			continue
		}
		r, trials := plan(ctx)
		rows = append(rows, r)
		working.Go(func() { r.try(ctx, trials...) })
	}
	working.Wait()
	if len(rows) == 0 {
		Skip("only " + os.Getenv("RELIABILITY_CASE") + " is asked for")
	}
	var failures []string
	for _, r := range rows {
		r.report()
		failures = append(failures, r.failures...)
	}
	Expect(failures).To(BeEmpty(), strings.Join(failures, "\n"))
}

// oldest is how long a lane is used: less than the Pods of finished orders are kept, as their removal is no violation.
const oldest = plan.PodRetention - 3*time.Minute

func (r *row) work(ctx context.Context, queue <-chan trial) {
	var l *lane
	for t := range queue {
		if l != nil && time.Since(l.made) > oldest {
			r.rest(ctx, l)
			l.close()
			l = nil
		}
		if l == nil && !r.ownLanes {
			var err error
			if l, err = newLane(ctx, r.setup); err != nil {
				r.judge(t.name, []string{err.Error()})
				continue
			}
		}
		if !r.judge(t.name, t.run(ctx, l)) && l != nil {
			l.close()
			l = nil
		}
	}
	if l != nil {
		r.rest(ctx, l)
		l.close()
	}
}

// rest checks that a lane whose orders have all finished stays at rest, through a restart of its operators too.
func (r *row) rest(ctx context.Context, l *lane) {
	for _, p := range l.proxies {
		p.Begin(nil)
	}
	for _, o := range l.operators {
		o.kill()
	}
	if noise := l.noisy(ctx, 2*time.Second); len(noise) > 0 {
		r.judge(r.id+"/rest", noise)
	}
}

// judge notes a case, and says whether it went well.
func (r *row) judge(name string, violations []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cases++
	r.violations += len(violations)
	for _, violation := range violations {
		r.failures = append(r.failures, name+": "+violation)
	}
	if len(violations) > 0 {
		r.failures = append(r.failures, "  again: "+again(name))
	}
	return len(violations) == 0
}

// again is the command that runs a case once more.
func again(name string) string {
	command := "KUBEBUILDER_ASSETS=$(go -C hack/cluster run . assets) "
	for _, variable := range []string{"RELIABILITY", "RELIABILITY_SEED"} {
		if value := os.Getenv(variable); value != "" {
			command += variable + "=" + value + " "
		}
	}
	return command + "RELIABILITY_CASE='" + name + "' go test -count=1 ./hack/reliability"
}

// end reports a row, and fails if a law was broken.
func (r *row) end() {
	GinkgoHelper()
	r.report()
	Expect(r.failures).To(BeEmpty(), strings.Join(r.failures, "\n"))
}

// broken is what went wrong in all rows.
var broken []string

// report adds the row to the report.
func (r *row) report() {
	GinkgoHelper()
	if r.cases == 0 {
		r.failures = append(r.failures, r.id+": no case was run; RELIABILITY_CASE may name one that there is not")
	}
	broken = append(broken, r.failures...)
	line := report.Line{
		Row: r.id, Harness: "H2", Cases: r.cases, Unit: r.unit, Violations: r.violations, Seeds: r.seeds, Notes: r.notes,
		Full: report.Full(), Seconds: int(r.took.Seconds() + 0.5),
	}
	Expect(line.Add()).To(Succeed())
	said := fmt.Sprintf("%d %s, %d violations, in %d s; %s", line.Cases, line.Unit, line.Violations, line.Seconds, strings.Join(line.Notes, "; "))
	AddReportEntry(r.id, said, ReportEntryVisibilityFailureOrVerbose)
}
