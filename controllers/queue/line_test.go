package queue_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"workorders.dev/operator/controllers/queue"
)

var dawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newOrder(n, namespace int, age time.Duration, state queue.State) queue.Order {
	return queue.Order{
		// Neither the names nor the uids are in the order of arrival.
		UID:     types.UID(fmt.Sprintf("%03d-%d", n*7919%1000, n)),
		Name:    types.NamespacedName{Namespace: fmt.Sprintf("team-%d", namespace), Name: fmt.Sprintf("order-%03d-%d", n*4447%1000, n)},
		Created: dawn.Add(-age),
		State:   state,
	}
}

func drawLimits(t *rapid.T) queue.Limits {
	return queue.Limits{All: rapid.IntRange(0, 6).Draw(t, "all"), PerNamespace: rapid.IntRange(0, 3).Draw(t, "per namespace")}
}

// TestWhateverHappensTheLawsHold: never more than there is room for, never room while somebody waits, always the one
// whose turn it is, and everybody is told where they stand.
func TestWhateverHappensTheLawsHold(t *testing.T) {
	met := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		b := closed(drawLimits(t))
		b.line.Open()
		for n := range rapid.IntRange(1, 60).Draw(t, "length") {
			known := slices.Sorted(maps.Keys(b.orders))
			roll := rapid.IntRange(0, 11).Draw(t, "what")
			if roll < 4 || len(known) == 0 {
				age := time.Duration(rapid.IntRange(0, 5).Draw(t, "age")) * time.Second
				b.tell(t, newOrder(n, rapid.IntRange(0, 3).Draw(t, "namespace"), age, queue.Waiting))
			} else {
				met[b.happen(t, roll, b.orders[rapid.SampledFrom(known).Draw(t, "to")])]++
			}
			if rapid.Bool().Draw(t, "look") {
				b.check(t)
			}
		}
	})
	t.Log(met)
	for _, what := range []string{"starts", "starts by itself", "ends", "steps aside", "is back", "is gone", "is passed over", "asks again", "is seen again"} {
		if met[what] == 0 {
			t.Errorf("in all these walks no order ever %s", what)
		}
	}
}

// happen lets something happen to an order, and says what.
func (b *books) happen(t *rapid.T, roll int, r *record) string {
	as := func(state queue.State) queue.Order {
		order := r.Order
		order.State = state
		return order
	}
	switch {
	case roll == 4 && r.State != queue.Apart:
		b.tell(t, as(queue.Apart))
		return map[bool]string{true: "ends", false: "steps aside"}[r.State == queue.Running]
	case roll == 5:
		delete(b.orders, r.UID)
		b.admit(t, b.line.Forget(r.UID))
		return "is gone"
	case roll == 6 && r.admitted:
		r.admitted, r.passedOver = false, true
		b.admit(t, b.line.PassOver(r.UID))
		return "is passed over"
	case r.passedOver:
		r.passedOver = false
		if place, _ := b.line.Place(r.UID); place == 0 {
			b.admit(t, []types.NamespacedName{r.Name})
		} else {
			r.asked = place
		}
		return "asks again"
	case r.State == queue.Apart && roll > 6:
		b.tell(t, as(queue.Waiting))
		return "is back"
	case r.admitted && roll > 8:
		b.tell(t, as(queue.Running))
		return "starts"
	case r.State != queue.Running && roll == 7:
		b.tell(t, as(queue.Running)) // A rewind, or another operator, gave it no thought whether there is room.
		return "starts by itself"
	}
	if !r.admitted {
		b.admit(t, b.line.PassOver(r.UID)) // It holds no place that could be taken from it.
	}
	b.tell(t, r.Order)
	return "is seen again"
}

// TestAfterARestartAllStandAsBefore: it does not matter in what order the line was told, or that it was told old news
// first; and until it is opened, nobody is admitted.
func TestAfterARestartAllStandAsBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var orders []queue.Order
		for n := range rapid.IntRange(0, 40).Draw(t, "orders") {
			age := time.Duration(rapid.IntRange(0, 9).Draw(t, "age")) * time.Second
			state := queue.State(rapid.IntRange(0, 2).Draw(t, "state"))
			orders = append(orders, newOrder(n, rapid.IntRange(0, 4).Draw(t, "namespace"), age, state))
		}
		limits := drawLimits(t)
		var told [2]map[types.UID]int32
		for i := range told {
			line := queue.New(limits)
			for _, order := range rapid.Permutation(orders).Draw(t, "as told") {
				if rapid.Bool().Draw(t, "has a past") {
					past := order
					past.State = queue.State(rapid.IntRange(0, 2).Draw(t, "past"))
					line.Tell(past)
				}
				if admitted := line.Tell(order); len(admitted) > 0 {
					t.Fatalf("%v are admitted before all is known", admitted)
				}
			}
			line.Open()
			told[i] = map[types.UID]int32{}
			for _, order := range orders {
				if place, known := line.Place(order.UID); known {
					told[i][order.UID] = place
				}
			}
		}
		if diff := gocmp.Diff(told[0], told[1]); diff != "" {
			t.Fatalf("two lines that were told the same differ:\n%s", diff)
		}
	})
}

// TestNamespacesThatAlwaysWantMoreGetTheSame within one.
func TestNamespacesThatAlwaysWantMoreGetTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		namespaces, n := rapid.IntRange(1, 5).Draw(t, "namespaces"), 0
		b := closed(queue.Limits{All: rapid.IntRange(1, 8).Draw(t, "all"), PerNamespace: rapid.IntRange(0, 3).Draw(t, "per namespace")})
		// They never run out of orders, and nobody begins before all of them are there.
		for range 16 {
			for namespace := range namespaces {
				n++
				order := newOrder(n, namespace, time.Duration(rapid.IntRange(0, 9).Draw(t, "age"))*time.Second, queue.Waiting)
				b.orders[order.UID] = &record{Order: order}
				b.line.Tell(order)
			}
		}
		all := slices.Sorted(maps.Keys(b.orders))
		b.admit(t, b.line.Open())
		for range rapid.IntRange(0, 8).Draw(t, "ends") {
			holding := slices.DeleteFunc(slices.Clone(all), func(uid types.UID) bool { return b.orders[uid] == nil || !b.orders[uid].holds() })
			ended := rapid.SampledFrom(holding).Draw(t, "ended")
			delete(b.orders, ended)
			b.admit(t, b.line.Forget(ended))
			least, most := len(all), 0
			for namespace := range namespaces {
				holds := b.count(fmt.Sprintf("team-%d", namespace))
				least, most = min(least, holds), max(most, holds)
			}
			if most-least > 1 {
				t.Fatalf("one namespace holds %d places and another %d", most, least)
			}
		}
	})
}

// TestNobodyStarves: whatever else comes, in namespaces old and new, an order is admitted before long.
func TestNobodyStarves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := queue.Limits{All: rapid.IntRange(1, 4).Draw(t, "all"), PerNamespace: rapid.IntRange(0, 2).Draw(t, "per namespace")}
		b, n := closed(limits), 0
		b.line.Open()
		var running []types.UID
		arrive := func(namespace int, age time.Duration) types.UID {
			n++
			order := newOrder(n, namespace, age, queue.Waiting)
			b.tell(t, order)
			return order.UID
		}
		for range rapid.IntRange(0, 12).Draw(t, "before it") {
			arrive(rapid.IntRange(0, 3).Draw(t, "namespace"), time.Duration(rapid.IntRange(1, 60).Draw(t, "age"))*time.Second)
		}
		older := len(b.orders)
		unlucky := b.orders[arrive(rapid.IntRange(0, 3).Draw(t, "its namespace"), 0)]
		// In the time that each of those before it, and of its namespace, may hold all places there are, it has its turn.
		patience := (older + 1) * (limits.All + 1)
		for ended := 0; !unlucky.admitted; ended++ {
			if ended > patience {
				t.Fatalf("%s still waits after %d others have ended; %d were there before it", unlucky.Name, ended, older)
			}
			for range rapid.IntRange(1, 3).Draw(t, "arrivals") {
				// One in three is of a namespace that was never there before.
				namespace := rapid.SampledFrom([]int{0, 1, 2, 3, 1000 + n, 2000 + n}).Draw(t, "namespace")
				arrive(namespace, -time.Duration(n)*time.Second)
			}
			for _, uid := range slices.Sorted(maps.Keys(b.orders)) {
				if b.orders[uid].holds() && !slices.Contains(running, uid) {
					running = append(running, uid)
				}
			}
			first := running[0]
			running = running[1:]
			delete(b.orders, first)
			b.admit(t, b.line.Forget(first))
		}
	})
}

// TestOneThatWasPassedOverDoesNotBlockTheOthers, and stands in the line once when it is back.
func TestOneThatWasPassedOverDoesNotBlockTheOthers(t *testing.T) {
	line := queue.New(queue.Limits{All: 1})
	line.Open()
	var orders []queue.Order
	for n := range 3 {
		orders = append(orders, newOrder(n, 0, -time.Duration(n)*time.Second, queue.Waiting))
		line.Tell(orders[n])
	}
	if admitted := line.PassOver(orders[0].UID); !slices.Equal(admitted, []types.NamespacedName{orders[1].Name}) {
		t.Errorf("%v are admitted instead of it, not the next one", admitted)
	}
	for n, want := range []int32{1, 0, 2} {
		if place, known := line.Place(orders[n].UID); place != want || !known {
			t.Errorf("order %d has place %d, not %d", n, place, want)
		}
	}
	if line.Len() != 2 {
		t.Errorf("%d are in the line, not 2", line.Len())
	}
}
