package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/laws"
	"workorders.dev/operator/hack/reliability/node"
)

// load is orders that run at once, what they showed, and the book of what started.
type load struct {
	namespace string
	book      *ledger
	seen      *witness
	orders    []*v1alpha1.WorkOrder
}

func newLoad(ctx context.Context) *load {
	GinkgoHelper()
	work := &load{namespace: newNamespace(ctx, nil)}
	work.book = newLedger(ctx, work.namespace)
	work.seen = newWitness(ctx, work.namespace)
	return work
}

// add submits an order that writes into the book.
func (l *load) add(ctx context.Context, name string, spec v1alpha1.WorkOrderSpec) *v1alpha1.WorkOrder {
	GinkgoHelper()
	l.book.keep(&spec)
	order := submit(ctx, l.namespace, name, spec)
	l.orders = append(l.orders, order)
	return order
}

// topUp submits orders until so many run: a step of theirs has started, and they have not finished.
func (l *load) topUp(ctx context.Context, wanted int) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) int {
		running, finished := 0, 0
		started := map[types.UID]bool{}
		for _, run := range l.book.runs() {
			started[run.OrderUID] = true
		}
		for _, order := range l.orders {
			switch status := reread(ctx, order)(g); {
			case status.CompletionTime != nil:
				finished++
			case started[order.UID]:
				running++
			}
		}
		for len(l.orders)-finished < wanted {
			l.add(ctx, fmt.Sprintf("order-%03d", len(l.orders)), fourSteps())
		}
		return running
	}).WithTimeout(3 * time.Minute).WithPolling(200 * time.Millisecond).Should(BeNumerically(">=", wanted))
}

// fourSteps has something of all: steps that succeed, one that fails first, and a wait.
func fourSteps() v1alpha1.WorkOrderSpec {
	return v1alpha1.WorkOrderSpec{
		Retry: &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}},
		Steps: []v1alpha1.Step{
			step("succeeds", "--duration=3s", "--output=a"),
			step("fails-first", "--duration=1s", "--fail-epochs=1", "--output=b"),
			{Name: "waits", Wait: &v1alpha1.Wait{Seconds: 1}},
			step("ends", "--duration=3s", "--output=c"),
		},
	}
}

// expectDone waits until every order has succeeded, and checks the laws.
func (l *load) expectDone(ctx context.Context) {
	GinkgoHelper()
	for _, order := range l.orders {
		Eventually(ctx, reread(ctx, order)).WithTimeout(3*time.Minute).WithPolling(200*time.Millisecond).
			Should(HaveField("Phase", v1alpha1.WorkOrderSucceeded), "%s is stuck", order.Name)
	}
	By("all have succeeded")
	l.expectLaws(ctx)
}

// expectLaws checks of every order that what is said of it is what happened.
func (l *load) expectLaws(ctx context.Context) {
	GinkgoHelper()
	events := &v1alpha1.ProgressEventList{}
	Expect(cluster.List(ctx, events, client.InNamespace(l.namespace))).To(Succeed())
	runs := l.book.runs()
	for _, order := range l.orders {
		reread(ctx, order)(Default)
		record := laws.Record{Order: order, Events: events.Items, Runs: runsOf(runs, order)}
		record.History, record.Specs = l.seen.of(order.UID)
		Expect(laws.Violations(record)).To(BeEmpty(), "%s:\n%s%+v", order.Name, laws.Story(record), record.Runs)
	}
}

func runsOf(runs []node.Run, order *v1alpha1.WorkOrder) []node.Run {
	return slices.DeleteFunc(slices.Clone(runs), func(run node.Run) bool { return run.OrderUID != order.UID })
}

// expectRest checks that orders which have finished let their Pods go and are then written to no more, nor when the
// operator starts anew and looks at all of them again.
func (l *load) expectRest(ctx context.Context) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) (held []string) {
		for _, pod := range pods(ctx, g, l.namespace) {
			if steppod.Held(&pod) {
				held = append(held, pod.Name)
			}
		}
		return held
	}).Should(BeEmpty(), "Pods are held after their orders' end")
	// Kubernetes Events are told on the side, and may come a little later than what they tell of.
	before := -1
	Eventually(ctx, func(g Gomega) bool {
		last := before
		before = operator.writes(g)
		return before == last
	}).WithPolling(time.Second).Should(BeTrue())
	Expect(before).NotTo(BeZero(), "its writes are not counted where this looks for them")
	Consistently(ctx, operator.writes).WithTimeout(2*shortWhile).Should(Equal(before), "it writes while nothing happens")

	operator.kill()
	operator.start()
	Eventually(ctx, func(g Gomega) int { return operator.counted(g, turnsMetric, ofOrders) }).
		Should(BeNumerically(">=", len(l.orders)), "it has not looked at all orders")
	Consistently(ctx, operator.writes).WithTimeout(shortWhile).Should(BeZero(), "it writes at its start, while nothing happens")
	By("all is at rest")
}

// witness notes every status and spec that it sees of the orders of a namespace. It asks again and again, so that it needs
// no watch that an outage would end.
type witness struct {
	mu       sync.Mutex
	versions map[types.UID]string
	seen     map[types.UID][]v1alpha1.WorkOrderStatus
	specs    map[types.UID]map[int64]*v1alpha1.WorkOrderSpec
}

func newWitness(ctx context.Context, namespace string) *witness {
	w := &witness{
		versions: map[types.UID]string{}, seen: map[types.UID][]v1alpha1.WorkOrderStatus{},
		specs: map[types.UID]map[int64]*v1alpha1.WorkOrderSpec{},
	}
	ended := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	DeferCleanup(func() { stop(); <-ended })
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			w.look(ctx, namespace)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return w
}

// look notes what is new. Nothing is seen while the API server is away.
func (w *witness) look(ctx context.Context, namespace string) {
	orders := &v1alpha1.WorkOrderList{}
	if err := cluster.List(ctx, orders, client.InNamespace(namespace)); err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range orders.Items {
		order := &orders.Items[i]
		if w.versions[order.UID] == order.ResourceVersion {
			continue
		}
		if w.specs[order.UID] == nil {
			w.specs[order.UID] = map[int64]*v1alpha1.WorkOrderSpec{}
		}
		w.versions[order.UID] = order.ResourceVersion
		w.seen[order.UID] = append(w.seen[order.UID], order.Status)
		w.specs[order.UID][order.Generation] = &order.Spec
	}
}

// of is what was seen of an order: its statuses, and its specs by generation.
func (w *witness) of(order types.UID) ([]v1alpha1.WorkOrderStatus, map[int64]*v1alpha1.WorkOrderSpec) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen[order]), maps.Clone(w.specs[order])
}
