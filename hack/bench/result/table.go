package result

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
)

// Table prints the lines for a person at a terminal.
func (r *Report) Table(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ROW\tMEASURE\tOURS\tFLOOR\tRATIO\tGOAL\t")
	for _, line := range r.Lines {
		fmt.Fprintf(table, "%s\t%s\t%s %s\t%s\t%s\t%s\t%s\n",
			line.Row, line.What, number(line.Ours), line.Unit, optional(line.Floor), optional(line.Ratio), line.Goal, line.verdict())
	}
	for _, row := range slices.Sorted(maps.Keys(r.Failed)) {
		fmt.Fprintf(table, "%s\tNOT MEASURED: %s\t\t\t\t\t\n", row, r.Failed[row])
	}
	return table.Flush()
}

// verdict is a word on whether the goal was reached.
func (l Line) verdict() string {
	switch {
	case !l.Goal.Limit():
		return ""
	case l.Met():
		return "met"
	}
	return "MISSED"
}

// Missed are the lines whose goal was not reached.
func (r *Report) Missed() (missed []Line) {
	for _, line := range r.Lines {
		if !line.Met() {
			missed = append(missed, line)
		}
	}
	return missed
}

func optional(value float64) string {
	if value == 0 {
		return ""
	}
	return number(value)
}

// number is a number with three digits that mean something, or all that are before the point.
func number(value float64) string {
	size := math.Abs(value)
	switch {
	case value == math.Trunc(value) || size >= 100:
		return strconv.FormatFloat(value, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(value, 'f', 1, 64)
	case size >= 0.01:
		return strconv.FormatFloat(value, 'f', 2, 64)
	}
	return strconv.FormatFloat(value, 'f', 4, 64)
}
