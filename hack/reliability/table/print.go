package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"workorders.dev/operator/hack/reliability/report"
)

// print shows the table on a terminal: a line for each row, and one for each harness below it.
func (f *findings) print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table)
	for i := range f.Results {
		r := &f.Results[i]
		fmt.Fprintf(table, "%s %s\t%s\n", mark(r), r.ID, r.Hazard)
		for j := range r.Lines {
			line := &r.Lines[j]
			fmt.Fprintf(table, "\t  %s\t%s %s\t%s\t%s\t%s\n", line.Harness, grouped(line.Cases), line.Unit, broken(line.Violations), seeds(line), took(line.Seconds))
		}
		if !r.Run() {
			fmt.Fprintln(table, "\t  NOT RUN")
		}
	}
	fmt.Fprintf(table, "\n%s\n\n", f.summary())
	return table.Flush()
}

// mark is how a row fared, in one character.
func mark(r *report.Result) string {
	switch {
	case r.Violations() > 0:
		return "✗"
	case r.Run():
		return "✓"
	}
	return "!"
}

func broken(n int) string {
	if n == 1 {
		return "1 VIOLATION"
	}
	if n > 0 {
		return grouped(n) + " VIOLATIONS"
	}
	return "0 violations"
}

func seeds(line *report.Line) string {
	if line.Seeds == "" {
		return ""
	}
	return "seeds " + line.Seeds
}

// summary is all of it in a sentence.
func (f *findings) summary() string {
	said := fmt.Sprintf("%d of %d rows run, %s", f.Shown(), len(f.Results), broken(f.Violations()))
	if rows := f.NotRun(); len(rows) > 0 {
		said += "; NOT RUN: " + strings.Join(rows, ", ")
	}
	if len(f.Failed) > 0 {
		said += "; FAILED: " + strings.Join(f.Failed, ", ")
	}
	return said
}
