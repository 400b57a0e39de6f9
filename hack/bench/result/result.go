// Package result is what measurements have shown: in numbers, for people, and drawn.
package result

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// Report is one run of the measurements.
type Report struct {
	// When it was run, of which commit, of what code by its digest, and on what.
	When    time.Time `json:"when"`
	Commit  string    `json:"commit"`
	Code    string    `json:"code"`
	Machine string    `json:"machine"`
	// Yardstick is how long a write of a small ConfigMap took, in milliseconds: by it one machine's figures can be held against
	// another's.
	Yardstick float64 `json:"yardstick"`
	// Quick says that fewer and smaller samples were taken.
	Quick bool `json:"quick"`
	// Lines are what was measured, in the order of their rows.
	Lines []Line `json:"lines"`
	// Failed are the rows that could not be measured, with the reason.
	Failed map[string]string `json:"failed,omitempty"`
	// Sizes are what P7 has measured besides, of one size after the other.
	Sizes []Size `json:"sizes,omitempty"`
}

// Size is what orders of one size have taken.
type Size struct {
	What string `json:"what"`
	// Kind is what has this size, and Of how many of them there were.
	Kind Kind    `json:"kind"`
	Of   float64 `json:"of"`
	// Orders is how many there were at once, each of so many Transitions.
	Orders      int `json:"orders"`
	Transitions int `json:"transitions"`
	// Rate is how many transitions there were in a second, and Floor how many bare clients brought about.
	Rate  float64 `json:"rate"`
	Floor float64 `json:"floor"`
	// Ratio is the middle one of the pairs', and AtOnce how many requests the bare clients had under way.
	Ratio  float64 `json:"ratio"`
	AtOnce int     `json:"atOnce"`
	// CPU is the operator's, in seconds for 1,000 steps, and Peak the most memory that it had, in MiB.
	CPU  float64 `json:"cpu"`
	Peak float64 `json:"peak"`
	// Turns is how many turns there were for each transition, and Wasted how many of them came to nothing.
	Turns  float64 `json:"turns"`
	Wasted float64 `json:"wasted"`
	// Sent is how many bytes the operator sent for a transition, and Stored how many an order with its events has as JSON.
	Sent   int `json:"sent"`
	Stored int `json:"stored"`
}

// Kind is what grows.
type Kind string

// The kinds.
const (
	Sequence   Kind = "steps in sequence"
	SideBySide Kind = "steps side by side"
	Crowd      Kind = "orders of one Pod"
)

// Line is one measure beside its floor.
type Line struct {
	// Row is P1 to P8, and What a few words that no other line of the row has.
	Row  string `json:"row"`
	What string `json:"what"`
	// Unit is that of Ours and Floor.
	Unit  string  `json:"unit"`
	Ours  float64 `json:"ours"`
	Floor float64 `json:"floor"`
	// OursSamples and FloorSamples are what Ours and Floor are the middle of, in the order in which they were taken.
	OursSamples  []float64 `json:"oursSamples,omitempty"`
	FloorSamples []float64 `json:"floorSamples,omitempty"`
	// P99 and FloorP99 are the 99th percentiles of the samples, where they are times that somebody waits.
	P99      float64 `json:"p99,omitempty"`
	FloorP99 float64 `json:"floorP99,omitempty"`
	// Ratio is Ours in units of Floor; without a floor it is 0.
	Ratio float64 `json:"ratio,omitempty"`
	// Goal is what it is to be.
	Goal Goal `json:"goal"`
	// Notes are for people.
	Notes []string `json:"notes,omitempty"`
}

// Goal is a limit, on the ratio or, if Absolute, on the measure itself. One without limits is no goal.
type Goal struct {
	AtMost   float64 `json:"atMost,omitempty"`
	AtLeast  float64 `json:"atLeast,omitempty"`
	Absolute bool    `json:"absolute,omitempty"`
	// Nothing is a limit of 0.
	Nothing bool `json:"nothing,omitempty"`
}

// Limit says whether there is a goal.
func (g Goal) Limit() bool { return g.AtMost != 0 || g.AtLeast != 0 || g.Nothing }

func (g Goal) String() string {
	switch {
	case g.Nothing:
		return "0"
	case g.AtMost != 0:
		return "≤ " + number(g.AtMost)
	case g.AtLeast != 0:
		return "≥ " + number(g.AtLeast)
	}
	return ""
}

// Met says whether the goal was reached.
func (l Line) Met() bool {
	value := l.Ratio
	if l.Goal.Absolute || l.Goal.Nothing {
		value = l.Ours
	}
	switch {
	case l.Goal.Nothing:
		return value == 0
	case l.Goal.AtMost != 0:
		return value <= l.Goal.AtMost
	case l.Goal.AtLeast != 0:
		return value >= l.Goal.AtLeast
	}
	return true
}

// Pairs is a line of samples that were taken in turns. Its ratio is the middle one of the pairs', as a machine that is
// slower for a while is so for both of a pair.
func Pairs(row, what, unit string, ours, floor []float64, goal Goal) Line {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / floor[i]
	}
	return Line{
		Row: row, What: what, Unit: unit, Ours: Middle(ours), Floor: Middle(floor),
		OursSamples: ours, FloorSamples: floor, Ratio: Middle(ratios), Goal: goal,
		Notes: []string{spread(ratios)},
	}
}

// InTrips is a line of times in milliseconds, with the middle of the round trips of one write as its floor.
func InTrips(row, what string, times, trips []float64, goal Goal) Line {
	line := Line{
		Row: row, What: what, Unit: "ms", Ours: Middle(times), Floor: Middle(trips), OursSamples: times, FloorSamples: trips,
		P99: Quantile(times, 0.99), FloorP99: Quantile(trips, 0.99), Goal: goal,
	}
	line.Ratio = line.Ours / line.Floor
	line.Notes = []string{fmt.Sprintf("p99 %s ms, of a round trip %s ms; %d samples", number(line.P99), number(line.FloorP99), len(times))}
	return line
}

// spread says how far the ratios of pairs are apart.
func spread(ratios []float64) string {
	if len(ratios) == 1 {
		return "1 pair"
	}
	return fmt.Sprintf("%d pairs, ratios from %s to %s", len(ratios), number(slices.Min(ratios)), number(slices.Max(ratios)))
}

// Middle is the median.
func Middle(samples []float64) float64 { return Quantile(samples, 0.5) }

// Quantile is the least of the samples that this share of them does not exceed; of the middle two, what is between them.
func Quantile(samples []float64, share float64) float64 {
	count := len(samples)
	if count == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	if share == 0.5 && count%2 == 0 {
		return (sorted[count/2-1] + sorted[count/2]) / 2
	}
	return sorted[max(0, int(math.Ceil(share*float64(count)))-1)]
}

// Rows are the rows that there are.
var Rows = []string{"P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"}

// Add adds the lines of a row, and the sizes if it has measured any.
func (r *Report) Add(lines []Line, sizes []Size) {
	r.Lines = append(r.Lines, lines...)
	slices.SortStableFunc(r.Lines, func(a, b Line) int { return strings.Compare(a.Row, b.Row) })
	if len(sizes) > 0 {
		r.Sizes = sizes
	}
}

// Forget takes out what is known of a row.
func (r *Report) Forget(row string) {
	r.Lines = slices.DeleteFunc(r.Lines, func(line Line) bool { return line.Row == row })
	if row == "P7" {
		r.Sizes = nil
	}
	delete(r.Failed, row)
}

// Merge adds what another report has.
func (r *Report) Merge(other *Report) {
	r.Add(other.Lines, other.Sizes)
	maps.Copy(r.Failed, other.Failed)
}

// Missing are the rows of which nothing is known.
func (r *Report) Missing() []string {
	return slices.DeleteFunc(slices.Clone(Rows), func(row string) bool {
		return slices.ContainsFunc(r.Lines, func(line Line) bool { return line.Row == row })
	})
}

// Same says whether two reports are of the same code, on the same machine, and with samples of the same size.
func (r *Report) Same(other *Report) bool {
	return r.Code == other.Code && r.Machine == other.Machine && r.Quick == other.Quick
}

// Sound says what keeps lines from being figures: a measure that is no number.
func Sound(lines []Line) error {
	for _, line := range lines {
		for _, value := range []float64{line.Ours, line.Floor, line.Ratio} {
			if math.IsNaN(value) || math.IsInf(value, 0) {
				return fmt.Errorf("%s, %s, was not measured: %v of %v", line.Row, line.What, line.Ours, line.Floor)
			}
		}
	}
	return nil
}

// Write writes the report to a file.
func (r *Report) Write(path string) error {
	encoded, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(encoded, '\n'), 0o644)
}

// Read reads one that was written.
func Read(path string) (*Report, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	return r, json.Unmarshal(content, r)
}
