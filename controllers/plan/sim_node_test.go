package plan_test

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/controllers/steppod"
)

// behaviour is what happens to a Pod from its creation on, as long as nothing else ends it.
type behaviour []occurrence

// occurrence is a thing that happens to a Pod some time after the one before it.
type occurrence struct {
	after time.Duration
	do    func(c *cluster, pod string)
}

// live lets a Pod do what it was made to do.
func (c *cluster) live(pod *corev1.Pod, b behaviour) {
	var pause time.Duration
	for _, o := range b {
		pause += o.after
		c.after(pause, func() {
			if now, found := c.pods[pod.Name]; found && now.UID == pod.UID && !ended(now) {
				o.do(c, pod.Name)
			}
		})
	}
}

// Where a Pod's life begins: it gets a node, and its container starts.
var (
	bound   = occurrence{time.Second, (*cluster).bind}
	started = occurrence{time.Second, (*cluster).start}
)

// succeeds is a Pod that runs for three seconds and leaves an output.
func succeeds(output string) behaviour { return exits(0, output) }

// exits is a Pod that runs for three seconds and ends with an exit code.
func exits(code int32, message string) behaviour {
	return behaviour{bound, started, {3 * time.Second, func(c *cluster, pod string) { c.exit(pod, code, "", message) }}}
}

// isSeenLate is a Pod whose container ends some time before its node notices: if it has a deadline, not until that is over.
func isSeenLate(code int32, message string) behaviour {
	return behaviour{bound, started, {3 * time.Second, func(c *cluster, pod string) {
		if running(c.pods[pod]) {
			c.setContainer(pod, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message, FinishedAt: c.stamp()}})
		}
	}}, {2 * time.Second, func(c *cluster, pod string) {
		if p := c.pods[pod]; terminated(p) != nil && p.Spec.ActiveDeadlineSeconds == nil {
			c.kill(pod, "", 0)
		}
	}}}
}

// runsOutOfMemory is a Pod that is killed for it.
func runsOutOfMemory() behaviour {
	return behaviour{bound, started, {3 * time.Second, func(c *cluster, pod string) { c.exit(pod, 137, "OOMKilled", "") }}}
}

// runsForEver is a Pod that only ends when it is stopped.
func runsForEver() behaviour { return behaviour{bound, started} }

// isEvicted is a Pod that its node evicts.
func isEvicted() behaviour {
	return behaviour{bound, started, {2 * time.Second, func(c *cluster, pod string) { c.kill(pod, "Evicted", 137) }}}
}

// isDeleted is a Pod that somebody deletes after some time, before it has a node or while it runs.
func isDeleted(runs bool) behaviour {
	deletion := occurrence{2 * time.Second, func(c *cluster, pod string) { c.userDeletes(pod, false) }}
	if runs {
		return behaviour{bound, started, deletion}
	}
	return behaviour{deletion}
}

// isForced is a Pod on a node that is gone; somebody deletes it by force, and it never says how it ended.
func isForced() behaviour {
	return behaviour{bound, started, {2 * time.Second, func(c *cluster, pod string) { c.userDeletes(pod, true) }}}
}

// userDeletes is a person deleting a Pod. The person waits while an operator is frozen: once a Pod is deleted by hand it
// is no tombstone any more, and the operator could start the attempt a second time when it wakes. That limit is known.
func (c *cluster) userDeletes(name string, force bool) {
	pod, found := c.pods[name]
	switch {
	case !found || ended(pod):
	case c.laws.mustKeep():
		c.after(10*time.Second, func() { c.userDeletes(name, force) })
	case force:
		c.tell("user", attemptOf(pod), "deletes its Pod by force")
		c.forceDelete(name)
	default:
		c.tell("user", attemptOf(pod), "deletes its Pod")
		c.deletePod(name, "")
	}
}

// isNotAdmitted is a Pod that its node refuses.
func isNotAdmitted() behaviour {
	return behaviour{bound, {time.Second, func(c *cluster, pod string) {
		c.finishPod(pod, corev1.PodFailed, "OutOfcpu", nil)
	}}}
}

// isNeverScheduled is a Pod that fits no node.
func isNeverScheduled() behaviour {
	return behaviour{{time.Second, func(c *cluster, pod string) {
		c.changePod(pod, func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
				Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes are available: 1 Insufficient cpu."}}
		})
		c.tell("node", attemptOf(c.pods[pod]), "no room for its Pod")
	}}}
}

// pullsItsImage is a Pod whose image cannot be pulled at first; then it goes on as the other.
func pullsItsImage(then behaviour) behaviour {
	b := behaviour{bound}
	for i, reason := range []string{"ErrImagePull", "ImagePullBackOff", "ErrImagePull"} {
		b = append(b, occurrence{5 * time.Second, func(c *cluster, pod string) {
			c.setContainer(pod, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: fmt.Sprint("try ", i+1)}})
			c.tell("node", attemptOf(c.pods[pod]), reason)
		}})
	}
	return append(b, then[1:]...)
}

func (c *cluster) bind(pod string) {
	c.changePod(pod, func(p *corev1.Pod) {
		if p.DeletionTimestamp == nil {
			now := c.stamp()
			p.Spec.NodeName, p.Status.StartTime = "node", &now
		}
	})
	c.heedDeadline(c.pods[pod])
}

// heedDeadline lets the node of a Pod end it when its deadline, counted from now, is over. One without a node has nobody to
// heed it.
func (c *cluster) heedDeadline(pod *corev1.Pod) {
	limit := pod.Spec.ActiveDeadlineSeconds
	if limit == nil || pod.Spec.NodeName == "" {
		return
	}
	c.after(time.Duration(*limit)*time.Second, func() {
		if now, found := c.pods[pod.Name]; found && now.UID == pod.UID {
			c.kill(pod.Name, "DeadlineExceeded", 143)
		}
	})
}

// stamp is the time as it stands in an object: in whole seconds.
func (c *cluster) stamp() metav1.Time { return metav1.NewTime(c.now.Truncate(time.Second)) }

func (c *cluster) start(pod string) {
	if p := c.pods[pod]; p.Spec.NodeName == "" || p.DeletionTimestamp != nil {
		return
	}
	c.setContainer(pod, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: c.stamp()}})
	c.changePod(pod, func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning })
	c.laws.started(c, attemptOf(c.pods[pod]))
}

func (c *cluster) setContainer(pod string, state corev1.ContainerState) {
	c.changePod(pod, func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: steppod.ContainerName, State: state}}
	})
}

// exit ends a running Pod by itself.
func (c *cluster) exit(pod string, code int32, reason, message string) {
	if !running(c.pods[pod]) {
		return
	}
	c.finishPod(pod, phaseAfter(code), "", &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message, FinishedAt: c.stamp()})
}

func phaseAfter(code int32) corev1.PodPhase {
	if code == 0 {
		return corev1.PodSucceeded
	}
	return corev1.PodFailed
}

// kill ends a Pod from outside, whether or not it has begun to run. One whose container has ended already, unnoticed, needs a
// reason to have failed.
func (c *cluster) kill(pod, reason string, code int32) {
	p, found := c.pods[pod]
	switch {
	case !found || ended(p):
	case running(p):
		c.finishPod(pod, corev1.PodFailed, reason, &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: c.stamp()})
	case terminated(p) != nil && reason == "":
		c.finishPod(pod, phaseAfter(terminated(p).ExitCode), "", nil)
	default:
		c.finishPod(pod, corev1.PodFailed, reason, nil)
	}
}

func (c *cluster) finishPod(pod string, phase corev1.PodPhase, reason string, container *corev1.ContainerStateTerminated) {
	if container != nil {
		c.setContainer(pod, corev1.ContainerState{Terminated: container})
	}
	attempt, said := attemptOf(c.pods[pod]), "its Pod ends: "+string(phase)
	if reason != "" {
		said += ", " + reason
	}
	if container != nil {
		said += fmt.Sprintf(", exit code %d", container.ExitCode)
	}
	c.tell("node", attempt, said)
	c.changePod(pod, func(p *corev1.Pod) {
		p.Status.Phase, p.Status.Reason = phase, reason
		c.laws.ended(c, p)
	})
}

// forceDelete deletes a Pod with no grace.
func (c *cluster) forceDelete(pod string) {
	grace, now := int64(0), c.stamp()
	c.laws.abandoned(attemptOf(c.pods[pod]))
	c.changePod(pod, func(p *corev1.Pod) {
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &now, &grace
	})
}

func running(pod *corev1.Pod) bool {
	return len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Running != nil
}

// terminated is how the container of a Pod ended; nil if it has not, or never ran.
func terminated(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	if len(pod.Status.ContainerStatuses) == 0 {
		return nil
	}
	return pod.Status.ContainerStatuses[0].State.Terminated
}
