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
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/specs"
)

// runnable is a spec whose steps the node can run, in a second or so.
func runnable(spec v1alpha1.WorkOrderSpec) v1alpha1.WorkOrderSpec {
	for i := range spec.Steps {
		makeRunnable(&spec.Steps[i])
	}
	for i := range spec.Finally {
		makeRunnable(&spec.Finally[i])
	}
	if deadline := spec.ActiveDeadlineSeconds; deadline != nil {
		*deadline = 5 // As long as all but what runs for ever may take, with six lanes on two cores.
	}
	return spec
}

func makeRunnable(s *v1alpha1.Step) {
	switch {
	case s.Name == specs.Fails:
		s.Run.Args = []string{"--fail-epochs=99"}
	case s.Name == specs.FailsOnce:
		s.Run.Args = []string{"--fail-epochs=1"}
	case s.Name == specs.Long:
		s.Run.Args = []string{"--duration=10m"}
	case s.Run != nil:
		s.Run.Args = []string{"--duration=100ms"}
	case s.Wait != nil:
		s.Wait.Seconds = 1 // As long as it takes to be met there.
	}
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

// stalled is why an order's spec cannot run; nil if it can, or nobody has read it yet.
func stalled(order *v1alpha1.WorkOrder) *metav1.Condition {
	condition := meta.FindStatusCondition(order.Status.Conditions, v1alpha1.ConditionStalled)
	if condition == nil || condition.Reason != v1alpha1.ReasonInvalidSpec || order.Status.ObservedGeneration != order.Generation {
		return nil
	}
	return condition
}

// held says whether an order is suspended, and has been read since it was edited last.
func held(order *v1alpha1.WorkOrder) bool {
	return order.Status.Phase == v1alpha1.WorkOrderSuspended && order.Generation == order.Status.ObservedGeneration
}

// settles waits until an order is at rest, or says that its spec cannot run. One that is held is resumed.
func (l *lane) settles(ctx context.Context, order *v1alpha1.WorkOrder) (newest *v1alpha1.WorkOrder, err error) {
	err = l.seen.until(ctx, func() bool {
		newest = l.seen.newest(order.UID)
		return newest != nil && newest.Generation >= order.Generation && (stalled(newest) != nil || l.seen.atRest(order) || held(newest))
	}, order)
	if err != nil || !held(newest) {
		return newest, err
	}
	if err := edit(ctx, l, order, func(spec *v1alpha1.WorkOrderSpec) { spec.Suspend = false }); err != nil {
		return nil, err
	}
	return l.settles(ctx, order)
}

// transition is an order that is edited from one spec into another when it has made so many transitions.
type transition struct {
	from, to string
	after    int64
}

// play makes the order, edits it, and says in what it is then not as it has to be.
func (t transition) play(ctx context.Context, l *lane, all map[string]v1alpha1.WorkOrderSpec) []string {
	l.proxy().Begin(nil)
	from, to := all[t.from], all[t.to]
	fresh, violations := l.becomes(ctx, to)
	order, err := l.submit(ctx, *from.DeepCopy())
	if err == nil {
		err = l.comesTo(ctx, order, t.after)
	}
	before := order.DeepCopy()
	if err == nil {
		err = edit(ctx, l, order, func(spec *v1alpha1.WorkOrderSpec) { *spec = *to.DeepCopy() })
	}
	// A workspace is what cannot be changed; the order goes on as it was.
	refused := apierrors.IsInvalid(err) && !equality.Semantic.DeepEqual(from.Workspace, to.Workspace)
	switch {
	case refused:
		order = before
	case err != nil:
		return append(violations, err.Error())
	}
	newest, err := l.settles(ctx, order)
	if err != nil {
		return append(violations, "I5: edited, it neither comes to its end nor says why: "+err.Error())
	}
	if !refused {
		edited := specs.Edited{Before: l.unedited(order), After: &newest.Status, To: &to, Fresh: fresh}
		violations = append(violations, edited.Wrong()...)
	}
	if stalled(newest) != nil {
		violations = append(violations, l.mended(ctx, order)...)
	}
	return append(violations, l.finish(ctx, order)...)
}

// becomes is what becomes of a new order of a spec; nil if it cannot run.
func (l *lane) becomes(ctx context.Context, spec v1alpha1.WorkOrderSpec) (*v1alpha1.WorkOrderStatus, []string) {
	order, err := l.submit(ctx, *spec.DeepCopy())
	if err != nil {
		return nil, []string{err.Error()}
	}
	newest, err := l.settles(ctx, order)
	switch {
	case err != nil:
		return nil, []string{err.Error()}
	case stalled(newest) != nil:
		return nil, l.mended(ctx, order)
	}
	return &newest.Status, nil
}

// comesTo waits until an order has made so many transitions, or makes no more.
func (l *lane) comesTo(ctx context.Context, order *v1alpha1.WorkOrder, transitions int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return l.seen.await(ctx, func() bool {
		newest := l.seen.newest(order.UID)
		return transitions == 0 || newest != nil && (newest.Status.Sequence >= transitions || stalled(newest) != nil || held(newest) || l.seen.atRest(order))
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
	newest, err := l.settles(ctx, order)
	if err != nil {
		return []string{"I5: mended, it does not come to its end: " + err.Error()}
	}
	if got := specs.Outline(&newest.Status); got != specs.Mended {
		return []string{"mended, it is " + got}
	}
	return nil
}

var _ = Describe("R18: any spec is edited into any other", func() {
	It("ends as the last spec says", func(ctx SpecContext) {
		r := begin("R18", "transitions of specs")
		all := storable(ctx)
		names := slices.Sorted(maps.Keys(all))
		r.note("%d of %d specs get past the schema", len(all), len(specs.All()))
		trials := []trial{{name: editedMeanwhile, run: editedWhileItRuns}}
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
