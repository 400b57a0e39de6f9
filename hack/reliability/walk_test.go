package reliability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/proxy"
)

// walk is a random walk: an order, and what people, nodes and the network do to it, in any order.
type walk struct {
	*lane
	*rand.Rand
	order *v1alpha1.WorkOrder
	// gone are orders of the same name before it, and done is what has happened so far, for people.
	gone []*v1alpha1.WorkOrder
	done []string
	// ambushes wait at the proxies.
	ambushes []*ambush
	// background is what goes on beside the walk.
	background sync.WaitGroup
	broken     []string
	met        *tally
}

// tally counts what has happened on all walks.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what] += n
}

// ambush is faults that meet an operator's next writes.
type ambush struct {
	mu     sync.Mutex
	faults []proxy.Fault
}

func (a *ambush) lay(fault proxy.Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, fault)
}

func (a *ambush) script(call *proxy.Call) (fault proxy.Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if call.Class == proxy.Write && len(a.faults) > 0 {
		fault, a.faults = a.faults[0], a.faults[1:]
	}
	return fault
}

// happening is a thing that may happen on a walk, and how often, compared with the others.
type happening struct {
	name  string
	often int
	do    func(w *walk, ctx context.Context) error
}

// happenings are all of them. Nothing of it is out of the ordinary; what matters is what meets what.
var happenings = []happening{
	{"edit", 8, (*walk).change},
	{"suspend or resume", 3, (*walk).suspend},
	{"rewind", 6, (*walk).rewind},
	{"cancel", 1, func(w *walk, ctx context.Context) error {
		return w.apply(ctx, func(s *v1alpha1.WorkOrderSpec) { s.Cancel = true })
	}},
	{"mend", 2, func(w *walk, ctx context.Context) error { return w.apply(ctx, mend) }},
	{"delete a Pod", 3, (*walk).deletePod},
	{"delete and create again", 2, (*walk).recreate},
	{"break a write", 8, (*walk).breakWrite},
	{"freeze watches", 4, func(w *walk, _ context.Context) error {
		freezeFor(w.proxies[w.IntN(len(w.proxies))], oneOf(w.Rand, []string{pods}, []string{workorders}, []string{pods, workorders}), blind)
		return nil
	}},
	{"restart in the past", 2, (*walk).fallBack},
}

func oneOf[T any](random *rand.Rand, choices ...T) T { return choices[random.IntN(len(choices))] }

// step has one thing happen.
func (w *walk) step(ctx context.Context) error {
	total := 0
	for _, h := range happenings {
		total += h.often
	}
	drawn := w.IntN(total)
	for _, h := range happenings {
		if drawn -= h.often; drawn < 0 {
			w.done = append(w.done, h.name)
			w.met.add(h.name, 1)
			return h.do(w, ctx)
		}
	}
	return nil
}

// detail says more of what is being done.
func (w *walk) detail(format string, values ...any) {
	w.done[len(w.done)-1] += " (" + fmt.Sprintf(format, values...) + ")"
}

// apply edits the order. What the schema refuses was not done.
func (w *walk) apply(ctx context.Context, change func(*v1alpha1.WorkOrderSpec)) error {
	before := w.order.DeepCopy()
	err := edit(ctx, w.lane, w.order, change)
	if apierrors.IsInvalid(err) {
		w.order = before
		w.detail("refused")
		return nil
	}
	return err
}

// change edits what the order is to do.
func (w *walk) change(ctx context.Context) error {
	return w.apply(ctx, func(spec *v1alpha1.WorkOrderSpec) { w.detail("%s", redraw(w.Rand, spec)) })
}

func (w *walk) suspend(ctx context.Context) error {
	return w.apply(ctx, func(spec *v1alpha1.WorkOrderSpec) { spec.Suspend = !spec.Suspend })
}

// rewind asks for a step to be one epoch further than it was last seen, or two.
func (w *walk) rewind(ctx context.Context) error {
	return w.apply(ctx, func(spec *v1alpha1.WorkOrderSpec) {
		request := v1alpha1.RewindRequest{Step: spec.Steps[w.IntN(len(spec.Steps))].Name, ToEpoch: int64(1 + w.IntN(2))}
		history := w.seen.history(w.order.UID)
		if len(history) > 0 {
			for _, step := range history[len(history)-1].Status.Steps {
				if step.Name == request.Step {
					request.ToEpoch += step.Epoch
				}
			}
		}
		spec.Rewinds = slices.DeleteFunc(spec.Rewinds, func(r v1alpha1.RewindRequest) bool { return r.Step == request.Step })
		spec.Rewinds = append(spec.Rewinds, request)
		w.detail("%s to %d", request.Step, request.ToEpoch)
	})
}

// deletePod deletes any of the order's Pods.
func (w *walk) deletePod(ctx context.Context) error {
	w.seen.mu.Lock()
	list := w.seen.podsOf(w.order.UID)
	w.seen.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	chosen := list[w.IntN(len(list))].DeepCopy()
	w.detail("%s", chosen.Name)
	return client.IgnoreNotFound(w.cluster.Delete(ctx, chosen))
}

// recreate deletes the order in one of the ways there are, and makes one of its name again.
func (w *walk) recreate(ctx context.Context) error {
	how := oneOf(w.Rand, metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan)
	w.detail("%s", how)
	w.broken = append(w.broken, w.remove(ctx, w.order, how)...)
	w.gone = append(w.gone, w.order)
	w.order = &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.order.Name}, Spec: drawSpec(w.Rand)}
	return w.cluster.Create(ctx, w.order)
}

// breakWrite has an operator's next write fail, in one way or another.
func (w *walk) breakWrite(context.Context) error {
	i := w.IntN(len(w.operators))
	fault := oneOf(w.Rand, append(breakdowns(w.operators[i]), proxy.Answer(409), proxy.Answer(500), proxy.Disown(504))...)
	w.detail("%s, operator %d", fault.Name, i)
	w.ambushes[i].lay(fault)
	return nil
}

// fallBack kills an operator whose successor begins with lists of some time ago, and is blind for a while.
func (w *walk) fallBack(ctx context.Context) error {
	i := w.IntN(len(w.operators))
	p, o, length := w.proxies[i], w.operators[i], time.Duration(w.IntN(400))*time.Millisecond
	w.detail("operator %d, %s", i, length)
	w.background.Go(func() {
		old := map[string][]byte{}
		for _, resource := range blindnesses["both"] {
			old[resource], _ = p.Snapshot(ctx, resource) // If it fails, the lists are not old.
		}
		wait(ctx, length)
		for resource, list := range old {
			p.Replay(resource, list)
			p.Freeze(resource)
		}
		reads := p.Count(proxy.Read)
		o.kill()
		for patience := 100; p.Count(proxy.Read) < reads+len(old) && patience > 0 && ctx.Err() == nil; patience-- {
			wait(ctx, 20*time.Millisecond)
		}
		wait(ctx, blind)
		for resource := range old {
			p.Replay(resource, nil)
			p.Thaw(resource)
		}
	})
	return nil
}

// end lets all trouble end, has the order be one that can come to its end, and says which laws were broken on the way.
func (w *walk) end(ctx context.Context) []string {
	w.background.Wait()
	wait(ctx, blind) // So that no watch is frozen any more.
	for _, p := range w.proxies {
		p.Run(nil)
	}
	if err := w.apply(ctx, mend); err != nil {
		return append(w.broken, err.Error())
	}
	violations := append(w.broken, w.finish(ctx, w.order)...)
	for _, order := range w.gone {
		violations = append(violations, w.abandoned(order)...)
	}
	w.met.add("struck", len(struck(w.writes())))
	return append(violations, w.strays(w.order)...)
}

// walkAtRandom is a walk that a seed draws.
func walkAtRandom(seed uint64, met *tally) func(context.Context, *lane) []string {
	return func(ctx context.Context, l *lane) []string {
		w := &walk{lane: l, Rand: rand.New(rand.NewPCG(seed, 17)), met: met}
		for _, p := range l.proxies {
			a := &ambush{}
			w.ambushes = append(w.ambushes, a)
			p.Begin(a.script)
		}
		var err error
		w.order, err = l.submit(ctx, drawSpec(w.Rand))
		w.done = append(w.done, "create")
		for length := 5 + w.IntN(8); length > 0 && err == nil; length-- {
			wait(ctx, time.Duration(w.IntN(350))*time.Millisecond)
			err = w.step(ctx)
		}
		violations := w.end(ctx)
		if err != nil {
			violations = append(violations, errors.Join(errors.New("the walk stumbled"), err).Error())
		}
		if len(violations) > 0 {
			violations = append(violations, "the walk was: "+strings.Join(w.done, ", "))
		}
		return violations
	}
}

var _ = Describe("R17: a random walk", func() {
	It("breaks no law, whatever meets what", func(ctx SpecContext) {
		r := begin("R17", "walks")
		r.env, r.lanes = oldLists, either(8, lanes)
		alone, rivals, met := []trial{}, []trial{}, &tally{counts: map[string]int{}}
		for _, seed := range r.seeded(either[uint64](150, 24)) {
			t := trial{name: fmt.Sprintf("R17/seed=%d", seed), run: walkAtRandom(seed, met)}
			if seed%2 == 0 {
				rivals = append(rivals, t)
			} else {
				alone = append(alone, t)
			}
		}
		r.try(ctx, alone...)
		r.operators = 2
		r.try(ctx, rivals...)
		n := met.counts
		r.note("half of them with two operators; %d edits, %d rewinds, %d deletions of Pods and %d of orders, %d writes broken, %d blindnesses, %d restarts in the past",
			n["edit"], n["rewind"], n["delete a Pod"], n["delete and create again"], n["struck"], n["freeze watches"], n["restart in the past"])
		r.end()
	}, NodeTimeout(30*time.Minute))
})
