package reliability

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/laws"
	"workorders.dev/operator/hack/reliability/proxy"
)

// The limits that users are told, and etcd's own on one request.
const (
	mostSteps     = 256
	mostFinally   = 16
	mostSpecBytes = 256 << 10
	mostOfEtcd    = 3 << 19

	// mostAnnotations is nearly all that Kubernetes allows of them.
	mostAnnotations = 255 << 10
)

// big is a spec of so many steps, with the longest names, each of which says as much as can be kept, and the first few
// of which fail some times, and of as many of finally as there may be. It is filled up to the largest size that a spec may have.
func big(steps, failing, times int) v1alpha1.WorkOrderSpec {
	spec := v1alpha1.WorkOrderSpec{Retry: atOnce(int32(times))}
	for i := range steps + mostFinally {
		s := step(fmt.Sprintf("s%s-%03d", strings.Repeat("n", 35), i), "--fill=4096")
		s.Agent = strings.Repeat("a", 63)
		if i < failing {
			s.Run.Args = append(s.Run.Args, fmt.Sprintf("--fail-epochs=%d", times))
		}
		if i >= steps {
			spec.Finally = append(spec.Finally, s)
			continue
		}
		spec.Steps = append(spec.Steps, s)
	}
	for i := range spec.Steps {
		most := 7000 // A few steps more are needed to hold it all.
		room := mostSpecBytes - size(spec) - len(`,"command":[""]`)
		if room <= 0 {
			break
		}
		spec.Steps[i].Run.Command = []string{strings.Repeat("c", min(room, most))}
	}
	return spec
}

// size is the size of something in JSON.
func size(object any) int {
	encoded, err := json.Marshal(object)
	if err != nil {
		panic(err) // Plain structs: cannot fail.
	}
	return len(encoded)
}

// stored is the size of an order as the API server has it, which is how it is stored.
func stored(ctx context.Context, l *lane, order *v1alpha1.WorkOrder) (int, error) {
	transport, err := rest.HTTPClientFor(l.config)
	if err != nil {
		return 0, err
	}
	config := rest.CopyConfig(l.config)
	config.GroupVersion, config.APIPath = &v1alpha1.GroupVersion, "/apis"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	c, err := rest.RESTClientForConfigAndClient(config, transport)
	if err != nil {
		return 0, err
	}
	content, err := c.Get().Namespace(order.Namespace).Resource("workorders").Name(order.Name).Do(ctx).Raw()
	return len(content), err
}

// atItsFullest runs the largest order that there may be, while others write as much into it as they may, and with a gap
// in its log, so that one event holds every step.
func atItsFullest(r *row, steps, failing, times int) func(context.Context, *lane) []string {
	return func(ctx context.Context, l *lane) []string {
		order := &v1alpha1.WorkOrder{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: l.namespace, Name: strings.Repeat("o", 63), Annotations: map[string]string{"example.com/much": strings.Repeat("y", mostAnnotations)},
			},
			Spec: big(steps, failing, times),
		}
		if got := size(order.Spec); got != mostSpecBytes {
			return []string{fmt.Sprintf("the spec has %d bytes, not %d: the case shows nothing", got, mostSpecBytes)}
		}
		events := 1 + 2*failing*times + steps + mostFinally // Of which the last is that of the last step.
		l.proxy().Begin(proxy.At("create progressevents", events, proxy.Answer(http.StatusForbidden)))
		if err := l.cluster.Create(ctx, order); err != nil {
			return []string{err.Error()}
		}
		violations := l.finish(ctx, order)
		record, err := l.recordOf(ctx, order)
		if err != nil {
			return append(violations, err.Error())
		}
		bytes, err := stored(ctx, l, order)
		if err != nil {
			return append(violations, err.Error())
		}
		largest := slices.MaxFunc(l.proxy().Calls(), func(a, b proxy.Call) int { return int(a.Bytes - b.Bytes) })
		r.note("%d steps, %d rewinds, a spec of %d bytes and %d of annotations: %d bytes as stored, the largest request %d (%s), of %d that etcd takes",
			steps, record.Order.Status.Rewinds, mostSpecBytes, mostAnnotations, bytes, largest.Bytes, largest.Description(), mostOfEtcd)
		if bytes > mostOfEtcd*9/10 || largest.Bytes > mostOfEtcd*9/10 {
			violations = append(violations, "that leaves too little room")
		}
		return append(violations, fullness(&record, steps, failing*times)...)
	}
}

// fullness says what the largest order lacks to be the largest.
func fullness(record *laws.Record, steps, rewinds int) (violations []string) {
	status := &record.Order.Status
	if status.Phase != v1alpha1.WorkOrderSucceeded || status.Rewinds != int64(rewinds) {
		violations = append(violations, fmt.Sprintf("it is %s after %d rewinds: %s", status.Phase, status.Rewinds, status.Message))
	}
	if !slices.ContainsFunc(record.Events, func(e v1alpha1.ProgressEvent) bool { return e.Spec.Changes.AllSteps && e.Spec.Sequence > 1 }) {
		violations = append(violations, "no event holds every step: the case shows nothing")
	}
	for _, s := range status.Steps {
		if len(s.Output) < 1000 {
			violations = append(violations, fmt.Sprintf("step %s says only %d bytes", s.Name, len(s.Output)))
		}
	}
	return violations
}

// excesses are orders beyond a limit, and the limit, which the refusal must name.
func excesses() map[string]struct {
	order v1alpha1.WorkOrder
	limit string
} {
	one := func(change func(*v1alpha1.WorkOrder)) v1alpha1.WorkOrder {
		order := v1alpha1.WorkOrder{Spec: v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("only")}}}
		order.Name = "excess"
		change(&order)
		return order
	}
	params := func(count, length int) (params []v1alpha1.Param) {
		for i := range count {
			params = append(params, v1alpha1.Param{Name: fmt.Sprintf("p%d", i), Value: strings.Repeat("v", length)})
		}
		return params
	}
	return map[string]struct {
		order v1alpha1.WorkOrder
		limit string
	}{
		"steps": {one(func(o *v1alpha1.WorkOrder) {
			for i := range mostSteps {
				o.Spec.Steps = append(o.Spec.Steps, step(fmt.Sprintf("s%d", i)))
			}
		}), "at most 256 items"},
		"name":      {one(func(o *v1alpha1.WorkOrder) { o.Name = strings.Repeat("o", 64) }), "at most 63 characters"},
		"step-name": {one(func(o *v1alpha1.WorkOrder) { o.Spec.Steps[0].Name = strings.Repeat("s", 41) }), "may not be more than 40"},
		"agent":     {one(func(o *v1alpha1.WorkOrder) { o.Spec.Steps[0].Agent = strings.Repeat("a", 64) }), "may not be more than 63"},
		"params":    {one(func(o *v1alpha1.WorkOrder) { o.Spec.Params = params(65, 1) }), "at most 64 items"},
		"param":     {one(func(o *v1alpha1.WorkOrder) { o.Spec.Params = params(1, 8193) }), "may not be more than 8192"},
	}
}

// tooLarge makes an order whose spec is a byte too large, which the operator itself refuses, and mends it then.
func tooLarge(ctx context.Context, l *lane) []string {
	l.proxy().Begin(nil)
	spec := big(40, 0, 0)
	spec.Steps[0].Run.Command[0] += "c"
	order, err := l.submit(ctx, spec)
	if err != nil {
		return []string{err.Error()}
	}
	var stalled *metav1.Condition
	waiting, enough := context.WithTimeout(ctx, patience)
	defer enough()
	err = l.seen.await(waiting, func() bool {
		newest := l.seen.newest(order.UID)
		if newest != nil {
			stalled = meta.FindStatusCondition(newest.Status.Conditions, v1alpha1.ConditionStalled)
		}
		return stalled != nil && stalled.Status == metav1.ConditionTrue
	})
	if err != nil {
		return []string{"an order that is too large is not refused: " + err.Error()}
	}
	if stalled.Reason != v1alpha1.ReasonTooLarge || !strings.Contains(stalled.Message, fmt.Sprint(mostSpecBytes)) {
		return []string{fmt.Sprintf("it is refused with %s: %s", stalled.Reason, stalled.Message)}
	}
	violations := l.noisy(ctx, 300*time.Millisecond)
	if runs := l.machine.Runs(order.UID); len(runs) > 0 {
		violations = append(violations, "and yet it runs")
	}
	if err := edit(ctx, l, order, func(spec *v1alpha1.WorkOrderSpec) { spec.Steps = spec.Steps[1:] }); err != nil {
		return append(violations, err.Error())
	}
	return append(violations, l.finish(ctx, order)...)
}

// refusedAsTooLarge answers a request with "too large" some times.
func refusedAsTooLarge(description string) func(context.Context, *lane) []string {
	return func(ctx context.Context, l *lane) []string {
		const times = 3
		l.proxy().Begin(func(call *proxy.Call) proxy.Fault {
			if call.Description() == description && 2 <= call.Nth && call.Nth < 2+times {
				return proxy.Answer(http.StatusRequestEntityTooLarge)
			}
			return proxy.Fault{}
		})
		order, err := l.submit(ctx, journey())
		if err != nil {
			return []string{err.Error()}
		}
		violations := append(l.finish(ctx, order), succeeded(l, []*v1alpha1.WorkOrder{order})...)
		if hit := len(struck(l.writes())); hit != times {
			violations = append(violations, fmt.Sprintf("%d requests were refused, not %d: the case shows nothing", hit, times))
		}
		return violations
	}
}

// sizes are the cases of R15: the largest order fits with room, a larger one is refused with the limit, and none gets stuck.
func sizes(context.Context) (*row, []trial) {
	r := newRow("R15", "orders")
	trials := []trial{
		{name: "R15/at its fullest", run: atItsFullest(r, either(mostSteps, 40), 3, either(20, 2))},
		{name: "R15/spec", run: tooLarge},
	}
	for name, excess := range excesses() {
		trials = append(trials, trial{name: "R15/" + name, run: func(ctx context.Context, l *lane) []string {
			excess.order.Namespace = l.namespace
			if err := l.cluster.Create(ctx, &excess.order); err == nil || !strings.Contains(err.Error(), excess.limit) {
				return []string{fmt.Sprintf("want a refusal with %q, got %v", excess.limit, err)}
			}
			return nil
		}})
	}
	for _, description := range []string{"create progressevents", "patch workorders/status", "create pods"} {
		trials = append(trials, trial{name: "R15/413 to " + description, run: refusedAsTooLarge(description)})
	}
	return r, trials
}
