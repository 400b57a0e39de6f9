package reliability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/proxy"
)

// errand is an order of three steps, of which one fails as often as one of a journey; and what it cannot do without.
func errand() v1alpha1.WorkOrderSpec {
	return v1alpha1.WorkOrderSpec{Retry: atOnce(2), Steps: []v1alpha1.Step{
		step("fetch", "--output=12 files"), step("build", "--fail-epochs=2", "--output=built"), step("ship", "--output=shipped"),
	}}
}

const fewestOfErrand = 2*(1+3+2+2+1) + 2*5

var _ = Describe("R7: two operators at work at once", func() {
	It("start nothing twice", func(ctx SpecContext) {
		r := begin("R7", "cases")
		r.operators = 2
		size := either(500, 15)
		r.try(ctx, trial{name: "R7/two operators", run: func(ctx context.Context, l *lane) []string {
			for _, p := range l.proxies {
				p.Begin(nil)
			}
			orders, violations := crowd(ctx, l, size, errand())
			r.note("%d orders, %d writes, where %d would be enough", size, len(l.writes()), size*fewestOfErrand)
			for i, p := range l.proxies {
				if p.Count(proxy.Write) == 0 {
					violations = append(violations, fmt.Sprintf("operator %d did nothing: the case shows nothing", i))
				}
			}
			return append(violations, succeeded(l, orders)...)
		}})
		r.end()
	}, NodeTimeout(30*time.Minute))
})

// edits are what people do to an order while one of its two operators is frozen.
var edits = map[string]func(spec *v1alpha1.WorkOrderSpec){
	"nothing": func(*v1alpha1.WorkOrderSpec) {},
	"cancel":  func(spec *v1alpha1.WorkOrderSpec) { spec.Cancel = true },
	"rewind": func(spec *v1alpha1.WorkOrderSpec) {
		spec.Rewinds = []v1alpha1.RewindRequest{{Step: spec.Steps[0].Name, ToEpoch: 2}, {Step: "implement", ToEpoch: 2}}
	},
	"edit": func(spec *v1alpha1.WorkOrderSpec) {
		for i := range spec.Steps {
			if run := spec.Steps[i].Run; run != nil {
				run.Args = append(run.Args, "--output=edited")
			}
		}
	},
}

// sleep is one of two operators that is frozen at one of its writes, before it or after, for a while.
type sleep struct {
	write  int
	before bool
	length time.Duration
	edit   string
}

func drawSleep(seed uint64) sleep {
	random := rand.New(rand.NewPCG(seed, 8))
	s := sleep{write: 1 + random.IntN(25), before: random.IntN(2) == 0, length: time.Duration(500+random.IntN(2000)) * time.Millisecond}
	s.edit = []string{"nothing", "cancel", "edit", "rewind"}[random.IntN(len(edits))]
	return s
}

// leaderless is how long it takes at most until somebody else leads: a lease of 15 s, from when the other one has seen it renewed,
// the pause between two tries, of 2 s and a little, before and after that, and what a busy machine adds.
const leaderless = 22 * time.Second

// depose freezes the leader of two operators for so long that the other one leads when it goes on.
func (s sleep) depose(ctx context.Context) []string {
	l, err := newLane(ctx, setup{operators: 2, elected: true})
	if err != nil {
		return []string{err.Error()}
	}
	defer l.close()
	s.length += leaderless
	violations := s.play(ctx, l)
	leaving, enough := context.WithTimeout(ctx, 2*leaderless)
	defer enough()
	for l.operators[0].ousted() == 0 && leaving.Err() == nil {
		wait(leaving, stillness)
	}
	if l.operators[0].ousted() == 0 {
		violations = append(violations, "it has not noticed that it leads no more"+l.lastWords())
	}
	if l.proxies[1].Count(proxy.Write) == 0 {
		violations = append(violations, "nobody else led meanwhile: the case shows nothing")
	}
	return violations
}

// script freezes the first operator as the sleep says, and lets it go on when it is over.
func (s sleep) script(o *process, frozen chan<- struct{}) proxy.Script {
	freeze := func() {
		o.freeze()
		time.AfterFunc(s.length, o.thaw)
		close(frozen)
	}
	return func(call *proxy.Call) proxy.Fault {
		switch {
		case call.Number != s.write:
			return proxy.Fault{}
		case s.before:
			return proxy.Fault{Name: "freeze-before", Before: freeze}
		}
		return proxy.Fault{Name: "freeze-after", After: freeze}
	}
}

// play makes a journey for two operators, of which the first is frozen midway while somebody edits the order.
func (s sleep) play(ctx context.Context, l *lane) []string {
	frozen := make(chan struct{})
	l.proxies[1].Begin(nil)
	l.proxies[0].Begin(s.script(l.operators[0], frozen))
	order, err := l.submit(ctx, slowly("20ms"))
	if err != nil {
		return []string{err.Error()}
	}
	over := make(chan struct{})
	waiting, enough := context.WithTimeout(ctx, patience)
	defer enough()
	go func(order *v1alpha1.WorkOrder) {
		defer close(over)
		_ = l.seen.settle(waiting, order) // Whether it does is asked again at the end.
	}(order.DeepCopy())
	select {
	case <-frozen:
		if err := edit(ctx, l, order, edits[s.edit]); err != nil {
			return []string{err.Error()}
		}
		wait(ctx, s.length+100*time.Millisecond) // So that what the frozen one does when it wakes is part of the case.
	case <-over: // The other one did all the work: not what was hoped for, but no harm.
	}
	return l.finish(ctx, order)
}

// What arrives only when all is over: the first status, or the first Pod, that one of two operators has decided on.
const (
	lateSave        = "R8/late save"
	latePost        = "R8/late POST"
	lateAfterCancel = "R8/late POST after a cancellation"
	lateAfterRewind = "R8/late POST after a rewind"
)

// late holds back that request until the other operator, which slept so far, has brought the order to its end.
func late(name string) func(context.Context, *lane) []string {
	call := "create pods"
	if name == lateSave {
		call = "patch workorders/status"
	}
	return func(ctx context.Context, l *lane) []string {
		held, free, through := make(chan struct{}), make(chan struct{}), make(chan struct{})
		l.operators[1].freeze()
		l.proxies[1].Begin(nil)
		l.proxies[0].Begin(proxy.At(call, 1, proxy.Fault{
			Name: "late", Before: func() { close(held); <-free }, After: func() { close(through) },
		}))
		order, err := l.submit(ctx, slowly("20ms"))
		if err == nil {
			err = done(ctx, held)
		}
		l.operators[1].thaw()
		switch {
		case err == nil && name == lateAfterCancel:
			err = edit(ctx, l, order, edits["cancel"])
		case err == nil && name == lateAfterRewind:
			err = edit(ctx, l, order, edits["rewind"])
		}
		if err == nil {
			err = l.seen.settle(ctx, order)
		}
		wait(ctx, time.Second) // Time for Pods to go that should not.
		close(free)
		if err == nil {
			err = errors.Join(done(ctx, through), l.catchUp(ctx, order))
		}
		if err != nil {
			return []string{err.Error()}
		}
		return l.finish(ctx, order)
	}
}

// done waits until a channel is closed.
func done(ctx context.Context, channel <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-channel:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the moment never came: %w", ctx.Err())
	}
}

// catchUp waits until the witness has seen what there is of an order now.
func (l *lane) catchUp(ctx context.Context, order *v1alpha1.WorkOrder) error {
	live, list := &v1alpha1.WorkOrder{}, &corev1.PodList{}
	err := errors.Join(l.cluster.Get(ctx, client.ObjectKeyFromObject(order), live),
		l.cluster.List(ctx, list, client.InNamespace(l.namespace), client.MatchingLabels{steppod.LabelOrderUID: string(order.UID)}))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return l.seen.await(ctx, func() bool {
		return slices.ContainsFunc(l.seen.orders[order.UID], func(state *v1alpha1.WorkOrder) bool {
			return state.ResourceVersion == live.ResourceVersion
		}) && !slices.ContainsFunc(list.Items, func(pod corev1.Pod) bool { return l.seen.pods[order.UID][pod.UID] == nil })
	})
}

// edit edits an order's spec.
func edit(ctx context.Context, l *lane, order *v1alpha1.WorkOrder, change func(*v1alpha1.WorkOrderSpec)) error {
	before := order.DeepCopy()
	change(&order.Spec)
	return l.cluster.Patch(ctx, order, client.MergeFrom(before))
}

var _ = Describe("R8: one of two operators is frozen and thawed", func() {
	It("breaks no law, whatever happened meanwhile", func(ctx SpecContext) {
		r := begin("R8", "freezes")
		r.operators = 2
		plan := func(s sleep, violations []string) []string {
			if len(violations) > 0 {
				violations = append(violations, fmt.Sprintf("the plan was %+v", s))
			}
			return violations
		}
		var trials []trial
		for _, name := range []string{lateSave, latePost, lateAfterCancel, lateAfterRewind} {
			trials = append(trials, trial{name: name, run: late(name)})
		}
		for _, seed := range r.seeded(either[uint64](150, 12)) {
			s := drawSleep(seed)
			trials = append(trials, trial{name: fmt.Sprintf("R8/seed=%d", seed), run: func(ctx context.Context, l *lane) []string {
				return plan(s, s.play(ctx, l))
			}})
		}
		r.try(ctx, trials...)
		trials, r.ownLanes = nil, true
		for seed := range either[uint64](12, 1) {
			s := drawSleep(firstSeed() + seed)
			trials = append(trials, trial{name: fmt.Sprintf("R8/leader/seed=%d", firstSeed()+seed), run: func(ctx context.Context, _ *lane) []string {
				return plan(s, s.depose(ctx))
			}})
		}
		r.try(ctx, trials...)
		r.note("%d of them of the leader, for longer than its lease", len(trials))
		r.end()
	}, NodeTimeout(30*time.Minute))
})
