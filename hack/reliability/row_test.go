package reliability

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// lanes is how many cases run side by side. Most of a case is waiting for whole seconds to pass.
const lanes = 4

// full says whether every case is to be run.
func full() bool { return os.Getenv("RELIABILITY") == "full" }

// either is the size of something in a full run, or in a quick one.
func either[T any](whole, quick T) T {
	if full() {
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
	id        string
	operators int
	env       []string
	started   time.Time

	mu       sync.Mutex
	seeds    []uint64
	cases    int
	failures []string
	notes    []string
}

// begin begins a row, unless another one is asked for.
func begin(id string) *row {
	if only := os.Getenv("RELIABILITY_CASE"); only != "" && only != id && !strings.HasPrefix(only, id+"/") {
		Skip("only " + only + " is asked for")
	}
	return &row{id: id, operators: 1, started: time.Now()}
}

// wanted says whether a case of that name is asked for.
func wanted(name string) bool {
	only := os.Getenv("RELIABILITY_CASE")
	return only == "" || !strings.Contains(only, "/") || only == name
}

// note adds a number worth knowing to the report.
func (r *row) note(format string, values ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, fmt.Sprintf(format, values...))
}

// try runs cases, several at a time if there are many, each lane one after the other. A lane in which something went
// wrong is not used again, so that what is left of a case disturbs no other.
func (r *row) try(ctx context.Context, trials ...trial) {
	queue := make(chan trial)
	var working sync.WaitGroup
	for range min(lanes, len(trials)) {
		working.Go(func() { r.work(ctx, queue) })
	}
	for _, t := range trials {
		if wanted(t.name) {
			queue <- t
		}
	}
	close(queue)
	working.Wait()
}

func (r *row) work(ctx context.Context, queue <-chan trial) {
	var l *lane
	for t := range queue {
		if l == nil {
			var err error
			if l, err = newLane(ctx, r.operators, r.env...); err != nil {
				r.judge(t.name, []string{err.Error()})
				continue
			}
		}
		if !r.judge(t.name, t.run(ctx, l)) {
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
	for _, violation := range violations {
		r.failures = append(r.failures, name+": "+violation)
	}
	if len(violations) > 0 {
		r.failures = append(r.failures, fmt.Sprintf("  again: RELIABILITY_CASE='%s' go test ./hack/reliability", name))
	}
	return len(violations) == 0
}

// end reports a row, and fails if a law was broken.
func (r *row) end() {
	GinkgoHelper()
	line, err := json.Marshal(map[string]any{
		"row": r.id, "cases": r.cases, "violations": len(r.failures), "seeds": r.seeds, "notes": r.notes, "full": full(),
		"seconds": int(time.Since(r.started).Seconds() + 0.5),
	})
	Expect(err).NotTo(HaveOccurred())
	AddReportEntry(r.id, string(line), ReportEntryVisibilityFailureOrVerbose)
	if path := os.Getenv("RELIABILITY_REPORT"); path != "" {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		Expect(err).NotTo(HaveOccurred())
		defer file.Close()
		_, err = file.Write(append(line, '\n'))
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(r.cases).NotTo(BeZero(), "no case was run; RELIABILITY_CASE may name one that there is not")
	Expect(r.failures).To(BeEmpty(), strings.Join(r.failures, "\n"))
}
