package result

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

//go:embed performance.md.tmpl
var text string

// Document is the report for people who read it later. Charts, by the names that Charts returned, are in the folder
// performance beside it.
func (r *Report) Document(charts []string) ([]byte, error) {
	page, err := template.New("performance.md").Parse(text)
	if err != nil {
		return nil, err
	}
	var drawn []drawing
	for _, chart := range charts {
		drawn = append(drawn, drawing{File: chart, Title: strings.ReplaceAll(strings.TrimSuffix(chart, ".svg"), "-", " ")})
	}
	var out bytes.Buffer
	err = page.Execute(&out, struct {
		*Report
		Drawn []drawing
	}{r, drawn})
	return out.Bytes(), err
}

// drawing is a chart in the document.
type drawing struct{ File, Title string }

// Markdown is the table of all lines.
func (r *Report) Markdown() string {
	var out strings.Builder
	out.WriteString("| | measure | ours | floor | ratio | goal | |\n|---|---|---:|---:|---:|---|---|\n")
	for _, line := range r.Lines {
		verdict := line.verdict()
		if verdict == "MISSED" {
			verdict = "**missed**"
		}
		fmt.Fprintf(&out, "| %s | %s | %s %s | %s | %s | %s | %s |\n", line.Row, strings.Join(append([]string{line.What}, line.Notes...), "<br>"),
			number(line.Ours), line.Unit, optional(line.Floor), optional(line.Ratio), line.Goal, verdict)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// SizeTable is the table of P7's sizes.
func (r *Report) SizeTable() string {
	var out strings.Builder
	out.WriteString("| | transitions/s | bare clients | orders at a time | ratio | CPU for 1,000 steps | memory at most | turns a transition | on a stale cache or for a lost race | bytes sent a transition | bytes of an order and its events |\n" +
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, s := range r.Sizes {
		fmt.Fprintf(&out, "| %s | %s | %s | %d | %s | %s s | %s MiB | %s | %s | %d | %d |\n", s.What, number(s.Rate), number(s.Floor), s.AtOnce,
			number(s.Ratio), number(s.CPU), number(s.Peak), number(s.Turns), number(s.Wasted), s.Sent, s.Stored)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// Largest is the largest crowd of orders; nil if there was none.
func (r *Report) Largest() (largest *Size) {
	for i := range r.Sizes {
		if s := &r.Sizes[i]; s.Kind == Crowd && (largest == nil || s.Orders > largest.Orders) {
			largest = s
		}
	}
	return largest
}

// PerOrder is how much memory each further order takes, in KiB: by the largest and the smallest crowd.
func (r *Report) PerOrder() float64 {
	largest, smallest := r.Largest(), (*Size)(nil)
	for i := range r.Sizes {
		if s := &r.Sizes[i]; s.Kind == Crowd && (smallest == nil || s.Orders < smallest.Orders) {
			smallest = s
		}
	}
	if largest == nil || largest.Orders == smallest.Orders {
		return 0
	}
	return (largest.Peak - smallest.Peak) * (1 << 10) / float64(largest.Orders-smallest.Orders)
}

// InGiB is how many orders of this size have a GiB of JSON, with their events.
func (s *Size) InGiB() int { return (1 << 30) / max(1, s.Stored) }

// Number is a number for people.
func (r *Report) Number(value float64) string { return number(value) }
