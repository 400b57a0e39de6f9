package reliability

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/laws"
	"workorders.dev/operator/hack/reliability/proxy"
	"workorders.dev/operator/hack/reliability/report"
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

// calm is a journey on which nothing went wrong, to which others are compared.
type calm struct {
	shape, story string
	writes       []proxy.Call
}

// travel makes the journey with that script, and says which laws were broken.
func travel(ctx context.Context, l *lane, script proxy.Script) (laws.Record, []string) {
	l.proxy().Begin(script)
	order, err := l.submit(ctx, journey())
	if err != nil {
		return laws.Record{}, []string{err.Error()}
	}
	violations := append(l.finish(ctx, order), l.strays(order)...)
	if script != nil && len(struck(l.proxy().Calls())) == 0 {
		violations = append(violations, "the fault never struck: the case shows nothing")
	}
	record, err := l.recordOf(ctx, order)
	if err != nil {
		violations = append(violations, err.Error())
	}
	return record, violations
}

// travelCalmly makes the journey without any fault.
func travelCalmly(ctx context.Context) calm {
	GinkgoHelper()
	l, err := newLane(ctx, setup{})
	Expect(err).NotTo(HaveOccurred())
	defer l.close()
	record, violations := travel(ctx, l, nil)
	Expect(violations).To(BeEmpty())
	Expect(record.Order.Status.Phase).To(Equal(v1alpha1.WorkOrderSucceeded))
	Expect(record.Order.Status.Rewinds).To(BeEquivalentTo(2))
	c := calm{shape: laws.Shape(&record.Order.Status), story: laws.Story(record), writes: l.writes()}
	Expect(len(c.writes)).To(BeNumerically(">=", fewestWrites), "writes must have passed unseen: %v", c.writes)
	return c
}

// differs says how a journey differs from the calm one, as it should not.
func (c calm) differs(record laws.Record) (violations []string) {
	if shape := laws.Shape(&record.Order.Status); shape != c.shape {
		violations = append(violations, fmt.Sprintf("it ended as\n%s\ninstead of\n%s", shape, c.shape))
	}
	if story := laws.Story(record); story != c.story {
		violations = append(violations, fmt.Sprintf("its log is\n%sinstead of\n%s", story, c.story))
	}
	return violations
}

// breakdowns are what may happen to a write.
func breakdowns(o *process) []proxy.Fault {
	return []proxy.Fault{proxy.Refuse(), proxy.LoseReply(), proxy.KillBefore(o.kill), proxy.KillAfter(o.kill)}
}

var _ = Describe("R1: a crash at every write", func() {
	It("breaks no law, and ends as if nothing had happened", func(ctx SpecContext) {
		r := begin("R1", "write points × faults")
		undisturbed := travelCalmly(ctx)
		r.note("%d write points", len(undisturbed.writes))
		var trials []trial
		for i, write := range undisturbed.writes {
			for kind, fault := range breakdowns(&process{}) {
				if kind%2 != i%2 && !report.Full() {
					continue // Half of them, at every write.
				}
				trials = append(trials, trial{name: fmt.Sprintf("R1/%s/%s", write.String(), fault.Name), run: func(ctx context.Context, l *lane) []string {
					record, violations := travel(ctx, l, proxy.At(write.Description(), write.Nth, breakdowns(l.operator())[kind]))
					return append(violations, undisturbed.differs(record)...)
				}})
			}
		}
		r.try(ctx, trials...)
		r.end()
	}, NodeTimeout(30*time.Minute))
})

var _ = Describe("R2: two faults at once", func() {
	It("breaks no law, and ends as if nothing had happened", func(ctx SpecContext) {
		r := begin("R2", "pairs of faults")
		undisturbed := travelCalmly(ctx)
		var trials []trial
		for _, seed := range r.seeded(either[uint64](200, 10)) {
			pair := draw(seed, undisturbed.writes)
			name := fmt.Sprintf("R2/seed=%d", seed)
			trials = append(trials, trial{name: name, run: func(ctx context.Context, l *lane) []string {
				faults := breakdowns(l.operator())
				record, violations := travel(ctx, l, func(call *proxy.Call) proxy.Fault {
					for _, p := range pair {
						if call.Description() == p.Description() && call.Nth == p.Nth {
							return faults[p.kind]
						}
					}
					return proxy.Fault{}
				})
				violations = append(violations, undisturbed.differs(record)...)
				if len(violations) > 0 {
					violations = append(violations, "the plan was "+pair[0].String()+"/"+faults[pair[0].kind].Name+" and "+pair[1].String()+"/"+faults[pair[1].kind].Name)
				}
				return violations
			}})
		}
		r.try(ctx, trials...)
		r.end()
	}, NodeTimeout(30*time.Minute))
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
