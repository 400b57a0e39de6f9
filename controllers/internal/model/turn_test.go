package model

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers"
)

// turn is one reconcile as far as it has got: what the controller remembered and what time it was when it began, and
// the replies that it has had since.
type turn struct {
	memory  int32
	now     time.Time
	pod     string // that the turn is about, if it is one of HeldPodReconciler
	replies []answer
	// latest is the time, by the controller's clock, of the last of them.
	latest time.Time
	// hand is the order that the turn works with, as it has it, and posted the name of the event that it has written.
	hand   *v1alpha1.WorkOrder
	posted string

	// pending is the request that it waits for a reply to; nil when it has ended.
	pending *request
	// What an ended turn leaves: what the controller remembers then, and when it wants another turn.
	after  int32
	again  time.Duration
	failed error
	// panicked is what it panicked with.
	panicked any
}

// process is what the controllers do, whatever the state of the world.
type process struct {
	turns    *table[*turn]
	memories *table[reflect.Value]
}

func newProcess() *process {
	p := &process{turns: newTable[*turn](), memories: newTable[reflect.Value]()}
	p.remember(&controllers.WorkOrderReconciler{})
	return p
}

// noMemory is what a process remembers when it starts.
const noMemory = 1

// remember is the number of what a reconciler remembers.
func (p *process) remember(r *controllers.WorkOrderReconciler) int32 {
	memory := memoryOf(r)
	return p.memories.number(printed(memory), func() reflect.Value {
		kept := reflect.New(memory.Type()).Elem()
		copyInto(kept, memory)
		return kept
	})
}

// begin is a turn up to its first request.
func (p *process) begin(memory int32, now time.Time, pod string) int32 {
	key := fmt.Sprintf("%d at %d for %s", memory, now.Unix(), pod)
	return p.turns.number(key, func() *turn { return p.run(&turn{memory: memory, now: now, latest: now, pod: pod}) })
}

// reply goes on with a turn up to its next request, or to its end. now is what the controller's clock shows by then.
func (p *process) reply(number int32, reply answer, now time.Time) int32 {
	before := p.turns.values[number]
	key := fmt.Sprintf("%d, %s", number, reply.key)
	if !now.Equal(before.latest) {
		reply.now = now
		key += fmt.Sprintf(", at %d", now.Unix())
	}
	return p.turns.number(key, func() *turn {
		t := *before
		t.pending = nil
		t.replies = append(append([]answer{}, before.replies...), reply)
		t.latest = now
		t.learn(before.pending, reply)
		return p.run(&t)
	})
}

// learn takes down what a reply tells of the order in hand and of the event that was written.
func (t *turn) learn(asked *request, reply answer) {
	switch order, is := reply.object.(*v1alpha1.WorkOrder); {
	case reply.err != nil:
	case is && (!asked.live || asked.verb == patchStatus):
		t.hand = order
	case asked.kind == "ProgressEvent":
		t.posted = asked.name
	}
}

// run runs the controller with all replies that there are.
func (p *process) run(t *turn) (same *turn) {
	s := &session{replies: t.replies, clock: testingclock.NewFakePassiveClock(t.now)}
	same = t // Also after a panic.
	defer func() {
		if cause := recover(); cause != nil {
			if t.pending = s.pending; t.pending == nil || cause != any(errCut) {
				t.pending, t.panicked = nil, cause
			}
		}
	}()
	cut := cutClient{session: s}
	if t.pod != "" {
		held := &controllers.HeldPodReconciler{Client: cut, Live: liveReader{session: s}}
		t.end(held.Reconcile(context.Background(), requestFor(t.pod)))
		t.after = t.memory
		return t
	}
	orders := &controllers.WorkOrderReconciler{Client: cut, Live: liveReader{session: s}, Recorder: &events.FakeRecorder{}, Clock: s.clock}
	copyInto(memoryOf(orders), p.memories.values[t.memory])
	t.end(orders.Reconcile(context.Background(), requestFor(orderName)))
	t.after = p.remember(orders)
	return t
}

func (t *turn) end(result ctrl.Result, err error) { t.again, t.failed = result.RequeueAfter, err }

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}
