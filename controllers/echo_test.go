package controllers

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"workorders.dev/operator/api/v1alpha1"
)

// heard is a reconciler that hears of changes of one order.
type heard struct {
	*WorkOrderReconciler
	order *v1alpha1.WorkOrder
}

func newHeard() *heard {
	return &heard{&WorkOrderReconciler{}, &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "order", UID: "uid", Generation: 1}}}
}

// wakes is whether a change of the order brings a turn.
func (h *heard) wakes(change func(*v1alpha1.WorkOrder)) bool {
	before := h.order.DeepCopy()
	change(h.order)
	return h.WorkOrderReconciler.wakes().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: h.order.DeepCopy()})
}

// turn is one in which something happens. It returns how long it is until the next one; an hour if none comes by itself.
func (h *heard) turn(during func()) time.Duration {
	key := client.ObjectKeyFromObject(h.order)
	next := &turns{after: time.Hour}
	h.echoes.next = next
	h.echoes.begin(key)
	during()
	h.echoes.end(key, h.memory.expects(key))
	return next.after
}

// turns is a queue that notes when the next turn is.
type turns struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	after time.Duration
}

func (t *turns) Add(reconcile.Request)                             { t.after = 0 }
func (t *turns) AddAfter(_ reconcile.Request, after time.Duration) { t.after = after }

// writePod writes a Pod that the cache does not show yet; showPod is the turn that sees it.
func (h *heard) writePod() {
	h.memory.wrote(client.ObjectKeyFromObject(h.order), h.order.UID, pod("7"), true, time.Now())
}

func (h *heard) showPod() {
	h.memory.behind(client.ObjectKeyFromObject(h.order), h.order.UID, []corev1.Pod{*pod("7")}, time.Now())
}

func pod(version string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pod", ResourceVersion: version}}
}

func save(order *v1alpha1.WorkOrder) { order.Status.Sequence++ }

func TestAnEchoWaitsForTheEndOfItsTurn(t *testing.T) {
	h := newHeard()
	if !h.wakes(save) {
		t.Error("a change of the status between two turns brings one")
	}
	next := h.turn(func() {
		if h.wakes(save) {
			t.Error("the echo does not wait for the end of its turn")
		}
	})
	if next != 0 {
		t.Errorf("the echo is to bring a turn right after the one that it waited for, but the next one is %s later", next)
	}
	if next := h.turn(func() {}); next != time.Hour {
		t.Errorf("nothing was held, and the next turn is %s later", next)
	}
}

func TestAnEchoBringsNoTurnBeforeThePodsAreShown(t *testing.T) {
	h := newHeard()
	next := h.turn(func() {
		h.wakes(save)
		h.writePod()
	})
	if next != writeMemory {
		t.Errorf("the Pod's change brings the next turn, or five seconds, but it is %s later", next)
	}
	if h.wakes(save) {
		t.Error("an echo that comes late brings a turn, though the Pod is not shown yet")
	}
	h.showPod()
	if !h.wakes(save) {
		t.Error("all is shown, and a change of the status brings no turn")
	}
}

func TestNobodyExpectsThePodsOfAnOrderThatWasMadeAgain(t *testing.T) {
	h := newHeard()
	h.turn(h.writePod)
	h.order.UID = "another"
	h.turn(func() {
		h.memory.behind(client.ObjectKeyFromObject(h.order), h.order.UID, nil, time.Now())
		h.wakes(save)
	})
	if !h.wakes(save) {
		t.Error("changes of its namesake bring no turn")
	}
}

func TestWhatIsNoEchoBringsATurnAtOnce(t *testing.T) {
	now := metav1.Now()
	for what, change := range map[string]func(*v1alpha1.WorkOrder){
		"spec":        func(o *v1alpha1.WorkOrder) { o.Generation++ },
		"labels":      func(o *v1alpha1.WorkOrder) { o.Labels = map[string]string{"a": "b"} },
		"annotations": func(o *v1alpha1.WorkOrder) { o.Annotations = map[string]string{"a": "b"} },
		"finalizers":  func(o *v1alpha1.WorkOrder) { o.Finalizers = []string{"example.com/f"} },
		"deletion":    func(o *v1alpha1.WorkOrder) { o.DeletionTimestamp = &now },
		"uid":         func(o *v1alpha1.WorkOrder) { o.UID = "another" },
	} {
		h := newHeard()
		h.turn(func() {
			h.writePod()
			if !h.wakes(func(order *v1alpha1.WorkOrder) { save(order); change(order) }) {
				t.Errorf("a change of the %s waits", what)
			}
		})
	}
}
