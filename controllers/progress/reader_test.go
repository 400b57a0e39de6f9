package progress

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"workorders.dev/operator/api/v1alpha1"
)

func TestAReaderIsShownWhatHappenedOnceAndInOrder(t *testing.T) {
	stray, foreign := event("x2", "e1", 2, "", 0), event("e9", "e3", 4, "", 0)
	foreign.Spec.WorkOrder.UID = "uid-0"
	r := NewReader(uid)
	step := func(head, fresh, unknown string) {
		t.Helper()
		got, missing := r.Advance(head)
		if names(got) != fresh || missing != unknown {
			t.Errorf("at %s: got %q, unknown %q, want %q and %q", head, names(got), missing, fresh, unknown)
		}
	}
	step("", "", "")
	step("e2", "", "e2")
	r.Learn(three()[1], stray, foreign)
	step("e2", "", "e1") // Out of order: the parent has not come yet.
	r.Learn(three()[0])
	step("e2", "e1 e2", "")
	step("e2", "", "")
	step("e1", "", "") // A stale read.
	r.Learn(three()...)
	step("e3", "e3", "")
	step("e9", "", "e9")
	if got := names(r.Chain().Events); got != "e1 e2 e3" || r.Chain().Missing != "" {
		t.Errorf("the chain is %q, missing %q", got, r.Chain().Missing)
	}
	if len(r.loose) != 0 {
		t.Errorf("%d events are kept that can come to nothing any more", len(r.loose))
	}
}

func TestAReaderThatJoinsLateGetsAllThatCameBefore(t *testing.T) {
	r := NewReader(uid)
	r.Learn(three()...)
	if fresh, unknown := r.Advance("e3"); names(fresh) != "e1 e2 e3" || unknown != "" {
		t.Errorf("got %q, unknown %q", names(fresh), unknown)
	}
}

func TestAReaderGoesOnBehindAnEventThatIsLost(t *testing.T) {
	r := NewReader(uid)
	r.Learn(three()[0], three()[2])
	if _, unknown := r.Advance("e1"); unknown != "" {
		t.Fatal(unknown)
	}
	if _, unknown := r.Advance("e3"); unknown != "e2" {
		t.Fatalf("e2 is not there, and %q is missed", unknown)
	}
	r.Lose("e2")
	if fresh, unknown := r.Advance("e3"); names(fresh) != "e3" || unknown != "" || r.Chain().Missing != "e2" {
		t.Errorf("got %q, unknown %q, missing %q", names(fresh), unknown, r.Chain().Missing)
	}
	r.Lose("e4")
	if fresh, unknown := r.Advance("e4"); len(fresh) > 0 || unknown != "" || r.Chain().Missing != "e4" || len(r.Chain().Events) > 0 {
		t.Errorf("the head is lost: got %q, unknown %q, and the chain is %v", names(fresh), unknown, r.Chain())
	}
}

func TestAReaderFollowsALogThatForks(t *testing.T) {
	r := NewReader(uid)
	r.Learn(three()...)
	r.Advance("e3")
	r.Learn(event("f2", "e1", 2, "", 0)) // As after a backup was restored.
	if fresh, unknown := r.Advance("f2"); names(fresh) != "f2" || unknown != "" || names(r.Chain().Events) != "e1 f2" {
		t.Errorf("got %q, unknown %q, and the chain is %q", names(fresh), unknown, names(r.Chain().Events))
	}
}

func TestALogThatBitesItsTailEnds(t *testing.T) {
	r := NewReader(uid)
	r.Learn(event("e1", "e2", 1, "", 0), event("e2", "e1", 2, "", 0))
	if fresh, unknown := r.Advance("e2"); names(fresh) != "e1 e2" || unknown != "" {
		t.Errorf("got %q, unknown %q", names(fresh), unknown)
	}
}

// However events and heads come, a reader is shown the same.
func TestTheOrderInWhichEventsComeMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(1, 30).Draw(t, "length")
		var events []v1alpha1.ProgressEvent
		previous := ""
		for n := range length {
			e := event(string(rune('A'+n)), previous, int64(n+1), "", 0)
			events, previous = append(events, e), e.Name
		}
		want := names(Follow(uid, previous, events).Events)
		shuffled := slices.Clone(events)
		seed := rapid.Uint64().Draw(t, "seed")
		random := rand.New(rand.NewPCG(seed, 1))
		random.Shuffle(length, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		r, shown := NewReader(uid), []*v1alpha1.ProgressEvent{}
		for i := range shuffled {
			r.Learn(shuffled[i], shuffled[random.IntN(i+1)])
			fresh, _ := r.Advance(events[random.IntN(length)].Name)
			shown = append(shown, fresh...)
		}
		fresh, unknown := r.Advance(previous)
		if shown = append(shown, fresh...); names(shown) != want || unknown != "" || names(r.Chain().Events) != want {
			t.Fatalf("shown %q, unknown %q, chain %q, want %q", names(shown), unknown, names(r.Chain().Events), want)
		}
	})
}
