package reliability

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/specs"
)

// runnable is a spec whose steps the node can run.
func runnable(spec v1alpha1.WorkOrderSpec) v1alpha1.WorkOrderSpec {
	for i := range spec.Steps {
		s := &spec.Steps[i]
		switch {
		case s.Name == specs.Fails:
			s.Run.Args = []string{"--fail-epochs=99"}
		case s.Run != nil:
			s.Run.Args = []string{"--duration=100ms"}
		case s.Wait != nil:
			s.Wait.Seconds = 1 // As long as it takes to be met there.
		}
	}
	return spec
}

// storable are the specs that the schema lets in; the rest of what cannot run is told apart by the operator.
func storable(ctx context.Context) map[string]v1alpha1.WorkOrderSpec {
	GinkgoHelper()
	all := specs.All()
	maps.DeleteFunc(all, func(name string, spec v1alpha1.WorkOrderSpec) bool {
		order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "probe"}, Spec: spec}
		err := client.NewDryRunClient(home.cluster).Create(ctx, order)
		if !apierrors.IsInvalid(err) {
			Expect(err).NotTo(HaveOccurred(), name)
		}
		return err != nil
	})
	for name, spec := range all {
		all[name] = runnable(spec)
	}
	return all
}

// outline is how an order looks to somebody who does not know what was edited: its phase, and each step's.
func outline(status *v1alpha1.WorkOrderStatus) string {
	said := string(status.Phase)
	for _, step := range status.Steps {
		if !step.Removed {
			said += " " + step.Name + ":" + string(step.Phase)
		}
	}
	return said
}

// stalled is why an order's spec cannot run; nil if it can, or nobody has read it yet.
func stalled(order *v1alpha1.WorkOrder) *metav1.Condition {
	condition := meta.FindStatusCondition(order.Status.Conditions, v1alpha1.ConditionStalled)
	if condition == nil || condition.Reason != v1alpha1.ReasonInvalidSpec || order.Status.ObservedGeneration != order.Generation {
		return nil
	}
	return condition
}

// settlesOrStalls waits until an order is at rest, or says that its spec cannot run.
func (l *lane) settlesOrStalls(ctx context.Context, order *v1alpha1.WorkOrder) (newest *v1alpha1.WorkOrder, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = l.seen.await(ctx, func() bool {
		newest = l.seen.newest(order.UID)
		return newest != nil && newest.Generation >= order.Generation && (stalled(newest) != nil || l.seen.atRest(order))
	})
	return newest, err
}

// transition is an order that is edited from one spec into another when it has made so many transitions.
type transition struct {
	from, to string
	after    int64
}

// play makes the order, edits it, and says in what it differs from a new one of its last spec.
func (t transition) play(ctx context.Context, l *lane, all map[string]v1alpha1.WorkOrderSpec) []string {
	l.proxy().Begin(nil)
	fresh, violations := l.outlineOf(ctx, all[t.to])
	from, to := all[t.from], all[t.to]
	order, err := l.submit(ctx, *from.DeepCopy())
	if err == nil {
		err = l.comesTo(ctx, order, t.after)
	}
	if err == nil {
		err = edit(ctx, l, order, func(spec *v1alpha1.WorkOrderSpec) { *spec = *to.DeepCopy() })
	}
	if err != nil {
		return append(violations, err.Error())
	}
	newest, err := l.settlesOrStalls(ctx, order)
	if err != nil {
		return append(violations, "I5: edited, it neither comes to its end nor says why: "+err.Error())
	}
	before := l.unedited(order)
	switch got := outline(&newest.Status); {
	case before.CompletionTime != nil:
		if got != outline(before) { // What has finished does not run again.
			violations = append(violations, fmt.Sprintf("it had finished as %s, and is %s", outline(before), got))
		}
	case got != fresh && stalled(newest) == nil:
		violations = append(violations, fmt.Sprintf("it is %s, and a new one is %s", got, fresh))
	case (stalled(newest) != nil) != (fresh == unfit):
		violations = append(violations, fmt.Sprintf("it says %q of its spec, and of a new one it is said: %s", newest.Status.Message, fresh))
	}
	if stalled(newest) != nil {
		violations = append(violations, l.mended(ctx, order)...)
	}
	return append(violations, l.finish(ctx, order)...)
}

// unfit is what is said of a new order whose spec cannot run.
const unfit = "its spec cannot run"

// outlineOf is what becomes of a new order of a spec.
func (l *lane) outlineOf(ctx context.Context, spec v1alpha1.WorkOrderSpec) (string, []string) {
	order, err := l.submit(ctx, *spec.DeepCopy())
	if err != nil {
		return "", []string{err.Error()}
	}
	newest, err := l.settlesOrStalls(ctx, order)
	switch {
	case err != nil:
		return "", []string{err.Error()}
	case stalled(newest) != nil:
		return unfit, l.mended(ctx, order)
	}
	return outline(&newest.Status), nil
}

// comesTo waits until an order has made so many transitions, or makes no more.
func (l *lane) comesTo(ctx context.Context, order *v1alpha1.WorkOrder, transitions int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return l.seen.await(ctx, func() bool {
		newest := l.seen.newest(order.UID)
		return transitions == 0 || newest != nil && (newest.Status.Sequence >= transitions || stalled(newest) != nil || l.seen.atRest(order))
	})
}

// unedited is the last status of an order that speaks of its first spec.
func (l *lane) unedited(order *v1alpha1.WorkOrder) *v1alpha1.WorkOrderStatus {
	last := &v1alpha1.WorkOrderStatus{}
	for _, state := range l.seen.history(order.UID) {
		if state.Status.ObservedGeneration == 1 {
			last = &state.Status
		}
	}
	return last
}

// mended mends an order whose spec cannot run, and says what is wrong if it does not run then.
func (l *lane) mended(ctx context.Context, order *v1alpha1.WorkOrder) []string {
	err := edit(ctx, l, order, func(spec *v1alpha1.WorkOrderSpec) {
		specs.Mend(spec)
		*spec = runnable(*spec)
	})
	if err != nil {
		return []string{err.Error()}
	}
	newest, err := l.settlesOrStalls(ctx, order)
	if err != nil {
		return []string{"I5: mended, it does not come to its end: " + err.Error()}
	}
	if got := outline(&newest.Status); got != "Succeeded a:Succeeded z:Succeeded" {
		return []string{"mended, it is " + got}
	}
	return nil
}

var _ = Describe("R18: any spec is edited into any other", func() {
	It("ends as the last spec says", func(ctx SpecContext) {
		r := begin("R18", "transitions of specs")
		all := storable(ctx)
		names := slices.Sorted(maps.Keys(all))
		r.note("%d of 30 specs get past the schema", len(all))
		var trials []trial
		for _, seed := range r.seeded(either[uint64](200, 18)) {
			random := rand.New(rand.NewPCG(seed, 18))
			t := transition{oneOf(random, names...), oneOf(random, names...), int64(random.IntN(6))}
			trials = append(trials, trial{name: fmt.Sprintf("R18/seed=%d", seed), run: func(ctx context.Context, l *lane) []string {
				violations := t.play(ctx, l, all)
				if len(violations) > 0 {
					violations = append(violations, fmt.Sprintf("it was edited from %q into %q after %d transitions", t.from, t.to, t.after))
				}
				return violations
			}})
		}
		r.try(ctx, trials...)
		r.end()
	}, NodeTimeout(30*time.Minute))
})
