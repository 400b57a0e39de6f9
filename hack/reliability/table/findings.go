package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"workorders.dev/operator/hack/reliability/report"
)

// findings are all that there is to tell.
type findings struct {
	Results []report.Result
	// Failed are the parts of the run that failed.
	Failed []string
	// Again are the parts that were run more than once on the same code, and how often.
	Again            string
	Commit, Date, Go string
	CPUs             int
}

// verdict is the error to end with: laws that were broken, rows that were not run, parts that failed.
func (f *findings) verdict(partial bool) error {
	var wrong []string
	if n := f.Violations(); n > 0 {
		wrong = append(wrong, fmt.Sprintf("%s laws were broken", grouped(n)))
	}
	if rows := f.NotRun(); len(rows) > 0 && !partial {
		wrong = append(wrong, "not run: "+strings.Join(rows, ", "))
	}
	if len(f.Failed) > 0 {
		wrong = append(wrong, "failed: "+strings.Join(f.Failed, ", "))
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("reliability is not shown: %s", strings.Join(wrong, "; "))
}

// Violations is how many laws were broken in all rows.
func (f *findings) Violations() (n int) {
	for i := range f.Results {
		n += f.Results[i].Violations()
	}
	return n
}

// NotRun are the rows of which nothing was shown.
func (f *findings) NotRun() (ids []string) {
	for i := range f.Results {
		if r := &f.Results[i]; !r.Run() {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// Shown is how many rows were run.
func (f *findings) Shown() (n int) {
	for i := range f.Results {
		if f.Results[i].Run() {
			n++
		}
	}
	return n
}

// Quick says whether something was run at its quick size only.
func (f *findings) Quick() bool {
	return slices.ContainsFunc(f.Results, func(r report.Result) bool {
		return slices.ContainsFunc(r.Lines, func(l report.Line) bool { return !l.Full })
	})
}

// guard is a piece of the operator that keeps a law, and what fails when it is taken away.
type guard struct{ Name, By, Harness string }

var guardNote = regexp.MustCompile(`^without "(.+)" fails (.+)$`)

// Guards are those that were taken away, as the notes of R23 have it.
func (f *findings) Guards() (guards []guard) {
	for _, r := range f.Results {
		for _, line := range r.Lines {
			for _, note := range line.Notes {
				if match := guardNote.FindStringSubmatch(note); match != nil {
					guards = append(guards, guard{match[1], match[2], line.Harness})
				}
			}
		}
	}
	return guards
}

// worth is the notes of a line but those that have a table of their own.
func worth(line *report.Line) []string {
	notes := slices.DeleteFunc(slices.Clone(line.Notes), guardNote.MatchString)
	if len(notes) < len(line.Notes) {
		notes = append(notes, "each is listed below")
	}
	if !line.Full {
		notes = append(notes, "at its quick size")
	}
	return notes
}

// grouped is a number that can be read: 1,234,567.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// took is a time that can be read: 3 min 12 s.
func took(seconds int) string {
	switch {
	case seconds < 1:
		return "under 1 s"
	case seconds < 60:
		return fmt.Sprintf("%d s", seconds)
	case seconds%60 == 0:
		return fmt.Sprintf("%d min", seconds/60)
	}
	return fmt.Sprintf("%d min %d s", seconds/60, seconds%60)
}
