package reliability

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/laws"
)

// foreignCondition is a condition that somebody else keeps on an order.
const foreignCondition = "example.com/Watched"

// meddler rewrites an order that is not his, over and over.
type meddler struct {
	writes atomic.Int64
	last   string // What he wrote last into the condition that arrived.
	err    error
}

// meddle writes until the channel is closed: labels and annotations, and a condition, in turn.
func (m *meddler) meddle(ctx context.Context, l *lane, order *v1alpha1.WorkOrder, every time.Duration, done <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for n := 0; m.err == nil; n++ {
		select {
		case <-ticker.C:
			m.write(ctx, l, order, n)
		case <-done:
			return
		}
	}
}

func (m *meddler) write(ctx context.Context, l *lane, order *v1alpha1.WorkOrder, n int) {
	value := fmt.Sprintf("n%d", n)
	object := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: order.Namespace, Name: order.Name}}
	if n%2 == 0 {
		content := map[string]any{"metadata": map[string]any{
			"labels": map[string]any{"example.com/touched": value}, "annotations": map[string]any{"example.com/touched": value},
		}}
		m.patch(content, func(patch []byte) error {
			return l.cluster.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch))
		})
		return
	}
	content := map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "WorkOrder", "metadata": map[string]any{"name": order.Name},
		"status": map[string]any{"conditions": []metav1.Condition{{
			Type: foreignCondition, Status: metav1.ConditionTrue, Reason: "Touched", Message: value, LastTransitionTime: metav1.Now().Rfc3339Copy(),
		}}},
	}
	m.patch(content, func(patch []byte) error {
		return l.cluster.Status().Patch(ctx, object, client.RawPatch(types.ApplyPatchType, patch), client.FieldOwner("meddler"), client.ForceOwnership)
	})
	m.last = value
}

func (m *meddler) patch(content map[string]any, send func([]byte) error) {
	patch, err := json.Marshal(content)
	if err == nil {
		err = send(patch)
	}
	m.err = err
	m.writes.Add(1)
}

// saveTries is how often a save is tried at most while others write to what its decision does not rest on; then it is decided
// anew. So each write of theirs may cost one of the operator's, and each tenth an event as well. One that is in vain without a write
// of theirs is one too many.
const saveTries = 10

// beside makes an order run while somebody rewrites it at that pace, and says what came of it.
func beside(r *row, every time.Duration) func(context.Context, *lane) []string {
	return func(ctx context.Context, l *lane) []string {
		before, violations := travel(ctx, l, nil)
		if len(violations) > 0 {
			return violations
		}
		undisturbed := calm{trip: &straight, shape: laws.Shape(&before.Order.Status), story: laws.Story(before), writes: l.writes()}
		enough := len(undisturbed.writes)
		l.proxy().Begin(nil)
		order, err := l.submit(ctx, journey())
		if err != nil {
			return []string{err.Error()}
		}
		var m meddler
		var meddling sync.WaitGroup
		done := make(chan struct{})
		meddling.Go(func() { m.meddle(ctx, l, order, every, done) })
		unrest := l.seen.settle(ctx, order)
		writes, others := len(l.writes()), int(m.writes.Load())
		violations = l.noisy(ctx, time.Second) // He goes on, and the order, at rest, must not mind.
		close(done)
		meddling.Wait()
		if unrest != nil || m.err != nil {
			return append(violations, fmt.Sprint("I5: ", unrest, m.err))
		}
		r.note("rewritten every %s: %d writes by others, %d by the operator, %d without them", every, others, writes, enough)
		violations = append(violations, l.finish(ctx, order)...)
		record, err := l.recordOf(ctx, order)
		if err != nil {
			return append(violations, err.Error())
		}
		if kept := condition(record.Order); kept != m.last {
			violations = append(violations, fmt.Sprintf("the foreign condition says %q, and %q was written", kept, m.last))
		}
		if writes > enough+others+others/saveTries+1 {
			violations = append(violations, fmt.Sprintf("%d writes, where %d are enough and others made %d", writes, enough, others))
		}
		r.note("%d events, %d of them on the chain", len(record.Events), int(record.Order.Status.Sequence))
		return append(violations, undisturbed.differs(record)...)
	}
}

// condition is what the foreign condition says.
func condition(order *v1alpha1.WorkOrder) string {
	i := slices.IndexFunc(order.Status.Conditions, func(c metav1.Condition) bool { return c.Type == foreignCondition })
	if i < 0 {
		return ""
	}
	return order.Status.Conditions[i].Message
}

// cowriters are the cases of R14: somebody who rewrites the order holds up nothing, and what is his stays.
func cowriters(context.Context) (*row, []trial) {
	r := newRow("R14", "orders")
	var trials []trial
	for _, every := range []time.Duration{20 * time.Millisecond, 5 * time.Millisecond} {
		trials = append(trials, trial{name: "R14/every " + every.String(), run: beside(r, every)})
	}
	return r, trials
}
