package controllers

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/queue"
)

// line is where orders wait when only so many may run. It hears of every change of an order before that change brings a
// turn, and gives a turn to those that may run now, or that stand elsewhere in the line. A nil line lets everybody run.
type line struct {
	mu    sync.Mutex
	queue *queue.Line
	open  bool
	// admitted are those that may run now, and have not been given the turn yet in which they start.
	admitted []types.NamespacedName
	// changed tells that there is something to do for wake.
	changed chan struct{}
}

// newLine is the line of an operator with these options; nil if they set no limit.
func newLine(options Options) *line {
	if options.MaxRunningOrders <= 0 && options.MaxRunningOrdersPerNamespace <= 0 {
		return nil
	}
	limits := queue.Limits{All: options.MaxRunningOrders, PerNamespace: options.MaxRunningOrdersPerNamespace}
	return &line{queue: queue.New(limits), changed: make(chan struct{}, 1)}
}

// place is an order's place in the line, rounded; 0 if it may run, or does not wait.
func (l *line) place(order *v1alpha1.WorkOrder) (int32, error) {
	if l == nil || queue.StateOf(order) != queue.Waiting {
		return 0, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		// No turn begins before all orders that exist have been shown, so that those that run are known by now.
		l.open = true
		l.admit(l.queue.Open())
	}
	place, known := l.queue.Place(order.UID)
	if !known {
		return 0, errBehind // Or the line is; what either has missed brings the next turn.
	}
	return place, nil
}

// refused gives the place of an order to others if the API server refuses to have its start saved, as an admission
// webhook of its namespace may, or for how long. Its next try asks for a place again.
func (l *line) refused(order *v1alpha1.WorkOrder, err error) {
	if l == nil || errors.Is(err, errRaceLost) {
		return
	}
	if _, no := refusal(err, "WorkOrder", order.Name); no { // Otherwise it may have been saved in truth.
		l.change(func(q *queue.Line) []types.NamespacedName { return q.PassOver(order.UID) })
	}
}

// listen lets the line hear of all changes of orders: by a predicate that is true of everything. It is no handler, as two
// handlers of one event run side by side: an order could have its turn before the line has heard of it.
func (l *line) listen() []predicate.Predicate {
	if l == nil {
		return nil
	}
	return []predicate.Predicate{predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool {
			return l.tell(e.Object)
		},
		UpdateFunc: func(e event.UpdateEvent) bool {
			if e.ObjectOld.GetUID() != e.ObjectNew.GetUID() {
				l.forget(e.ObjectOld) // It was removed and made again while nobody watched.
			}
			return l.tell(e.ObjectNew)
		},
		DeleteFunc: func(e event.DeleteEvent) bool {
			return l.forget(e.Object)
		},
	}}
}

func (l *line) tell(object client.Object) bool {
	if order, ok := object.(*v1alpha1.WorkOrder); ok {
		l.change(func(q *queue.Line) []types.NamespacedName { return q.Tell(queue.Of(order)) })
	}
	return true
}

func (l *line) forget(object client.Object) bool {
	l.change(func(q *queue.Line) []types.NamespacedName { return q.Forget(object.GetUID()) })
	return true
}

// change lets something happen to the line, and sees to it that those are woken who are admitted by that.
func (l *line) change(happen func(*queue.Line) []types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.admit(happen(l.queue))
}

func (l *line) admit(admitted []types.NamespacedName) {
	l.admitted = append(l.admitted, admitted...)
	waitingOrders.Set(float64(l.queue.Len()))
	select {
	case l.changed <- struct{}{}:
	default: // It is told already.
	}
}

// placesPause is how long orders that only stand elsewhere in the line wait until they are told. So a line in which much
// happens costs no more than one in which a little does.
const placesPause = time.Second

// wake gives turns to the orders that are admitted, at once, and to those that have moved, in their time.
func (l *line) wake(ctx context.Context, turns workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	var moving <-chan time.Time
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.changed:
			for _, order := range l.takeAdmitted() {
				turns.Add(reconcile.Request{NamespacedName: order})
			}
			if moving == nil {
				moving = time.After(time.Until(next))
			}
		case <-moving:
			moving, next = nil, time.Now().Add(placesPause)
			for _, order := range l.moved() {
				addLowly(turns, reconcile.Request{NamespacedName: order})
			}
		}
	}
}

// start is the source of these turns.
func (l *line) start(ctx context.Context, turns workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	if l != nil {
		go l.wake(ctx, turns)
	}
	return nil
}

func (l *line) takeAdmitted() []types.NamespacedName {
	l.mu.Lock()
	defer l.mu.Unlock()
	admitted := l.admitted
	l.admitted = nil
	return admitted
}

func (l *line) moved() []types.NamespacedName {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		return nil
	}
	return l.queue.Moved()
}

// addLowly adds a turn that goes after those in which work is done.
func addLowly(turns workqueue.TypedRateLimitingInterface[reconcile.Request], turn reconcile.Request) {
	if byPriority, ok := turns.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		lowly := handler.LowPriority
		byPriority.AddWithOpts(priorityqueue.AddOpts{Priority: &lowly}, turn)
		return
	}
	turns.Add(turn)
}
