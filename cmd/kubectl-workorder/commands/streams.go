package commands

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
	"workorders.dev/operator/controllers/follow"
	"workorders.dev/operator/controllers/steppod"
)

// streams are logs that are copied to the output, line by line.
type streams struct {
	*tool
	*logging
	cluster *cluster
	pods    kubernetes.Interface
	// named says that each line begins with its attempt.
	named   bool
	copying sync.WaitGroup

	mu sync.Mutex
	// begun are the Pods whose logs are copied or have been; current are those that the status holds now.
	begun, current map[string]bool
	failure        error
	// stop ends all of it.
	stop func()
}

// attempt is an attempt at a step that had a Pod.
type attempt struct {
	namespace, pod, step string
	epoch                int64
	made                 time.Time
	// ran says that its container has started, and ended that it runs no more, or never will.
	ran, ended bool
}

// wanted says whether an attempt's log is asked for.
func (l *logging) wanted(step string, epoch int64) bool {
	return (l.step == "" || l.step == step) && (l.epoch == 0 || l.epoch == epoch)
}

// attempts are those of which there are Pods, in the order in which they were made.
func (s *streams) attempts(ctx context.Context, order *v1alpha1.WorkOrder) (list []attempt, err error) {
	pods := &corev1.PodList{}
	ofOrder := client.MatchingLabels{steppod.LabelOrderUID: string(order.UID)}
	if err := s.cluster.List(ctx, pods, client.InNamespace(order.Namespace), ofOrder); err != nil {
		return nil, err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if a := attemptOf(pod); steppod.Owned(pod, order.UID) && !steppod.Sealed(pod) && s.wanted(a.step, a.epoch) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b attempt) int {
		return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.step, b.step), cmp.Compare(a.epoch, b.epoch))
	})
	return list, nil
}

// attemptOf is what a Pod says of the attempt that it makes.
func attemptOf(pod *corev1.Pod) attempt {
	a := attempt{namespace: pod.Namespace, pod: pod.Name, step: pod.Labels[steppod.LabelStep], made: pod.CreationTimestamp.Time}
	a.epoch, _ = strconv.ParseInt(pod.Labels[steppod.LabelEpoch], 10, 64) // 0 is no epoch.
	for _, container := range pod.Status.ContainerStatuses {
		if container.Name == steppod.ContainerName {
			a.ended = container.State.Terminated != nil
			a.ran = a.ended || container.State.Running != nil
		}
	}
	// What only takes a name never runs.
	a.ended = a.ended || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || steppod.Sealed(pod)
	return a
}

// followed copies what there is, one attempt after the other, and then what runs as it comes, until the order has finished.
func (s *streams) followed(ctx context.Context, order *v1alpha1.WorkOrder, attempts []attempt) error {
	ctx, s.stop = context.WithCancel(ctx)
	defer s.stop()
	s.named = s.step == "" || s.epoch == 0
	for _, a := range attempts {
		if a.ended {
			s.begun[a.pod] = true
			s.copyOrSay(ctx, a)
		}
	}
	err := whateverTheEnd(s.cluster.follow(order.Name).until(ctx, &runsView{patience: patience{errOut: s.ErrOut}, streams: s, ctx: ctx}))
	if err != nil {
		s.stop()
	}
	s.setCurrent(nil)
	s.copying.Wait()
	return cmp.Or(s.failure, err)
}

// copyOrSay copies the log of an attempt, or says why that is impossible. Without the right to, all of it ends.
func (s *streams) copyOrSay(ctx context.Context, a attempt) {
	err := s.copyLive(ctx, a)
	if err == nil || ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		s.failure = explained(err)
		s.stop()
		return
	}
	s.unreadable(a, err)
	s.failure = exit(exitFailed)
}

// unreadable says that a log cannot be read. Its node may be away; that of another attempt need not be.
func (s *streams) unreadable(a attempt, err error) {
	fmt.Fprintf(s.ErrOut, "the log of %s in epoch %d cannot be read: %v\n", a.step, a.epoch, explained(err))
}

// runsView begins to copy the log of each attempt that it sees.
type runsView struct {
	patience
	*streams
	ctx    context.Context
	joined bool
}

func (v *runsView) show(state follow.State) {
	v.setCurrent(state.Order.Status.Steps)
	steps := slices.Clone(state.Order.Status.Steps)
	if v.joined { // Attempts may have come and gone since the state before;
		for _, event := range state.Fresh {
			steps = append(steps, event.Spec.Changes.Steps...)
		}
	} else { // or while older logs were copied.
		attempts, err := v.attempts(v.ctx, state.Order)
		if err != nil {
			v.trouble(err)
		}
		for _, a := range attempts {
			v.begin(a)
		}
	}
	v.joined = true
	for i := range steps {
		if step := &steps[i]; step.PodName != "" {
			v.begin(attempt{namespace: state.Order.Namespace, pod: step.PodName, step: step.Name, epoch: step.Epoch})
		}
	}
}

// begin begins to copy the log of an attempt, once.
func (v *runsView) begin(a attempt) {
	if !v.begun[a.pod] && v.wanted(a.step, a.epoch) {
		v.begun[a.pod] = true
		v.copying.Go(func() { v.copyOrSay(v.ctx, a) })
	}
}

// setCurrent notes which Pods the status says that run.
func (s *streams) setCurrent(steps []v1alpha1.StepStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = map[string]bool{}
	for i := range steps {
		if steps[i].Phase == v1alpha1.StepRunning {
			s.current[steps[i].PodName] = true
		}
	}
}

func (s *streams) isCurrent(pod string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[pod]
}

// lookPause is how long to wait before a container that has not started, or a log that broke off, is looked at again.
const lookPause = 300 * time.Millisecond

// copyLive copies the log of an attempt from its beginning to its end, whether its Pod is there yet or not. A connection that
// breaks looks like the end of a log, so that the end is that of the container.
func (s *streams) copyLive(ctx context.Context, a attempt) error {
	after, failures := time.Time{}, 0
	for ctx.Err() == nil {
		current := s.isCurrent(a.pod) // Asked before the Pod is: one that is missing then is missing for good.
		now, err := s.look(ctx, a)
		if err == nil && now.ran {
			after, err = s.copy(ctx, now, after)
		}
		switch {
		case nothingMore(now, err, current):
			return nil
		case err == nil:
			failures = 0
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			return err
		default:
			if failures++; failures > mostFailures && !current {
				return err // Its node does not answer, and the order has gone on.
			}
		}
		select {
		case <-time.After(lookPause):
		case <-ctx.Done():
		}
	}
	return nil
}

// nothingMore says whether no more of a log will come, by what a look at the Pod and at the log has come to.
func nothingMore(now attempt, err error, current bool) bool {
	if err == nil {
		return now.ended || !now.ran && !current
	}
	return apierrors.IsNotFound(err) && !current
}

// look reads the Pod of an attempt.
func (s *streams) look(ctx context.Context, a attempt) (attempt, error) {
	pod := &corev1.Pod{}
	err := s.cluster.Get(ctx, client.ObjectKey{Namespace: a.namespace, Name: a.pod}, pod)
	return attemptOf(pod), err
}

// mostFailures is how often in a row the log of an attempt that is over is asked for in vain.
const mostFailures = 10

// copy copies the lines of a log that came after a time, and returns the time of the last one.
func (s *streams) copy(ctx context.Context, a attempt, after time.Time) (time.Time, error) {
	options := &corev1.PodLogOptions{Container: steppod.ContainerName, Follow: s.follow, Timestamps: true}
	if !after.IsZero() {
		options.SinceTime = &metav1.Time{Time: after}
	}
	stream, err := s.pods.CoreV1().Pods(a.namespace).GetLogs(a.pod, options).Stream(ctx)
	if err != nil {
		return after, err
	}
	defer stream.Close()
	c := copier{streams: s, attempt: a, after: after, last: after}
	for reader := bufio.NewReaderSize(stream, mostOfLine); ; {
		line, err := reader.ReadSlice('\n')
		long, over := errors.Is(err, bufio.ErrBufferFull), errors.Is(err, io.EOF)
		if err == nil || long || over && a.ended { // Half a line comes again.
			c.piece(string(line), long)
		}
		switch {
		case over:
			return c.last, nil
		case err != nil && !long:
			return c.last, err
		}
	}
}

// line writes a line of an attempt's log.
func (s *streams) line(a attempt, text string) {
	if text = strings.TrimSuffix(text, "\n"); !s.raw {
		text = timeline.Text(text)
	}
	prefix := ""
	if s.named {
		prefix = fmt.Sprintf("%s/%d | ", a.step, a.epoch)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.Out, "%s%s\n", prefix, text)
}
