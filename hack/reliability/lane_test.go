package reliability

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/laws"
	"workorders.dev/operator/hack/reliability/proxy"
)

// lane is a namespace with operators of its own, each behind a proxy that shows it that namespace only, so that cases can
// be run side by side. The first operator and proxy are those of most cases, which have but one.
type lane struct {
	*site
	namespace string
	directory string
	proxies   []*proxy.Proxy
	operators []*process
	orders    int
	made      time.Time
}

// setup is what a lane is to be like. The zero setup is that of most cases.
type setup struct {
	// site is where it is; nil for home.
	site *site
	// operators is how many operators it has; 0 for one. If elected, only one of them is at work, the first one to begin with.
	operators int
	elected   bool
	// binary is what they run; empty for the operator as it is.
	binary string
	// env is added to their environment, and args to their arguments.
	env, args []string
	// user is who they are to the API server, with the rights that the operator is shipped with; empty for one who may
	// do everything.
	user string
}

// newLane makes a namespace, with the ServiceAccount that Pods need, as no controller manager runs here, and starts the
// operators for it.
func newLane(ctx context.Context, s setup) (*lane, error) {
	if s.site == nil {
		s.site = home
	}
	if s.binary == "" {
		s.binary = operator
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "lane-"}}
	if err := s.site.cluster.Create(ctx, namespace); err != nil {
		return nil, err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"}}
	if err := s.site.cluster.Create(ctx, account); err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "reliability-")
	if err != nil {
		return nil, err
	}
	l := &lane{site: s.site, namespace: namespace.Name, directory: directory, made: time.Now()}
	if s.user != "" {
		if err := l.entitle(ctx); err != nil {
			return nil, err
		}
	}
	for n := range max(s.operators, 1) {
		err := l.addOperator(s)
		if n == 0 || !s.elected { // Who is not at work watches nothing.
			err = errors.Join(err, l.atWork(ctx))
		}
		if err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

// addOperator starts one more operator.
func (l *lane) addOperator(s setup) error {
	config := rest.CopyConfig(l.config)
	config.Impersonate.UserName = s.user
	p, err := proxy.New(config, l.namespace)
	if err != nil {
		return err
	}
	l.proxies = append(l.proxies, p)
	content, err := p.Kubeconfig()
	if err != nil {
		return err
	}
	file := filepath.Join(l.directory, fmt.Sprintf("kubeconfig-%d", len(l.operators)))
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	o := &process{binary: s.binary, kubeconfig: file, env: s.env, args: s.args}
	if s.elected {
		o.args = append(slices.Clone(s.args), "--leader-elect", "--leader-election-namespace="+l.namespace)
	}
	l.operators = append(l.operators, o)
	return o.start()
}

// atWork waits until the operators watch what they have to: one that starts while nobody answers ends.
func (l *lane) atWork(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, p := range l.proxies {
		for p.Count(proxy.Watch) < 2 {
			if wait(ctx, 20*time.Millisecond); ctx.Err() != nil {
				return fmt.Errorf("an operator does not begin to watch: %w", ctx.Err())
			}
		}
	}
	return nil
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
	l.seen.forget(l.namespace)
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
	return order, l.cluster.Create(ctx, order)
}

// patience is how long nothing may happen to an order that is not at rest. What takes longest is a Pod of which nothing
// is heard any more: it is lost after a minute.
const patience = steppod.LostAfter + 30*time.Second

// stillness is how long nothing may be written once all orders are at rest.
const stillness = 100 * time.Millisecond

// slowReply is how long a write may be under way.
const slowReply = 500 * time.Millisecond

// finish waits until orders have come to rest, and says which laws were broken on the way.
func (l *lane) finish(ctx context.Context, orders ...*v1alpha1.WorkOrder) (violations []string) {
	if err := l.seen.settle(ctx, orders...); err != nil {
		violations = append(violations, "I5: "+err.Error()+l.lastWords())
	} else {
		violations = append(violations, l.quiet(ctx, len(orders))...)
	}
	records, err := l.recordsOf(ctx, orders...)
	if err != nil {
		return append(violations, err.Error())
	}
	for _, record := range records {
		violations = append(violations, laws.Violations(record)...)
	}
	for _, o := range l.operators {
		violations = append(violations, o.complaints()...)
	}
	return violations
}

// lastWords are what the operators said last, of which an order that does not come to rest may be a consequence.
func (l *lane) lastWords() (said string) {
	for _, o := range l.operators {
		said += "\nan operator's last words:\n" + o.said.String()
	}
	return said
}

// quiet waits until nothing is written any more, and says what is written although it should not be. An operator that
// did not hear the reply to a write makes it once more, and one that lost a race has yet to be told: that is an event and
// a status each time, or two Pods, at most, whenever it comes. One whose watch did not show that a Pod was let go does that
// again; one that began in the past, and remembers nothing of its own writes, may do so at each thing that it is told, for each
// of the two Pods at most that were let go since.
func (l *lane) quiet(ctx context.Context, orders int) []string {
	writes := l.writes()
	spare, releases := 2*len(struck(writes))+2*orders*(len(l.operators)-1), 0
	if unheard := len(writes) > 0 && writes[len(writes)-1].Fault != ""; unheard || len(l.operators) > 1 {
		wait(ctx, slowReply)
	}
	for {
		calls := l.heard(ctx, stillness)
		if len(calls) == 0 && (!l.busy() || ctx.Err() != nil) { // What one waits for may have it write again.
			return nil
		}
		for _, call := range calls {
			if call.Description() == "patch pods" && releases < l.excused() {
				releases++
			} else {
				spare--
			}
		}
		if spare < 0 {
			return noise(calls)
		}
	}
}

// excused is how often a Pod may have been let go that had been already, as the watches did not say so. The operator as it is
// remembers its own writes, so it is not excused for being told of the past one thing at a time; a variant may be.
func (l *lane) excused() (releases int) {
	for i, p := range l.proxies {
		releases += p.Lost()
		if l.operators[i].binary != operator {
			releases += 2 * p.Late()
		}
	}
	return releases
}

// abreast waits until the witness has seen all that was written to these orders, by operators that write no more.
func (l *lane) abreast(ctx context.Context, orders []*v1alpha1.WorkOrder) error {
	for l.busy() && ctx.Err() == nil {
		wait(ctx, stillness)
	}
	for _, order := range orders {
		live := &v1alpha1.WorkOrder{}
		if err := l.cluster.Get(ctx, client.ObjectKeyFromObject(order), live); err != nil {
			return err
		}
		err := l.seen.await(ctx, func() bool {
			newest := l.seen.newest(order.UID)
			return newest != nil && newest.ResourceVersion == live.ResourceVersion
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// restart starts the operator anew, and returns when it watches.
func (l *lane) restart(ctx context.Context) {
	l.proxy().Begin(nil)
	l.operator().kill()
	for ctx.Err() == nil && l.proxy().Count(proxy.Watch) < 2 { // Of orders and of Pods.
		wait(ctx, stillness)
	}
}

// busy says whether any operator waits for an answer, or is blind: one that begins with old lists, which may take it a
// while, acts on them when it has begun.
func (l *lane) busy() bool {
	return slices.ContainsFunc(l.proxies, func(p *proxy.Proxy) bool { return p.Busy() || p.Frozen() })
}

// noisy says what is written in a time in which nothing should be.
func (l *lane) noisy(ctx context.Context, during time.Duration) []string {
	return noise(l.heard(ctx, during))
}

// noise says of writes that they should not be.
func noise(calls []proxy.Call) (violations []string) {
	for _, call := range calls {
		violations = append(violations, "I5: all is at rest, and yet there was "+call.String()+" "+call.Name)
	}
	return violations
}

// heard is what is written for a while from now on.
func (l *lane) heard(ctx context.Context, during time.Duration) []proxy.Call {
	before := len(l.writes())
	wait(ctx, during)
	return l.writes()[before:]
}

// writes are all writes of the lane's operators since the counting began, but for the one clean-up of orders that have
// long finished.
func (l *lane) writes() []proxy.Call {
	var writes []proxy.Call
	for _, p := range l.proxies {
		for _, call := range p.Calls() {
			if call.Class == proxy.Write && (call.Description() != "delete pods" || !l.expired(call)) {
				writes = append(writes, call)
			}
		}
	}
	return writes
}

// expired says whether a call is about a Pod of an order that finished so long ago that its Pods are of no more use.
func (l *lane) expired(call proxy.Call) bool {
	l.seen.mu.Lock()
	defer l.seen.mu.Unlock()
	for _, states := range l.seen.orders {
		newest := states[len(states)-1]
		end := newest.Status.CompletionTime
		if newest.Namespace == l.namespace && strings.HasPrefix(call.Name, newest.Name+"-") && end != nil {
			return !call.At.Before(end.Add(plan.PodRetention))
		}
	}
	return false
}

// struck are the calls that met with a fault.
func struck(calls []proxy.Call) []proxy.Call {
	return slices.DeleteFunc(slices.Clone(calls), func(call proxy.Call) bool { return call.Fault == "" })
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
	records, err := l.recordsOf(ctx, order)
	if err != nil {
		return laws.Record{}, err
	}
	return records[0], nil
}

// recordsOf is all that is known of orders of the lane.
func (l *lane) recordsOf(ctx context.Context, orders ...*v1alpha1.WorkOrder) ([]laws.Record, error) {
	list := &v1alpha1.ProgressEventList{}
	if err := l.cluster.List(ctx, list, client.InNamespace(l.namespace)); err != nil {
		return nil, err
	}
	events := map[types.UID][]v1alpha1.ProgressEvent{}
	for _, event := range list.Items {
		events[event.Spec.WorkOrder.UID] = append(events[event.Spec.WorkOrder.UID], event)
	}
	records := make([]laws.Record, 0, len(orders))
	for _, order := range orders {
		record := laws.Record{Order: &v1alpha1.WorkOrder{}, Runs: l.machine.Runs(order.UID), Events: events[order.UID]}
		if err := l.cluster.Get(ctx, client.ObjectKeyFromObject(order), record.Order); err != nil {
			return nil, err
		}
		record.Specs = map[int64]*v1alpha1.WorkOrderSpec{}
		for _, state := range l.seen.history(order.UID) {
			record.History = append(record.History, state.Status)
			record.Specs[state.Generation] = &state.Spec
		}
		records = append(records, record)
	}
	return records, nil
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
