package plan_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// What the API server answers when it does not simply obey.
var (
	errConflict = errors.New("the object was changed meanwhile")
	errExists   = errors.New("the name is taken")
	errGone     = errors.New("there is no such object")
	errRefused  = errors.New("refused by a policy")
)

// cluster is a model of everything outside the operator: an API server that holds one order with its Pods and events,
// the nodes that run the Pods, the garbage collector, and a clock. It keeps what Kubernetes promises and nothing more:
// writes to one object are in order, a name is taken once, a finalizer holds what is deleted. Objects are never
// changed in place, so that an old view of them stays as it was.
type cluster struct {
	now     time.Time
	version int64
	order   *v1alpha1.WorkOrder // nil once it is gone
	events  []v1alpha1.ProgressEvent
	pods    map[string]*corev1.Pod
	agenda  []appointment
	// place is the order's place in the line, 0 once it may run; and shared says that its workspace is there.
	place  int32
	shared bool

	// orders and podSets are what watches have shown so far, for those who look at an old one.
	orders  []*v1alpha1.WorkOrder
	podSets []map[string]*corev1.Pod

	// behave says what a new Pod will do.
	behave func(steppod.Attempt) behaviour
	// refuse says why a new Pod is refused; nil lets it in.
	refuse func(*corev1.Pod) *v1alpha1.StepError
	// refuseEvents makes every event be refused.
	refuseEvents bool
	// foreign is how many conditions somebody else has put into the order's status.
	foreign int
	// tell is told what people and nodes do, for a trace.
	tell func(who string, attempt steppod.Attempt, said string)
	// laws watch what happens.
	laws *laws
}

// appointment is something that happens at a time, whatever the operator does.
type appointment struct {
	at time.Time
	do func()
}

var epoch0 = time.Date(2030, 1, 2, 10, 0, 0, 0, time.UTC)

// newCluster is a cluster in which somebody has just created the order.
func newCluster(order *v1alpha1.WorkOrder) *cluster {
	c := &cluster{now: epoch0, pods: map[string]*corev1.Pod{}, laws: newLaws()}
	c.behave = func(steppod.Attempt) behaviour { return succeeds("") }
	c.refuse = func(*corev1.Pod) *v1alpha1.StepError { return nil }
	c.tell = func(string, steppod.Attempt, string) {}
	order.Generation, order.Status.ObservedGeneration = 1, -1
	order.CreationTimestamp = metav1.NewTime(c.now)
	c.store(order)
	c.podSets = append(c.podSets, c.pods)
	return c
}

// stored is the object as it comes back from the API server: through JSON, which cuts times to seconds.
func stored[T any](object *T) *T {
	encoded, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	back := new(T)
	if err := json.Unmarshal(encoded, back); err != nil {
		panic(err)
	}
	return back
}

// after makes an appointment.
func (c *cluster) after(pause time.Duration, do func()) {
	at := c.now.Add(pause)
	i, _ := slices.BinarySearchFunc(c.agenda, at, func(a appointment, at time.Time) int {
		return cmp.Or(a.at.Compare(at), -1) // behind those of the same time
	})
	c.agenda = slices.Insert(c.agenda, i, appointment{at, do})
}

// keep moves the clock to the first appointment and keeps it.
func (c *cluster) keep() {
	first := c.agenda[0]
	c.agenda = c.agenda[1:]
	c.now = first.at
	first.do()
}

// store is a write to the order.
func (c *cluster) store(order *v1alpha1.WorkOrder) {
	c.version++
	order = stored(order)
	order.ResourceVersion = strconv.FormatInt(c.version, 10)
	c.order = order
	c.orders = append(c.orders, order)
}

// edit is a person's change to the order's spec or metadata.
func (c *cluster) edit(change func(*v1alpha1.WorkOrder)) {
	if c.order == nil {
		return
	}
	order := c.order.DeepCopy()
	change(order)
	order.Generation++
	c.store(order)
}

// foreignCondition is a condition that is not the operator's.
const foreignCondition = "example.com/Noted"

// addCondition is somebody else's condition in the order's status.
func (c *cluster) addCondition() {
	if c.order == nil || c.foreign > 0 || c.order.Status.Sequence == 0 {
		return
	}
	c.foreign++
	order := c.order.DeepCopy()
	order.Status.Conditions = append([]metav1.Condition{{Type: foreignCondition, Status: metav1.ConditionTrue, Reason: "Seen"}}, order.Status.Conditions...)
	c.store(order)
}

// saveStatus is a compare-and-swap of the order's status.
func (c *cluster) saveStatus(status v1alpha1.WorkOrderStatus, resourceVersion string) (*v1alpha1.WorkOrder, error) {
	if c.order == nil {
		return nil, errGone
	}
	if c.order.ResourceVersion != resourceVersion {
		return nil, errConflict
	}
	before, order := c.order, c.order.DeepCopy()
	order.Status = status
	c.store(order)
	c.laws.saved(c, before, c.order)
	return c.order, nil
}

// postEvent creates an event.
func (c *cluster) postEvent(name string, spec v1alpha1.ProgressEventSpec) error {
	if c.refuseEvents {
		return errRefused
	}
	event := stored(&v1alpha1.ProgressEvent{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
	for i := range c.events {
		if c.events[i].Name == name {
			return errExists
		}
	}
	c.events = append(c.events, *event)
	c.laws.posted(event)
	return nil
}

// deleteOrder deletes the order. In the foreground it stays until its Pods are gone.
func (c *cluster) deleteOrder(foreground bool) {
	if c.order == nil || c.order.DeletionTimestamp != nil {
		return
	}
	if foreground {
		order := c.order.DeepCopy()
		order.DeletionTimestamp = &metav1.Time{Time: c.now}
		order.Finalizers = []string{metav1.FinalizerDeleteDependents}
		order.Generation++ // As the API server does.
		c.store(order)
	} else {
		c.forgetOrder()
	}
	for _, name := range slices.Sorted(maps.Keys(c.pods)) {
		c.deletePod(name, "")
	}
	c.finishForeground()
}

// deleteOutlived deletes an order that is of no more use, if nobody has changed it meanwhile.
func (c *cluster) deleteOutlived(resourceVersion string) error {
	if c.order == nil {
		return errGone
	}
	if c.order.ResourceVersion != resourceVersion {
		return errConflict
	}
	c.laws.outlived(c)
	c.deleteOrder(false)
	return nil
}

func (c *cluster) forgetOrder() {
	c.order = nil
	c.orders = append(c.orders, nil)
}

// finishForeground lets an order that is deleted in the foreground go once nothing depends on it any more.
func (c *cluster) finishForeground() {
	if c.order != nil && c.order.DeletionTimestamp != nil && len(c.pods) == 0 {
		c.forgetOrder()
	}
}

// postPod creates a Pod, which then does whatever it is made to do.
func (c *cluster) postPod(pod *corev1.Pod) *v1alpha1.StepError {
	if _, taken := c.pods[pod.Name]; taken {
		return &v1alpha1.StepError{Code: v1alpha1.CodeNameConflict, Message: errExists.Error()}
	}
	if refusal := c.refuse(pod); refusal != nil {
		return refusal
	}
	c.version++
	pod = stored(pod)
	pod.ResourceVersion = strconv.FormatInt(c.version, 10)
	pod.UID = types.UID("pod-" + pod.ResourceVersion)
	pod.CreationTimestamp = metav1.NewTime(c.now)
	pod.Status.Phase = corev1.PodPending
	c.laws.made(c, pod)
	c.pods = maps.Clone(c.pods)
	c.pods[pod.Name] = pod
	c.podSets = append(c.podSets, c.pods)
	if len(pod.Spec.SchedulingGates) == 0 {
		c.live(pod, c.behave(attemptOf(pod)))
	}
	if c.order == nil || c.order.DeletionTimestamp != nil {
		c.deletePod(pod.Name, "") // The garbage collector finds no owner.
	}
	return nil
}

// changePod is a write to a Pod; it does nothing to one that is gone. It then lets the Pod go if nothing holds it.
func (c *cluster) changePod(name string, change func(*corev1.Pod)) {
	pod, found := c.pods[name]
	if !found {
		return
	}
	pod = pod.DeepCopy()
	change(pod)
	c.version++
	pod.ResourceVersion = strconv.FormatInt(c.version, 10)
	c.pods = maps.Clone(c.pods)
	c.pods[name] = pod
	unneeded := ended(pod) || pod.Spec.NodeName == "" || pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0
	if pod.DeletionTimestamp != nil && len(pod.Finalizers) == 0 && unneeded {
		delete(c.pods, name)
		c.laws.vanished(c, pod)
	}
	c.podSets = append(c.podSets, c.pods)
	c.finishForeground()
}

// releasePod takes the finalizer off a Pod.
func (c *cluster) releasePod(name string, uid types.UID) {
	c.changePod(name, func(pod *corev1.Pod) {
		if pod.UID == uid {
			pod.Finalizers = nil
		}
	})
}

// deletePod deletes a Pod gracefully; an empty uid means whichever has the name.
func (c *cluster) deletePod(name string, uid types.UID) {
	pod, found := c.pods[name]
	if !found || uid != "" && pod.UID != uid || pod.DeletionTimestamp != nil {
		return
	}
	grace := int64(30)
	if ended(pod) || pod.Spec.NodeName == "" {
		grace = 0
	}
	c.changePod(name, func(pod *corev1.Pod) {
		pod.DeletionTimestamp = &metav1.Time{Time: c.stamp().Add(time.Duration(grace) * time.Second)}
		pod.DeletionGracePeriodSeconds = &grace
	})
	if grace > 0 {
		c.after(time.Second, func() { c.kill(name, "", 143) })
	}
}

// stopPod marks a Pod as stopped by the operator. One that has a node gets the shortest deadline with it; any other must
// be deleted, as nobody would heed a deadline. One that did not start in time must still be as it was seen.
func (c *cluster) stopPod(stop plan.Stop) error {
	name, bound := stop.Pod.Name, stop.Pod.Bound
	pod, found := c.pods[name]
	switch {
	case !found:
		return nil
	case pod.UID != stop.Pod.UID, stop.Code == v1alpha1.CodeStartTimeout && pod.ResourceVersion != stop.Pod.Version:
		return errConflict
	}
	c.changePod(name, func(pod *corev1.Pod) {
		pod.Annotations = map[string]string{steppod.AnnotationStopped: string(stop.Code)}
		if bound {
			pod.Spec.ActiveDeadlineSeconds = ptr(int64(1))
		}
	})
	if bound {
		c.heedDeadline(c.pods[name])
	}
	return nil
}

func attemptOf(pod *corev1.Pod) steppod.Attempt {
	epoch, err := strconv.ParseInt(pod.Labels[steppod.LabelEpoch], 10, 64)
	if err != nil {
		panic(err)
	}
	return steppod.Attempt{Step: pod.Labels[steppod.LabelStep], Epoch: epoch}
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
