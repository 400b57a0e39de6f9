package rig

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

// What tells nodes that are played from real ones. Only Pods that ask for them come to them. What begins with workorders.dev
// no order may set.
const (
	playedLabel = "example.com/played"

	// durationAnnotation says how long a Pod runs on a node that is played: "2s".
	durationAnnotation = "example.com/duration"

	playedNodes = 20
)

// stages is what becomes of nodes that are played, and of their Pods.
//
//go:embed stages.yaml
var stages []byte

// Nodes are nodes that are played by kwok: what their Pods become is written into the status, and nothing runs. They are
// for sizes that no machine would hold.
type Nodes struct {
	rig     *Rig
	process *process
	folder  string
}

// PlayNodes starts kwok, and makes nodes for it to play.
func (r *Rig) PlayNodes(ctx context.Context, kwok, log string) (*Nodes, error) {
	folder, err := os.MkdirTemp("", "bench-nodes-")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(folder, "kwok.yaml")
	if err := os.WriteFile(config, stages, 0o600); err != nil {
		return nil, err
	}
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	n := &Nodes{rig: r, folder: folder}
	command := exec.Command(kwok, "--kubeconfig="+r.Kubeconfig, "--config="+config,
		"--manage-nodes-with-label-selector="+playedLabel, "--server-address=127.0.0.1:0", "--node-lease-duration-seconds=40")
	command.Stdout, command.Stderr = out, out
	if n.process, err = launch(command, r.Operator.Died); err != nil {
		return nil, err
	}
	for i := range playedNodes {
		if err := r.Create(ctx, playedNode(i)); err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, errors.Join(err, n.Close(ctx))
		}
	}
	if err := Until(ctx, time.Minute, "kwok's nodes to be ready", n.ready(ctx)); err != nil {
		return nil, errors.Join(err, n.Close(ctx))
	}
	return n, nil
}

func playedNode(number int) *corev1.Node {
	plenty := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("1000"), corev1.ResourceMemory: resource.MustParse("1Ti"), corev1.ResourcePods: resource.MustParse("10000"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("played-%02d", number), Labels: map[string]string{playedLabel: "true"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: playedLabel, Effect: corev1.TaintEffectNoSchedule}}},
		Status:     corev1.NodeStatus{Capacity: plenty, Allocatable: plenty},
	}
}

// ready says whether all nodes are.
func (n *Nodes) ready(ctx context.Context) func() (bool, error) {
	return func() (bool, error) {
		if n.process.over() {
			return false, fmt.Errorf("kwok has ended: %w", n.process.how)
		}
		nodes := &corev1.NodeList{}
		if err := n.rig.List(ctx, nodes, client.HasLabels{playedLabel}); err != nil {
			return false, err
		}
		ready := 0
		for _, node := range nodes.Items {
			for _, condition := range node.Status.Conditions {
				if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		return ready == playedNodes, nil
	}
}

// OnPlayedNodes has the steps of an order run there, each for so long.
func OnPlayedNodes(spec *v1alpha1.WorkOrderSpec, each time.Duration) {
	spec.Pod = &v1alpha1.PodSettings{
		NodeSelector: map[string]string{playedLabel: "true"},
		Tolerations:  []corev1.Toleration{{Key: playedLabel, Operator: corev1.TolerationOpExists}},
		Annotations:  map[string]string{durationAnnotation: each.String()},
	}
}

// Close takes the nodes away again.
func (n *Nodes) Close(ctx context.Context) error {
	err := n.rig.DeleteAllOf(ctx, &corev1.Node{}, client.HasLabels{playedLabel})
	var code *exec.ExitError // It says that it failed when it is told to stop.
	if how := n.process.stop(); !errors.As(how, &code) {
		err = errors.Join(err, how)
	}
	return errors.Join(err, os.RemoveAll(n.folder))
}
