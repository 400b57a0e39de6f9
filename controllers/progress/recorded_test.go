package progress

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"workorders.dev/operator/api/v1alpha1"
)

// recording is an order and its events as they were on a real cluster when it had finished: what `kubectl get -o json` printed,
// less who had written what.
type recording struct {
	Order  v1alpha1.WorkOrder
	Events []v1alpha1.ProgressEvent
}

// recordings are those of testdata/recorded, by name.
func recordings(t *testing.T) map[string]recording {
	t.Helper()
	files, err := filepath.Glob("testdata/recorded/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	all := map[string]recording{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := recording{}
		if err := json.Unmarshal(content, &r); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = r
	}
	return all
}

// sequences are the numbers of events.
func sequences(events []*v1alpha1.ProgressEvent) (list []int64) {
	for _, e := range events {
		list = append(list, e.Spec.Sequence)
	}
	return list
}

func TestWhatWasRecordedHasInItWhatLogsCanHave(t *testing.T) {
	gaps, again := 0, 0
	for _, r := range recordings(t) {
		chain := Follow(r.Order.UID, r.Order.Status.Head, r.Events)
		rewinds := map[string]int{}
		for i, e := range chain.Events {
			if i > 0 && e.Spec.Sequence > chain.Events[i-1].Spec.Sequence+1 {
				gaps++
			}
			if e.Spec.Rewind != nil {
				if rewinds[e.Spec.Step]++; rewinds[e.Spec.Step] == 2 {
					again++
				}
			}
		}
	}
	if gaps == 0 || again == 0 {
		t.Errorf("%d gaps and %d steps that were rewound twice: record more", gaps, again)
	}
}

func TestARecordedLogFoldedIsTheStatus(t *testing.T) {
	for name, r := range recordings(t) {
		folded, whole := Follow(r.Order.UID, r.Order.Status.Head, r.Events).Fold()
		if diff := gocmp.Diff(r.Order.Status, folded); diff != "" || !whole {
			t.Errorf("%s: whole: %t (-status +log):\n%s", name, whole, diff)
		}
	}
}

// What still holds of a log when it has been collapsed is one story: no step has two ends, and the ends are the status'.
func TestARecordedLogCollapsedContradictsNothing(t *testing.T) {
	for name, r := range recordings(t) {
		ends := map[string]*v1alpha1.ProgressEvent{}
		for _, e := range Follow(r.Order.UID, r.Order.Status.Head, r.Events).Collapse() {
			if e.Spec.Result == nil {
				continue
			}
			if before := ends[e.Spec.Step]; before != nil {
				t.Errorf("%s: %s has ended twice, at %d and at %d", name, e.Spec.Step, before.Spec.Sequence, e.Spec.Sequence)
			}
			ends[e.Spec.Step] = e
		}
		for step, end := range ends {
			i := slices.IndexFunc(r.Order.Status.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == step })
			if i < 0 || r.Order.Status.Steps[i].Epoch != end.Spec.Epoch || r.Order.Status.Steps[i].Phase != end.Spec.Result.Phase {
				t.Errorf("%s: %s ended %s in epoch %d, and the status has %v", name, step, end.Spec.Result.Phase, end.Spec.Epoch, r.Order.Status.Steps)
			}
		}
	}
}

// However a recorded log reaches a reader, he is shown the same: whether he was there from the beginning or joins late, and in
// whatever order events come.
func TestARecordedLogIsReadAlikeByAll(t *testing.T) {
	for name, r := range recordings(t) {
		chain := Follow(r.Order.UID, r.Order.Status.Head, r.Events)
		want := sequences(chain.Events)
		late := NewReader(r.Order.UID)
		late.Learn(r.Events...)
		if fresh, unknown := late.Advance(r.Order.Status.Head); !slices.Equal(sequences(fresh), want) || unknown != "" {
			t.Errorf("%s: who joins late is shown %v, unknown %q, want %v", name, sequences(fresh), unknown, want)
		}
		for seed := range uint64(50) {
			random := rand.New(rand.NewPCG(seed, 1))
			events := slices.Clone(r.Events)
			random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			reader, shown := NewReader(r.Order.UID), []*v1alpha1.ProgressEvent{}
			for i := range events {
				reader.Learn(events[i])
				newest := slices.MaxFunc(events[:i+1], func(a, b v1alpha1.ProgressEvent) int { return cmp.Compare(a.Spec.Sequence, b.Spec.Sequence) })
				if !slices.ContainsFunc(chain.Events, func(e *v1alpha1.ProgressEvent) bool { return e.Name == newest.Name }) {
					continue // It is on no chain: no head ever led to it.
				}
				fresh, _ := reader.Advance(newest.Name)
				shown = append(shown, fresh...)
			}
			fresh, unknown := reader.Advance(r.Order.Status.Head)
			if shown = append(shown, fresh...); !slices.Equal(sequences(shown), want) || unknown != "" {
				t.Errorf("%s, seed %d: shown %v, unknown %q, want %v", name, seed, sequences(shown), unknown, want)
			}
		}
	}
}
