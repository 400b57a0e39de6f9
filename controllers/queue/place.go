package queue

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Rounded is a place in the line as people are told it: exact up to 10, and then rounded up to 20, 50, 100, 200, 500 and
// so on.
func Rounded(place int) int32 {
	if place <= 10 {
		return int32(place)
	}
	for unit := 10; ; unit *= 10 {
		for _, round := range []int{2 * unit, 5 * unit, 10 * unit} {
			if place <= round {
				return int32(round)
			}
		}
	}
}

// Place says whether an order that waits may run: 0 if so, and else its place in the line, rounded. It is not known of an
// order of which the line was not told, or was told that it does not wait. An order that was passed over is back in the
// line by asking.
func (l *Line) Place(uid types.UID) (place int32, known bool) {
	e := l.orders[uid]
	if e == nil || e.State != Waiting {
		return 0, false
	}
	if e.at == aside {
		l.move(e, inLine)
		l.admit() // It alone, if any: for all others who wait there was no room before.
	}
	if e.at == inLine {
		l.rank()
		e.answered = Rounded(e.place)
		return e.answered, true
	}
	return 0, true
}

// Moved are the orders in the line that have another place now, rounded, than the one that they last asked for.
func (l *Line) Moved() (moved []types.NamespacedName) {
	l.rank()
	for _, e := range l.waiting {
		if place := Rounded(e.place); e.answered != 0 && e.answered != place {
			e.answered = place
			moved = append(moved, e.Name)
		}
	}
	return moved
}

// rank gives everybody in the line their place. If it has been done since the last change, nothing is done.
func (l *Line) rank() {
	if l.ranked {
		return
	}
	l.ranked = true
	l.waiting = slices.DeleteFunc(l.waiting, func(e *entry) bool {
		e.listed = e.at == inLine
		return !e.listed
	})
	for _, n := range l.namespaces {
		for i, e := range n.waiting {
			// That many places of its namespace are taken when its turn comes. All turns are served in that order, as
			// the next one is always of the namespace that holds the fewest.
			e.taken, e.place = n.holds+i, i+1
		}
	}
	if l.limits.All <= 0 {
		return // Each namespace has a line of its own.
	}
	slices.SortFunc(l.waiting, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.taken, b.taken), older(a, b))
	})
	for i, e := range l.waiting {
		e.place = i + 1
	}
}
