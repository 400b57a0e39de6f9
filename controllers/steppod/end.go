package steppod

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
)

// Verdict is what an ended Pod means for its step.
type Verdict int

// The verdicts.
const (
	// Succeeded: the step is done.
	Succeeded Verdict = iota
	// Failed: the step itself went wrong.
	Failed
	// Disrupted: the attempt was interrupted through no fault of its own.
	Disrupted
	// Stopped: the operator ended it, as it was not wanted any more.
	Stopped
)

// End is how a Pod ended.
type End struct {
	Verdict Verdict
	// Code says why, unless the verdict is Succeeded.
	Code v1alpha1.ErrorCode
	// Message says the same for people, on one line.
	Message string
	// Output is the container's termination message, cleaned; on failure the last lines of its log.
	Output string
	// Whole is the termination message, cleaned, if Output is but its beginning.
	Whole string
	// ExitCode is the container's, nil if it never ran.
	ExitCode *int32
	// Finished is when the container ended by the node's clock; zero if that is not known.
	Finished time.Time
}

// Lost is the end of a Pod that is gone, or of which nothing more will be heard.
func Lost() *End {
	return &End{Verdict: Disrupted, Code: v1alpha1.CodeLost, Message: "its Pod was deleted and never said how it ended"}
}

// unknownEnd is the kubelet's reason for a container of which it does not know whether it ran.
const unknownEnd = "ContainerStatusUnknown"

// startErrors are the kubelet's reasons for a container that its runtime could not start: pkg/kubelet/kuberuntime, and what it kept
// of an older runtime.
var startErrors = []string{"StartError", "ContainerCannotRun"}

// ran says whether a container that has ended ran, as far as its node knows.
func ran(t *corev1.ContainerStateTerminated) bool {
	return t.Reason != unknownEnd && !slices.Contains(startErrors, t.Reason)
}

// reasonDeadline is the kubelet's reason for a Pod that took longer than its activeDeadlineSeconds.
const reasonDeadline = "DeadlineExceeded"

// end is how a Pod ended, or nil while it has not. A Pod has ended when its phase says so and its container does not run
// any more, when it was deleted before it had a node, or when it never can run.
func end(pod *corev1.Pod) *End {
	switch pod.Status.Phase {
	case corev1.PodSucceeded:
		return finish(pod, End{Verdict: Succeeded})
	case corev1.PodFailed:
		// The kubelet never says so before its containers have ended. The collector of Pods whose Node was deleted does;
		// then it deletes the Pod by force, so that it is lost a minute later unless the kubelet is still there to tell.
		if s := state(pod); s != nil && s.Running != nil {
			return nil
		}
		return finish(pod, failure(pod))
	case corev1.PodPending, corev1.PodRunning, corev1.PodUnknown:
	}
	if Sealed(pod) {
		return &End{Verdict: Stopped, Code: v1alpha1.CodeSuperseded, Message: "it was stopped before its Pod was made"}
	}
	if pod.DeletionTimestamp != nil && pod.Spec.NodeName == "" {
		if stopped := stop(pod); stopped != nil {
			return stopped
		}
		return &End{Verdict: Disrupted, Code: v1alpha1.CodeDeleted, Message: "its Pod was deleted before it ran"}
	}
	return nil
}

// finish adds what the container left.
func finish(pod *corev1.Pod, e End) *End {
	// Of a container that never ran, all that is said are its runtime's words.
	if s := state(pod); s != nil && s.Terminated != nil && !slices.Contains(startErrors, s.Terminated.Reason) {
		t := s.Terminated
		// The kubelet keeps the end of a long message, and may begin it in the middle of a character.
		said := strings.TrimLeft(Clean(t.Message), "\uFFFD")
		if e.Output = Cut(said, MaxOutput); e.Output != said {
			e.Whole = said
		}
		if !t.FinishedAt.IsZero() {
			e.Finished = t.FinishedAt.Time
		}
		if t.Reason != unknownEnd {
			code := t.ExitCode
			e.ExitCode = &code
		}
	}
	return &e
}

// failure is why a Pod failed: the first cause that applies, from the outside in. One that had succeeded before its deadline
// did not fail, whatever its phase says.
func failure(pod *corev1.Pod) End {
	if stopped := stop(pod); stopped != nil {
		return *stopped
	}
	if e := disruption(pod); e != nil {
		return *e
	}
	t := state(pod).Terminated // disruption has seen to it that there is one.
	switch {
	case pod.Status.Reason == reasonDeadline && !inTime(pod, t):
		return End{Verdict: Failed, Code: v1alpha1.CodeTimeout, Message: deadline(pod)}
	case pod.Status.Reason == reasonDeadline && t.ExitCode == 0:
		return End{Verdict: Succeeded}
	case t.Reason == "OOMKilled":
		return End{Verdict: Failed, Code: v1alpha1.CodeOOMKilled, Message: "it used more memory than its limit"}
	}
	return End{Verdict: Failed, Code: v1alpha1.CodeNonZeroExit, Message: fmt.Sprintf("exit code %d", t.ExitCode)}
}

// inTime says whether a container ended before its Pod's deadline. The kubelet looks at the clock before it looks at containers:
// one that has just ended, and of which it hears late, it fails for the deadline as well. Both times are its own, in whole
// seconds, so one that ended in the second of the deadline is not in time.
func inTime(pod *corev1.Pod, ended *corev1.ContainerStateTerminated) bool {
	started, limit := pod.Status.StartTime, pod.Spec.ActiveDeadlineSeconds
	return started != nil && limit != nil && !ended.FinishedAt.IsZero() &&
		ended.FinishedAt.Time.Before(started.Add(time.Duration(*limit)*time.Second))
}

func deadline(pod *corev1.Pod) string {
	if pod.Spec.ActiveDeadlineSeconds == nil {
		return "it took too long"
	}
	return fmt.Sprintf("it took longer than its timeout of %d s", *pod.Spec.ActiveDeadlineSeconds)
}

// stop is the end of a Pod that the operator stopped: the reason is in the annotation that was set with the stop.
func stop(pod *corev1.Pod) *End {
	switch code := stopped(pod); code {
	case "":
		return nil
	case v1alpha1.CodeStartTimeout:
		if endedByItself(pod) {
			return nil // Whoever stopped it had not seen yet that it started after all.
		}
		return &End{Verdict: Disrupted, Code: code, Message: "its container did not start in time"}
	default:
		return StoppedFor(code)
	}
}

// endedByItself says whether a Pod's container ran and no deadline ended it. A deletion may have: that is another cause, and
// not the operator's, which deletes only Pods that never had a node.
func endedByItself(pod *corev1.Pod) bool {
	s := state(pod)
	return s != nil && s.Terminated != nil && ran(s.Terminated) && pod.Status.Reason != reasonDeadline
}

// StoppedFor is the end of an attempt that the operator stopped for the given reason, before or after its Pod was made.
func StoppedFor(code v1alpha1.ErrorCode) *End {
	message, known := map[v1alpha1.ErrorCode]string{
		v1alpha1.CodeCancelled:        "the order was cancelled",
		v1alpha1.CodeDeadlineExceeded: "the order took longer than its deadline",
		v1alpha1.CodeSpecChanged:      "its spec, or what it depends on, was changed",
		v1alpha1.CodeRewound:          "a rewind was asked for",
		v1alpha1.CodeRemoved:          "it was removed from the spec",
		v1alpha1.CodeTimeout:          "it took longer than its timeout",
	}[code]
	if !known {
		return &End{Verdict: Stopped, Code: v1alpha1.CodeSuperseded, Message: "it was not wanted any more"}
	}
	return &End{Verdict: Stopped, Code: code, Message: message}
}

// disruption is why a Pod was interrupted, or nil if it ended by itself.
func disruption(pod *corev1.Pod) *End {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return &End{Verdict: Disrupted, Code: v1alpha1.CodeEvicted, Message: said("its Pod was evicted", c.Message)}
		}
	}
	switch reason := pod.Status.Reason; {
	case reason == "Evicted", reason == "Preempting", reason == "NodeShutdown", reason == "Terminated", reason == "Shutdown":
		return &End{Verdict: Disrupted, Code: v1alpha1.CodeEvicted, Message: said("its Pod was evicted", pod.Status.Message)}
	case reason == "NodeLost":
		return &End{Verdict: Disrupted, Code: v1alpha1.CodeLost, Message: "its node was lost"}
	case deletedBeforeEnd(pod):
		return &End{Verdict: Disrupted, Code: v1alpha1.CodeDeleted, Message: "its Pod was deleted while it ran"}
	}
	return neverRan(pod)
}

// neverRan is why a Pod's container did not run, or is not known to have, or nil if it did.
func neverRan(pod *corev1.Pod) *End {
	s := state(pod)
	terminated := s != nil && s.Terminated != nil
	switch reason := pod.Status.Reason; {
	case terminated && ran(s.Terminated):
		return nil
	case reason == reasonDeadline:
		return &End{Verdict: Disrupted, Code: v1alpha1.CodeStartTimeout, Message: "its container did not start before the step's timeout"}
	case terminated && s.Terminated.Reason != unknownEnd:
		return &End{Verdict: Disrupted, Code: v1alpha1.CodeStartError, Message: said("its node could not start the container", s.Terminated.Message)}
	case s == nil && reason != "":
		return &End{Verdict: Disrupted, Code: v1alpha1.CodeNotAdmitted, Message: said(said("the node refused its Pod", reason), pod.Status.Message)}
	default:
		return &End{Verdict: Disrupted, Code: v1alpha1.CodeLost, Message: "the node does not know how its container ended"}
	}
}

// Exit codes of a container that was sent TERM, or KILL when it did not heed that: 128 and the signal's number.
const (
	exitTerminated = 143
	exitKilled     = 137
)

// deletedBeforeEnd says whether the deletion came before the container's end, so that it may have caused it.
// deletionTimestamp is the time of the request plus the grace period, in whole seconds, as are the container's times.
// When the kubelet is done it deletes the Pod once more, without grace, and nobody can tell any longer when the first
// request came; then an end by a signal counts as an end by the deletion.
func deletedBeforeEnd(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp == nil {
		return false
	}
	requested := pod.DeletionTimestamp.Time
	if grace := pod.DeletionGracePeriodSeconds; grace != nil {
		requested = requested.Add(-time.Duration(*grace) * time.Second)
	}
	s := state(pod)
	if s == nil || s.Terminated == nil || !s.Terminated.FinishedAt.Time.Before(requested) {
		return true
	}
	final := pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0
	return final && (s.Terminated.ExitCode == exitTerminated || s.Terminated.ExitCode == exitKilled)
}

// said joins what we say and what another part of the cluster said.
func said(ours, theirs string) string {
	if theirs == "" {
		return ours
	}
	return Line(ours+": "+theirs, MaxErrorMessage)
}
