package reliability

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/laws"
	"workorders.dev/operator/hack/reliability/proxy"
)

// midway is an order whose second step runs until it is stopped.
func midway() v1alpha1.WorkOrderSpec {
	return v1alpha1.WorkOrderSpec{
		Retry:   atOnce(0),
		Steps:   []v1alpha1.Step{step("build", "--output=4f2a91c"), step("test", "--hold=running"), step("deploy")},
		Finally: []v1alpha1.Step{step("notify", "--output=told")},
	}
}

// givenUp is the trip of an order with a workspace that somebody holds in the midst of a step, and then cancels.
var givenUp = trip{
	name: "cancelled", tell: laws.Story, meanwhile: holdAndCancel, end: v1alpha1.WorkOrderCancelled,
	// An event and a status for each transition (accepted, a step done, suspended, cancelling, what is stopped, finally done,
	// the end), two writes to each of three Pods, one to stop one, and the claim.
	fewest: 2*7 + 2*3 + 1 + 1,
	spec: func() v1alpha1.WorkOrderSpec {
		spec := midway()
		spec.Workspace = &v1alpha1.Workspace{Storage: resource.MustParse("1Mi")}
		return spec
	},
}

func holdAndCancel(ctx context.Context, l *lane, order, _ *v1alpha1.WorkOrder) error {
	err := inTheMidst(ctx, l, order)
	if err == nil {
		err = edit(ctx, l, order, func(spec *v1alpha1.WorkOrderSpec) { spec.Suspend = true })
	}
	if err == nil {
		err = l.seen.until(ctx, func() bool { return held(l.seen.newest(order.UID)) }, order)
	}
	if err == nil {
		err = edit(ctx, l, order, func(spec *v1alpha1.WorkOrderSpec) { spec.Cancel = true })
	}
	return err
}

// overdue is the trip of an order that gets a deadline which is over.
var overdue = trip{
	name: "late", spec: midway, tell: laws.Story, end: v1alpha1.WorkOrderFailed,
	// As above: accepted, a step done, the edit, the deadline, what is stopped, finally done, the end.
	fewest: 2*7 + 2*3 + 1,
	meanwhile: func(ctx context.Context, l *lane, order, _ *v1alpha1.WorkOrder) error {
		if err := inTheMidst(ctx, l, order); err != nil {
			return err
		}
		return edit(ctx, l, order, func(spec *v1alpha1.WorkOrderSpec) {
			second := int64(1)
			spec.ActiveDeadlineSeconds = &second
		})
	},
}

// inTheMidst waits until an order of midway runs its test, and does nothing else any more.
func inTheMidst(ctx context.Context, l *lane, order *v1alpha1.WorkOrder) error {
	if err := l.seen.until(ctx, func() bool { return onlyTestRuns(l, order) }, order); err != nil {
		return fmt.Errorf("the test does not run: %w%s", err, l.lastWords())
	}
	return nil
}

// queued is the trip of an order that has to wait until another one is cancelled.
var queued = trip{
	name: "queued", tell: laws.Story, end: v1alpha1.WorkOrderSucceeded,
	setup: setup{args: []string{"--max-running-orders=1"}},
	// Accepted, admitted, two steps done and the end; and of the other order cancelling, what is stopped, finally done and the
	// end; two writes to each of three Pods, and two to the one that is stopped.
	fewest: 2*5 + 2*4 + 2*3 + 2,
	spec: func() v1alpha1.WorkOrderSpec {
		return v1alpha1.WorkOrderSpec{Retry: atOnce(0), Steps: []v1alpha1.Step{step("fetch", "--output=42"), step("load", "--output=done")}}
	},
	before: func(ctx context.Context, l *lane) (*v1alpha1.WorkOrder, error) {
		order, err := l.submit(ctx, midway())
		if err != nil {
			return nil, err
		}
		return order, inTheMidst(ctx, l, order)
	},
	meanwhile: func(ctx context.Context, l *lane, order, before *v1alpha1.WorkOrder) error {
		waits := func() bool { newest := l.seen.newest(order.UID); return newest != nil && newest.Status.Queued == 1 }
		if err := l.seen.until(ctx, waits, order); err != nil {
			return fmt.Errorf("it is not in the queue: %w%s", err, l.lastWords())
		}
		return edit(ctx, l, before, func(spec *v1alpha1.WorkOrderSpec) { spec.Cancel = true })
	},
}

// expiring are orders whose time to live is over at once, of which the deletion breaks down, in each way that there is.
func expiring() (trials []trial) {
	for kind, fault := range breakdowns(&process{}) {
		trials = append(trials, trial{name: "R1/expired/" + fault.Name, run: func(ctx context.Context, l *lane) []string {
			l.proxy().Begin(proxy.At("delete workorders", 1, breakdowns(l.operator())[kind]))
			spec, none := queued.spec(), int64(0)
			spec.TTLSecondsAfterFinished = &none
			order, err := l.submit(ctx, spec)
			if err != nil {
				return []string{err.Error()}
			}
			if err := l.seen.until(ctx, func() bool { return l.seen.gone[order.UID] }, order); err != nil {
				return []string{"it is not deleted: " + err.Error() + l.lastWords()}
			}
			violations := append(l.gone(ctx, order, metav1.DeletePropagationBackground), l.abandoned(order)...)
			history := l.seen.history(order.UID)
			if phase := history[len(history)-1].Status.Phase; phase != v1alpha1.WorkOrderSucceeded {
				violations = append(violations, fmt.Sprintf("it was deleted while it was %s", phase))
			}
			if len(struck(l.proxy().Calls())) == 0 {
				violations = append(violations, "the fault never struck: the case shows nothing")
			}
			return append(violations, l.strays(order)...)
		}})
	}
	return trials
}
