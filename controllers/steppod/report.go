package steppod

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
)

// LostAfter is how long after a forced deletion a Pod that says nothing is taken for lost: its node cannot be reached,
// or it would have reported by then.
const LostAfter = time.Minute

// Attempt is one start of one step.
type Attempt struct {
	Step  string
	Epoch int64
}

// Report is what a Pod of an order says, as facts.
type Report struct {
	Attempt
	Name    string
	UID     types.UID
	Version string // its resourceVersion
	Created time.Time

	// Bound: it has a node. Started: its container runs or has run.
	Bound, Started bool
	// Deleting: somebody deleted it. Held: the operator's finalizer keeps it.
	Deleting, Held bool
	// SpecHash is the digest of the spec that it was made from.
	SpecHash string
	// Sealed: it only takes a name and never runs.
	Sealed bool
	// Stopped is why the operator stopped it; empty if it did not, or has not done all that it takes.
	Stopped v1alpha1.ErrorCode
	// Waiting is why it has not started; nil if there is nothing to say.
	Waiting *v1alpha1.StepError
	// End is how it ended; nil while it has not.
	End *End
	// LostAt is when a Pod without an end is to be taken for lost; zero if it is not.
	LostAt time.Time
}

// Ended is how the Pod ended by that time; nil while it has not.
func (r *Report) Ended(now time.Time) *End {
	if r.End == nil && !r.LostAt.IsZero() && !now.Before(r.LostAt) {
		return Lost()
	}
	return r.End
}

// Owned says whether a Pod is controlled by the order with that uid, and by it alone.
func Owned(pod *corev1.Pod, uid types.UID) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.UID == uid
}

// Read is what a Pod says. It reports false for a Pod that is not the order's: one with another owner, or whose labels
// and name do not fit each other.
func Read(pod *corev1.Pod, order *v1alpha1.WorkOrder) (Report, bool) {
	epoch, err := strconv.ParseInt(pod.Labels[LabelEpoch], 10, 64)
	step := pod.Labels[LabelStep]
	if err != nil || !Owned(pod, order.UID) || pod.Name != Name(order.Name, order.UID, step, epoch) {
		return Report{}, false
	}
	report := Report{
		Attempt:  Attempt{Step: step, Epoch: epoch},
		Name:     pod.Name,
		UID:      pod.UID,
		Version:  pod.ResourceVersion,
		Created:  pod.CreationTimestamp.Time,
		Bound:    pod.Spec.NodeName != "",
		Deleting: pod.DeletionTimestamp != nil,
		Held:     Held(pod),
		SpecHash: pod.Annotations[AnnotationSpecHash],
		Sealed:   Sealed(pod),
		Stopped:  stopped(pod),
		Started:  started(pod),
	}
	report.End = end(pod)
	if report.End == nil {
		report.Waiting = waiting(pod)
		if report.Deleting && pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0 {
			report.LostAt = pod.DeletionTimestamp.Add(LostAfter)
		}
	}
	return report, true
}

// stopped is why the operator stopped a Pod. The annotation alone stops nothing: a Pod with a node has a deadline of a
// second as well, and any other is deleted. An operator that died in between must do it again.
func stopped(pod *corev1.Pod) v1alpha1.ErrorCode {
	deadline := pod.Spec.ActiveDeadlineSeconds
	if pod.DeletionTimestamp == nil && (pod.Spec.NodeName == "" || deadline == nil || *deadline > 1) {
		return ""
	}
	return v1alpha1.ErrorCode(pod.Annotations[AnnotationStopped])
}

// Held says whether the operator's finalizer keeps the Pod.
func Held(pod *corev1.Pod) bool {
	for _, f := range pod.Finalizers {
		if f == Finalizer {
			return true
		}
	}
	return false
}

// Sealed says whether the Pod only takes a name and never runs.
func Sealed(pod *corev1.Pod) bool {
	for _, gate := range pod.Spec.SchedulingGates {
		if gate.Name == GateSealed {
			return true
		}
	}
	return false
}

// state is the state of the step's container, or nil as long as the node says nothing of it.
func state(pod *corev1.Pod) *corev1.ContainerState {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == ContainerName {
			return &pod.Status.ContainerStatuses[i].State
		}
	}
	return nil
}

func started(pod *corev1.Pod) bool {
	s := state(pod)
	return s != nil && (s.Running != nil || s.Terminated != nil && ran(s.Terminated))
}

// waiting is why a Pod has not started, in words that do not change from one try to the next.
func waiting(pod *corev1.Pod) *v1alpha1.StepError {
	if s := state(pod); s != nil && s.Waiting != nil {
		code, known := waitingCodes[s.Waiting.Reason]
		if !known {
			return nil
		}
		message := s.Waiting.Message
		if message == "" {
			message = s.Waiting.Reason
		}
		return &v1alpha1.StepError{Code: code, Message: Line(message, MaxErrorMessage)}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return &v1alpha1.StepError{Code: v1alpha1.CodeUnschedulable, Message: Line(c.Message, MaxErrorMessage)}
		}
	}
	return nil
}

// waitingCodes are the kubelet's reasons for a container that does not start, k8s.io/kubernetes/pkg/kubelet/images and
// pkg/kubelet/kuberuntime. The pull reasons alternate while it tries, so they share a code.
var waitingCodes = map[string]v1alpha1.ErrorCode{
	"ErrImagePull":               v1alpha1.CodeImagePull,
	"ImagePullBackOff":           v1alpha1.CodeImagePull,
	"ErrImageNeverPull":          v1alpha1.CodeImagePull,
	"InvalidImageName":           v1alpha1.CodeImagePull,
	"ImageInspectError":          v1alpha1.CodeImagePull,
	"RegistryUnavailable":        v1alpha1.CodeImagePull,
	"SignatureValidationFailed":  v1alpha1.CodeImagePull,
	"CreateContainerConfigError": v1alpha1.CodeContainerConfig,
	"CreateContainerError":       v1alpha1.CodeContainerConfig,
	"RunContainerError":          v1alpha1.CodeContainerConfig,
}
