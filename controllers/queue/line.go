package queue

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Limits is how many orders may run at the same time. 0 means as many as there are.
type Limits struct {
	// All is the limit for all namespaces together, PerNamespace that for each of them.
	All, PerNamespace int
}

// Line is who runs, and who waits in what order. It is not safe for use by several goroutines at once.
type Line struct {
	limits Limits
	open   bool
	// holds is how many orders hold a place, and waits how many are in the line.
	holds, waits int
	// orders are those that wait or run, and namespaces those that such orders are in.
	orders     map[types.UID]*entry
	namespaces map[string]*namespace
	// candidates are the namespaces that may be given the next place.
	candidates candidates
	// waiting are the orders in the line, by their places once ranked; until then also some that have left it.
	waiting []*entry
	ranked  bool
}

// entry is an order in the line.
type entry struct {
	Order
	at position
	// taken and place are its rank in the line. listed says that it is in the list of those that wait.
	taken, place int
	listed       bool
	// answered is the place that it was last told of; 0 if it never asked.
	answered int32
}

// position is where an order is.
type position int

const (
	// aside: it is not in the line, though it waits: it was passed over.
	aside position = iota
	// inLine: it waits for a place.
	inLine
	// inside: it holds a place, as it runs or may.
	inside
)

// namespace is what a namespace holds, and who waits there, the next one first.
type namespace struct {
	name    string
	holds   int
	waiting []*entry
	// index is where it stands among the candidates; -1 if it is none.
	index int
}

// New is a line of which nobody is admitted before it is opened.
func New(limits Limits) *Line {
	return &Line{limits: limits, orders: map[types.UID]*entry{}, namespaces: map[string]*namespace{}}
}

// Open ends the time in which the line only listens. Like all changes, it returns the orders that are admitted by it.
func (l *Line) Open() []types.NamespacedName {
	l.open = true
	return l.admit()
}

// Len is how many orders are in the line.
func (l *Line) Len() int { return l.waits }

// Tell tells the line how an order is seen. It returns the orders that are admitted by that.
func (l *Line) Tell(order Order) []types.NamespacedName {
	e := l.orders[order.UID]
	switch {
	case order.State == Apart:
		return l.Forget(order.UID)
	case e == nil:
		e = &entry{Order: order}
		l.orders[order.UID] = e
	case e.State == order.State:
		return nil // Nothing is new; above all, one that was admitted keeps its place.
	}
	if e.State = order.State; e.State == Running {
		l.move(e, inside)
	} else {
		l.move(e, inLine)
	}
	return l.admit()
}

// Forget tells the line that an order neither waits nor runs any more. It returns the orders that are admitted by that.
func (l *Line) Forget(uid types.UID) []types.NamespacedName {
	e := l.orders[uid]
	if e == nil {
		return nil
	}
	l.move(e, aside)
	delete(l.orders, uid)
	return l.admit()
}

// PassOver takes the place from an order that was admitted and could not start, so that it does not block others. It
// returns the orders that are admitted instead.
func (l *Line) PassOver(uid types.UID) []types.NamespacedName {
	e := l.orders[uid]
	if e == nil || e.State != Waiting || e.at != inside {
		return nil
	}
	l.move(e, aside)
	return l.admit()
}

// admit gives away the places that are free.
func (l *Line) admit() (admitted []types.NamespacedName) {
	for l.open && len(l.candidates) > 0 && (l.limits.All <= 0 || l.holds < l.limits.All) {
		next := l.candidates[0].waiting[0]
		l.move(next, inside)
		admitted = append(admitted, next.Name)
	}
	return admitted
}

// move takes an order from where it is to another position.
func (l *Line) move(e *entry, to position) {
	n := l.namespaces[e.Name.Namespace]
	if n == nil {
		n = &namespace{name: e.Name.Namespace, index: -1}
		l.namespaces[n.name] = n
	}
	switch e.at {
	case inside:
		n.holds--
		l.holds--
	case inLine:
		i, _ := slices.BinarySearchFunc(n.waiting, e, earlier)
		n.waiting = slices.Delete(n.waiting, i, i+1)
		l.waits--
	case aside:
	}
	switch to {
	case inside:
		n.holds++
		l.holds++
	case inLine:
		i, _ := slices.BinarySearchFunc(n.waiting, e, earlier)
		n.waiting = slices.Insert(n.waiting, i, e)
		l.waits++
		if !e.listed {
			e.listed = true
			l.waiting = append(l.waiting, e)
		}
	case aside:
	}
	e.at = to
	l.ranked = false
	l.candidates.see(n, len(n.waiting) > 0 && (l.limits.PerNamespace <= 0 || n.holds < l.limits.PerNamespace))
	if n.holds == 0 && len(n.waiting) == 0 {
		delete(l.namespaces, n.name)
	}
}
