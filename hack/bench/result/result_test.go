package result

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheMiddleAndTheEdgeOfSamples(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i) // In any order.
	}
	for _, c := range []struct {
		samples []float64
		share   float64
		want    float64
	}{
		{nil, 0.5, 0}, {[]float64{7}, 0.99, 7}, {[]float64{3, 1, 2}, 0.5, 2}, {[]float64{1, 2, 3, 10}, 0.5, 2.5}, {hundred, 0.99, 99}, {hundred, 1, 100},
	} {
		if got := Quantile(c.samples, c.share); got != c.want {
			t.Errorf("the %v of %d samples is %v, want %v", c.share, len(c.samples), got, c.want)
		}
	}
}

func TestAPairIsComparedWithinItself(t *testing.T) {
	// The machine was ten times slower for the second pair, which says nothing about what is compared.
	line := Pairs("P1", "steps", "s", []float64{1.1, 11, 1.2}, []float64{1, 10, 1}, Goal{AtMost: 1.15})
	if got := number(line.Ratio); got != "1.10" {
		t.Errorf("the ratio is %s, want the middle one of 1.1, 1.1 and 1.2", got)
	}
	if !line.Met() {
		t.Error("1.1 is at most 1.15")
	}
}

func TestGoals(t *testing.T) {
	for name, c := range map[string]struct {
		line Line
		met  bool
		text string
	}{
		"none":                    {Line{Ours: 5}, true, ""},
		"a ratio, at most":        {Line{Ratio: 1.04, Goal: Goal{AtMost: 1.03}}, false, "≤ 1.03"},
		"a ratio, at least":       {Line{Ratio: 0.7, Goal: Goal{AtLeast: 0.7}}, true, "≥ 0.70"},
		"the measure itself":      {Line{Ours: 4, Ratio: 9, Goal: Goal{AtMost: 4, Absolute: true}}, true, "≤ 4"},
		"nothing":                 {Line{Ours: 1, Goal: Goal{Nothing: true}}, false, "0"},
		"nothing, and it is none": {Line{Ours: 0, Goal: Goal{Nothing: true}}, true, "0"},
	} {
		if got := c.line.Met(); got != c.met {
			t.Errorf("%s: met: %t, want %t", name, got, c.met)
		}
		if got := c.line.Goal.String(); got != c.text {
			t.Errorf("%s: %q, want %q", name, got, c.text)
		}
	}
}

// report has a line of each kind that is drawn.
func report() *Report {
	r := &Report{Commit: "abc", Lines: []Line{Pairs("P1", "7 steps in sequence", "s", []float64{14.5}, []float64{14.2}, Goal{AtMost: 1.03})}}
	for _, size := range []float64{7, 64, 256} {
		for _, kind := range []Kind{Sequence, SideBySide, Crowd} {
			line := Pairs("P7", number(size)+" "+string(kind), "transitions/s", []float64{300 / size}, []float64{310 / size}, Goal{AtLeast: 0.99})
			r.Lines = append(r.Lines, line)
			r.Sizes = append(r.Sizes, Size{
				What: number(size) + " " + string(kind), Kind: kind, Of: size, Orders: int(size), Rate: line.Ours, Floor: line.Floor, Peak: 80, Stored: 1 << 13,
			})
		}
	}
	for _, load := range []string{"idle", "200 orders running"} {
		r.Lines = append(r.Lines, Line{Row: "P5", What: "Pod's end to next Pod, " + load, Unit: "ms", Ours: 12, Floor: 4, Ratio: 3, OursSamples: []float64{9, 12, 40}, Goal: Goal{AtMost: 6}})
	}
	return r
}

func TestTheTableSaysWhatWasMissed(t *testing.T) {
	var out bytes.Buffer
	r := report()
	if err := r.Table(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"P1   7 steps in sequence", "14.5 s", "1.02", "≤ 1.03  met", "≥ 0.99  MISSED"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, out.String())
		}
	}
	if missed := r.Missed(); len(missed) != 9 {
		t.Errorf("%d lines were missed, want 9", len(missed))
	}
}

func TestAReportIsReadAsItWasWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	if err := report().Write(file); err != nil {
		t.Fatal(err)
	}
	read, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	var want, got bytes.Buffer
	if err := report().Table(&want); err != nil {
		t.Fatal(err)
	}
	if err := read.Table(&got); err != nil {
		t.Fatal(err)
	}
	if want.String() != got.String() {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want.String())
	}
}

func TestChartsAreDrawnOfWhatWasMeasured(t *testing.T) {
	folder := t.TempDir()
	names, err := report().Charts(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 4 {
		t.Errorf("drawn: %v", names)
	}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(content, []byte("<svg")) {
			t.Errorf("%s is no SVG", name)
		}
	}
	if names, err := (&Report{}).Charts(folder); err != nil || len(names) > 0 {
		t.Errorf("of nothing: %v, %v", names, err)
	}
}

func TestTheDocumentHasTheNumbers(t *testing.T) {
	text, err := report().Document([]string{"pod-to-pod.svg"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| P1 | 7 steps in sequence<br>1 pair |", "**missed**", "**Goals that were missed:** P7", "| 256 orders of one Pod |",
		"![pod to pod](performance/pod-to-pod.svg)", "80 MiB at most with 256 orders", "131072 of them are a GiB",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
}

func TestWhatWasMeasuredEarlierIsKept(t *testing.T) {
	earlier, now := report(), &Report{Commit: "later, without another line of code", Failed: map[string]string{}}
	if !now.Same(earlier) || now.Same(&Report{Commit: earlier.Commit, Code: "other"}) {
		t.Error("reports are the same by their code")
	}
	earlier.Forget("P7") // It is measured anew.
	now.Merge(earlier)
	if len(now.Sizes) > 0 {
		t.Errorf("the sizes of P7 are kept: %v", now.Sizes)
	}
	now.Add([]Line{{Row: "P3"}}, []Size{{What: "new"}})
	rows := ""
	for _, line := range now.Lines {
		rows += line.Row + " "
	}
	if rows != "P1 P3 P5 P5 " {
		t.Errorf("the rows are %s", rows)
	}
	if missing := strings.Join(now.Missing(), " "); missing != "P2 P4 P6 P7 P8" {
		t.Errorf("missing: %s", missing)
	}
}

func TestTimesAreComparedWithRoundTrips(t *testing.T) {
	line := InTrips("P5", "Pod's end to next Pod, idle", []float64{30, 10, 20}, []float64{5, 4, 6}, Goal{AtMost: 6})
	if line.Ratio != 4 || line.P99 != 30 || line.FloorP99 != 6 || line.OursSamples[0] != 30 {
		t.Errorf("got %+v", line)
	}
	if err := Sound([]Line{line, InTrips("P5", "nothing", []float64{1}, nil, Goal{})}); err == nil {
		t.Error("what has no floor was not measured, and is no figure")
	}
}
