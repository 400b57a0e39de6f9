package model

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/report"
)

// explorations are what is explored, most of them to the end. In all of them two controllers, unless it says one, interleave at every
// request that they make, and every turn reads caches that are up to lag versions old, of orders and of Pods separately.
var explorations = []struct {
	name  string
	setup setup
	// large ones are explored in full runs only, and as far as time allows; those that are whole, to the end.
	large, whole bool
}{
	{name: "one step, old caches", setup: setup{order: sequence("a"), lag: 1}},
	{name: "one step and a retry, caches as old as can be", setup: setup{order: sequence("a"), failures: 1, lag: 20, reduced: true}},
	{name: "one step, a fault and a retry", setup: setup{order: sequence("a"), failures: 1, faults: 1}},
	{name: "one step, two faults", setup: setup{order: sequence("a"), faults: 2}},
	{name: "one step, cancelled", setup: setup{order: sequence("a"), edits: cancels}},
	{name: "one step, edited, one controller and a fault", setup: setup{order: sequence("a"), actors: 1, faults: 1, lag: 1, edits: edits}},
	{name: "one step, suspended and resumed", setup: setup{order: sequence("a"), edits: suspends}},
	{name: "one step, the order deleted", setup: setup{order: sequence("a"), removal: true}},
	{name: "one step, cancelled while a quota refuses Pods", setup: setup{order: sequence("a"), actors: 1, edits: cancels, lag: 3, faults: 1, sealsRefused: true}},
	{name: "two steps and a retry", setup: setup{order: sequence("a", "b"), failures: 1}},
	{name: "three steps, one controller and a fault", setup: setup{order: sequence("a", "b", "c"), actors: 1, failures: 1, faults: 1, lag: 1}},
	{name: "seven steps and two retries, one controller and a fault", setup: setup{order: seven, actors: 1, failures: 2, faults: 1}},
	{name: "two steps and a retry, only what is woken looks", setup: setup{order: sequence("a", "b"), failures: 1, lag: 1, wakes: true, reduced: true}},
	{name: "one step, a pause before the retry, clocks set, one controller", setup: setup{order: pausing("a"), actors: 1, failures: 1, jumps: 2, reduced: true}},
	{name: "one step, rewritten by others", setup: setup{order: sequence("a"), failures: 1, rewrites: 2, reduced: true}},
	{name: "one step, created again", setup: setup{order: sequence("a"), actors: 1, removal: true, recreations: 1}},
	{name: "one step, its Pod deleted, forced or evicted", setup: setup{order: sequence("a"), actors: 1, deletions: 1, force: true, waits: 1, lag: 1}},
	{name: "three steps, a retry and a crash, cancelled", setup: setup{order: sequence("a", "b", "c"), failures: 1, faults: 1, crashes: true, edits: cancels, reduced: true}},
	{name: "one step, its Pod deleted, caches from before the order", setup: setup{order: sequence("a"), actors: 1, deletions: 1, held: true, lag: 3}},

	{name: "one step, rewound", setup: setup{order: sequence("a"), edits: rewind, reduced: true}},
	{name: "one step, rewound to the epoch of its retry, one controller", setup: setup{order: sequence("a"), actors: 1, failures: 1, lag: 1, edits: []edit{rewindsTo("a", 2), asksNoMore("a")}}},
	{name: "two steps side by side, one rewound, one controller", setup: setup{order: graph("a", "b"), actors: 1, failures: 1, edits: rewind}},
	{name: "a diamond and a retry, one controller", setup: setup{order: diamond(), actors: 1, failures: 1, faults: 1, crashes: true}},
	{name: "a diamond, one step at a time, its first step rewound, one controller", setup: setup{order: with(diamond(), atMost(1)), actors: 1, edits: rewind}},
	{name: "two steps and a condition, rewound, one controller", setup: setup{order: conditional(), actors: 1, failures: 1, edits: rewind}},
	{name: "finally, cancelled", setup: setup{order: with(sequence("a"), finally("z")), edits: cancels, reduced: true}},
	{name: "finally, rewound and cancelled, one controller", setup: setup{order: with(sequence("a"), finally("z")), actors: 1, failures: 1, edits: slices.Concat(rewind, cancels), reduced: true}},
	{name: "a step inserted and one removed, one controller", setup: setup{order: sequence("a", "b"), actors: 1, edits: []edit{inserts("x", "b"), removes("a")}, reduced: true}},
	{name: "a step removed and back, one controller", setup: setup{order: sequence("a", "b"), actors: 1, edits: []edit{removes("a"), inserts("a", "b")}, reduced: true}},
	{name: "a deadline, and a rewind, one controller", setup: setup{order: with(sequence("a"), finally("z"), within(aWhile-5)), actors: 1, waits: 1, edits: rewind, reduced: true}},

	{name: "one step and a retry, old caches", setup: setup{order: sequence("a"), failures: 1, lag: 1}, large: true},
	{name: "one step, caches as old as can be", setup: setup{order: sequence("a"), lag: 20}, large: true},
	{name: "one step, a fault, old caches", setup: setup{order: sequence("a"), faults: 1, lag: 1, reduced: true}, large: true},
	{name: "one step, only what is woken looks", setup: setup{order: sequence("a"), failures: 1, lag: 1, wakes: true}, large: true},
	{name: "one step, its node and its start apart", setup: setup{order: sequence("a"), binds: true, lag: 1, edits: cancels}, large: true},
	{name: "one step, clocks a second apart", setup: setup{order: sequence("a"), skew: 1, failures: 1, lag: 1}, large: true},
	{name: "one step, its Pod deleted", setup: setup{order: sequence("a"), deletions: 1}, large: true},
	{name: "one step, cancelled, old caches", setup: setup{order: sequence("a"), lag: 1, edits: cancels, reduced: true}, large: true},
	{name: "one step, cancelled, a fault", setup: setup{order: sequence("a"), faults: 1, edits: cancels, reduced: true}, large: true},
	{name: "one step, edited", setup: setup{order: sequence("a"), edits: edits}, large: true},
	{name: "one step, edited, old caches", setup: setup{order: sequence("a"), lag: 1, edits: edits, reduced: true}, large: true},
	{name: "one step, edited, a fault", setup: setup{order: sequence("a"), faults: 1, edits: edits, reduced: true}, large: true},
	{name: "one step, the order deleted, a fault", setup: setup{order: sequence("a"), removal: true, faults: 1}, large: true},
	{name: "one step, suspended and resumed, a fault", setup: setup{order: sequence("a"), faults: 1, edits: suspends, reduced: true}, large: true},
	{name: "one step, a retry and a fault, old caches", setup: setup{order: sequence("a"), failures: 1, faults: 1, lag: 1, reduced: true}, large: true},
	{name: "two steps and a retry, old caches", setup: setup{order: sequence("a", "b"), failures: 1, lag: 1, reduced: true}, large: true},
	{name: "two steps and a retry, a fault", setup: setup{order: sequence("a", "b"), failures: 1, faults: 1, reduced: true}, large: true},
	{name: "two steps, cancelled", setup: setup{order: sequence("a", "b"), failures: 1, edits: cancels, reduced: true}, large: true},
	{name: "two steps, edited", setup: setup{order: sequence("a", "b"), edits: edits, reduced: true}, large: true},
	{name: "two steps, suspended and resumed", setup: setup{order: sequence("a", "b"), edits: suspends, reduced: true}, large: true},
	{name: "three steps and a retry", setup: setup{order: sequence("a", "b", "c"), failures: 1, reduced: true}, large: true},
	{name: "three steps and a fault", setup: setup{order: sequence("a", "b", "c"), faults: 1, reduced: true}, large: true},
	{name: "seven steps and two retries, one controller and two faults", setup: setup{order: seven, actors: 1, failures: 2, faults: 2}, large: true},
	{name: "one step, clocks set", setup: setup{order: pausing("a"), failures: 1, jumps: 1, reduced: true}, large: true},
	{name: "one step, clocks set twice, time passes, one controller", setup: setup{order: pausing("a"), failures: 1, actors: 1, jumps: 2, waits: 1, reduced: true}, large: true},
	{name: "one step, clocks ten minutes apart, time passes", setup: setup{order: pausing("a"), failures: 1, skew: farAhead, waits: 1, reduced: true}, large: true},
	{name: "one step, created again, old caches", setup: setup{order: sequence("a"), actors: 1, removal: true, recreations: 1, lag: 1}, large: true},
	{name: "three steps, rewritten by others", setup: setup{order: sequence("a", "b", "c"), failures: 1, rewrites: 2, reduced: true}, large: true},
	{name: "three steps, a retry and a crash, suspended and resumed", setup: setup{order: sequence("a", "b", "c"), failures: 1, faults: 1, crashes: true, edits: suspends, reduced: true}, large: true},
	{name: "three steps, a retry and a crash, the last step edited", setup: setup{order: sequence("a", "b", "c"), failures: 1, faults: 1, crashes: true, edits: []edit{editsOne("c")}, reduced: true}, large: true},
	{name: "two steps, a crash, edited", setup: setup{order: sequence("a", "b"), faults: 1, crashes: true, edits: edits, reduced: true}, large: true},
	{name: "three steps, a retry and a crash, suspended, old caches", setup: setup{order: sequence("a", "b", "c"), failures: 1, faults: 1, crashes: true, edits: suspends[:1], lag: 1, reduced: true}, large: true},
	{name: "three steps, a retry and a crash, cancelled, old caches", setup: setup{order: sequence("a", "b", "c"), failures: 1, faults: 1, crashes: true, edits: cancels, lag: 1, reduced: true}, large: true, whole: true},
	{name: "three steps, a retry and a crash, the last step rewound", setup: setup{order: sequence("a", "b", "c"), failures: 1, faults: 1, crashes: true, edits: []edit{rewindsTo("c", 2)}, reduced: true}, large: true},
	{name: "three steps and a retry, the second step rewound", setup: setup{order: sequence("a", "b", "c"), failures: 1, edits: []edit{rewindsTo("b", 2)}, reduced: true}, large: true},
	{name: "one step, rewound, old caches", setup: setup{order: sequence("a"), edits: rewind, lag: 1, reduced: true}, large: true},
	{name: "one step, rewound twice", setup: setup{order: sequence("a"), edits: []edit{rewindsTo("a", 2), rewindsTo("a", 3)}, reduced: true}, large: true},
	{name: "two steps side by side, one rewound", setup: setup{order: graph("a", "b"), edits: rewind, reduced: true}, large: true},
	{name: "a diamond and a retry", setup: setup{order: diamond(), failures: 1, reduced: true}, large: true},
	{name: "a diamond, a retry and a crash, one step at a time", setup: setup{order: with(diamond(), atMost(1)), failures: 1, faults: 1, crashes: true, reduced: true}, large: true},
	{name: "a diamond, a branch of it rewound", setup: setup{order: diamond(), edits: []edit{rewindsTo("b", 2)}, reduced: true}, large: true},
	{name: "two steps and a condition, a retry, rewound", setup: setup{order: conditional(), failures: 1, edits: rewind, reduced: true}, large: true},
	{name: "finally, a retry and a crash, cancelled", setup: setup{order: with(sequence("a", "b"), finally("z")), failures: 1, faults: 1, crashes: true, edits: cancels, reduced: true}, large: true},
	{name: "finally, rewound", setup: setup{order: with(sequence("a"), finally("z")), edits: []edit{rewindsTo("z", 2)}, reduced: true}, large: true},
	{name: "finally, and what goes before it rewound", setup: setup{order: with(sequence("a"), finally("z")), edits: rewind, reduced: true}, large: true},
	{name: "a step inserted", setup: setup{order: sequence("a"), edits: []edit{inserts("x", "a")}, reduced: true}, large: true},
	{name: "a step removed", setup: setup{order: sequence("a", "b"), edits: []edit{removes("a")}, reduced: true}, large: true},
	{name: "a deadline, and a rewind", setup: setup{order: with(sequence("a"), within(aWhile-5)), waits: 1, edits: rewind, reduced: true}, large: true},
	{name: "a spec that cannot run, and is mended", setup: setup{order: sequence("a"), failures: 1, edits: breaks, reduced: true}, large: true},
}

var rewind = []edit{rewindsTo("a", 2)}

// diamond is a graph: b and c come after a, and d comes after both.
func diamond() *v1alpha1.WorkOrder { return graph("a", "b a", "c a", "d b c") }

// conditional is a sequence whose second step runs only if the first was started again.
func conditional() *v1alpha1.WorkOrder {
	return with(sequence("a", "b"), when("b", `steps["a"].epoch > 1`))
}

var seven = sequence("a", "b", "c", "d", "e", "f", "g")

// mostStates is how many states of an exploration are looked at, the nearest to the start first; mostOfLarge how many of a
// large one, which may have more; and mostOfWhole how many of a large one that must not have more.
const (
	mostStates  = 1_000_000
	mostOfLarge = 250_000
	mostOfWhole = 10_000_000
)

// rows are the rows of the table of hazards of which an exploration shows something.
func (s *setup) rows() []string {
	all := map[string]bool{
		"R1": s.faults > 0, "R2": s.faults > 1, "R3": s.lag > 0, "R4": s.wakes || s.lag > 3, "R7": s.actors > 1, "R8": s.actors > 1 && len(s.edits) > 0,
		"R9": s.jumps > 0 || s.skew != 0, "R10": s.deletions > 0, "R12": s.recreations > 0, "R14": s.rewrites > 0,
		"R17": s.faults > 0 && len(s.edits) > 0, "R18": len(s.edits) > 1,
	}
	maps.DeleteFunc(all, func(_ string, shown bool) bool { return !shown })
	return slices.Sorted(maps.Keys(all))
}

// survey adds up what explorations have shown.
type survey struct {
	mu    sync.Mutex
	lines map[string]*shown
}

type shown struct {
	explorations, states, transitions, faults, broken int
	// cut is how many explorations have more states than were looked at, and depth the least number of actions of which every
	// way was followed in one of them.
	cut   int
	depth int32
	// whole are the largest of those that were looked at to the end, with their sizes.
	whole []string
}

func (s *survey) add(e *exploration, named string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range e.setup.rows() {
		sum := s.lines[row]
		if sum == nil {
			sum = &shown{}
			s.lines[row] = sum
		}
		sum.explorations++
		sum.states += len(e.parents) - e.left // Those that are left were found, and not looked at.
		sum.transitions += len(e.from)
		sum.faults += e.faulty
		if e.broken != nil {
			sum.broken++
		}
		if e.left == 0 && len(e.parents) > mostStates {
			sum.whole = append(sum.whole, fmt.Sprintf("%q to the end, which is %d states", named, len(e.parents)))
		}
		if whole := e.whole(); e.left > 0 {
			if sum.cut++; sum.cut == 1 || whole < sum.depth {
				sum.depth = whole
			}
		}
	}
}

func (s *survey) report(t *testing.T, began time.Time) {
	for _, row := range slices.Sorted(maps.Keys(s.lines)) {
		sum := s.lines[row]
		notes := []string{fmt.Sprintf("all interleavings: %d explorations, %d transitions", sum.explorations, sum.transitions)}
		if sum.cut > 0 {
			notes = append(notes, fmt.Sprintf("%d of them only of the first %d actions or more", sum.cut, sum.depth))
		}
		notes = append(notes, sum.whole...)
		if sum.faults > 0 {
			notes = append(notes, fmt.Sprintf("%d of the transitions are faults", sum.faults))
		}
		tell(t, report.Line{Row: row, Cases: sum.states, Unit: "states", Violations: sum.broken, Notes: notes}.Since(began))
	}
}

// endAsWithout checks that nothing that goes wrong makes an order end in a way in which it does not end otherwise. When
// people edit it, something that goes wrong may be what makes the edit come in time.
func (e *exploration) endAsWithout() {
	if e.setup.faults == 0 || len(e.setup.edits) > 0 || e.broken != nil || e.left > 0 {
		return
	}
	calm := e.setup
	calm.faults = 0
	without := explore(calm, mostStates)
	for end := range e.ends {
		if !without.ends[end] {
			e.broken = []string{"only if something goes wrong does the order end like this: " + end}
		}
	}
}

// tell adds a line to the report.
func tell(t *testing.T, line report.Line) {
	t.Helper()
	line.Harness, line.Full = "H1", report.Full()
	if err := line.Add(); err != nil {
		t.Error(err)
	}
}

func TestNoInterleavingBreaksALaw(t *testing.T) {
	sums, began := &survey{lines: map[string]*shown{}}, time.Now()
	t.Run("all", func(t *testing.T) {
		for _, x := range explorations {
			t.Run(x.name, func(t *testing.T) {
				if x.large && !report.Full() {
					t.Skip("large: RELIABILITY=full explores it")
				}
				t.Parallel()
				began := time.Now()
				if x.setup.actors == 0 {
					x.setup.actors = 2
				}
				most := mostStates
				switch {
				case x.whole:
					most = mostOfWhole
				case x.large:
					most = mostOfLarge
				}
				e := explore(x.setup, most)
				e.endAsWithout()
				e.report(t, began)
				if e.left > 0 && (x.whole || !x.large) {
					t.Errorf("not all states were looked at: %d are left", e.left)
				}
				sums.add(e, x.name)
			})
		}
	})
	sums.report(t, began)
}
