package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/progress"
	"workorders.dev/operator/controllers/steppod"
)

// crank is one order, the reconciler that moves it on, and the hand that turns it.
type crank struct {
	client.Client
	reconciler *WorkOrderReconciler
	clock      *testingclock.FakePassiveClock
	events     *events.FakeRecorder
	namespace  string
	order      *v1alpha1.WorkOrder
}

func newCrank(ctx context.Context, spec v1alpha1.WorkOrderSpec) *crank {
	GinkgoHelper()
	c := &crank{
		Client:    mgr.GetClient(),
		clock:     testingclock.NewFakePassiveClock(time.Now().Truncate(time.Second)),
		events:    events.NewFakeRecorder(1000),
		namespace: newNamespace(ctx),
	}
	c.restart()
	c.order = &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "order"}, Spec: spec}
	Expect(c.Create(ctx, c.order)).To(Succeed())
	DeferCleanup(c.expectFoldAtTheEnd)
	return c
}

// expectFoldAtTheEnd checks at the end of every spec, if its order is still there, that the log gives the status, unless
// the newest events could not be written.
func (c *crank) expectFoldAtTheEnd(ctx SpecContext) {
	order := &v1alpha1.WorkOrder{}
	if err := mgr.GetAPIReader().Get(ctx, client.ObjectKeyFromObject(c.order), order); err != nil {
		Expect(client.IgnoreNotFound(err)).To(Succeed())
		return
	}
	if status := &order.Status; status.Sequence > 0 && plan.SequenceOf(status.Head) == status.Sequence {
		c.order = order
		c.expectFold(ctx)
	}
}

// restart is a new operator process: what the old one remembered is gone.
func (c *crank) restart() {
	c.reconciler = &WorkOrderReconciler{Client: c.Client, Live: mgr.GetAPIReader(), Recorder: c.events, Clock: c.clock}
}

// turn reconciles once and reads the order again.
func (c *crank) turn(ctx context.Context) ctrl.Result {
	GinkgoHelper()
	c.syncCache(ctx)
	result, err := c.reconciler.Reconcile(ctx, requestFor(c.order))
	Expect(err).NotTo(HaveOccurred())
	c.read(ctx)
	return result
}

func requestFor(order *v1alpha1.WorkOrder) ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKeyFromObject(order)}
}

// syncCache waits until the cache has seen all that was written, so that no turn is spoilt by an old one.
func (c *crank) syncCache(ctx context.Context) {
	GinkgoHelper()
	Expect(c.List(ctx, &corev1.PodList{}, client.InNamespace(c.namespace))).To(Succeed())
}

func (c *crank) read(ctx context.Context) {
	GinkgoHelper()
	fresh := &v1alpha1.WorkOrder{}
	Expect(mgr.GetAPIReader().Get(ctx, client.ObjectKeyFromObject(c.order), fresh)).To(Succeed())
	c.order = fresh
}

// step is the status of a step.
func (c *crank) step(name string) v1alpha1.StepStatus {
	GinkgoHelper()
	for _, step := range c.order.Status.Steps {
		if step.Name == name {
			return step
		}
	}
	Fail("the status has no step " + name)
	return v1alpha1.StepStatus{}
}

// pod is the Pod of a step's present epoch.
func (c *crank) pod(ctx context.Context, step string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{}
	Expect(mgr.GetAPIReader().Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: c.step(step).PodName}, pod)).To(Succeed())
	return pod
}

func (c *crank) pods(ctx context.Context) []corev1.Pod {
	GinkgoHelper()
	list := &corev1.PodList{}
	Expect(mgr.GetAPIReader().List(ctx, list, client.InNamespace(c.namespace))).To(Succeed())
	return list.Items
}

// ends plays the node: the Pod of the step ends with that exit code and termination message.
func (c *crank) ends(ctx context.Context, step string, exitCode int32, message string) {
	GinkgoHelper()
	pod := c.pod(ctx, step)
	pod.Status.Phase = corev1.PodSucceeded
	if exitCode != 0 {
		pod.Status.Phase = corev1.PodFailed
	}
	started := metav1.NewTime(c.clock.Now())
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: steppod.ContainerName,
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: exitCode, Message: message, StartedAt: started, FinishedAt: started,
		}},
	}}
	Expect(c.Status().Update(ctx, pod)).To(Succeed())
}

// eventList is all ProgressEvents of the namespace, on the chain or not.
func (c *crank) eventList(ctx context.Context) []v1alpha1.ProgressEvent {
	GinkgoHelper()
	list := &v1alpha1.ProgressEventList{}
	Expect(mgr.GetAPIReader().List(ctx, list, client.InNamespace(c.namespace))).To(Succeed())
	return list.Items
}

// chain is the order's log.
func (c *crank) chain(ctx context.Context) progress.Chain {
	GinkgoHelper()
	return progress.Follow(c.order.UID, c.order.Status.Head, c.eventList(ctx))
}

// log is the chain as lines of "sequence type step epoch".
func (c *crank) log(ctx context.Context) []string {
	GinkgoHelper()
	var lines []string
	for _, e := range c.chain(ctx).Events {
		line := fmt.Sprintf("%d %s", e.Spec.Sequence, e.Spec.Type)
		if e.Spec.Step != "" {
			line += fmt.Sprintf(" %s %d", e.Spec.Step, e.Spec.Epoch)
		}
		lines = append(lines, line)
	}
	return lines
}

// expectFold checks that the log, folded, is the status.
func (c *crank) expectFold(ctx context.Context) {
	GinkgoHelper()
	chain := c.chain(ctx)
	Expect(chain.Missing).To(BeEmpty())
	folded, whole := chain.Fold()
	Expect(whole).To(BeTrue())
	own := c.order.Status.DeepCopy()
	own.Conditions = slices.DeleteFunc(own.Conditions, func(c metav1.Condition) bool { return strings.Contains(c.Type, "/") }) // Those of others.
	Expect(folded).To(BeComparableTo(*own))
}

func runStep(name string) v1alpha1.Step {
	return v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: "workorders.dev/step:dev"}}
}

func sequence(names ...string) v1alpha1.WorkOrderSpec {
	spec := v1alpha1.WorkOrderSpec{}
	for _, name := range names {
		spec.Steps = append(spec.Steps, runStep(name))
	}
	return spec
}

func pointer[T any](value T) *T { return &value }
