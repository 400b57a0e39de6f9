package reliability

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/progress"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/laws"
)

// forgeries are owner references that somebody might put on a Pod that bears the name and the labels of a step's.
var forgeries = map[string]func(order *v1alpha1.WorkOrder) []metav1.OwnerReference{
	"no owner": func(*v1alpha1.WorkOrder) []metav1.OwnerReference { return nil },
	"another owner": func(order *v1alpha1.WorkOrder) []metav1.OwnerReference {
		other := order.DeepCopy()
		other.UID = "0b7c8a54-8f0e-4b0b-9d54-000000000000"
		return steppod.OwnedBy(other)
	},
	"an owner that is no controller": func(order *v1alpha1.WorkOrder) []metav1.OwnerReference {
		owners := steppod.OwnedBy(order)
		owners[0].Controller = nil
		return owners
	},
}

// forgedSteps is an order whose second step somebody forges a Pod for.
func forgedSteps() v1alpha1.WorkOrderSpec {
	return v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("first", "--duration=300ms"), step("second", "--output=true"), step("third")}}
}

// forge takes the name of the second step's Pod by one that says it has succeeded, before the step starts. A gate keeps
// the node from it, as what the node runs is in the ledger.
func forge(ctx context.Context, l *lane, order *v1alpha1.WorkOrder, owners []metav1.OwnerReference, phase corev1.PodPhase) (*corev1.Pod, error) {
	pod := steppod.Build(order, &order.Spec.Steps[1], &v1alpha1.StepStatus{Epoch: 1, Attempt: 1}, nil)
	pod.OwnerReferences, pod.Finalizers = owners, nil
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/forged"}}
	if err := l.cluster.Create(ctx, pod); err != nil {
		return nil, err
	}
	pod.Status.Phase = phase
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: steppod.ContainerName}}
	switch state := &pod.Status.ContainerStatuses[0].State; phase {
	case corev1.PodPending:
	case corev1.PodRunning:
		state.Running = &corev1.ContainerStateRunning{StartedAt: metav1.Now()}
	default:
		state.Terminated = &corev1.ContainerStateTerminated{Message: "forged"}
	}
	return pod, l.cluster.Status().Update(ctx, pod)
}

// withForgedPod makes an order that meets a forged Pod, which is deleted when the order has complained.
func withForgedPod(owners func(*v1alpha1.WorkOrder) []metav1.OwnerReference, phase corev1.PodPhase) func(context.Context, *lane) []string {
	return func(ctx context.Context, l *lane) []string {
		l.proxy().Begin(nil)
		order, err := l.submit(ctx, forgedSteps())
		if err != nil {
			return []string{err.Error()}
		}
		pod, err := forge(ctx, l, order, owners(order), phase)
		if err != nil {
			return []string{err.Error()}
		}
		waiting, enough := context.WithTimeout(ctx, patience)
		defer enough()
		adopted := false
		err = l.seen.await(waiting, func() bool {
			newest := l.seen.newest(order.UID)
			adopted = l.seen.atRest(order)
			return adopted || newest != nil && slices.ContainsFunc(newest.Status.Steps, func(s v1alpha1.StepStatus) bool {
				return s.Name == "second" && s.Error != nil && s.Error.Code == v1alpha1.CodeNameConflict
			})
		})
		switch {
		case adopted:
			return append(l.finish(ctx, order), "R13: the forged Pod was taken for the order's own")
		case err != nil:
			return []string{"R13: the forged Pod was not complained of: " + err.Error()}
		}
		if err := l.cluster.Delete(ctx, pod); err != nil {
			return []string{err.Error()}
		}
		return l.finish(ctx, order)
	}
}

// withForgedEvent makes an order on whose log somebody puts the end that he would like.
func withForgedEvent(ctx context.Context, l *lane) []string {
	l.proxy().Begin(nil)
	order, err := l.submit(ctx, forgedSteps())
	if err != nil {
		return []string{err.Error()}
	}
	var newest *v1alpha1.WorkOrder
	if err := l.seen.await(ctx, func() bool { newest = l.seen.newest(order.UID); return newest != nil && newest.Status.Head != "" }); err != nil {
		return []string{err.Error()}
	}
	spec := v1alpha1.ProgressEventSpec{
		WorkOrder: v1alpha1.WorkOrderReference{Name: order.Name, UID: order.UID},
		Sequence:  newest.Status.Sequence + 1, Previous: newest.Status.Head, Type: v1alpha1.EventSucceeded, Time: metav1.Now().Rfc3339Copy(),
		Changes: v1alpha1.Changes{Order: v1alpha1.OrderState{Outcome: v1alpha1.OutcomeSucceeded}},
	}
	event := &v1alpha1.ProgressEvent{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: plan.EventName(&spec), OwnerReferences: steppod.OwnedBy(order)}, Spec: spec,
	}
	if err := l.cluster.Create(ctx, event); err != nil {
		return []string{err.Error()}
	}
	violations := l.finish(ctx, order)
	record, err := l.recordOf(ctx, order)
	if err != nil {
		return append(violations, err.Error())
	}
	chain := progress.Follow(order.UID, record.Order.Status.Head, record.Events)
	if slices.ContainsFunc(chain.Events, func(e *v1alpha1.ProgressEvent) bool { return e.Name == event.Name }) {
		violations = append(violations, "R13: the forged event is on the chain")
	}
	return violations
}

var _ = Describe("R13: forged parts", func() {
	It("are never taken for the operator's own", func(ctx SpecContext) {
		r := begin("R13", "forgeries")
		trials := []trial{{name: "R13/an event", run: withForgedEvent}}
		for owner, owners := range forgeries {
			for _, phase := range []corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed} {
				trials = append(trials, trial{name: fmt.Sprintf("R13/a Pod with %s/%s", owner, phase), run: withForgedPod(owners, phase)})
			}
		}
		r.try(ctx, trials...)
		r.end()
	})
})

// removals are the ways to delete an order.
var removals = map[string]metav1.DeletionPropagation{
	"background": metav1.DeletePropagationBackground,
	"foreground": metav1.DeletePropagationForeground,
	"orphan":     metav1.DeletePropagationOrphan,
}

// remove deletes an order, and says what of it is left that should not be.
func (l *lane) remove(ctx context.Context, order *v1alpha1.WorkOrder, how metav1.DeletionPropagation) []string {
	if err := l.cluster.Delete(ctx, order, client.PropagationPolicy(how)); err != nil {
		return []string{err.Error()}
	}
	return l.gone(ctx, order, how)
}

// gone plays the garbage collector for an order that was deleted, and says what of it is left that should not be.
func (l *lane) gone(ctx context.Context, order *v1alpha1.WorkOrder, how metav1.DeletionPropagation) []string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if how == metav1.DeletePropagationOrphan {
		if err := dependants(ctx, l, order, disown); err != nil {
			return []string{err.Error()}
		}
	} else if err := collectAll(ctx, l, order); err != nil {
		return []string{"R11: Pods of a removed order are still there: " + err.Error()}
	}
	if err := letGo(ctx, l, order); err != nil {
		return []string{err.Error()}
	}
	if err := l.seen.await(ctx, func() bool { return l.seen.gone[order.UID] }); err != nil {
		return []string{"R11: a deleted order is still there: " + err.Error()}
	}
	// A late POST of the operator may make a Pod even now; what runs comes to its end, and then it must be let go.
	free := func() bool { return !slices.ContainsFunc(l.seen.podsOf(order.UID), steppod.Held) }
	if err := l.seen.await(ctx, free); err != nil {
		return []string{"R11: a Pod of a removed order is held: " + err.Error()}
	}
	return nil
}

// collectAll collects until no Pod of the order is left: one may be made as late as by a turn that began before the
// deletion.
func collectAll(ctx context.Context, l *lane, order *v1alpha1.WorkOrder) error {
	for {
		if err := dependants(ctx, l, order, discard); err != nil {
			return err
		}
		round, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		err := l.seen.await(round, func() bool { return len(l.seen.podsOf(order.UID)) == 0 })
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// dependants does something to each of the Pods and events that an order owns, as the garbage collector does when their owner goes.
func dependants(ctx context.Context, l *lane, order *v1alpha1.WorkOrder, do func(context.Context, *lane, client.Object) error) error {
	lists := []client.ObjectList{&corev1.PodList{}, &v1alpha1.ProgressEventList{}}
	var owned []client.Object
	var failures []error
	for _, list := range lists {
		if err := l.cluster.List(ctx, list, client.InNamespace(order.Namespace), client.MatchingLabels{steppod.LabelOrder: order.Name}); err != nil {
			return err
		}
	}
	for i := range lists[0].(*corev1.PodList).Items {
		owned = append(owned, &lists[0].(*corev1.PodList).Items[i])
	}
	for i := range lists[1].(*v1alpha1.ProgressEventList).Items {
		owned = append(owned, &lists[1].(*v1alpha1.ProgressEventList).Items[i])
	}
	for _, object := range owned {
		if controller := metav1.GetControllerOf(object); controller != nil && controller.UID == order.UID {
			failures = append(failures, client.IgnoreNotFound(do(ctx, l, object)))
		}
	}
	return errors.Join(failures...)
}

// discard deletes an object, and disown takes its owner away: the two things that may be done to what a removed order leaves.
func discard(ctx context.Context, l *lane, object client.Object) error {
	return l.cluster.Delete(ctx, object)
}

func disown(ctx context.Context, l *lane, object client.Object) error {
	return l.cluster.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`)))
}

// letGo takes off the finalizers by which the garbage collector keeps an order until it is done.
func letGo(ctx context.Context, l *lane, order *v1alpha1.WorkOrder) error {
	fresh := &v1alpha1.WorkOrder{}
	err := l.cluster.Get(ctx, client.ObjectKeyFromObject(order), fresh)
	if apierrors.IsNotFound(err) || err == nil && fresh.UID != order.UID {
		return nil
	}
	if err != nil {
		return err
	}
	return client.IgnoreNotFound(l.cluster.Patch(ctx, fresh, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
}

// againAndAgain makes an order of the same name many times, removes each at another point, and lets the last one finish.
func againAndAgain(how metav1.DeletionPropagation, times int) func(context.Context, *lane) []string {
	return func(ctx context.Context, l *lane) (violations []string) {
		l.proxy().Begin(nil)
		for n := range times {
			order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: "again"}, Spec: slowly("20ms")}
			if err := l.cluster.Create(ctx, order); err != nil {
				return append(violations, err.Error())
			}
			if n == times-1 {
				return append(violations, l.finish(ctx, order)...)
			}
			if err := l.reaches(ctx, order, int64(n%points)); err != nil {
				return append(violations, err.Error())
			}
			for _, broken := range slices.Concat(l.midway(ctx, order), l.remove(ctx, order, how), l.abandoned(order)) {
				violations = append(violations, fmt.Sprintf("%s (the %dth order of that name)", broken, n+1))
			}
		}
		return violations
	}
}

// points are the transitions after which an order is removed; its name has been given, and no more, at the first.
const points = 8

// removedMidway removes one order at a point. With down, its operator is dead meanwhile and comes back to what is left.
func removedMidway(how metav1.DeletionPropagation, point int64, down bool) func(context.Context, *lane) []string {
	return func(ctx context.Context, l *lane) []string {
		l.proxy().Begin(nil)
		order, err := l.submit(ctx, slowly("20ms"))
		if err == nil {
			err = l.reaches(ctx, order, point)
		}
		if err != nil {
			return []string{err.Error()}
		}
		violations := l.midway(ctx, order)
		if !down {
			return slices.Concat(violations, l.remove(ctx, order, how), l.abandoned(order))
		}
		l.operator().stop()
		err = l.cluster.Delete(ctx, order, client.PropagationPolicy(how))
		if started := l.operator().start(); started != nil || err != nil {
			return []string{fmt.Sprint(started, err)}
		}
		return slices.Concat(violations, l.gone(ctx, order, how), l.abandoned(order))
	}
}

// reaches waits until an order has made so many transitions.
func (l *lane) reaches(ctx context.Context, order *v1alpha1.WorkOrder, transitions int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return l.seen.await(ctx, func() bool {
		newest := l.seen.newest(order.UID)
		return transitions == 0 || newest != nil && newest.Status.Sequence >= transitions
	})
}

// midway says which laws an order has broken so far. Its operator stands still while somebody looks.
func (l *lane) midway(ctx context.Context, order *v1alpha1.WorkOrder) []string {
	l.operator().freeze()
	defer l.operator().thaw()
	if err := l.abreast(ctx, []*v1alpha1.WorkOrder{order}); err != nil {
		return []string{err.Error()}
	}
	record, err := l.recordOf(ctx, order)
	if err != nil {
		return []string{err.Error()}
	}
	return laws.Midway(record)
}

// abandoned says which laws were broken that hold for a removed order too: what ran for it ran once.
func (l *lane) abandoned(order *v1alpha1.WorkOrder) (violations []string) {
	starts := map[string]int{}
	for _, run := range l.machine.Runs(order.UID) {
		if starts[run.Pod]++; starts[run.Pod] > 1 {
			violations = append(violations, "I1: Pod "+run.Pod+" of a removed order ran twice")
		}
	}
	return violations
}

var _ = Describe("R11: removal midway", func() {
	It("leaves nothing behind, whether the operator is there or not", func(ctx SpecContext) {
		r := begin("R11", "removals")
		var trials []trial
		for point := range int64(points) {
			for name, how := range removals {
				for when, down := range map[string]bool{"": false, "/operator-down": true} {
					name := fmt.Sprintf("R11/%s/%d%s", name, point, when)
					trials = append(trials, trial{name: name, run: removedMidway(how, point, down)})
				}
			}
		}
		slices.SortFunc(trials, func(a, b trial) int { return strings.Compare(a.name, b.name) })
		r.try(ctx, sample(trials, 5)...)
		r.end()
	}, NodeTimeout(30*time.Minute))
})

var _ = Describe("R12: the same name again", func() {
	It("adopts nothing, holds nothing, and starts nothing twice", func(ctx SpecContext) {
		r := begin("R12", "kinds of deletion")
		times := either(101, 10)
		r.note("%d re-creations with each", times-1)
		var trials []trial
		for name, how := range removals {
			trials = append(trials, trial{name: "R12/" + name, run: againAndAgain(how, times)})
		}
		r.try(ctx, trials...)
		r.end()
	}, NodeTimeout(30*time.Minute))
})
