package queue_test

import (
	"cmp"
	"flag"
	"maps"
	"os"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"workorders.dev/operator/controllers/queue"
)

// TestMain asks for 1000 seeds instead of the 100 that rapid takes by itself. More: -rapid.checks=100000. One that
// failed: -rapid.seed, which the failure prints.
func TestMain(m *testing.M) {
	flag.Parse()
	ours := map[string]string{"rapid.checks": "1000", "rapid.nofailfile": "true"}
	flag.Visit(func(f *flag.Flag) { delete(ours, f.Name) })
	for name, value := range ours {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// books is what a test knows of the orders that it told a line of, kept in the simplest way there is.
type books struct {
	line   *queue.Line
	limits queue.Limits
	orders map[types.UID]*record
}

type record struct {
	queue.Order
	admitted, passedOver bool
	// asked is the place that the line last answered.
	asked int32
}

func (r *record) holds() bool { return r.State == queue.Running || r.admitted }

func (r *record) waits() bool { return r.State == queue.Waiting && !r.admitted && !r.passedOver }

func closed(limits queue.Limits) *books {
	return &books{line: queue.New(limits), limits: limits, orders: map[types.UID]*record{}}
}

// count is how many orders hold a place, in a namespace or, if that is empty, in all.
func (b *books) count(namespace string) (n int) {
	for _, r := range b.orders {
		if r.holds() && (namespace == "" || r.Name.Namespace == namespace) {
			n++
		}
	}
	return n
}

// inLine are those that wait, by their uids.
func (b *books) inLine() (waiting []*record) {
	for _, uid := range slices.Sorted(maps.Keys(b.orders)) {
		if r := b.orders[uid]; r.waits() {
			waiting = append(waiting, r)
		}
	}
	return waiting
}

// admissible says whether the limits leave room for an order of that namespace.
func (b *books) admissible(namespace string) bool {
	room := func(limit, holds int) bool { return limit == 0 || holds < limit }
	return room(b.limits.All, b.count("")) && room(b.limits.PerNamespace, b.count(namespace))
}

// next is whose turn it is of those.
func (b *books) next(waiting []*record, also map[string]int) *record {
	return slices.MinFunc(waiting, func(x, y *record) int {
		if x.Name.Namespace == y.Name.Namespace {
			return cmp.Or(x.Created.Compare(y.Created), cmp.Compare(x.Name.Name, y.Name.Name))
		}
		holds := func(r *record) int { return b.count(r.Name.Namespace) + also[r.Name.Namespace] }
		return cmp.Or(cmp.Compare(holds(x), holds(y)), head(waiting, x).Created.Compare(head(waiting, y).Created), cmp.Compare(head(waiting, x).UID, head(waiting, y).UID))
	})
}

// head is the first of those that are in the same namespace.
func head(waiting []*record, of *record) *record {
	first := of
	for _, r := range waiting {
		if r.Name.Namespace == of.Name.Namespace && cmp.Or(r.Created.Compare(first.Created), cmp.Compare(r.Name.Name, first.Name.Name)) < 0 {
			first = r
		}
	}
	return first
}

// admit writes down who was admitted, and checks that each of them was the one whose turn it was.
func (b *books) admit(t *rapid.T, admitted []types.NamespacedName) {
	for _, name := range admitted {
		may := slices.DeleteFunc(b.inLine(), func(r *record) bool { return !b.admissible(r.Name.Namespace) })
		if len(may) == 0 {
			t.Fatalf("%s is admitted, and there is no room for anybody", name)
		}
		next := b.next(may, nil)
		if next.Name != name {
			t.Fatalf("%s is admitted, and it is the turn of %s", name, next.Name)
		}
		next.admitted = true
	}
	for _, r := range b.inLine() {
		if b.admissible(r.Name.Namespace) {
			t.Fatalf("%s waits though there is room for it", r.Name)
		}
	}
}

// tell tells the line and the books.
func (b *books) tell(t *rapid.T, order queue.Order) {
	if known := b.orders[order.UID]; known == nil || known.State != order.State {
		b.orders[order.UID] = &record{Order: order}
	}
	b.admit(t, b.line.Tell(order))
}

// places are the places of all in the line: they are served one after the other, and nobody ends.
func (b *books) places() map[types.UID]int {
	places, also, served := map[types.UID]int{}, map[string]int{}, map[string]int{}
	for waiting := b.inLine(); len(waiting) > 0; {
		next := b.next(waiting, also)
		counted := ""
		if b.limits.All == 0 {
			counted = next.Name.Namespace
		}
		also[next.Name.Namespace]++
		served[counted]++
		places[next.UID] = served[counted]
		waiting = slices.DeleteFunc(waiting, func(r *record) bool { return r == next })
	}
	return places
}

// check compares what the line says with the books: who has moved, and where everybody stands.
func (b *books) check(t *rapid.T) {
	places := b.places()
	var moved []types.NamespacedName
	for _, r := range b.inLine() {
		if r.asked != 0 && r.asked != queue.Rounded(places[r.UID]) {
			moved = append(moved, r.Name)
		}
	}
	byName := func(x, y types.NamespacedName) int { return cmp.Compare(x.String(), y.String()) }
	slices.SortFunc(moved, byName)
	if diff := gocmp.Diff(moved, slices.SortedFunc(slices.Values(b.line.Moved()), byName)); diff != "" {
		t.Fatalf("others have moved than the line says (-should, +are):\n%s", diff)
	}
	if again := b.line.Moved(); len(again) > 0 {
		t.Fatalf("%v have moved, and moved again though nothing happened", again)
	}
	for _, r := range b.orders {
		if r.passedOver {
			continue // It would be back in the line by asking.
		}
		place, known := b.line.Place(r.UID)
		switch {
		case known != (r.State == queue.Waiting):
			t.Fatalf("%s: known is %v", r.Name, known)
		case known && place != queue.Rounded(places[r.UID]):
			t.Fatalf("%s: is told place %d, and stands at %d", r.Name, place, places[r.UID])
		}
		r.asked = place
	}
	if b.line.Len() != len(places) {
		t.Fatalf("%d are in the line, and it says %d", len(places), b.line.Len())
	}
}
