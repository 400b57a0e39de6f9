// Package report is how the tests of reliability tell what they have shown: one line for each row of the table of hazards
// that a test covers, added to the file that RELIABILITY_REPORT names. Without that variable nothing is written.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Line is what one test has shown of one row.
type Line struct {
	// Row is the id of the row: R1, S1.
	Row string `json:"row"`
	// Harness is where it was shown: H1 (in process), H2 (real kube-apiserver), H3 (real node), or unit.
	Harness string `json:"harness"`
	// Cases is how many cases were run, in the unit that the row counts in.
	Cases int `json:"cases"`
	// Unit is what Cases counts, in the plural: "write points × faults", "states", "walks".
	Unit string `json:"unit,omitempty"`
	// Violations is how many laws were broken.
	Violations int `json:"violations"`
	// Seeds are the seeds of random cases, first and last; empty if nothing was random.
	Seeds string `json:"seeds,omitempty"`
	// Notes are numbers worth knowing besides, each a few words.
	Notes []string `json:"notes,omitempty"`
	// Full says that the row was run at its whole size, and not at the quick one.
	Full bool `json:"full"`
	// Seconds is how long it took.
	Seconds int `json:"seconds"`
}

// Since sets the seconds from the time that the test began.
func (l Line) Since(began time.Time) Line {
	l.Seconds = int(time.Since(began).Seconds() + 0.5)
	return l
}

// Add adds the line to the report, if one is asked for.
func (l Line) Add() error {
	path := os.Getenv("RELIABILITY_REPORT")
	if path == "" {
		return nil
	}
	encoded, err := json.Marshal(l)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the report: %w", err)
	}
	if _, err := file.Write(append(encoded, '\n')); err != nil {
		_ = file.Close()
		return fmt.Errorf("write the report: %w", err)
	}
	return file.Close()
}

// Full says whether every test is to run at its whole size: RELIABILITY=full.
func Full() bool { return os.Getenv("RELIABILITY") == "full" }
