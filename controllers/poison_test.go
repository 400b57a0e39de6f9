package controllers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/hostile"
	"workorders.dev/operator/hack/reliability/report"
)

// poisons are statuses that no operator has written, by somebody with the right to write any. All of them are such as the
// API server takes.
var poisons = map[string]string{
	"epoch-at-its-largest":     `{observedGeneration: 1, phase: Running, sequence: 3, steps: [{name: a, phase: Running, epoch: 9223372036854775807, podName: p}, {name: b, phase: Pending}]}`,
	"backoff-at-its-largest":   `{observedGeneration: 1, phase: Running, sequence: 3, steps: [{name: a, phase: Backoff, epoch: 9223372036854775807}, {name: b, phase: Pending}]}`,
	"epoch-below-nothing":      `{observedGeneration: 1, phase: Running, sequence: 3, steps: [{name: a, phase: Backoff, epoch: -7}, {name: b, phase: Running, epoch: -1, podName: p}]}`,
	"pending-with-an-epoch":    `{observedGeneration: 1, phase: Running, sequence: 3, steps: [{name: a, phase: Pending, epoch: 9}, {name: b, phase: Pending}]}`,
	"steps-of-another-order":   `{observedGeneration: 1, phase: Running, sequence: 3, steps: [{name: x, phase: Running, epoch: 1, podName: p}, {name: z, phase: Backoff, epoch: 1}]}`,
	"same-step-twice":          `{observedGeneration: 1, phase: Running, sequence: 3, steps: [{name: a, phase: Running, epoch: 1, podName: p}, {name: a, phase: Backoff, epoch: 1}, {name: b, phase: Pending}]}`,
	"beyond-the-last-year":     `{observedGeneration: 1, phase: Running, sequence: 3, lastEventTime: "9999-12-31T23:59:59-23:59", steps: [{name: a, phase: Succeeded, epoch: 1}, {name: b, phase: Succeeded, epoch: 1}]}`,
	"in-the-first-second":      `{observedGeneration: 1, phase: Running, sequence: 3, startTime: "0001-01-01T00:00:00Z", steps: [{name: a, phase: Succeeded, epoch: 1, startTime: "0001-01-01T00:00:00Z"}, {name: b, phase: Backoff, epoch: 1, startTime: "0001-01-01T00:00:00Z"}]}`,
	"conditions-since-always":  `{observedGeneration: 1, phase: Running, sequence: 3, conditions: [{type: Ready, status: "False", reason: Because, message: "", lastTransitionTime: "0001-01-01T00:00:00Z"}], steps: [{name: a, phase: Succeeded, epoch: 1}, {name: b, phase: Backoff, epoch: 1}]}`,
	"sequence-at-its-largest":  `{observedGeneration: 1, phase: Running, sequence: 9223372036854775807, steps: [{name: a, phase: Backoff, epoch: 1}, {name: b, phase: Pending}]}`,
	"sequence-below-nothing":   `{observedGeneration: 1, phase: Running, sequence: -5, head: "--", steps: [{name: a, phase: Backoff, epoch: 1}, {name: b, phase: Pending}]}`,
	"head-of-nothing":          `{observedGeneration: 1, phase: Running, sequence: 3, head: "\u001b[31m", steps: [{name: a, phase: Backoff, epoch: 1}, {name: b, phase: Pending}]}`,
	"succeeded-and-running":    `{observedGeneration: 1, phase: Succeeded, sequence: 3, steps: [{name: a, phase: Running, epoch: 1, podName: p}, {name: b, phase: Pending}]}`,
	"cancelled-with-no-steps":  `{observedGeneration: 1, phase: Running, sequence: 3, cancelled: true}`,
	"cancelled-by-a-forger":    `{observedGeneration: 1, phase: Running, sequence: 3, cancelled: true, steps: [{name: a, phase: Running, epoch: 77777, podName: p}, {name: b, phase: Pending}]}`,
	"suspended-by-a-forger":    `{observedGeneration: 1, phase: Suspended, sequence: 3, suspended: true, steps: [{name: a, phase: Running, epoch: 1, podName: p}, {name: b, phase: Pending}]}`,
	"stalled-by-a-forger":      `{observedGeneration: 1, phase: Running, sequence: 3, conditions: [{type: Stalled, status: "True", reason: Because, message: "\u202e", lastTransitionTime: "2030-01-01T00:00:00Z"}], steps: [{name: a, phase: Running, epoch: 1}, {name: b, phase: Pending}]}`,
	"read-in-the-future":       `{observedGeneration: 99, phase: Running, sequence: 3, steps: [{name: b, phase: Running, epoch: 1, podName: p}, {name: a, phase: Running, epoch: 1, podName: p}]}`,
	"hash-of-tomorrow":         `{observedGeneration: 1, phase: Running, sequence: 3, steps: [{name: a, phase: Running, epoch: 1, podName: p, specHash: "v99-?"}, {name: b, phase: Pending}]}`,
	"waits-until-doomsday":     `{observedGeneration: 1, phase: Running, sequence: 3, steps: [{name: a, phase: Backoff, epoch: 1, notBefore: "9999-12-31T23:59:59Z"}, {name: b, phase: Pending}]}`,
	"numbers-at-their-largest": `{observedGeneration: 1, phase: Running, rewinds: 9223372036854775807, sequence: 3, steps: [{name: a, phase: Backoff, epoch: 1, attempt: 9223372036854775807, retries: 2147483647, disruptions: 2147483647}, {name: b, phase: Pending}]}`,
	"step-without-a-name":      `{observedGeneration: 1, phase: Running, sequence: 3, steps: [{name: "", phase: Running, epoch: 1, podName: p}, {name: "\u001b[31m", phase: Failed}, {name: b, phase: Pending}]}`,
}

var _ = Describe("A poisoned order that is there when the operator starts", func() {
	It("neither stops the others nor the operator, which takes no right but those of its role", func(ctx SpecContext) {
		began, namespace := time.Now(), newNamespace(ctx)
		for name, status := range poisons {
			poison(ctx, namespace, name, status)
		}
		healthy := talkers(ctx, namespace)
		poisonPods(ctx, healthy[0])
		rights := installRole(ctx)
		startOperator(ctx, namespace, rights)
		node := simpleNode{namespace: namespace}

		Eventually(ctx, func(g Gomega) {
			node.endAll(ctx, g)
			for _, order := range healthy {
				g.Expect(mgr.GetAPIReader().Get(ctx, client.ObjectKeyFromObject(order), order)).To(Succeed())
				g.Expect(order.Status.Phase).To(Equal(v1alpha1.WorkOrderSucceeded), order.Name+": "+order.Status.Message)
			}
		}).WithTimeout(2 * time.Minute).WithPolling(100 * time.Millisecond).Should(Succeed())

		By("looking for a status that is written again and again")
		versions := map[string]string{}
		Eventually(ctx, func(g Gomega) {
			node.endAll(ctx, g)
			before := versions
			versions = versionsOf(ctx, g, namespace)
			g.Expect(versions).To(Equal(before))
		}).WithTimeout(2 * time.Minute).WithPolling(3 * time.Second).Should(Succeed())

		Expect(panics()).To(BeZero())
		Expect(rights.missing()).To(ConsistOf("GET /api/v1/namespaces/"+namespace+"/secrets"), "the operator asked for what its role does not allow")
		expectCleanText(ctx, namespace, healthy)
		Expect((report.Line{Row: "S1", Harness: "unit", Cases: len(poisons), Unit: "poisoned orders at the start", Full: report.Full(), Notes: []string{
			fmt.Sprintf("%d other orders finished beside them, on a real kube-apiserver", len(healthy)),
		}}).Since(began).Add()).To(Succeed())
		Expect((report.Line{Row: "S4", Harness: "unit", Cases: rights.asked(), Unit: "requests with the shipped Role", Full: report.Full()}).Since(began).Add()).To(Succeed())
	})
})

// poison submits an order and forges its status.
func poison(ctx context.Context, namespace, name, status string) {
	GinkgoHelper()
	order := &v1alpha1.WorkOrder{Spec: sequence("a", "b")}
	order.Namespace, order.Name = namespace, name
	order.Spec.Retry = &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}}
	Expect(mgr.GetClient().Create(ctx, order)).To(Succeed())
	forged, err := yaml.YAMLToJSON([]byte("{status: " + status + "}"))
	Expect(err).NotTo(HaveOccurred())
	Expect(mgr.GetClient().Status().Patch(ctx, order, client.RawPatch(types.MergePatchType, forged))).To(Succeed(), name)
}

// poisonPods makes Pods that claim to be of an order that does not own them, and of epochs that there are not.
func poisonPods(ctx context.Context, order *v1alpha1.WorkOrder) {
	GinkgoHelper()
	for i, epoch := range []string{"1", "99999999999999999999", "0", "one", ""} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: steppod.ContainerName, Image: "somebody/else"}}}}
		pod.Namespace, pod.Name = order.Namespace, fmt.Sprintf("forged-%d", i)
		pod.Labels = map[string]string{steppod.LabelOrder: order.Name, steppod.LabelOrderUID: string(order.UID), steppod.LabelStep: "a", steppod.LabelEpoch: epoch}
		Expect(mgr.GetClient().Create(ctx, pod)).To(Succeed())
	}
}

// talkers are healthy orders, of which users and steps say all that is hostile.
func talkers(ctx context.Context, namespace string) (orders []*v1alpha1.WorkOrder) {
	GinkgoHelper()
	for i, text := range hostile.Valid() {
		order := &v1alpha1.WorkOrder{Spec: sequence("a", "b")}
		order.Namespace, order.Name = namespace, fmt.Sprintf("talker-%d", i)
		order.Spec.Params = []v1alpha1.Param{{Name: "text", Value: steppod.Cut(text, 8000)}}
		order.Spec.Steps[0].Agent = string([]rune(text)[:min(63, len([]rune(text)))])
		Expect(mgr.GetClient().Create(ctx, order)).To(Succeed())
		orders = append(orders, order)
	}
	return orders
}

// simpleNode ends every Pod that runs, with all that is hostile as its output.
type simpleNode struct {
	namespace string
	ended     int
}

func (n *simpleNode) endAll(ctx context.Context, g Gomega) {
	pods := &corev1.PodList{}
	g.Expect(mgr.GetAPIReader().List(ctx, pods, client.InNamespace(n.namespace))).To(Succeed())
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase != corev1.PodPending || len(pod.Spec.SchedulingGates) > 0 {
			continue
		}
		n.ended++
		pod.Status.Phase = corev1.PodSucceeded
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: steppod.ContainerName, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{Message: hostile.Valid()[n.ended%len(hostile.Valid())]},
		}}}
		g.Expect(client.IgnoreNotFound(mgr.GetClient().Status().Update(ctx, pod))).To(Succeed())
	}
}

func versionsOf(ctx context.Context, g Gomega, namespace string) map[string]string {
	orders, versions := &v1alpha1.WorkOrderList{}, map[string]string{}
	g.Expect(mgr.GetAPIReader().List(ctx, orders, client.InNamespace(namespace))).To(Succeed())
	for i := range orders.Items {
		versions[orders.Items[i].Name] = orders.Items[i].ResourceVersion
	}
	return versions
}

// watchedRights sees what the operator asks for, and what it may not.
type watchedRights struct {
	http.RoundTripper
	mu       sync.Mutex
	requests int
	refused  []string
}

// RoundTrip lets a request pass, and notes it.
func (w *watchedRights) RoundTrip(request *http.Request) (*http.Response, error) {
	reply, err := w.RoundTripper.RoundTrip(request)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	if err == nil && (reply.StatusCode == http.StatusForbidden || reply.StatusCode == http.StatusUnauthorized) {
		w.refused = append(w.refused, request.Method+" "+request.URL.Path)
	}
	return reply, err
}

func (w *watchedRights) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests
}

func (w *watchedRights) missing() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused
}

// installRole applies what config/rbac gives the operator.
func installRole(ctx context.Context) *watchedRights {
	GinkgoHelper()
	system := &corev1.Namespace{}
	system.Name = "workorders-system"
	Expect(mgr.GetClient().Create(ctx, system)).To(Succeed())
	for _, file := range []string{"role", "role_binding", "leader_election_role", "leader_election_role_binding"} {
		content, err := os.ReadFile("../config/rbac/" + file + ".yaml")
		Expect(err).NotTo(HaveOccurred())
		object := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal(bytes.TrimPrefix(content, []byte("---\n")), &object.Object)).To(Succeed())
		Expect(mgr.GetClient().Create(ctx, object)).To(Succeed(), file)
	}
	return &watchedRights{}
}

// startOperator runs the whole operator, as itself, for one namespace.
func startOperator(ctx context.Context, namespace string, rights *watchedRights) {
	GinkgoHelper()
	config := rest.CopyConfig(mgr.GetConfig())
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:workorders-system:workorder-operator",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:workorders-system", "system:authenticated"},
	}
	config.QPS = -1
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		if rights.RoundTripper == nil {
			rights.RoundTripper = next
		}
		return rights
	})
	wait := true
	operator, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  mgr.GetScheme(),
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Client:                  client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &wait}},
		Cache:                   cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		LeaderElection:          true,
		LeaderElectionID:        "workorder-operator.workorders.dev",
		LeaderElectionNamespace: "workorders-system",

		LeaderElectionReleaseOnCancel: true,
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(Index(ctx, operator)).To(Succeed())
	orders := &WorkOrderReconciler{Client: operator.GetClient(), Live: operator.GetAPIReader(), Recorder: operator.GetEventRecorder("workorder-operator"), Clock: clock.RealClock{}}
	Expect(orders.SetupWithManager(operator, Options{MaxConcurrentReconciles: 2})).To(Succeed())
	held := &HeldPodReconciler{Client: operator.GetClient(), Live: operator.GetAPIReader()}
	Expect(held.SetupWithManager(operator)).To(Succeed())
	// That it is refused shows that it is the role that decides.
	Expect(operator.GetAPIReader().List(ctx, &corev1.SecretList{}, client.InNamespace(namespace))).To(MatchError(ContainSubstring("forbidden")))
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- operator.Start(running) }()
	DeferCleanup(func() {
		Expect(ended).NotTo(Receive(), "the operator ended before it was told to")
		stop()
		Eventually(ended).WithTimeout(30 * time.Second).Should(Receive(Succeed()))
	})
}

// panics is how many turns have panicked, in this process.
func panics() (n float64) {
	GinkgoHelper()
	families, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	found := false
	for _, family := range families {
		if family.GetName() == "controller_runtime_reconcile_panics_total" {
			found = true
			for _, metric := range family.GetMetric() {
				n += metric.GetCounter().GetValue()
			}
		}
	}
	Expect(found).To(BeTrue(), "controller-runtime counts panics under another name")
	return n
}

// expectCleanText checks all that was written about orders that nobody forged: statuses, ProgressEvents, Kubernetes Events.
func expectCleanText(ctx context.Context, namespace string, orders []*v1alpha1.WorkOrder) {
	GinkgoHelper()
	for _, order := range orders {
		Expect(hostile.Find(order.Status)).To(BeEmpty(), order.Name)
	}
	log := &v1alpha1.ProgressEventList{}
	Expect(mgr.GetAPIReader().List(ctx, log, client.InNamespace(namespace))).To(Succeed())
	written := 0
	for i := range log.Items {
		if strings.HasPrefix(log.Items[i].Spec.WorkOrder.Name, "talker-") {
			written++
			Expect(hostile.Find(log.Items[i])).To(BeEmpty(), log.Items[i].Name)
		}
	}
	Expect(written).To(BeNumerically(">=", 4*len(orders)))
	told, notes := &eventsv1.EventList{}, 0
	Expect(mgr.GetAPIReader().List(ctx, told, client.InNamespace(namespace))).To(Succeed())
	for i := range told.Items {
		if strings.HasPrefix(told.Items[i].Regarding.Name, "talker-") {
			notes++
			encoded, err := json.Marshal(told.Items[i].Note)
			Expect(err).NotTo(HaveOccurred())
			Expect(hostile.LineFlaw(told.Items[i].Note)).To(BeEmpty(), string(encoded))
		}
	}
	Expect(notes).To(BeNumerically(">=", len(orders)))
	Expect((report.Line{Row: "S3", Harness: "unit", Cases: written + notes + len(orders), Unit: "objects read back", Full: report.Full(), Notes: []string{
		"statuses, ProgressEvents and Kubernetes Events, of a real kube-apiserver",
	}}).Add()).To(Succeed())
}
