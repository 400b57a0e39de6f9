package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/hack/reliability/report"
)

// Labels of the specs that have a row in the table of reliability. Those that kill parts of the cluster take minutes,
// and are run by `make test-outage` only; the other ones belong to every run.
const (
	labelOutage      = "outage"
	labelReliability = "reliability"
)

// tally is what all specs of one row have shown together.
type tally struct {
	report.Line
	took   time.Duration
	counts map[string]int
}

var tallies = map[string]*tally{}

// showing says that this spec is about a row. A spec that fails is a violation of it.
func showing(row, unit string) *tally {
	t, known := tallies[row]
	if !known {
		t = &tally{Line: report.Line{Row: row, Harness: "H3", Unit: unit, Full: report.Full()}, counts: map[string]int{}}
		tallies[row] = t
	}
	began := time.Now()
	DeferCleanup(func() {
		t.took += time.Since(began)
		if CurrentSpecReport().Failed() {
			t.Violations++
		}
	})
	return t
}

// count adds to a number that the row's notes end up with.
func (t *tally) count(what string, more int) { t.counts[what] += more }

// often is one number in a quick run, and another in a full one.
func often(quick, full int) int {
	if report.Full() {
		return full
	}
	return quick
}

var _ = AfterSuite(func() {
	lines := slices.SortedFunc(maps.Values(tallies), func(a, b *tally) int { return cmp.Compare(a.Row, b.Row) })
	for _, t := range lines {
		for _, what := range slices.Sorted(maps.Keys(t.counts)) {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: %d", what, t.counts[what]))
		}
		Expect(t.Since(time.Now().Add(-t.took)).Add()).To(Succeed())
	}
})
