package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/controllers/steppod"
)

// nodeName is where all Pods run.
const nodeName = "simulated"

// Node runs Pods.
type Node struct {
	client client.Client
	ledger ledger

	mu    sync.Mutex
	lives map[types.UID]*life
	fault error
}

// New is a node that writes by that client. It runs what See tells it of.
func New(c client.Client) *Node { return &Node{client: c, lives: map[types.UID]*life{}} }

// Runs are the runs of an order, in the order in which they started.
func (n *Node) Runs(order types.UID) []Run { return n.ledger.of(order) }

// Err is the first thing that went wrong with the node itself, which makes whatever it did worthless as a test.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fault
}

func (n *Node) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fault == nil {
		n.fault = err
	}
}

// See tells the node of a Pod as it is now.
func (n *Node) See(ctx context.Context, pod *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.lives[pod.UID]
	if l == nil {
		l = &life{node: n, changed: make(chan struct{}, 1), gone: make(chan struct{})}
		n.lives[pod.UID] = l
		go l.live(ctx)
	}
	l.see(pod)
}

// Gone tells the node that a Pod does not exist any more.
func (n *Node) Gone(pod *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.lives[pod.UID]; l != nil {
		delete(n.lives, pod.UID)
		close(l.gone)
	}
}

// Lose has the node of a Pod die under it: its container ends, and nobody ever hears of that.
func (n *Node) Lose(pod *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.lives[pod.UID]; l != nil {
		l.lose()
	}
}

// life is one Pod on the node, from its creation to its removal.
type life struct {
	node    *Node
	changed chan struct{}
	gone    chan struct{}

	mu     sync.Mutex
	newest *corev1.Pod
	lost   bool
}

func (l *life) lose() {
	l.mu.Lock()
	l.lost = true
	l.mu.Unlock()
	l.wake()
}

// silent says whether the node has died.
func (l *life) silent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

func (l *life) see(pod *corev1.Pod) {
	l.mu.Lock()
	l.newest = pod
	l.mu.Unlock()
	l.wake()
}

func (l *life) wake() {
	select {
	case l.changed <- struct{}{}:
	default: // It has yet to look at the change before.
	}
}

func (l *life) pod() *corev1.Pod {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}

// await waits until the Pod is so, or until the timer fires. It reports false if the Pod is gone before.
func (l *life) await(ctx context.Context, so func(*corev1.Pod) bool, timer <-chan time.Time) bool {
	for {
		if pod := l.pod(); pod != nil && so(pod) {
			return true
		}
		select {
		case <-l.changed:
		case <-timer:
			return true
		case <-l.gone:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func deleted(pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil }

func stopped(pod *corev1.Pod) bool {
	deadline := pod.Spec.ActiveDeadlineSeconds
	return deadline != nil && *deadline <= 1
}

func bound(pod *corev1.Pod) bool { return pod.Spec.NodeName != "" }

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// live is all that happens to a Pod.
func (l *life) live(ctx context.Context) {
	if !l.await(ctx, func(*corev1.Pod) bool { return true }, nil) {
		return
	}
	w, err := workOf(l.pod())
	if err != nil {
		l.node.fail(err)
		return
	}
	if !l.schedule(ctx, w) || !l.attempt(ctx, w) || !l.await(ctx, deleted, nil) || l.silent() {
		return
	}
	// What a kubelet does when nothing of the Pod is left.
	zero, pod := int64(0), l.pod()
	err = l.insist(ctx, func() error {
		return l.node.client.Delete(ctx, pod.DeepCopy(), &client.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	})
	l.expect(ctx, err, "remove")
}

// attempt runs the container of a Pod that has a node, or says why it does not. It reports false if the Pod is gone.
func (l *life) attempt(ctx context.Context, w work) bool {
	over := func(pod *corev1.Pod) bool { return deleted(pod) || stopped(pod) || ended(pod) || l.silent() }
	if w.hold == holdBound && !l.await(ctx, over, nil) {
		return false
	}
	switch pod := l.pod(); {
	case ended(pod), l.silent():
	case deleted(pod):
		l.report(ctx, corev1.PodFailed, nil, outcome{})
	case stopped(pod):
		l.report(ctx, corev1.PodFailed, nil, outcome{reason: stoppedOutcome.reason})
	default:
		return l.work(ctx, w)
	}
	return true
}

// schedule binds the Pod to the node, unless it never comes to that.
func (l *life) schedule(ctx context.Context, w work) bool {
	ready := func(pod *corev1.Pod) bool {
		return bound(pod) || deleted(pod) || len(pod.Spec.SchedulingGates) == 0 && w.hold != holdUnbound
	}
	if !l.await(ctx, ready, nil) {
		return false
	}
	pod := l.pod()
	if !bound(pod) {
		if deleted(pod) {
			return false
		}
		binding := &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName},
		}
		err := l.insist(ctx, func() error { return l.node.client.SubResource("binding").Create(ctx, pod.DeepCopy(), binding) })
		if err != nil && !apierrors.IsConflict(err) { // An earlier try may have arrived.
			l.expect(ctx, err, "bind")
			return false
		}
	}
	return l.await(ctx, bound, nil)
}

// work runs the container. It reports false if the Pod is gone.
func (l *life) work(ctx context.Context, w work) bool {
	pod := l.pod()
	run := l.node.ledger.started(pod)
	l.report(ctx, corev1.PodRunning, run, outcome{})
	var over <-chan time.Time
	if w.hold != holdRunning {
		timer := time.NewTimer(w.duration)
		defer timer.Stop()
		over = timer.C
	}
	there := l.await(ctx, func(pod *corev1.Pod) bool { return deleted(pod) || stopped(pod) || l.silent() }, over)
	how := w.outcome(epochOf(pod))
	switch now := l.pod(); {
	case l.silent():
		l.node.ledger.ended(run, lostOutcome)
		return there
	case !there || deleted(now):
		how = deletedOutcome
	case stopped(now):
		how = stoppedOutcome
	}
	l.node.ledger.ended(run, how)
	if !there {
		return false
	}
	phase := corev1.PodSucceeded
	if how.exitCode != 0 {
		phase = corev1.PodFailed
	}
	if l.report(ctx, phase, run, how) {
		l.node.ledger.reported(run)
	}
	return true
}

// report writes the Pod's status, and says whether that arrived.
func (l *life) report(ctx context.Context, phase corev1.PodPhase, run *Run, how outcome) bool {
	status := map[string]any{"phase": phase}
	if how.reason != "" {
		status["reason"] = how.reason
	}
	if how.evicted {
		status["conditions"] = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
	}
	if run != nil {
		state := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(run.Started)}}
		if phase != corev1.PodRunning {
			state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: how.exitCode, Message: how.message, StartedAt: metav1.NewTime(run.Started), FinishedAt: metav1.NewTime(run.Ended),
			}}
		}
		status["containerStatuses"] = []corev1.ContainerStatus{{Name: steppod.ContainerName, State: state}}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": l.pod().UID}, "status": status})
	if err != nil {
		l.node.fail(err)
		return false
	}
	err = l.insist(ctx, func() error {
		// An API server that cannot place a patch among others' writes gives up after some tries.
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			return l.node.client.Status().Patch(ctx, l.pod().DeepCopy(), client.RawPatch(types.MergePatchType, patch))
		})
	})
	l.expect(ctx, err, "report on")
	return err == nil
}

// insist makes a write again for as long as the API server cannot be reached or is not ready, as a kubelet does.
func (l *life) insist(ctx context.Context, write func() error) error {
	for {
		err := write()
		var answer apierrors.APIStatus
		answered := errors.As(err, &answer) && !apierrors.IsServiceUnavailable(err) && !apierrors.IsTooManyRequests(err)
		if err == nil || answered || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(retryPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// retryPause is between two tries at a write.
const retryPause = 100 * time.Millisecond

// expect takes an error for the node's own, unless it says that the Pod is gone or going, or the node is.
func (l *life) expect(ctx context.Context, err error, what string) {
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || ctx.Err() != nil {
		return
	}
	l.node.fail(fmt.Errorf("%s Pod %s/%s: %w", what, l.pod().Namespace, l.pod().Name, err))
}
