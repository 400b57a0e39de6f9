package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ProgressEvent is one entry in the log of a WorkOrder: something that happened to it, once, and that never changes.
// It is to the order's status what a commit is to a branch: it names its parent in spec.previous, and it counts only
// if it can be reached from the order's status.head.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=progressevents,shortName=pe,scope=Namespaced
// +kubebuilder:printcolumn:name="Seq",type=integer,JSONPath=`.spec.sequence`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Step",type=string,JSONPath=`.spec.step`
// +kubebuilder:printcolumn:name="Epoch",type=integer,JSONPath=`.spec.epoch`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.spec.message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Previous",type=string,JSONPath=`.spec.previous`,priority=1
// +kubebuilder:selectablefield:JSONPath=`.spec.workOrder.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.workOrder.uid`
// +kubebuilder:selectablefield:JSONPath=`.spec.step`
// +kubebuilder:selectablefield:JSONPath=`.spec.type`
type ProgressEvent struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what happened.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a ProgressEvent is history and cannot be changed"
	Spec ProgressEventSpec `json:"spec"`
}

// ProgressEventList is a list of ProgressEvents.
//
// +kubebuilder:object:root=true
type ProgressEventList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ProgressEvent `json:"items"`
}

// EventType says what happened. The list is closed; a reader that meets an unknown type shows it and goes on, as
// folding never looks at the type.
type EventType string

// Events of the order as a whole. They have no step and no epoch, and message says what follows.
const (
	// EventAccepted: the order was seen for the first time and can run; its first step starts unless it is suspended or cancelled.
	EventAccepted EventType = "Accepted"
	// EventSpecRejected: the spec cannot run as it is; nothing starts until it is mended.
	EventSpecRejected EventType = "SpecRejected"
	// EventSpecObserved: an edited spec was read.
	EventSpecObserved EventType = "SpecObserved"
	// EventSuspended: nothing new starts.
	EventSuspended EventType = "Suspended"
	// EventResumed: what was held back starts.
	EventResumed EventType = "Resumed"
	// EventQueued: as many orders run as may, and this one waits for its turn; message says where in the line.
	EventQueued EventType = "Queued"
	// EventAdmitted: its turn has come, and its first steps start.
	EventAdmitted EventType = "Admitted"
	// EventDeadlineExceeded: activeDeadlineSeconds are over; running steps are being stopped, all others are Cancelled.
	EventDeadlineExceeded EventType = "DeadlineExceeded"
	// EventCancelling: running steps are being stopped, all others are Cancelled.
	EventCancelling EventType = "Cancelling"
	// EventSucceeded: every step has succeeded or was skipped; how finally went does not count.
	EventSucceeded EventType = "Succeeded"
	// EventFailed: a step failed for good, or the deadline was over, and nothing runs any more.
	EventFailed EventType = "Failed"
	// EventCancelled: the order was cancelled, and nothing runs any more.
	EventCancelled EventType = "Cancelled"
)

// Events of one step. They carry the step and its epoch.
const (
	// EventStepSucceeded: the step ended well; result says how. What that unblocks starts with it.
	EventStepSucceeded EventType = "StepSucceeded"
	// EventStepFailed: the attempt failed or was interrupted; result and error say how. Either a Rewound follows, or the step has failed for good and what depends on it is Blocked with it.
	EventStepFailed EventType = "StepFailed"
	// EventStepSkipped: the step's when was false; what depends on it goes on.
	EventStepSkipped EventType = "StepSkipped"
	// EventStepCancelled: the step was stopped by the order's cancellation or deadline, or as it was removed from the spec; result says how it ended.
	EventStepCancelled EventType = "StepCancelled"
	// EventStepWaiting: the step's Pod is refused or cannot start; error says why. Written once per step, epoch and reason.
	EventStepWaiting EventType = "StepWaiting"
	// EventStepRunning: what kept the step from starting, as StepWaiting said, is over.
	EventStepRunning EventType = "StepRunning"
	// EventRewound: the step starts again, and if that was asked for or follows from an edit, all that comes after it; epoch is the new one, rewind says what is superseded.
	EventRewound EventType = "Rewound"
)

// ProgressEventSpec is what happened. A reader finds out whether it counts by following the chain from the order's
// status.head; it never needs to recompute the hash in the name.
type ProgressEventSpec struct {
	// workOrder is the order that it happened to.
	// +required
	WorkOrder WorkOrderReference `json:"workOrder"`

	// sequence numbers the transitions of an order from 1. Along the chain it only grows; a number is missing where an event could not be written.
	// +required
	// +kubebuilder:validation:Minimum=1
	Sequence int64 `json:"sequence"`

	// previous is the name of the event before this one; empty on the first.
	// +optional
	Previous string `json:"previous,omitempty"`

	// type says what happened.
	// +required
	Type EventType `json:"type"`

	// step is the step that it happened to; empty for the order as a whole.
	// +optional
	Step string `json:"step,omitempty"`

	// epoch is that step's epoch.
	// +optional
	Epoch int64 `json:"epoch,omitempty"`

	// time is when it happened, in whole seconds; along the chain it never goes back.
	// +required
	Time metav1.Time `json:"time"`

	// message says in a sentence what happened, at most 256 bytes.
	// +optional
	Message string `json:"message,omitempty"`

	// result is how the attempt ended.
	// +optional
	Result *StepResult `json:"result,omitempty"`

	// rewind says which earlier events are superseded.
	// +optional
	Rewind *Rewind `json:"rewind,omitempty"`

	// error says what went wrong.
	// +optional
	Error *EventError `json:"error,omitempty"`

	// changes is what the event changes in the order's status: overlaid on the status before, it gives the status after.
	// +required
	Changes Changes `json:"changes"`
}

// WorkOrderReference names an order.
type WorkOrderReference struct {
	// name is the order's name, in the event's namespace.
	// +required
	Name string `json:"name"`
	// uid tells it from other orders that had or will have the same name.
	// +required
	UID types.UID `json:"uid"`
}

// StepResult is how an attempt ended.
type StepResult struct {
	// phase is Succeeded, Failed or Cancelled.
	// +required
	Phase StepPhase `json:"phase"`
	// agent is who did it.
	// +optional
	Agent string `json:"agent,omitempty"`
	// attempt counts the tries at the work itself.
	// +optional
	Attempt int64 `json:"attempt,omitempty"`
	// podName is the Pod that did it.
	// +optional
	PodName string `json:"podName,omitempty"`
	// exitCode is its container's exit code.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`
	// output is its termination message, of which Kubernetes keeps the last 4 KiB.
	// +optional
	Output string `json:"output,omitempty"`
	// startTime is when the attempt was started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// completionTime is when it ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
}

// RewindReason says why a step starts again.
// +kubebuilder:validation:Enum=Failed;Disrupted;SpecChanged;Requested;Gap
type RewindReason string

// The reasons of a rewind.
const (
	// RewindFailed: the attempt before failed, and the step has retries left.
	RewindFailed RewindReason = "Failed"
	// RewindDisrupted: the attempt before was interrupted.
	RewindDisrupted RewindReason = "Disrupted"
	// RewindSpecChanged: the step's spec was changed after it had started, or what it depends on was.
	RewindSpecChanged RewindReason = "SpecChanged"
	// RewindRequested: spec.rewinds asks for it.
	RewindRequested RewindReason = "Requested"
	// RewindGap: the steps were rewound while events could not be written; said once they could be again.
	RewindGap RewindReason = "Gap"
)

// Rewind says which earlier events are superseded: those of a listed step whose epoch is lower than that step's
// newEpoch, and whose sequence is above supersededAfter and below the sequence of the event that holds the rewind.
type Rewind struct {
	// reason says why.
	// +required
	Reason RewindReason `json:"reason"`
	// supersededAfter is the sequence before the event that first held the oldest superseded epoch.
	// +optional
	SupersededAfter int64 `json:"supersededAfter"`
	// steps are the steps that start again.
	// +required
	// +listType=map
	// +listMapKey=step
	Steps []RewoundStep `json:"steps"`
}

// RewoundStep is a step that starts again.
type RewoundStep struct {
	// step is its name.
	// +required
	Step string `json:"step"`
	// newEpoch is the epoch that it starts in; every lower one is superseded.
	// +required
	NewEpoch int64 `json:"newEpoch"`
}

// EventError says what went wrong: a code for programs, a message for people, and details.
type EventError struct {
	// code is one word from a closed list.
	// +required
	Code ErrorCode `json:"code"`
	// message says what happened, at most 512 bytes.
	// +optional
	Message string `json:"message,omitempty"`
	// details is what the step itself said last, at most 4 KiB.
	// +optional
	Details string `json:"details,omitempty"`
}

// Changes is what an event changes in the order's status.
type Changes struct {
	// order is the state of the order as a whole, carried in full by every event.
	// +required
	Order OrderState `json:"order"`
	// allSteps is true when steps holds every step, so that folding can begin here.
	// +optional
	AllSteps bool `json:"allSteps,omitempty"`
	// steps replace the entries of the same name in status.steps, or with allSteps the whole list.
	// +optional
	// +listType=atomic
	Steps []StepStatus `json:"steps,omitempty"`
}

// Outcome is how an order finished.
// +kubebuilder:validation:Enum=Succeeded;Failed;Cancelled
type Outcome string

// The outcomes of an order.
const (
	OutcomeSucceeded Outcome = "Succeeded"
	OutcomeFailed    Outcome = "Failed"
	OutcomeCancelled Outcome = "Cancelled"
)

// OrderState is the state of the order as a whole: what cannot be derived from its steps.
type OrderState struct {
	// observedGeneration is the generation of the spec that was read.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// suspended is true while nothing new starts.
	// +optional
	Suspended bool `json:"suspended,omitempty"`
	// cancelled is true once the order was cancelled.
	// +optional
	Cancelled bool `json:"cancelled,omitempty"`
	// expired is true once the order took longer than its deadline.
	// +optional
	Expired bool `json:"expired,omitempty"`
	// queued is the order's place in the line of those that wait until they may run, rounded up.
	// +optional
	Queued int32 `json:"queued,omitempty"`
	// activeSince is when a rewind brought the order back after it had finished.
	// +optional
	ActiveSince *metav1.Time `json:"activeSince,omitempty"`
	// outcome is how the order finished; empty until it has.
	// +optional
	Outcome Outcome `json:"outcome,omitempty"`
	// stalled says why the spec cannot run; absent when it can.
	// +optional
	Stalled *Stall `json:"stalled,omitempty"`
	// rewinds is how many times any step was started again.
	// +optional
	Rewinds int64 `json:"rewinds,omitempty"`
	// startTime is when the first step was started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// completionTime is when the order finished.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// message is the order's message.
	// +optional
	Message string `json:"message,omitempty"`
	// since is when each condition last changed its status.
	// +optional
	Since ConditionTimes `json:"since,omitempty,omitzero"`
}

// Stall says why a spec cannot run.
type Stall struct {
	// reason is InvalidSpec or TooLarge.
	// +required
	Reason string `json:"reason"`
	// message says what to mend.
	// +optional
	Message string `json:"message,omitempty"`
}

// ConditionTimes is when each condition of the order last changed its status; unset for one that is absent.
type ConditionTimes struct {
	// finished is the time of Finished.
	// +optional
	Finished *metav1.Time `json:"finished,omitempty"`
	// succeeded is the time of Succeeded.
	// +optional
	Succeeded *metav1.Time `json:"succeeded,omitempty"`
	// ready is the time of Ready.
	// +optional
	Ready *metav1.Time `json:"ready,omitempty"`
	// reconciling is the time of Reconciling.
	// +optional
	Reconciling *metav1.Time `json:"reconciling,omitempty"`
	// stalled is the time of Stalled.
	// +optional
	Stalled *metav1.Time `json:"stalled,omitempty"`
	// logComplete is the time of LogComplete.
	// +optional
	LogComplete *metav1.Time `json:"logComplete,omitempty"`
}
