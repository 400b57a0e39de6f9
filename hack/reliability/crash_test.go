package reliability

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/laws"
	"workorders.dev/operator/hack/reliability/proxy"
)

// step is a step whose container does what the flags say.
func step(name string, flags ...string) v1alpha1.Step {
	return v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: "workorders.dev/step:dev", Args: flags}}
}

// atOnce is a number of retries without a pause.
func atOnce(retries int32) *v1alpha1.Retry {
	none := int32(0)
	return &v1alpha1.Retry{Limit: &retries, Backoff: &v1alpha1.Backoff{InitialSeconds: &none}}
}

// journey is the order of the crash cases: seven steps, of which one fails twice, and a wait.
func journey() v1alpha1.WorkOrderSpec {
	return v1alpha1.WorkOrderSpec{Retry: atOnce(2), Steps: []v1alpha1.Step{
		step("classify", "--output=/feature"), step("plan", "--output=the plan"), step("find-plan", "--output=specs/plan.md"),
		step("branch", "--output=feat/plan"), {Name: "cool-down", Wait: &v1alpha1.Wait{Seconds: either[int64](1, 0)}},
		step("implement", "--fail-epochs=2", "--exit-code=3", "--output=12 files changed"),
		step("commit", "--output=4f2a91c"), step("create-pr", "--output=pulls/42"),
	}}
}

// fewestWrites is what a journey cannot do without: an event and a status for each transition (accepted, eight steps
// done, two failures, two rewinds, the end), and two writes to each of nine Pods.
const fewestWrites = 2*(1+8+2+2+1) + 2*9

// trip is an order of the crash cases, and what somebody does to it on its way.
type trip struct {
	// name stands in the names of its cases; that of the journey is empty.
	name  string
	setup setup
	spec  func() v1alpha1.WorkOrderSpec
	// before is run first, and makes another order, if there is to be one.
	before func(ctx context.Context, l *lane) (*v1alpha1.WorkOrder, error)
	// meanwhile is run when the order is made, and returns when all is done that people do. Before is nil if there is none.
	meanwhile func(ctx context.Context, l *lane, order, before *v1alpha1.WorkOrder) error
	// end is how it ends.
	end v1alpha1.WorkOrderPhase
	// tell is what of its log is the same each time.
	tell func(laws.Record) string
	// fewest is how many writes it cannot do without, and rewinds how many starts it has more than it has steps.
	fewest  int
	rewinds int64
}

// straight is the journey, to which nobody does anything.
var straight = trip{
	spec: journey, tell: laws.Story, fewest: fewestWrites, rewinds: 2, end: v1alpha1.WorkOrderSucceeded,
}

// calm is a trip on which nothing went wrong, to which others are compared.
type calm struct {
	*trip
	shape, story string
	writes       []proxy.Call
}

// travel makes the trip with that script, and says which laws were broken.
func (t *trip) travel(ctx context.Context, l *lane, script proxy.Script) (laws.Record, []string) {
	l.proxy().Begin(nil)
	var before *v1alpha1.WorkOrder
	if t.before != nil {
		var err error
		if before, err = t.before(ctx, l); err != nil {
			return laws.Record{Order: &v1alpha1.WorkOrder{}}, []string{err.Error()}
		}
	}
	l.proxy().Begin(script)
	order, err := l.submit(ctx, t.spec())
	if err == nil && t.meanwhile != nil {
		err = t.meanwhile(ctx, l, order, before)
	}
	if err != nil {
		record, unread := l.recordOf(ctx, order)
		if unread != nil {
			record.Order = order
		}
		return record, []string{err.Error()}
	}
	orders := []*v1alpha1.WorkOrder{order}
	if before != nil {
		orders = append(orders, before)
	}
	violations := append(l.finish(ctx, orders...), l.strays(orders...)...)
	if script != nil && len(struck(l.proxy().Calls())) == 0 {
		violations = append(violations, "the fault never struck: the case shows nothing")
	}
	record, err := l.recordOf(ctx, order)
	if err != nil {
		return laws.Record{Order: order}, append(violations, err.Error())
	}
	return record, violations
}

// travelCalmly makes the trip without any fault.
func (t *trip) travelCalmly(ctx context.Context) calm {
	GinkgoHelper()
	l, err := newLane(ctx, t.setup)
	Expect(err).NotTo(HaveOccurred())
	defer l.close()
	record, violations := t.travel(ctx, l, nil)
	Expect(violations).To(BeEmpty())
	Expect(record.Order.Status.Phase).To(Equal(t.end))
	Expect(record.Order.Status.Rewinds).To(Equal(t.rewinds))
	c := calm{trip: t, shape: laws.Shape(&record.Order.Status), story: t.tell(record), writes: l.writes()}
	Expect(len(c.writes)).To(BeNumerically(">=", t.fewest), "writes must have passed unseen: %v", c.writes)
	return c
}

// travel makes the journey, and travelCalmly does so without any fault.
func travel(ctx context.Context, l *lane, script proxy.Script) (laws.Record, []string) {
	return straight.travel(ctx, l, script)
}

func travelCalmly(ctx context.Context) calm {
	GinkgoHelper()
	return straight.travelCalmly(ctx)
}

// differs says how a trip differs from the calm one, as it should not.
func (c calm) differs(record laws.Record) (violations []string) {
	if shape := laws.Shape(&record.Order.Status); shape != c.shape {
		violations = append(violations, fmt.Sprintf("it ended as\n%s\ninstead of\n%s", shape, c.shape))
	}
	if story := c.tell(record); story != c.story {
		violations = append(violations, fmt.Sprintf("its log is\n%sinstead of\n%s", story, c.story))
	}
	return violations
}

// breakdowns are what may happen to a write. Of each two that are two apart, one is done all the same.
func breakdowns(o *process) []proxy.Fault {
	return []proxy.Fault{proxy.Refuse(), proxy.LoseReply(), proxy.KillAfter(o.kill), proxy.KillBefore(o.kill)}
}

// broken are trips of which one write breaks down, in each of-th of the ways there are, another one from write to write.
func (c calm) broken(of int) (trials []trial) {
	for i, write := range c.writes {
		for kind, fault := range breakdowns(&process{}) {
			name := c.named("R1", write.String(), fault.Name)
			if kind%of != i%of && !askedByName(name) {
				continue
			}
			trials = append(trials, trial{name: name, run: func(ctx context.Context, l *lane) []string {
				record, violations := c.travel(ctx, l, proxy.At(write.Description(), write.Nth, breakdowns(l.operator())[kind]))
				return append(violations, c.differs(record)...)
			}})
		}
	}
	return trials
}

// named is the name of a case.
func (t *trip) named(row string, parts ...string) string {
	if t.name != "" {
		row += "/" + t.name
	}
	return strings.Join(append([]string{row}, parts...), "/")
}

var _ = Describe("R1: a crash at every write", func() {
	It("breaks no law, and ends as if nothing had happened", func(ctx SpecContext) {
		r := begin("R1", "write points × faults")
		for _, t := range []struct {
			*trip
			of int // Each of-th of the four faults at every write, another one from write to write.
		}{{&straight, either(1, 2)}, {&roundabout, either(2, 4)}, {&givenUp, either(2, 4)}, {&overdue, either(2, 4)}, {&queued, either(2, 4)}} {
			calm := t.travelCalmly(ctx)
			r.note("%d write points in %s, at each %d of the 4 faults", len(calm.writes), cmp.Or(t.name, "a sequence"), 4/t.of)
			r.setup = t.setup
			r.try(ctx, calm.broken(t.of)...)
		}
		r.setup = setup{}
		r.try(ctx, expiring()...)
		r.end()
	}, NodeTimeout(40*time.Minute))
})

// brokenTwice is a trip with two faults.
func (c calm) brokenTwice(seed uint64, both *atomic.Int32) trial {
	pair := draw(seed, c.writes)
	return trial{name: c.named("R2", fmt.Sprintf("seed=%d", seed)), run: func(ctx context.Context, l *lane) []string {
		faults := breakdowns(l.operator())
		record, violations := c.travel(ctx, l, func(call *proxy.Call) proxy.Fault {
			for _, p := range pair {
				if call.Description() == p.Description() && call.Nth == p.Nth {
					return faults[p.kind]
				}
			}
			return proxy.Fault{}
		})
		violations = append(violations, c.differs(record)...)
		if len(struck(l.proxy().Calls())) >= len(pair) {
			both.Add(1)
		}
		if len(violations) > 0 {
			violations = append(violations, "the plan was "+pair[0].String()+"/"+faults[pair[0].kind].Name+" and "+pair[1].String()+"/"+faults[pair[1].kind].Name)
		}
		return violations
	}}
}

var _ = Describe("R2: two faults at once", func() {
	It("breaks no law, and ends as if nothing had happened", func(ctx SpecContext) {
		r := begin("R2", "pairs of faults")
		journey, turning := straight.travelCalmly(ctx), roundabout.travelCalmly(ctx)
		var trials []trial
		var both atomic.Int32
		for _, seed := range r.seeded(either[uint64](100, 8)) {
			trials = append(trials, journey.brokenTwice(seed, &both), turning.brokenTwice(seed, &both))
		}
		r.try(ctx, trials...)
		r.note("in %d of them both struck", both.Load())
		r.end()
	}, NodeTimeout(40*time.Minute))
})

// strike is a write, and which of the breakdowns happens to it.
type strike struct {
	proxy.Call
	kind int
}

// draw draws two writes that something happens to. Half of the pairs are close together, as trouble is.
func draw(seed uint64, writes []proxy.Call) [2]strike {
	random := rand.New(rand.NewPCG(seed, 2))
	kinds := len(breakdowns(&process{}))
	one := random.IntN(len(writes) - 1)
	reach := len(writes) - 1 - one
	if random.IntN(2) == 0 {
		reach = min(reach, 4)
	}
	other := one + 1 + random.IntN(reach)
	return [2]strike{{writes[one], random.IntN(kinds)}, {writes[other], random.IntN(kinds)}}
}
