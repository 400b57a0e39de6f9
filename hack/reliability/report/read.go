package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Read is the lines of a report. What is no line, or of no row, is an error: it would be missing from the table.
func Read(from io.Reader) ([]Line, error) {
	var lines []Line
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	for number := 1; scanner.Scan(); number++ {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(scanner.Bytes()))
		decoder.DisallowUnknownFields()
		var line Line
		if err := decoder.Decode(&line); err != nil {
			return nil, fmt.Errorf("line %d is none of this format: %w", number, err)
		}
		switch {
		case !slices.ContainsFunc(Rows, func(r Row) bool { return r.ID == line.Row }):
			return nil, fmt.Errorf("line %d is of row %q, and there is no such row", number, line.Row)
		case !slices.Contains(harnesses, line.Harness):
			return nil, fmt.Errorf("line %d is of harness %q, and there is no such harness", number, line.Harness)
		}
		lines = append(lines, line)
	}
	return lines, scanner.Err()
}

// harnesses are in the order in which the table shows them.
var harnesses = []string{"unit", "H1", "H2", "H3"}

// Result is what all harnesses have shown of one row.
type Result struct {
	Row
	// Lines are added up: one for each harness and unit.
	Lines []Line
}

// Run says whether anything was shown.
func (r *Result) Run() bool {
	return slices.ContainsFunc(r.Lines, func(l Line) bool { return l.Cases > 0 })
}

// Violations is how many laws were broken.
func (r *Result) Violations() (n int) {
	for _, line := range r.Lines {
		n += line.Violations
	}
	return n
}

// Results are the lines by row, every row there is, in their order.
func Results(lines []Line) []Result {
	results := make([]Result, len(Rows))
	for i, row := range Rows {
		results[i].Row = row
		for _, line := range lines {
			if line.Row == row.ID {
				results[i].add(line)
			}
		}
		slices.SortStableFunc(results[i].Lines, func(a, b Line) int {
			return cmp.Compare(slices.Index(harnesses, a.Harness), slices.Index(harnesses, b.Harness))
		})
	}
	return results
}

// add puts a line to those of its harness that count the same.
func (r *Result) add(line Line) {
	for i := range r.Lines {
		sum := &r.Lines[i]
		if sum.Harness != line.Harness || sum.Unit != line.Unit {
			continue
		}
		sum.Cases += line.Cases
		sum.Violations += line.Violations
		sum.Seconds += line.Seconds
		sum.Full = sum.Full && line.Full
		if line.Seeds != "" && !slices.Contains(strings.Split(sum.Seeds, ", "), line.Seeds) {
			sum.Seeds = strings.Trim(sum.Seeds+", "+line.Seeds, ", ")
		}
		for _, note := range line.Notes {
			if !slices.Contains(sum.Notes, note) {
				sum.Notes = append(sum.Notes, note)
			}
		}
		return
	}
	line.Notes = slices.Clone(line.Notes)
	r.Lines = append(r.Lines, line)
}
