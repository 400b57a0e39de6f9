package rig

import (
	"context"
	"fmt"
	"sync"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Follow tells note of every object of a kind that there is in a namespace, and then of each change but of deletions, until it is
// told to stop; what note is doing then it finishes first. A watch that the API server ends is taken up again.
func (r *Rig) Follow(ctx context.Context, kind client.Object, namespace string, note func(client.Object)) (stop func(), err error) {
	followed, err := cache.New(r.Config, cache.Options{
		Scheme: r.Scheme(), Mapper: r.RESTMapper(), DefaultNamespaces: map[string]cache.Config{namespace: {}},
	})
	if err != nil {
		return nil, fmt.Errorf("watch what happens: %w", err)
	}
	informer, err := followed.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watch what happens: %w", err)
	}
	var mu sync.Mutex
	stopped := false
	tell := func(object any) {
		mu.Lock()
		defer mu.Unlock()
		if object, ok := object.(client.Object); ok && !stopped {
			note(object)
		}
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: tell, UpdateFunc: func(_, now any) { tell(now) }}); err != nil {
		return nil, fmt.Errorf("watch what happens: %w", err)
	}
	following, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(followed.Start(following))
	}()
	stop = func() {
		cancel(nil)
		<-ended
		mu.Lock() // It returns before the last is told.
		defer mu.Unlock()
		stopped = true
	}
	if !followed.WaitForCacheSync(following) {
		stop()
		return nil, fmt.Errorf("watch what happens: %w", context.Cause(following))
	}
	return stop, nil
}
