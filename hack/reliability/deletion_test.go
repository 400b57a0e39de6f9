package reliability

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/laws"
	"workorders.dev/operator/hack/reliability/node"
	"workorders.dev/operator/hack/reliability/proxy"
)

// deletion is a way in which a Pod comes to be removed.
type deletion struct {
	name string
	do   func(ctx context.Context, l *lane, pod *corev1.Pod) error
	// nodeless says that it can happen to a Pod without a node.
	nodeless bool
	// slow says that nobody hears of the Pod again, so that it is lost only after a minute.
	slow bool
}

// deletions are all of them.
func deletions() []deletion {
	return []deletion{
		{name: "delete", nodeless: true, do: func(ctx context.Context, l *lane, pod *corev1.Pod) error {
			return l.cluster.Delete(ctx, pod)
		}},
		{name: "force", nodeless: true, do: forceDelete},
		{name: "evict", nodeless: true, do: func(ctx context.Context, l *lane, pod *corev1.Pod) error {
			return l.cluster.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{})
		}},
		{name: "node-deleted", do: func(ctx context.Context, l *lane, pod *corev1.Pod) error {
			l.machine.Lose(pod)
			if err := orphaned(ctx, l, pod); err != nil {
				return err
			}
			return forceDelete(ctx, l, pod)
		}},
		{name: "force-on-a-dead-node", slow: true, do: func(ctx context.Context, l *lane, pod *corev1.Pod) error {
			l.machine.Lose(pod)
			return forceDelete(ctx, l, pod)
		}},
	}
}

func forceDelete(ctx context.Context, l *lane, pod *corev1.Pod) error {
	return client.IgnoreNotFound(l.cluster.Delete(ctx, pod, client.GracePeriodSeconds(0)))
}

// orphaned says of a Pod whose node was deleted what the garbage collector of Pods says before it deletes it by force.
func orphaned(ctx context.Context, l *lane, pod *corev1.Pod) error {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"status": corev1.PodStatus{Phase: corev1.PodFailed, Conditions: []corev1.PodCondition{{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByPodGC", Message: "PodGC: node no longer exists",
		LastTransitionTime: metav1.Now(),
	}}}})
	if err != nil {
		return err
	}
	return l.cluster.Status().Patch(ctx, pod, client.RawPatch(types.StrategicMergePatchType, patch))
}

// moment is a point in the life of a step's Pod.
type moment struct {
	name string
	// hold is where the node keeps the Pod; empty if it does its work and the moment comes after that.
	hold string
	// call is the request of the operator at which the moment has come, if the Pod has ended by then.
	call string
	nth  int
	// after says that it has come when that request is done.
	after bool
}

// The calls are those of an order of three steps, whose second one's Pod is meant: it is written down by the third
// event and saved by the third status; then the third Pod is made, and then the second is released, as the first was.
func moments() []moment {
	return []moment{
		{name: "unbound", hold: "unbound"},
		{name: "bound", hold: "bound"},
		{name: "running", hold: "running"},
		{name: "ended", call: "create progressevents", nth: 3},
		{name: "written-down", call: "patch workorders/status", nth: 3},
		{name: "saved", call: "create pods", nth: 3},
		{name: "released", call: "patch pods", nth: 2, after: true},
	}
}

// at says whether a Pod that is held has come to the moment.
func (m *moment) at(pod *corev1.Pod) bool {
	switch m.hold {
	case "unbound":
		return pod.Spec.NodeName == ""
	case "bound":
		return pod.Spec.NodeName != ""
	}
	return pod.Status.Phase == corev1.PodRunning
}

// victim is the Pod of the second step, if it is there.
func victim(l *lane, order *v1alpha1.WorkOrder) *corev1.Pod {
	for _, pod := range l.seen.podsOf(order.UID) {
		if stepOf(pod) == "second" {
			return pod
		}
	}
	return nil
}

// strike makes an order and deletes the Pod of its second step at the moment.
func (m *moment) strike(ctx context.Context, l *lane, d deletion) (*v1alpha1.WorkOrder, error) {
	var order *v1alpha1.WorkOrder
	made, struck := make(chan struct{}), make(chan error, 1)
	act := func() {
		<-made
		var pod *corev1.Pod
		err := l.seen.await(ctx, func() bool {
			pod = victim(l, order)
			return pod != nil && (m.call != "" || m.at(pod))
		})
		if err == nil {
			err = d.do(ctx, l, pod.DeepCopy())
		}
		struck <- err
	}
	fault := proxy.Fault{Name: d.name, Before: act}
	if m.after {
		fault = proxy.Fault{Name: d.name, After: act}
	}
	l.proxy().Begin(proxy.At(m.call, m.nth, fault))
	order, err := l.submit(ctx, v1alpha1.WorkOrderSpec{Retry: atOnce(0), Steps: []v1alpha1.Step{
		step("first"), step("second", "--output=done", "--hold="+m.hold), step("third"),
	}})
	if err != nil {
		return nil, err
	}
	close(made)
	if m.call == "" {
		act()
	}
	select {
	case err := <-struck:
		return order, err
	case <-time.After(patience):
		return order, fmt.Errorf("the moment never came")
	}
}

// delete deletes the Pod of a running order's second step, and says what was wrong with what came of it.
func (m *moment) delete(ctx context.Context, l *lane, d deletion) []string {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	order, err := m.strike(ctx, l, d)
	if err != nil {
		return []string{err.Error()}
	}
	violations := l.finish(ctx, order)
	record, err := l.recordOf(ctx, order)
	if err != nil {
		return append(violations, err.Error())
	}
	return append(violations, m.outcome(&record)...)
}

// outcome says what is wrong with how the order went on: what had ended keeps its result, and what had not is marked
// as interrupted and runs again, once.
func (m *moment) outcome(record *laws.Record) (violations []string) {
	epochs := int64(1)
	if m.hold != "" {
		epochs = 2
	}
	status := &record.Order.Status
	if status.Phase != v1alpha1.WorkOrderSucceeded || status.Rewinds != epochs-1 {
		violations = append(violations, fmt.Sprintf("the order is %s after %d rewinds: %s", status.Phase, status.Rewinds, status.Message))
	}
	i := slices.IndexFunc(status.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == "second" })
	if i < 0 || status.Steps[i].Epoch != epochs || int64(status.Steps[i].Disruptions) != epochs-1 || status.Steps[i].Output != "done" {
		violations = append(violations, fmt.Sprintf("the step came to %+v", status.Steps))
	}
	runs := slices.DeleteFunc(slices.Clone(record.Runs), func(run node.Run) bool { return run.Step != "second" || run.Epoch != epochs })
	if len(runs) != 1 {
		violations = append(violations, fmt.Sprintf("it ran %d times in epoch %d", len(runs), epochs))
	}
	marked := strings.Contains(laws.Story(*record), "StepFailed second/1\n")
	if marked != (epochs == 2) {
		violations = append(violations, "its log is\n"+laws.Story(*record))
	}
	return violations
}

var _ = Describe("R10: a result against a deletion", func() {
	It("is written down, or its attempt is marked as interrupted and made again; nothing runs twice in silence", func(ctx SpecContext) {
		r := begin("R10", "deletions")
		trials := []trial{{name: deletedBetween, run: deletedBeforeTheSave}}
		for _, m := range moments() {
			for _, d := range deletions() {
				if m.hold == "unbound" && !d.nodeless || d.slow && (m.hold == "" || either(false, true)) {
					continue
				}
				trials = append(trials, trial{name: "R10/" + m.name + "/" + d.name, run: func(ctx context.Context, l *lane) []string {
					return m.delete(ctx, l, d)
				}})
			}
		}
		r.try(ctx, trials...)
		r.end()
	}, NodeTimeout(30*time.Minute))
})
