package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsAddedIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.jsonl")
	t.Setenv("RELIABILITY_REPORT", path)
	want := []Line{
		{Row: "R1", Harness: "H2", Cases: 12, Unit: "write points", Violations: 1, Seeds: "1-12", Notes: []string{"a", "b"}, Full: true, Seconds: 3},
		{Row: "S4", Harness: "unit", Cases: 1},
	}
	for _, line := range want {
		if err := line.Add(); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, err := Read(file)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if line := (Line{}).Since(time.Now().Add(-2700 * time.Millisecond)); line.Seconds != 3 {
		t.Errorf("it took %d seconds", line.Seconds)
	}
}

func TestNothingIsWrittenUnlessAReportIsAskedFor(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("RELIABILITY_REPORT", "")
	if err := (Line{Row: "R1", Harness: "H1"}).Add(); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir("."); len(files) > 0 {
		t.Errorf("there is %v", files)
	}
}

func TestWhatIsNoLineIsNotPassedOver(t *testing.T) {
	for report, want := range map[string]string{
		`{"row":"R1","harness":"H1"}` + "\nnonsense":                 "line 2 is none of this format",
		`{"row":"R1","harness":"H1","cases":1,"colour":"red"}`:       "line 1 is none of this format",
		`{"row":"R20","harness":"H1"}`:                               `line 1 is of row "R20", and there is no such row`,
		`{"row":"R1","harness":"H4"}`:                                `line 1 is of harness "H4", and there is no such harness`,
		"\n" + `{"row":"R1","harness":"H2","seeds":[1,2],"cases":1}`: "line 2 is none of this format",
	} {
		if _, err := Read(strings.NewReader(report)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", report, err)
		}
	}
}

func TestLinesThatCountTheSameAreAddedUp(t *testing.T) {
	results := Results([]Line{
		{Row: "R1", Harness: "H2", Unit: "cases", Cases: 5, Seconds: 1, Full: true},
		{Row: "R1", Harness: "unit", Unit: "cases", Cases: 1},
		{Row: "R1", Harness: "H1", Unit: "states", Cases: 10, Violations: 1, Seeds: "1", Notes: []string{"a"}, Seconds: 1, Full: true},
		{Row: "R1", Harness: "H1", Unit: "walks", Cases: 7, Full: true},
		{Row: "R1", Harness: "H1", Unit: "states", Cases: 20, Violations: 2, Seeds: "2", Notes: []string{"a", "b"}, Seconds: 2},
	})
	want := []Line{
		{Row: "R1", Harness: "unit", Unit: "cases", Cases: 1},
		{Row: "R1", Harness: "H1", Unit: "states", Cases: 30, Violations: 3, Seeds: "1, 2", Notes: []string{"a", "b"}, Seconds: 3},
		{Row: "R1", Harness: "H1", Unit: "walks", Cases: 7, Full: true},
		{Row: "R1", Harness: "H2", Unit: "cases", Cases: 5, Seconds: 1, Full: true},
	}
	if diff := cmp.Diff(want, results[0].Lines); diff != "" {
		t.Error(diff)
	}
	if !results[0].Run() || results[0].Violations() != 3 || results[1].Run() || len(results) != len(Rows) {
		t.Errorf("R1 has %d violations, and R2 was run: %v", results[0].Violations(), results[1].Run())
	}
}

func TestEveryRowIsThereOnceAndInOrder(t *testing.T) {
	var ids []string
	for _, row := range Rows {
		ids = append(ids, row.ID)
		if row.Hazard == "" {
			t.Errorf("%s says too little", row.ID)
		}
	}
	want := "R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R12 R13 R14 R15 R16 R17 R18 R19 R21 R22 R23 S1 S2 S3 S4"
	if got := strings.Join(ids, " "); got != want {
		t.Errorf("the rows are %s", got)
	}
}
