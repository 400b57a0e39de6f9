// Package result is what measurements have shown: in numbers, for people, and drawn.
package result

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// Report is one run of the measurements.
type Report struct {
	// When it was run, of which commit, and on what.
	When    time.Time `json:"when"`
	Commit  string    `json:"commit"`
	Machine string    `json:"machine"`
	// Quick says that fewer and smaller samples were taken.
	Quick bool `json:"quick"`
	// Lines are what was measured, in the order of their rows.
	Lines []Line `json:"lines"`
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
	// CPU is the operator's, in seconds for 1,000 steps, and Peak the most memory that it had, in MiB.
	CPU  float64 `json:"cpu"`
	Peak float64 `json:"peak"`
	// Wasted is how many turns came to nothing, for each transition.
	Wasted float64 `json:"wasted"`
	// Sent is how many bytes the operator sent for a transition, and Stored how many are kept of an order with its events.
	Sent   int `json:"sent"`
	Stored int `json:"stored"`
}

// Kind is what grows.
type Kind string

// The kinds.
const (
	Sequence   Kind = "steps in sequence"
	SideBySide Kind = "steps side by side"
	Crowd      Kind = "orders of two Pods"
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
