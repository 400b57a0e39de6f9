package bare

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/rig"
)

// Chains runs so many chains of Pods at once, each of so many Pods that do what the run says, one created when the one before it
// has succeeded. It returns how long that took, from the first creation until the last Pod was seen to have succeeded.
func Chains(ctx context.Context, r *rig.Rig, namespace string, run *v1alpha1.Run, chains, length int) (took time.Duration, err error) {
	ended, err := watchEnds(ctx, r, namespace)
	if err != nil {
		return 0, err
	}
	defer ended.stop()
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for chain := range chains {
		group.Go(func() error {
			for link := range length {
				name := fmt.Sprintf("bare-%03d-%03d", chain, link)
				if err := r.Create(ctx, pod(namespace, name, run)); err != nil {
					return fmt.Errorf("create Pod %s: %w", name, err)
				}
				if err := ended.wait(ctx, name); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	return time.Since(began), err
}

func pod(namespace, name string, run *v1alpha1.Run) *corev1.Pod {
	no := false
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			Containers: []corev1.Container{{Name: "step", Image: run.Image, Args: run.Args}},
		},
	}
}
