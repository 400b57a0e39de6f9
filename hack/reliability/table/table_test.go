package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"workorders.dev/operator/hack/reliability/report"
)

// whole is a report in which every row was run, without violations.
func whole() []report.Line {
	var lines []report.Line
	for _, row := range report.Rows {
		lines = append(lines, report.Line{Row: row.ID, Harness: "H2", Cases: 1234, Unit: "cases", Full: true, Seconds: 61, Seeds: "1-9", Notes: []string{"a | b"}})
	}
	return lines
}

func found(lines []report.Line, failed ...string) *findings {
	return &findings{Results: report.Results(lines), Failed: failed, Commit: "abc1234", Date: "2030-01-02", Go: "go1.0", CPUs: 2}
}

func TestOnlyAWholeRunWithoutViolationsIsASuccess(t *testing.T) {
	broken := append(whole(), report.Line{Row: "R3", Harness: "H1", Cases: 1, Violations: 2})
	empty := append(whole()[1:], report.Line{Row: "R1", Harness: "H1"})
	for _, test := range []struct {
		when    string
		f       *findings
		partial bool
		want    string
	}{
		{"all is well", found(whole()), false, ""},
		{"a law was broken", found(broken), false, "2 laws were broken"},
		{"a law was broken in a partial run", found(broken), true, "2 laws were broken"},
		{"a row is missing", found(whole()[1:]), false, "not run: R1"},
		{"a row has no cases", found(empty), false, "not run: R1"},
		{"a row is missing in a partial run", found(whole()[1:]), true, ""},
		{"a part failed", found(whole(), "H1"), true, "failed: H1"},
		{"nothing was run", found(nil), false, "not run: R1, R2"},
	} {
		err := test.f.verdict(test.partial)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("when %s: %v", test.when, err)
		}
	}
}

func TestTheTerminalShowsEveryRow(t *testing.T) {
	lines := append(whole()[1:], report.Line{Row: "R2", Harness: "H1", Cases: 1_234_567, Unit: "states", Violations: 1, Seconds: 120})
	var out strings.Builder
	if err := found(lines, "H1").print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"! R1 ", "NOT RUN", "✗ R2 ", "1,234,567 states", "1 VIOLATION", "2 min", "✓ R3 ", "seeds 1-9", "1 min 1 s", "FAILED: H1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestTheDocumentSaysWhatWasShownAndWhatWasNot(t *testing.T) {
	lines := append(whole()[1:], report.Line{Row: "R23", Harness: "H2", Cases: 1, Unit: "guards removed", Notes: []string{`without "the lock" fails R8/late`, "3 others"}})
	document, err := found(lines, "H3").document()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| **R1** | " + report.Rows[0].Hazard + " |  | **NOT RUN** |", "nothing is claimed here", `a \| b`,
		"| the lock | `R8/late` (H2) |", "3 others; each is listed below; at its quick size", "Parts of this run failed: H3", "commit abc1234", "**I8**", "1,234 cases",
	} {
		if !strings.Contains(string(document), want) {
			t.Errorf("%q is not in\n%s", want, document)
		}
	}
	if strings.Contains(string(document), "{{") {
		t.Error("the template is not filled in")
	}
}

func TestNumbersAndTimesCanBeRead(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
	for n, want := range map[int]string{0: "under 1 s", 59: "59 s", 60: "1 min", 3601: "60 min 1 s"} {
		if got := took(n); got != want {
			t.Errorf("%d s is %s", n, got)
		}
	}
}

// TestTheTestsThatTheDocumentNamesExist looks for each test that is said to fail without a guard, and for each guard that the
// model can take away.
func TestTheTestsThatTheDocumentNamesExist(t *testing.T) {
	named := regexp.MustCompile("(?m)^\\| (.+) \\| `(Test\\w+)(/[^`]+)?` in (\\S+) \\|$").FindAllStringSubmatch(text, -1)
	if len(named) < 8 {
		t.Fatalf("%d guards are listed: too few to be true", len(named))
	}
	for _, match := range named {
		test, sub, folder := match[2], strings.TrimPrefix(match[3], "/"), match[4]
		source := testsIn(t, folder)
		if !strings.Contains(source, "func "+test+"(t *testing.T)") {
			t.Errorf("%s: there is no %s in %s", match[1], test, folder)
		}
		if sub != "" && !strings.Contains(source, fmt.Sprintf("%q", sub)) {
			t.Errorf("%s: %s has no %q", match[1], test, sub)
		}
	}
	for _, match := range regexp.MustCompile(`(?m)^\tguard\w+ +guard = "(.+)"$`).FindAllStringSubmatch(testsIn(t, "controllers/internal/model"), -1) {
		if !strings.Contains(text, "/"+match[1]+"` in controllers/internal/model |") {
			t.Errorf("the model takes away %q, and the document does not say so", match[1])
		}
	}
}

func testsIn(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../..", folder, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests: %v", folder, err)
	}
	var all strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}
