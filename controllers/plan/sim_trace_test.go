package plan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

var update = flag.Bool("update", false, "write the traces in testdata anew")

// trace is a simulation told as a table: a line for everything that people or nodes do, and for every turn of the
// operator that did something. SEQ is in brackets where the event could not be written. The middle is what
// `kubectl get workorders` shows from then on.
type trace struct {
	sim  *simulation
	text bytes.Buffer
	rows *tabwriter.Writer
}

// newTrace begins a trace with a heading.
func newTrace(s *simulation, heading string) *trace {
	t := &trace{sim: s}
	for line := range strings.Lines(heading) {
		fmt.Fprintf(&t.text, "# %s", line)
	}
	fmt.Fprint(&t.text, "\n\n")
	t.rows = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	t.row("TIME", "SEQ", "WHAT", "STEP", "EPOCH", "MESSAGE", "|", "PHASE", "PROGRESS", "STEP", "EPOCH", "REWINDS", "|", "PODS")
	s.tell = t.told
	s.turned = t.turned
	return t
}

func (t *trace) row(cells ...any) {
	line := fmt.Sprintln(cells[0])
	for _, cell := range cells[1:] {
		line = strings.TrimSuffix(line, "\n") + "\t" + fmt.Sprintln(cell)
	}
	fmt.Fprint(t.rows, line)
}

func (t *trace) time() string { return t.sim.now.Sub(epoch0).String() }

// told is a line for what somebody else does.
func (t *trace) told(who string, a steppod.Attempt, said string) {
	t.row(t.time(), "", "  "+who, a.Step, number(a.Epoch), said, "|", "", "", "", "", "", "|", "")
}

// turned is a line for what the operator did in a turn.
func (t *trace) turned() {
	last := t.sim.operator.last
	if last.event == nil && len(last.effects) == 0 {
		return
	}
	seq, what, step, epoch, message := "", "(acts)", "", "", ""
	if e := last.event; e != nil {
		seq, what, step, epoch, message = number(e.Sequence), string(e.Type), e.Step, number(e.Epoch), e.Message+rewinds(e.Rewind)
		if last.unrecorded {
			seq = "(" + seq + ")"
		}
	}
	cells := []any{t.time(), seq, what, step, epoch, message, "|"}
	if o := t.sim.order; o != nil {
		s := &o.Status
		cells = append(cells, s.Phase, s.Progress, s.CurrentStep, s.Epoch, s.Rewinds)
	} else {
		cells = append(cells, "(gone)", "", "", "", "")
	}
	t.row(append(cells, "|", pods(last.effects))...)
}

// rewinds says which events a rewind makes void.
func rewinds(r *v1alpha1.Rewind) string {
	if r == nil {
		return ""
	}
	said := fmt.Sprintf(" [%s: voids what is after %d of", r.Reason, r.SupersededAfter)
	for _, s := range r.Steps {
		said += fmt.Sprintf(" %s<%d", s.Step, s.NewEpoch)
	}
	return said + "]"
}

// pods says what was done to Pods; when the same was done to many, how many.
func pods(effects []effect) string {
	var said []string
	for len(effects) > 0 {
		n := 1
		for n < len(effects) && effects[n].verb == effects[0].verb {
			n++
		}
		if n > 3 {
			said = append(said, fmt.Sprintf("%s %d Pods", effects[0].verb, n))
		} else {
			for _, e := range effects[:n] {
				said = append(said, fmt.Sprintf("%s %s/%d", e.verb, e.attempt.Step, e.attempt.Epoch))
			}
		}
		effects = effects[n:]
	}
	return strings.Join(said, ", ")
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// String is the trace as it stands.
func (t *trace) String() string {
	_ = t.rows.Flush()
	return t.text.String()
}

// golden compares the trace with the file in testdata, or writes it there.
func (t *trace) golden(tb testing.TB, name string) {
	tb.Helper()
	if err := t.rows.Flush(); err != nil {
		tb.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(t.text.String()) {
		got.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			tb.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		tb.Errorf("the trace has changed; if that is meant, run go test ./controllers/plan -update\n%s", diff)
	}
}

func encode(v any) []byte {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return encoded
}
