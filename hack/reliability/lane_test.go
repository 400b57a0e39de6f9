package reliability

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/laws"
	"workorders.dev/operator/hack/reliability/proxy"
)

// lane is a namespace with operators of its own, each behind a proxy that shows it that namespace only, so that cases can
// be run side by side. The first operator and proxy are those of most cases, which have but one.
type lane struct {
	namespace string
	directory string
	proxies   []*proxy.Proxy
	operators []*process
	orders    int
}

// newLane makes a namespace, with the ServiceAccount that Pods need, as no controller manager runs here, and starts so
// many operators for it.
func newLane(ctx context.Context, operators int, env ...string) (*lane, error) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "lane-"}}
	if err := cluster.Create(ctx, namespace); err != nil {
		return nil, err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"}}
	if err := cluster.Create(ctx, account); err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "reliability-")
	if err != nil {
		return nil, err
	}
	l := &lane{namespace: namespace.Name, directory: directory}
	for i := range operators {
		if err := l.addOperator(i, env); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *lane) addOperator(number int, env []string) error {
	p, err := proxy.New(config, l.namespace)
	if err != nil {
		return err
	}
	l.proxies = append(l.proxies, p)
	content, err := p.Kubeconfig()
	if err != nil {
		return err
	}
	file := filepath.Join(l.directory, fmt.Sprintf("kubeconfig-%d", number))
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	o := &process{kubeconfig: file, env: env}
	l.operators = append(l.operators, o)
	return o.start()
}

func (l *lane) close() {
	for _, o := range l.operators {
		o.thaw() // A frozen process that is killed ends too, but only one that runs can be waited for everywhere.
		o.stop()
	}
	for _, p := range l.proxies {
		_ = p.Close() // Its connections end with the operators.
	}
	_ = os.RemoveAll(l.directory)
}

func (l *lane) proxy() *proxy.Proxy { return l.proxies[0] }
func (l *lane) operator() *process  { return l.operators[0] }

// submit makes an order under a name of its own.
func (l *lane) submit(ctx context.Context, spec v1alpha1.WorkOrderSpec) (*v1alpha1.WorkOrder, error) {
	l.orders++
	order := &v1alpha1.WorkOrder{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: fmt.Sprintf("order-%d", l.orders)},
		Spec:       spec,
	}
	return order, cluster.Create(ctx, order)
}

// patience is how long an order may take to come to rest once faults have stopped; few take more than some seconds.
const patience = time.Minute

// stillness is how long nothing may be written once all orders are at rest.
const stillness = 100 * time.Millisecond

// slowReply is how long a write may be under way.
const slowReply = 500 * time.Millisecond

// finish waits until orders have come to rest, and says which laws were broken on the way.
func (l *lane) finish(ctx context.Context, orders ...*v1alpha1.WorkOrder) (violations []string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := seen.settle(ctx, orders...); err != nil {
		violations = append(violations, "I5: "+err.Error())
	} else {
		if len(l.operators) > 1 {
			wait(ctx, slowReply) // The one that lost the race to the end has yet to be told.
		}
		violations = append(violations, l.noisy(ctx, stillness)...)
	}
	for _, order := range orders {
		record, err := l.recordOf(context.WithoutCancel(ctx), order)
		if err != nil {
			return append(violations, err.Error())
		}
		violations = append(violations, laws.Violations(record)...)
	}
	for _, o := range l.operators {
		violations = append(violations, o.complaints()...)
	}
	return violations
}

// noisy says what is written in a time in which nothing should be.
func (l *lane) noisy(ctx context.Context, during time.Duration) (violations []string) {
	before := l.writes()
	wait(ctx, during)
	for _, call := range l.writes()[len(before):] {
		violations = append(violations, "I5: all is at rest, and yet there was "+call.String()+" "+call.Name)
	}
	return violations
}

// writes are all writes of the lane's operators since the counting began.
func (l *lane) writes() []proxy.Call {
	var writes []proxy.Call
	for _, p := range l.proxies {
		for _, call := range p.Calls() {
			if call.Class == proxy.Write {
				writes = append(writes, call)
			}
		}
	}
	return writes
}

// struck says whether any call met with a fault since the counting began.
func (l *lane) struck() bool {
	for _, p := range l.proxies {
		if slices.ContainsFunc(p.Calls(), func(call proxy.Call) bool { return call.Fault != "" }) {
			return true
		}
	}
	return false
}

// strays are writes to objects that belong to none of the orders.
func (l *lane) strays(orders ...*v1alpha1.WorkOrder) (violations []string) {
	for _, call := range l.writes() {
		known := call.Name == ""
		for _, order := range orders {
			known = known || call.Name == order.Name || strings.HasPrefix(call.Name, order.Name+"-")
		}
		if !known {
			violations = append(violations, "I5: an order that was at rest saw "+call.String()+" "+call.Name)
		}
	}
	return violations
}

// recordOf is all that is known of an order.
func (l *lane) recordOf(ctx context.Context, order *v1alpha1.WorkOrder) (laws.Record, error) {
	record := laws.Record{Order: &v1alpha1.WorkOrder{}, Runs: machine.Runs(order.UID)}
	if err := cluster.Get(ctx, client.ObjectKeyFromObject(order), record.Order); err != nil {
		return record, err
	}
	for _, state := range seen.history(order.UID) {
		record.History = append(record.History, state.Status)
	}
	events := &v1alpha1.ProgressEventList{}
	err := cluster.List(ctx, events, client.InNamespace(order.Namespace),
		client.MatchingFields{"spec.workOrder.uid": string(order.UID)})
	record.Events = events.Items
	return record, err
}

// wait lets time pass in which something is not to happen.
func wait(ctx context.Context, during time.Duration) {
	timer := time.NewTimer(during)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
