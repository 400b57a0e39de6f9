// Command table shows what the tests of reliability have shown: as a table on the terminal, and as docs/reliability.md.
// It fails if a law was broken, or if a row that is possible was not run.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"workorders.dev/operator/hack/reliability/report"
)

func main() {
	var s settings
	flag.StringVar(&s.report, "report", "", "File with the lines of the report.")
	flag.StringVar(&s.document, "write", "", "File to write the document to; none if empty.")
	flag.StringVar(&s.commit, "commit", "", "What was tested.")
	flag.StringVar(&s.failed, "failed", "", "Parts of the run that failed, as the document must not keep that to itself.")
	flag.StringVar(&s.again, "again", "", "Parts that were run more than once on the same code, and how often, as the document must not keep that to itself either.")
	flag.BoolVar(&s.partial, "partial", false, "Only a part was to be run: what was not run is no failure.")
	flag.Parse()
	if err := s.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type settings struct {
	report, document, commit, failed, again string
	partial                                 bool
}

func (s *settings) run() error {
	file, err := os.Open(s.report)
	if err != nil {
		return fmt.Errorf("open the report: %w", err)
	}
	defer file.Close()
	lines, err := report.Read(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.report, err)
	}
	f := findings{
		Results: report.Results(lines), Failed: strings.Fields(s.failed), Again: s.again, Commit: s.commit,
		Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version(), CPUs: runtime.NumCPU(),
	}
	if err := f.print(os.Stdout); err != nil {
		return err
	}
	if s.document != "" {
		document, err := f.document()
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.document, document, 0o644); err != nil {
			return fmt.Errorf("write the document: %w", err)
		}
		fmt.Printf("written: %s\n", s.document)
	}
	return f.verdict(s.partial)
}
