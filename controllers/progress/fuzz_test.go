package progress

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"workorders.dev/operator/api/v1alpha1"
)

// FuzzChain shows that the log of an order can be read from any set of events: with cycles, missing parents, forged
// branches, numbers that make no sense, and thousands of them.
func FuzzChain(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, uint8(7))
	for _, kind := range []byte{'l', 'c', 'm', 'f'} {
		log := []byte{kind}
		for i := range byte(60) {
			log = append(log, i, i*7+kind)
		}
		f.Add(log, uint8(59))
	}
	f.Fuzz(func(t *testing.T, log []byte, head uint8) {
		events := drawnLog(log)
		checkChain(t, fmt.Sprintf("e%d", head), events)
	})
}

// drawnLog is the events that a fuzzer's bytes say, two bytes an event: which event it names as its parent, and what else
// it is. Without trouble it is one chain.
func drawnLog(bytes []byte) []v1alpha1.ProgressEvent {
	var events []v1alpha1.ProgressEvent
	for i := 0; i+1 < len(bytes); i += 2 {
		n, parent, kind := i/2, bytes[i], bytes[i+1]
		previous := ""
		switch {
		case kind < 160 && n > 0:
			previous = fmt.Sprintf("e%d", n-1)
		case kind < 220:
			previous = fmt.Sprintf("e%d", parent) // Back, forward, itself, or one that there is not.
		}
		e := event(fmt.Sprintf("e%d", n), previous, int64(n)+1, string(rune('a'+parent%3)), int64(kind%5))
		if kind%16 == 15 {
			e.Spec.WorkOrder.UID = "somebody-elses"
		}
		if kind%16 == 14 {
			e.Spec.Sequence = []int64{0, -1, math.MaxInt64, math.MinInt64}[parent%4]
		}
		if kind%8 == 5 {
			e = rewinding(e, int64(parent)-3, fmt.Sprintf("%c<%d", 'a'+parent%3, kind%10))
		}
		if n == 0 || kind%8 == 3 {
			e = holding(e, parent%2 == 0, "a:Running", "b:Pending", "c:Pending")
		} else {
			e = holding(e, false, e.Spec.Step+":"+[]string{"Running", "Succeeded", "Backoff", "Dreaming"}[kind%4])
		}
		if kind == 255 && n > 0 {
			e.Name = events[n-1].Name // Two of one name cannot be, but may be claimed.
		}
		events = append(events, e)
	}
	return events
}

// FuzzForgedLog is the same for events as somebody might write them in JSON.
func FuzzForgedLog(f *testing.F) {
	for _, events := range []string{
		`[]`,
		`[{"metadata":{"name":"e0"},"spec":{"workOrder":{"uid":"uid-1"},"sequence":1,"changes":{"order":{},"allSteps":true,"steps":[{"name":"a","phase":"Running"}]}}}]`,
		`[{"metadata":{"name":"e0"},"spec":{"workOrder":{"uid":"uid-1"},"previous":"e0"}}]`,
		`[{"metadata":{"name":"e0"},"spec":{"workOrder":{"uid":"uid-1"},"previous":"e1"}},{"metadata":{"name":"e1"},"spec":{"workOrder":{"uid":"uid-1"},"previous":"e0","rewind":{"steps":[{"step":"","newEpoch":9}]}}}]`,
		`[{"metadata":{"name":""},"spec":{"workOrder":{"uid":"uid-1"}}},{}]`,
	} {
		f.Add([]byte(events), "e0")
	}
	f.Fuzz(func(t *testing.T, encoded []byte, head string) {
		var events []v1alpha1.ProgressEvent
		if json.Unmarshal(encoded, &events) != nil || len(events) > 200 {
			t.Skip()
		}
		checkChain(t, head, events)
	})
}

// checkChain checks what holds for the log that is read from any events.
func checkChain(t *testing.T, head string, events []v1alpha1.ProgressEvent) {
	t.Helper()
	before := slices.Clone(events)
	chain := Follow(uid, head, events)
	if again := Follow(uid, head, slices.Clone(events)); !reflect.DeepEqual(chain, again) {
		t.Error("read twice, it is two logs")
	}
	// Each event is there once, is the order's, and is what the next one names; the last one is the head, and the first one
	// has no parent, or one that is said to be missing.
	next, seen := head, map[string]bool{}
	for _, e := range slices.Backward(chain.Events) {
		if e.Name != next || e.Spec.WorkOrder.UID != uid || seen[e.Name] {
			t.Fatalf("%s is not what comes before: %s", e.Name, next)
		}
		next, seen[e.Name] = e.Spec.Previous, true
	}
	if next != chain.Missing {
		t.Errorf("%q should come first, and %q is said to be missing", next, chain.Missing)
	}
	void := chain.Superseded()
	for name := range void {
		if !seen[name] {
			t.Errorf("%s is void, and not on the chain", name)
		}
	}
	if held := chain.Collapse(); len(held)+len(void) != len(chain.Events) {
		t.Errorf("of %d events %d hold and %d are void", len(chain.Events), len(held), len(void))
	}
	status, whole := chain.Fold()
	if again, _ := chain.Fold(); !reflect.DeepEqual(status, again) {
		t.Error("folded twice, it is two statuses")
	}
	if n := len(chain.Events); whole && (n == 0 || status.Head != head || status.Sequence != chain.Events[n-1].Spec.Sequence) {
		t.Errorf("the log ends at %s, and its fold at %s", head, status.Head)
	}
	if !reflect.DeepEqual(before, events) {
		t.Error("what was only to be read was changed")
	}
	for _, cursor := range []int64{math.MinInt64, -1, 0, 3, math.MaxInt64} {
		rest := chain.After(cursor)
		if len(rest) > 0 && &chain.Events[len(chain.Events)-len(rest)] != &rest[0] {
			t.Error("what a reader has not seen is not the end of the log")
		}
	}
}

func TestALogOfAHundredThousandEventsIsRead(t *testing.T) {
	var events []v1alpha1.ProgressEvent
	for i := range int64(100_000) {
		e := holding(event(fmt.Sprintf("e%d", i), fmt.Sprintf("e%d", i-1), i+1, "a", 1), i == 0, "a:Running")
		if i == 0 {
			e.Spec.Previous = ""
		}
		events = append(events, e)
	}
	slices.Reverse(events)
	chain := Follow(uid, "e99999", events)
	status, whole := chain.Fold()
	if len(chain.Events) != 100_000 || chain.Missing != "" || !whole || status.Sequence != 100_000 {
		t.Errorf("%d events, missing %q, whole: %v, number %d", len(chain.Events), chain.Missing, whole, status.Sequence)
	}
}
