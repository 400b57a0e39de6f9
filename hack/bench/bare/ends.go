package bare

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/hack/bench/rig"
)

// ends tells of each Pod of a namespace when it has ended.
type ends struct {
	mu    sync.Mutex
	known map[string]*end
	stop  func()
}

// end is that of one Pod: come is closed when it has come, and phase says which it was.
type end struct {
	come  chan struct{}
	phase corev1.PodPhase
}

// watchEnds watches the Pods of a namespace until it is told to stop.
func watchEnds(ctx context.Context, r *rig.Rig, namespace string) (*ends, error) {
	e := &ends{known: map[string]*end{}}
	var err error
	e.stop, err = r.Follow(ctx, &corev1.Pod{}, namespace, func(object client.Object) {
		pod := object.(*corev1.Pod)
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			e.note(pod.Name, pod.Status.Phase)
		}
	})
	return e, err
}

func (e *ends) note(pod string, phase corev1.PodPhase) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if end := e.of(pod); end.phase == "" {
		end.phase = phase
		close(end.come)
	}
}

func (e *ends) of(pod string) *end {
	if e.known[pod] == nil {
		e.known[pod] = &end{come: make(chan struct{})}
	}
	return e.known[pod]
}

// wait returns when the Pod has succeeded.
func (e *ends) wait(ctx context.Context, pod string) error {
	e.mu.Lock()
	end := e.of(pod)
	e.mu.Unlock()
	select {
	case <-end.come:
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of Pod %s: %w", pod, context.Cause(ctx))
	}
	if end.phase != corev1.PodSucceeded {
		return fmt.Errorf("the end of Pod %s is %s", pod, end.phase)
	}
	return nil
}
