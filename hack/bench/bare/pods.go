package bare

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ends tells of each Pod of a namespace when it has ended.
type ends struct {
	mu    sync.Mutex
	waits map[string]chan struct{}
	stop  func()
}

// watchEnds watches the Pods of a namespace until it is told to stop.
func watchEnds(ctx context.Context, c client.WithWatch, namespace string) (*ends, error) {
	watching, err := c.Watch(ctx, &corev1.PodList{}, client.InNamespace(namespace))
	if err != nil {
		return nil, fmt.Errorf("watch Pods: %w", err)
	}
	e := &ends{waits: map[string]chan struct{}{}, stop: watching.Stop}
	go func() {
		for event := range watching.ResultChan() {
			pod, isPod := event.Object.(*corev1.Pod)
			if !isPod || event.Type == watch.Deleted {
				continue
			}
			if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
				e.mu.Lock()
				of := e.of(pod.Name)
				select {
				case <-of:
				default:
					close(of)
				}
				e.mu.Unlock()
			}
		}
	}()
	return e, nil
}

func (e *ends) of(pod string) chan struct{} {
	if e.waits[pod] == nil {
		e.waits[pod] = make(chan struct{})
	}
	return e.waits[pod]
}

// wait returns when the Pod has ended.
func (e *ends) wait(ctx context.Context, pod string) error {
	e.mu.Lock()
	of := e.of(pod)
	e.mu.Unlock()
	select {
	case <-of:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of Pod %s: %w", pod, context.Cause(ctx))
	}
}

// Chains runs so many chains of Pods at once, each of so many Pods, one created when the one before it has ended.
func Chains(ctx context.Context, c client.WithWatch, namespace, image string, chains, length int) error {
	ended, err := watchEnds(ctx, c, namespace)
	if err != nil {
		return err
	}
	defer ended.stop()
	group := &errgroup.Group{}
	for chain := range chains {
		group.Go(func() error {
			for link := range length {
				name := fmt.Sprintf("bare-%03d-%03d", chain, link)
				if err := c.Create(ctx, pod(namespace, name, image)); err != nil {
					return fmt.Errorf("create Pod %s: %w", name, err)
				}
				if err := ended.wait(ctx, name); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func pod(namespace, name, image string) *corev1.Pod {
	no := false
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			Containers: []corev1.Container{{Name: "step", Image: image}},
		},
	}
}
