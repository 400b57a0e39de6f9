package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/progress"
	"workorders.dev/operator/controllers/steppod"
)

var _ = Describe("An operator that runs only so many orders at a time", func() {
	It("tells the others where they stand, and admits the oldest first", func(ctx SpecContext) {
		f := newFloor(ctx, 1)
		f.submit(ctx, 0, "a", "b", "c", "d", "e")
		f.open(Options{MaxConcurrentReconciles: 8, MaxRunningOrders: 2})
		f.shows(ctx, 0, map[string]string{
			"a": "Running", "b": "Running",
			"c": "Pending: it is next", "d": "Pending: at most 1 order goes before it", "e": "Pending: at most 2 orders go before it",
		})
		Expect(f.order(ctx, 0, "e").Status.Queued).To(BeEquivalentTo(3))

		f.ends(ctx, 0, "b")
		f.shows(ctx, 0, map[string]string{
			"a": "Running", "b": "Succeeded", "c": "Running", "d": "Pending: it is next", "e": "Pending: at most 1 order goes before it",
		})
		Expect(f.log(ctx, 0, "c")).To(Equal([]string{"Accepted", "Admitted"}))

		f.submit(ctx, 0, "f")
		f.shows(ctx, 0, map[string]string{"f": "Pending: at most 2 orders go before it"})
		Expect(f.Delete(ctx, f.order(ctx, 0, "d"))).To(Succeed())
		f.shows(ctx, 0, map[string]string{"e": "Pending: it is next", "f": "Pending: at most 1 order goes before it"})

		for _, name := range []string{"a", "c", "e", "f"} {
			f.shows(ctx, 0, map[string]string{name: "Running"})
			f.ends(ctx, 0, name)
		}
		f.shows(ctx, 0, map[string]string{"a": "Succeeded", "c": "Succeeded", "e": "Succeeded", "f": "Succeeded"})
		Expect(f.most()).To(Equal(2))
	})

	It("keeps to it through a restart, whatever happened meanwhile", func(ctx SpecContext) {
		f := newFloor(ctx, 1)
		limits := Options{MaxConcurrentReconciles: 8, MaxRunningOrders: 2}
		f.submit(ctx, 0, "a", "b", "c", "d")
		stop := f.open(limits)
		f.shows(ctx, 0, map[string]string{"a": "Running", "b": "Running", "c": "Pending: it is next"})
		f.pod(ctx, 0, "a") // It is made after the order says that it runs, and by nobody once the operator has stopped.
		stop()
		f.ends(ctx, 0, "a")
		f.submit(ctx, 0, "e")
		stop = f.open(limits)
		f.shows(ctx, 0, map[string]string{
			"a": "Succeeded", "b": "Running", "c": "Running", "d": "Pending: it is next", "e": "Pending: at most 1 order goes before it",
		})
		stop()
		Expect(f.most()).To(Equal(2))

		f.open(Options{MaxConcurrentReconciles: 8})
		f.shows(ctx, 0, map[string]string{"b": "Running", "c": "Running", "d": "Running", "e": "Running"})
		Expect(f.order(ctx, 0, "d").Status.Queued).To(BeZero(), "there is no line any more")
	})

	It("gives the next place to the namespace that has the fewest", func(ctx SpecContext) {
		f := newFloor(ctx, 2)
		f.submit(ctx, 0, "a", "b", "c")
		// Of those of one second the uid decides.
		Eventually(time.Now).WithTimeout(30 * time.Second).Should(BeTemporally(">=", f.order(ctx, 0, "c").CreationTimestamp.Add(time.Second)))
		f.submit(ctx, 1, "late", "later")
		f.open(Options{MaxConcurrentReconciles: 8, MaxRunningOrders: 2})
		f.shows(ctx, 0, map[string]string{"a": "Running", "b": "Pending: it is next", "c": "Pending: at most 2 orders go before it"})
		f.shows(ctx, 1, map[string]string{"late": "Running", "later": "Pending: at most 1 order goes before it"})
		f.ends(ctx, 1, "late")
		f.shows(ctx, 1, map[string]string{"later": "Running"})
		f.shows(ctx, 0, map[string]string{"a": "Running", "b": "Pending: it is next", "c": "Pending: at most 1 order goes before it"})
		Expect(f.most()).To(Equal(2))
	})

	It("can limit each namespace for itself", func(ctx SpecContext) {
		f := newFloor(ctx, 2)
		f.submit(ctx, 0, "a", "b", "c")
		f.submit(ctx, 1, "a", "b", "c")
		f.open(Options{MaxConcurrentReconciles: 8, MaxRunningOrdersPerNamespace: 1})
		for namespace := range 2 {
			f.shows(ctx, namespace, map[string]string{"a": "Running", "b": "Pending: it is next", "c": "Pending: at most 1 order goes before it"})
		}
		f.ends(ctx, 1, "a")
		f.shows(ctx, 1, map[string]string{"b": "Running", "c": "Pending: it is next"})
		f.shows(ctx, 0, map[string]string{"a": "Running", "b": "Pending: it is next"})
	})

	It("lets those that wait be cancelled, suspended and resumed", func(ctx SpecContext) {
		f := newFloor(ctx, 1)
		f.submit(ctx, 0, "a", "b", "c", "d")
		f.open(Options{MaxConcurrentReconciles: 8, MaxRunningOrders: 1})
		f.shows(ctx, 0, map[string]string{"a": "Running", "b": "Pending: it is next", "c": "Pending: at most 1 order goes before it"})

		f.edit(ctx, 0, "b", `{"spec": {"cancel": true}}`)
		f.shows(ctx, 0, map[string]string{"b": "Cancelled", "c": "Pending: it is next"})
		Expect(f.order(ctx, 0, "b").Status.StartTime).To(BeNil())

		f.edit(ctx, 0, "c", `{"spec": {"suspend": true}}`)
		f.shows(ctx, 0, map[string]string{"c": "Suspended", "d": "Pending: it is next"})
		f.ends(ctx, 0, "a")
		f.shows(ctx, 0, map[string]string{"c": "Suspended", "d": "Running"})
		f.edit(ctx, 0, "c", `{"spec": {"suspend": false}}`)
		f.shows(ctx, 0, map[string]string{"c": "Pending: it is next"})

		f.edit(ctx, 0, "d", `{"spec": {"suspend": true}}`)
		f.shows(ctx, 0, map[string]string{"d": "Suspended"})
		f.ends(ctx, 0, "d")
		f.shows(ctx, 0, map[string]string{"d": "Succeeded", "c": "Running"})
		Expect(f.most()).To(Equal(1))
	})

	It("runs no more of them however many come at once, and all in the end", func(ctx SpecContext) {
		f := newFloor(ctx, 3)
		f.open(Options{MaxConcurrentReconciles: 8, MaxRunningOrders: 3, MaxRunningOrdersPerNamespace: 2})
		instant := v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{{Name: "only", Wait: &v1alpha1.Wait{Seconds: 0}}}}
		for i := range 60 {
			order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespaces[i%7%3], Name: fmt.Sprintf("order-%d", i)}, Spec: instant}
			Expect(f.Create(ctx, order)).To(Succeed())
		}
		Eventually(func() (unfinished int) {
			for _, namespace := range f.namespaces {
				list := &v1alpha1.WorkOrderList{}
				Expect(mgr.GetAPIReader().List(ctx, list, client.InNamespace(namespace))).To(Succeed())
				for i := range list.Items {
					if list.Items[i].Status.Phase != v1alpha1.WorkOrderSucceeded {
						unfinished++
					}
				}
			}
			return unfinished
		}).WithTimeout(2 * time.Minute).WithPolling(100 * time.Millisecond).Should(BeZero())
		Expect(f.most()).To(BeNumerically("<=", 3))
	})

	It("does not let one that cannot be started hold up the others", func(ctx SpecContext) {
		f := newFloor(ctx, 1)
		f.submit(ctx, 0, "a", "b", "c")
		lift := f.forbid(ctx, 0, "a")
		f.open(Options{MaxConcurrentReconciles: 8, MaxRunningOrders: 1})
		f.shows(ctx, 0, map[string]string{"b": "Running"})
		f.ends(ctx, 0, "b")
		f.shows(ctx, 0, map[string]string{"c": "Running"})
		Expect(f.order(ctx, 0, "a").Status.Sequence).To(BeZero())
		lift()
		f.ends(ctx, 0, "c")
		f.shows(ctx, 0, map[string]string{"a": "Running", "b": "Succeeded", "c": "Succeeded"})
		Expect(f.most()).To(Equal(1))
	})
})

// floor is some namespaces, and those who work there: an operator, as it is set up, and the node, which is played.
type floor struct {
	client.Client
	namespaces []string

	mu      sync.Mutex
	running map[types.UID]bool
	peak    int
}

func newFloor(ctx context.Context, namespaces int) *floor {
	GinkgoHelper()
	f := &floor{Client: mgr.GetClient(), running: map[types.UID]bool{}}
	for range namespaces {
		f.namespaces = append(f.namespaces, newNamespace(ctx))
	}
	informer, err := mgr.GetCache().GetInformer(ctx, &v1alpha1.WorkOrder{})
	Expect(err).NotTo(HaveOccurred())
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    f.see,
		UpdateFunc: func(_, object any) { f.see(object) },
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(informer.RemoveEventHandler(registration)).To(Succeed()) })
	return f
}

// see counts how many orders run at the same time. Watches show changes in the order in which they happened.
func (f *floor) see(object any) {
	order := object.(*v1alpha1.WorkOrder)
	if !slices.Contains(f.namespaces, order.Namespace) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.running, order.UID)
	if order.Status.StartTime != nil && order.Status.CompletionTime == nil {
		f.running[order.UID] = true
	}
	f.peak = max(f.peak, len(f.running))
}

// most is how many orders ran at the same time at most.
func (f *floor) most() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.peak
}

// open lets an operator work there, until it is stopped.
func (f *floor) open(options Options) (stop func()) {
	GinkgoHelper()
	always, watched := true, map[string]cache.Config{}
	for _, namespace := range f.namespaces {
		watched[namespace] = cache.Config{}
	}
	operator, err := ctrl.NewManager(mgr.GetConfig(), ctrl.Options{
		Scheme:     mgr.GetScheme(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Cache:      cache.Options{DefaultNamespaces: watched},
		Client:     client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &always}},
		Controller: config.Controller{SkipNameValidation: &always},
	})
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	Expect(Index(ctx, operator)).To(Succeed())
	orders := &WorkOrderReconciler{Client: operator.GetClient(), Live: operator.GetAPIReader(), Recorder: events.NewFakeRecorder(1000), Clock: clock.RealClock{}}
	Expect(orders.SetupWithManager(operator, options)).To(Succeed())
	ended := make(chan error, 1)
	go func() { ended <- operator.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		Eventually(ended).WithTimeout(30 * time.Second).Should(Receive(Succeed()))
	})
	DeferCleanup(stop)
	return stop
}

// submit makes orders of one step, in that order.
func (f *floor) submit(ctx context.Context, namespace int, names ...string) {
	GinkgoHelper()
	for _, name := range names {
		order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespaces[namespace], Name: name}, Spec: sequence("only")}
		Expect(f.Create(ctx, order)).To(Succeed())
	}
}

func (f *floor) order(ctx context.Context, namespace int, name string) *v1alpha1.WorkOrder {
	GinkgoHelper()
	order := &v1alpha1.WorkOrder{}
	Expect(mgr.GetAPIReader().Get(ctx, client.ObjectKey{Namespace: f.namespaces[namespace], Name: name}, order)).To(Succeed())
	return order
}

func (f *floor) edit(ctx context.Context, namespace int, name, patch string) {
	GinkgoHelper()
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespaces[namespace], Name: name}}
	Expect(f.Patch(ctx, order, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
}

// shows waits until orders are in those phases; of one that is in the line, the place follows.
func (f *floor) shows(ctx context.Context, namespace int, want map[string]string) {
	GinkgoHelper()
	Eventually(func() map[string]string {
		got := map[string]string{}
		for name := range want {
			status := f.order(ctx, namespace, name).Status
			got[name] = string(status.Phase)
			if _, where, waits := strings.Cut(status.Message, "waits for a place to run"); waits || status.Queued > 0 {
				got[name] += where
			}
		}
		return got
	}).WithTimeout(30 * time.Second).WithPolling(20 * time.Millisecond).Should(Equal(want))
}

// log is what has happened to an order, by the types of its events.
func (f *floor) log(ctx context.Context, namespace int, name string) (types []string) {
	GinkgoHelper()
	order, list := f.order(ctx, namespace, name), &v1alpha1.ProgressEventList{}
	Expect(mgr.GetAPIReader().List(ctx, list, client.InNamespace(order.Namespace))).To(Succeed())
	chain := progress.Follow(order.UID, order.Status.Head, list.Items)
	Expect(chain.Missing).To(BeEmpty())
	for _, e := range chain.Events {
		types = append(types, string(e.Spec.Type))
	}
	return types
}

// pod is the Pod of an order, once it is there.
func (f *floor) pod(ctx context.Context, namespace int, name string) *corev1.Pod {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Eventually(func() []corev1.Pod {
		Expect(mgr.GetAPIReader().List(ctx, pods, client.InNamespace(f.namespaces[namespace]), client.MatchingLabels{steppod.LabelOrder: name})).To(Succeed())
		return pods.Items
	}).WithTimeout(30 * time.Second).Should(HaveLen(1))
	return &pods.Items[0]
}

// ends plays the node: the Pod of an order ends well, once it is there.
func (f *floor) ends(ctx context.Context, namespace int, name string) {
	GinkgoHelper()
	pod := f.pod(ctx, namespace, name)
	pod.Status.Phase = corev1.PodSucceeded
	Expect(f.Status().Update(ctx, pod)).To(Succeed())
}

// forbid lets the API server refuse every change of an order's status, until that is lifted.
func (f *floor) forbid(ctx context.Context, namespace int, name string) (lift func()) {
	GinkgoHelper()
	order := f.order(ctx, namespace, name)
	meta, never := metav1.ObjectMeta{Name: "never-" + order.Namespace}, admissionv1.Fail
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		FailurePolicy: &never,
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
			RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Update},
				Rule:       admissionv1.Rule{APIGroups: []string{"workorders.dev"}, APIVersions: []string{"*"}, Resources: []string{"workorders/status"}},
			},
		}}},
		Validations: []admissionv1.Validation{{Expression: fmt.Sprintf("object.metadata.uid != %q", order.UID)}},
	}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: meta.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	Expect(f.Create(ctx, policy)).To(Succeed())
	Expect(f.Create(ctx, binding)).To(Succeed())
	lift = sync.OnceFunc(func() {
		Expect(f.Delete(context.Background(), binding)).To(Succeed())
		Expect(f.Delete(context.Background(), policy)).To(Succeed())
	})
	DeferCleanup(lift)
	Eventually(func() error { // It takes a moment to be heeded.
		patch := client.RawPatch(types.MergePatchType, []byte(`{"status": {"message": "tried"}}`))
		return f.Status().Patch(ctx, order.DeepCopy(), patch, client.DryRunAll, client.DisableReadYourWritesConsistency)
	}).WithTimeout(30 * time.Second).Should(MatchError(ContainSubstring("denied request")))
	return lift
}
