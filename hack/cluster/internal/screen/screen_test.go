package screen

import (
	"bytes"
	"testing"
	"time"
)

func TestDurationsAsPeopleSayThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		42 * time.Millisecond:              "42 ms",
		4130 * time.Millisecond:            "4.1 s",
		125*time.Second + time.Millisecond: "2 min 5 s",
		3*time.Hour + 5*time.Minute:        "3 h 5 min",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

func TestAPhaseIsOneLineInALog(t *testing.T) {
	var log bytes.Buffer
	s := &Screen{out: &log}
	phase := s.Start("starting the node")
	phase.Say("starting kubelet")
	phase.Done("node ready")
	s.Start("looking").Fail()
	if got := log.String(); got != "✓ node ready  0 ms\n✗ looking  0 ms\n" {
		t.Errorf("got %q", got)
	}
}
