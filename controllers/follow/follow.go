package follow

import (
	"context"
	"iter"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/progress"
	"workorders.dev/operator/controllers/steppod"
)

// Options say what is followed.
type Options struct {
	// Which chooses the orders that are asked for: namespace, labels, fields.
	Which []client.ListOption
	// Wanted chooses of those; nil takes all. It is asked before anything of an order's log is read.
	Wanted func(*v1alpha1.WorkOrder) bool
	// StatusOnly leaves logs unread.
	StatusOnly bool
}

// State is what was read of an order. One without an order says that the cluster answers again, or for the first time.
type State struct {
	// Order is the order; as it was last, if it has Gone.
	Order *v1alpha1.WorkOrder
	// Chain is its log up to the order's head.
	Chain progress.Chain
	// Fresh are the events that have happened since the state before.
	Fresh []*v1alpha1.ProgressEvent
	// Gone says that the order is listed no more: it was deleted, or the options do not choose it any longer.
	Gone bool
	// Complete says that all orders that there were at first have been told of.
	Complete bool
}

// The pauses between tries at a cluster that does not answer: they double. The longest is one that a person who looks on
// still takes for prompt.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 3 * time.Second
)

// Orders are the states of orders, each as soon as it was read, until the context ends. An error comes without a state:
// something could not be read, and is tried again.
func Orders(ctx context.Context, cluster client.WithWatch, options Options) iter.Seq2[State, error] {
	return func(yield func(State, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop() // The reflector may end a little later, as its pauses know no context.
		box := newMailbox(options.Wanted)
		silent := logr.Discard()
		reflector := cache.NewReflectorWithOptions(listWatch(cluster, box, options.Which), &v1alpha1.WorkOrder{}, box, cache.ReflectorOptions{
			Logger: &silent, Backoff: pauses(),
		})
		go reflector.RunWithContext(ctx)
		f := follower{cluster: cluster, statusOnly: options.StatusOnly, readers: map[types.UID]*progress.Reader{}}
		for {
			letter, err := box.next(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				if !yield(State{}, err) {
					return
				}
			case !f.deliver(ctx, letter, yield):
				return
			}
		}
	}
}

func pauses() *wait.Backoff {
	return &wait.Backoff{Duration: firstPause, Factor: 2, Jitter: 0.2, Steps: 10, Cap: longestPause}
}

// listWatch reads the orders, and has the mailbox told of how that goes.
func listWatch(cluster client.WithWatch, box *mailbox, which []client.ListOption) *cache.ListWatch {
	chosen := func(options metav1.ListOptions) *client.ListOptions {
		list := (&client.ListOptions{}).ApplyOptions(which)
		list.Raw = &options
		return list
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if options.ResourceVersion == "0" {
				options.ResourceVersion = "" // What is in some cache may be older than what somebody has just done.
			}
			orders := &v1alpha1.WorkOrderList{}
			err := cluster.List(ctx, orders, chosen(options))
			box.answered(err)
			return orders, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := cluster.Watch(ctx, &v1alpha1.WorkOrderList{}, chosen(options))
			if options.SendInitialEvents == nil || !apierrors.IsInvalid(err) { // Older API servers cannot do that, and are asked otherwise.
				box.answered(err)
			}
			return w, err
		},
	}
}

// follower reads the logs that belong to what was read of orders.
type follower struct {
	cluster    client.Client
	statusOnly bool
	readers    map[types.UID]*progress.Reader
}

// deliver yields a letter's state, and says whether more is wanted. What cannot be read is tried until it can.
func (f *follower) deliver(ctx context.Context, letter letter, yield func(State, error) bool) bool {
	failed := false
	for pause := pauses(); ; failed = true {
		state, err := f.state(ctx, letter)
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil:
			return (!failed || yield(State{}, nil)) && yield(state, nil)
		case !yield(State{}, err):
			return false
		}
		select {
		case <-time.After(pause.Step()):
		case <-ctx.Done():
			return false
		}
	}
}

func (f *follower) state(ctx context.Context, letter letter) (State, error) {
	order, state := letter.order, State{Order: letter.order, Gone: letter.gone, Complete: letter.complete}
	if order == nil || f.statusOnly {
		return state, nil
	}
	reader, known := f.readers[order.UID]
	if !known {
		var err error
		if reader, err = f.open(ctx, order); err != nil {
			return state, err
		}
		f.readers[order.UID] = reader // For good: one that is chosen no more may be chosen again.
	}
	for {
		fresh, unknown := reader.Advance(order.Status.Head)
		if unknown == "" {
			state.Fresh, state.Chain = fresh, reader.Chain()
			return state, nil
		}
		event := &v1alpha1.ProgressEvent{}
		err := f.cluster.Get(ctx, client.ObjectKey{Namespace: order.Namespace, Name: unknown}, event)
		switch {
		case apierrors.IsNotFound(err) && apierrors.IsUnexpectedServerError(err):
			return state, err // It is not the event that is not found, but what serves it.
		case apierrors.IsNotFound(err) && letter.gone:
			state.Chain = reader.Chain() // Its events have gone with it, and nobody has lost them.
			return state, nil
		case apierrors.IsNotFound(err):
			reader.Lose(unknown)
		case err != nil:
			return state, err
		case event.Spec.WorkOrder.UID != order.UID:
			reader.Lose(unknown) // Somebody has put another order's event under its name.
		default:
			reader.Learn(*event)
		}
	}
}

// open begins to read the log of an order: all that is there, in one go.
func (f *follower) open(ctx context.Context, order *v1alpha1.WorkOrder) (*progress.Reader, error) {
	events := &v1alpha1.ProgressEventList{}
	ofOrder := client.MatchingLabels{steppod.LabelOrderUID: string(order.UID)}
	if err := f.cluster.List(ctx, events, client.InNamespace(order.Namespace), ofOrder); err != nil {
		return nil, err
	}
	reader := progress.NewReader(order.UID)
	reader.Learn(events.Items...)
	return reader, nil
}

// Log is the log of an order up to its head, read once.
func Log(ctx context.Context, cluster client.Client, order *v1alpha1.WorkOrder) (progress.Chain, error) {
	f := follower{cluster: cluster, readers: map[types.UID]*progress.Reader{}}
	state, err := f.state(ctx, letter{order: order})
	return state.Chain, err
}
