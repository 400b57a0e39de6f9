package follow

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/proxy"
)

// author writes the log of an order, as an operator does: an event, and then the head.
type author struct {
	order *v1alpha1.WorkOrder
	names []string
}

func newAuthor(ctx context.Context, namespace, name string) *author {
	GinkgoHelper()
	order := &v1alpha1.WorkOrder{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{{Name: "pause", Wait: &v1alpha1.Wait{}}}},
	}
	Expect(cluster.Create(ctx, order)).To(Succeed())
	return &author{order: order}
}

// event is the next event, which is not written yet.
func (a *author) event(message string) *v1alpha1.ProgressEvent {
	spec := v1alpha1.ProgressEventSpec{
		WorkOrder: v1alpha1.WorkOrderReference{Name: a.order.Name, UID: a.order.UID}, Sequence: a.order.Status.Sequence + 1,
		Previous: a.order.Status.Head, Type: v1alpha1.EventSpecObserved, Message: message, Time: metav1.Now().Rfc3339Copy(),
	}
	return &v1alpha1.ProgressEvent{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: a.order.Namespace, Name: plan.EventName(&spec), OwnerReferences: steppod.OwnedBy(a.order),
			Labels: map[string]string{steppod.LabelOrder: a.order.Name, steppod.LabelOrderUID: string(a.order.UID)},
		},
		Spec: spec,
	}
}

// write writes so many events.
func (a *author) write(ctx context.Context, events int) {
	GinkgoHelper()
	for range events {
		event := a.event("")
		Expect(cluster.Create(ctx, event)).To(Succeed())
		before := a.order.DeepCopy()
		a.order.Status.Head, a.order.Status.Sequence = event.Name, event.Spec.Sequence
		Expect(cluster.Status().Patch(ctx, a.order, client.MergeFrom(before))).To(Succeed())
		a.names = append(a.names, event.Name)
	}
}

// audience is somebody who follows, and what he was shown.
type audience struct {
	mu       sync.Mutex
	events   []string
	missing  []string
	deleted  int
	troubles int
	complete []int // How many events had been shown when all orders had been told of.
}

// listen has somebody follow until the spec has ended.
func listen(c client.WithWatch, which ...client.ListOption) *audience {
	a := &audience{}
	ctx, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for state, err := range Orders(ctx, c, Options{Which: which}) {
			a.note(state, err)
		}
	})
	DeferCleanup(func() { stop(); watching.Wait() })
	return a
}

func (a *audience) note(state State, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.troubles++
		return
	}
	if state.Complete {
		a.complete = append(a.complete, len(a.events))
	}
	for _, event := range state.Fresh {
		a.events = append(a.events, event.Name)
	}
	if state.Chain.Missing != "" && !slices.Contains(a.missing, state.Chain.Missing) {
		a.missing = append(a.missing, state.Chain.Missing)
	}
	if state.Gone {
		a.deleted++
	}
}

func (a *audience) seen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.events)
}

func (a *audience) lacking() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.missing)
}

func (a *audience) completed() []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.complete)
}

func (a *audience) gone() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.deleted
}

func (a *audience) disturbances() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.troubles
}

// disturbed is a way into the cluster on which things go wrong.
func disturbed(namespace string) (client.WithWatch, *proxy.Proxy) {
	GinkgoHelper()
	p, err := proxy.New(config, namespace)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(p.Close)
	content, err := p.Kubeconfig()
	Expect(err).NotTo(HaveOccurred())
	through, err := clientcmd.RESTConfigFromKubeConfig(content)
	Expect(err).NotTo(HaveOccurred())
	through.QPS = -1
	return connect(through), p
}

var _ = Describe("Who follows an order", func() {
	It("is shown all that came before, then each event as it counts, and no other", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		log := newAuthor(ctx, namespace, "late")
		log.write(ctx, 5)
		Expect(cluster.Create(ctx, log.event("left behind by a race"))).To(Succeed())
		a := listen(cluster, client.InNamespace(namespace), client.MatchingFields{"metadata.name": "late"})
		Eventually(a.seen).Should(Equal(log.names))
		Eventually(a.completed).Should(Equal([]int{5}), "and is told, once, that this was all that there was at first")
		log.write(ctx, 20)
		Expect(cluster.Create(ctx, log.event("not saved yet"))).To(Succeed())
		Eventually(a.seen).Should(Equal(log.names))
		Consistently(a.seen).WithTimeout(500*time.Millisecond).Should(Equal(log.names), "what is not on the chain never happened")
	}, NodeTimeout(time.Minute))

	It("loses nothing and sees nothing twice, whatever becomes of the connection", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		orders := []*author{newAuthor(ctx, namespace, "one"), newAuthor(ctx, namespace, "two")}
		through, p := disturbed(namespace)
		var asked atomic.Int64
		p.Begin(func(call *proxy.Call) proxy.Fault {
			switch n := asked.Add(1); {
			case call.Class != proxy.Read:
				return proxy.Fault{}
			case n%5 == 0:
				return proxy.Refuse()
			case n%7 == 0:
				return proxy.Answer(500)
			}
			return proxy.Fault{}
		})
		each := map[string]*audience{}
		for _, order := range orders {
			each[order.order.Name] = listen(through, client.InNamespace(namespace), client.MatchingFields{"metadata.name": order.order.Name})
		}
		all := listen(through, client.InNamespace(namespace))
		for n := range 30 {
			orders[n%2].write(ctx, 2)
			if n%3 == 0 {
				p.Cut("", n%2 == 0) // The version that the watch was at is sometimes gone as well.
			}
		}
		for _, order := range orders {
			Eventually(each[order.order.Name].seen).WithTimeout(30*time.Second).Should(Equal(order.names), order.order.Name)
		}
		Eventually(all.seen).WithTimeout(30 * time.Second).Should(ConsistOf(append(slices.Clone(orders[0].names), orders[1].names...)))
		p.Cut("", true)
		Consistently(all.seen).WithTimeout(2*time.Second).Should(HaveLen(len(orders[0].names)+len(orders[1].names)), "nothing is shown twice")
		Expect(all.disturbances()).NotTo(BeZero(), "nothing was disturbed: the spec shows nothing")
	}, NodeTimeout(2*time.Minute))

	It("goes on behind an event that somebody deleted, and says so", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		log := newAuthor(ctx, namespace, "broken")
		log.write(ctx, 3)
		Expect(cluster.Delete(ctx, &v1alpha1.ProgressEvent{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: log.names[1]}})).To(Succeed())
		a := listen(cluster, client.InNamespace(namespace))
		Eventually(a.seen).Should(Equal(log.names[2:]))
		Eventually(a.lacking).Should(Equal(log.names[1:2]))
		log.write(ctx, 1)
		Eventually(a.seen).Should(Equal(log.names[2:]))
	}, NodeTimeout(time.Minute))

	It("is told when the order goes, and follows the next one of that name from its beginning", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		first := newAuthor(ctx, namespace, "again")
		first.write(ctx, 2)
		a := listen(cluster, client.InNamespace(namespace), client.MatchingFields{"metadata.name": "again"})
		Eventually(a.seen).Should(Equal(first.names))
		Expect(cluster.Delete(ctx, first.order)).To(Succeed())
		second := newAuthor(ctx, namespace, "again")
		second.write(ctx, 2)
		Eventually(a.seen).Should(Equal(append(slices.Clone(first.names), second.names...)))
		Expect(a.gone()).To(Equal(1))
	}, NodeTimeout(time.Minute))

	It("is told of an order once, though it is chosen, then not, then again", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		log := newAuthor(ctx, namespace, "fickle")
		label := func(value string) {
			GinkgoHelper()
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"team":`+value+`}}}`))
			Expect(cluster.Patch(ctx, log.order, patch)).To(Succeed())
		}
		label(`"red"`)
		log.write(ctx, 2)
		a := listen(cluster, client.InNamespace(namespace), client.MatchingLabels{"team": "red"})
		Eventually(a.seen).Should(Equal(log.names))
		label("null")
		Eventually(a.gone).Should(Equal(1))
		log.write(ctx, 2)
		label(`"red"`)
		Eventually(a.seen).Should(Equal(log.names))
	}, NodeTimeout(time.Minute))

	It("outlives a restart of the API server", Serial, func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		log := newAuthor(ctx, namespace, "patient")
		log.write(ctx, 3)
		a := listen(cluster, client.InNamespace(namespace))
		Eventually(a.seen).Should(Equal(log.names))
		restart()
		Eventually(func() error { return cluster.List(ctx, &v1alpha1.WorkOrderList{}) }).WithTimeout(30 * time.Second).Should(Succeed())
		log.write(ctx, 3)
		Eventually(a.seen).WithTimeout(30*time.Second).Should(Equal(log.names), "%d times something could not be read", a.disturbances())
	}, NodeTimeout(2*time.Minute))
})
