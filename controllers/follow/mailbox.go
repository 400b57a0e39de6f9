package follow

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
)

// letter is what there is to tell of an order; or, without one, that the cluster answers again.
type letter struct {
	order *v1alpha1.WorkOrder
	// gone says that the order is listed no more, and complete that all that were there at first have been told of.
	gone, complete bool
}

// mailbox keeps what a reflector has read until somebody has the time for it. Of several states of an order the newest is
// enough, as a head leads to all that happened before.
type mailbox struct {
	wanted func(*v1alpha1.WorkOrder) bool

	mu      sync.Mutex
	orders  map[types.UID]*v1alpha1.WorkOrder
	letters map[types.UID]letter
	queue   []types.UID
	trouble error
	// troubled says that the last answer was none; back that there was one again, of which nobody was told yet.
	troubled, back bool
	// listed says that all orders were listed once; complete that somebody was told so.
	listed, complete bool
	news             chan struct{}
}

func newMailbox(wanted func(*v1alpha1.WorkOrder) bool) *mailbox {
	if wanted == nil {
		wanted = func(*v1alpha1.WorkOrder) bool { return true }
	}
	return &mailbox{wanted: wanted, orders: map[types.UID]*v1alpha1.WorkOrder{}, letters: map[types.UID]letter{}, news: make(chan struct{}, 1)}
}

// next waits for the next letter, or for something that went wrong.
func (b *mailbox) next(ctx context.Context) (letter, error) {
	for {
		l, found, err := b.take()
		if found || err != nil {
			return l, err
		}
		select {
		case <-b.news:
		case <-ctx.Done():
			return letter{}, ctx.Err()
		}
	}
}

func (b *mailbox) take() (l letter, found bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch err, b.trouble = b.trouble, nil; {
	case err != nil:
		return l, false, err
	case b.back:
		b.back = false
		return letter{}, true, nil
	case len(b.queue) == 0 && b.listed && !b.complete:
		b.complete = true
		return letter{complete: true}, true, nil
	case len(b.queue) == 0:
		return l, false, nil
	}
	uid := b.queue[0]
	b.queue = b.queue[1:]
	l = b.letters[uid]
	delete(b.letters, uid)
	return l, true, nil
}

// put puts a letter in the place of an older one of the same order. The lock is held.
func (b *mailbox) put(l letter) {
	uid := l.order.UID
	if !b.wanted(l.order) {
		return
	}
	if _, waits := b.letters[uid]; !waits {
		b.queue = append(b.queue, uid)
	}
	b.letters[uid] = l
	if b.orders[uid] = l.order; l.gone {
		delete(b.orders, uid)
	}
	b.ring()
}

func (b *mailbox) ring() {
	select {
	case b.news <- struct{}{}:
	default: // It rings already.
	}
}

// answered tells of how the cluster has answered.
func (b *mailbox) answered(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil:
		b.trouble, b.troubled, b.back = err, true, false
	case b.troubled:
		b.trouble, b.troubled, b.back = nil, false, true
	default:
		return
	}
	b.ring()
}

// Add tells of an order. It, and the four below, are what a reflector wants.
func (b *mailbox) Add(order any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(letter{order: order.(*v1alpha1.WorkOrder)})
	return nil
}

// Update tells of a new state of an order.
func (b *mailbox) Update(order any) error { return b.Add(order) }

// Delete tells that an order has gone.
func (b *mailbox) Delete(order any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(letter{order: order.(*v1alpha1.WorkOrder), gone: true})
	return nil
}

// Replace tells of all orders that there are; others have gone meanwhile.
func (b *mailbox) Replace(all []any, _ string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	here := map[types.UID]bool{}
	for _, item := range all {
		order := item.(*v1alpha1.WorkOrder)
		here[order.UID] = true
		if before := b.orders[order.UID]; before == nil || before.ResourceVersion != order.ResourceVersion {
			b.put(letter{order: order})
		}
	}
	gone := []*v1alpha1.WorkOrder{}
	for uid, order := range b.orders {
		if !here[uid] {
			gone = append(gone, order)
		}
	}
	slices.SortFunc(gone, func(a, b *v1alpha1.WorkOrder) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	for _, order := range gone {
		b.put(letter{order: order, gone: true})
	}
	b.listed = true
	b.ring()
	return nil
}

// Resync has nothing to do.
func (b *mailbox) Resync() error { return nil }
