package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WorkOrderPhase is the state of an order in one word, for people. Programs read the conditions.
// +kubebuilder:validation:Enum=Pending;Running;Suspended;Succeeded;Failed;Cancelled
type WorkOrderPhase string

// The phases of an order.
const (
	// WorkOrderPending is an order that has started nothing yet.
	WorkOrderPending WorkOrderPhase = "Pending"
	// WorkOrderRunning is an order at work: a step runs, waits for its next epoch, or is being stopped.
	WorkOrderRunning WorkOrderPhase = "Running"
	// WorkOrderSuspended is an order that starts nothing until spec.suspend is unset.
	WorkOrderSuspended WorkOrderPhase = "Suspended"
	// WorkOrderSucceeded is an order whose steps have all succeeded.
	WorkOrderSucceeded WorkOrderPhase = "Succeeded"
	// WorkOrderFailed is an order with a step that failed for good, or that took longer than its deadline.
	WorkOrderFailed WorkOrderPhase = "Failed"
	// WorkOrderCancelled is an order that was cancelled and whose last Pod has ended.
	WorkOrderCancelled WorkOrderPhase = "Cancelled"
)

// StepPhase is the state of a step.
// +kubebuilder:validation:Enum=Pending;Running;Backoff;Succeeded;Failed;Skipped;Blocked;Cancelled
type StepPhase string

// The phases of a step.
const (
	// StepPending has not started, or not in its present epoch.
	StepPending StepPhase = "Pending"
	// StepRunning was started: its Pod is being made, waits to start, or runs.
	StepRunning StepPhase = "Running"
	// StepBackoff failed or was interrupted, and starts again in a new epoch at notBefore.
	StepBackoff StepPhase = "Backoff"
	// StepSucceeded ended well.
	StepSucceeded StepPhase = "Succeeded"
	// StepFailed failed for good.
	StepFailed StepPhase = "Failed"
	// StepSkipped was not needed; what depends on it goes on.
	StepSkipped StepPhase = "Skipped"
	// StepBlocked never starts, as something that it needs has failed.
	StepBlocked StepPhase = "Blocked"
	// StepCancelled was ended, or kept from starting, by spec.cancel, by the order's deadline, or as it was removed from the spec.
	StepCancelled StepPhase = "Cancelled"
)

// WorkOrderStatus is what has happened so far. It is the fold of the ProgressEvents on the chain that ends at head:
// only the operator writes it, one step at a time, each write naming the event that it rests on.
type WorkOrderStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of; -1 on an order that was never looked at.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// phase is the state in one word, for people.
	// +optional
	Phase WorkOrderPhase `json:"phase,omitempty"`

	// progress is the number of steps done, of all steps: "2/7".
	// +optional
	Progress string `json:"progress,omitempty"`

	// currentStep is the step that the order is at: the first that runs, with "+N" when N more run beside it.
	// +optional
	CurrentStep string `json:"currentStep,omitempty"`

	// epoch is the epoch of that step: 1 at its first start, one more at each further one.
	// +optional
	Epoch int64 `json:"epoch"`

	// rewinds is how many times any step was started again.
	// +optional
	Rewinds int64 `json:"rewinds"`

	// head is the name of the newest ProgressEvent. An event happened if and only if it is on the chain that leads from here through spec.previous.
	// +optional
	Head string `json:"head,omitempty"`

	// sequence is the number of the newest transition. It is ahead of head's number while an event could not be written.
	// +optional
	Sequence int64 `json:"sequence,omitempty"`

	// lastEventTime is when the newest transition happened, in whole seconds; it never goes back.
	// +optional
	LastEventTime *metav1.Time `json:"lastEventTime,omitempty"`

	// startTime is when the first step was started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when the order finished.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// duration is the time from startTime to completionTime, or to the newest transition: "1m14s".
	// +optional
	Duration string `json:"duration,omitempty"`

	// suspended is true from the moment that spec.suspend was heeded until it is resumed.
	// +optional
	Suspended bool `json:"suspended,omitempty"`

	// cancelled is true from the moment that spec.cancel was heeded, for good.
	// +optional
	Cancelled bool `json:"cancelled,omitempty"`

	// expired is true once activeDeadlineSeconds were over: what ran was stopped, and the order fails.
	// +optional
	Expired bool `json:"expired,omitempty"`

	// queued is the order's place in the line of those that wait until they may run, 1 for the next one, rounded up; absent when it may.
	// +optional
	Queued int32 `json:"queued,omitempty"`

	// activeSince is when a rewind brought the order back after it had finished; activeDeadlineSeconds counts from then.
	// +optional
	ActiveSince *metav1.Time `json:"activeSince,omitempty"`

	// message says in a sentence what happened last, or what the order waits for.
	// +optional
	Message string `json:"message,omitempty"`

	// conditions are Finished, Succeeded, Ready, Reconciling, Stalled and LogComplete.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// steps are the steps of the spec with their results, in the order in which they run: what a step depends on stands before it, and finally at the end.
	// +optional
	// +listType=atomic
	Steps []StepStatus `json:"steps,omitempty"`
}

// StepStatus is one step's state and its newest result. What is empty is left out: a step that has not started is its
// name and its phase.
type StepStatus struct {
	// name is the step's name in the spec.
	// +required
	Name string `json:"name"`

	// agent is who does the step, from the spec.
	// +optional
	Agent string `json:"agent,omitempty"`

	// phase is the step's state.
	// +required
	Phase StepPhase `json:"phase"`

	// finally is true for a step of spec.finally.
	// +optional
	Finally bool `json:"finally,omitempty"`

	// removed is true for a step that had started and is no longer in the spec. It counts for nothing; its epoch is kept, so that none is used twice should the step come back.
	// +optional
	Removed bool `json:"removed,omitempty"`

	// outdated is true for a step that was changed, or that depends on other steps now, after it had started: it will run again.
	// +optional
	Outdated bool `json:"outdated,omitempty"`

	// epoch counts the starts of the step, from 1; it only grows. All results of lower epochs are superseded. A step that is Pending after a rewind has the epoch in which it will start.
	// +optional
	Epoch int64 `json:"epoch,omitempty"`

	// startSequence is the number of the transition that first held this epoch: it started it, or asked for it.
	// +optional
	StartSequence int64 `json:"startSequence,omitempty"`

	// attempt counts the tries at the work itself, from 1. It stays the same when an epoch was only interrupted, so that the next one carries the same idempotency key.
	// +optional
	Attempt int64 `json:"attempt,omitempty"`

	// retries is how many times the step was started again because it failed.
	// +optional
	Retries int32 `json:"retries,omitempty"`

	// disruptions is how many times the step was started again because it was interrupted.
	// +optional
	Disruptions int32 `json:"disruptions,omitempty"`

	// specHash is a digest of the step's spec that this epoch stands for.
	// +optional
	SpecHash string `json:"specHash,omitempty"`

	// startTime is when this epoch was started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when this epoch ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// notBefore is when a step in Backoff starts again, or when a wait ends.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`

	// output is the step's termination message: Kubernetes keeps its last 4 KiB, and this is the first 1 KiB of those.
	// +optional
	Output string `json:"output,omitempty"`

	// exitCode is the exit code of the step's container.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`

	// error says why the step failed, was interrupted, or cannot start.
	// +optional
	Error *StepError `json:"error,omitempty"`

	// message says in a sentence what a person should know of the step, if anything.
	// +optional
	Message string `json:"message,omitempty"`

	// podName is the name of this epoch's Pod.
	// +optional
	PodName string `json:"podName,omitempty"`
}

// StepError is a reason for programs and a message for people.
type StepError struct {
	// code is one word from a closed list, for programs.
	// +required
	Code ErrorCode `json:"code"`

	// message says what happened, for people.
	// +optional
	Message string `json:"message,omitempty"`
}
