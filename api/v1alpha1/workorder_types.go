package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkOrder is a piece of work in several steps. The operator runs them, each as a Pod, in the order listed or by what
// each depends on, and writes every result into the status as it comes, so that `kubectl get workorders -w` shows the
// work advance.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=workorders,shortName=wo,scope=Namespaced
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Progress",type=string,JSONPath=`.status.progress`,description="Steps done, of all steps"
// +kubebuilder:printcolumn:name="Step",type=string,JSONPath=`.status.currentStep`,description="The step that the order is at"
// +kubebuilder:printcolumn:name="Epoch",type=integer,JSONPath=`.status.epoch`,description="How many times that step was started"
// +kubebuilder:printcolumn:name="Rewinds",type=integer,JSONPath=`.status.rewinds`,description="How many times any step was started again"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Duration",type=string,JSONPath=`.status.duration`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name of a work order has at most 63 characters: it becomes a label of its Pods"
type WorkOrder struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the work to do.
	// +required
	Spec WorkOrderSpec `json:"spec"`

	// status is what has happened so far: the fold of the order's ProgressEvents.
	// +optional
	// +default={"observedGeneration":-1,"phase":"Pending"}
	Status WorkOrderStatus `json:"status,omitempty"`
}

// WorkOrderList is a list of WorkOrders.
//
// +kubebuilder:object:root=true
type WorkOrderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WorkOrder `json:"items"`
}

// Strategy says in which order steps run.
// +kubebuilder:validation:Enum=Sequence;Graph
type Strategy string

// The strategies.
const (
	// StrategySequence runs the steps one after the other, as listed.
	StrategySequence Strategy = "Sequence"
	// StrategyGraph runs each step as soon as all that it depends on is done, side by side with others.
	StrategyGraph Strategy = "Graph"
)

// KeepPods says which Pods of a finished order are kept until the order itself is deleted.
// +kubebuilder:validation:Enum=Failed;All;None
type KeepPods string

// What is kept of a finished order's Pods, once the ten minutes are over for which all of them stay.
const (
	// KeepFailedPods keeps those of attempts that failed or were interrupted, for their logs.
	KeepFailedPods KeepPods = "Failed"
	// KeepAllPods keeps all of them.
	KeepAllPods KeepPods = "All"
	// KeepNoPods keeps none.
	KeepNoPods KeepPods = "None"
)

// WorkOrderSpec is the work to do.
//
// +kubebuilder:validation:XValidation:rule="has(self.strategy) && self.strategy == 'Graph' || self.steps.all(s, !has(s.dependsOn))",message="dependsOn belongs to a Graph: set strategy: Graph, or leave dependsOn out, as a Sequence runs its steps in the order listed"
// +kubebuilder:validation:XValidation:rule="has(self.strategy) && self.strategy == 'Graph' || !has(self.parallelism)",message="parallelism belongs to a Graph: set strategy: Graph, or leave parallelism out, as a Sequence runs one step at a time"
// +kubebuilder:validation:XValidation:rule="!has(self.finally) || self.finally.all(s, !has(s.dependsOn))",message="a step of finally depends on nothing, as it runs after all steps: leave dependsOn out"
// +kubebuilder:validation:XValidation:rule="has(self.workspace) == has(oldSelf.workspace) && (!has(self.workspace) || self.workspace == oldSelf.workspace)",message="workspace cannot be changed once the order is created: delete the order and apply it anew"
type WorkOrderSpec struct {
	// strategy says in which order the steps run. Sequence, the default, runs them one after the other, as listed; Graph runs each as soon as all that it depends on is done.
	// +optional
	Strategy Strategy `json:"strategy,omitempty"`

	// parallelism is how many steps of a Graph run at the same time at most. Unset means no limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	Parallelism *int32 `json:"parallelism,omitempty"`

	// failFast, if true, starts nothing new once a step has failed for good. Otherwise only what depends on that step is given up.
	// +optional
	FailFast bool `json:"failFast,omitempty"`

	// params are values that every step gets as environment variables: "request" becomes PARAM_REQUEST.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Params []Param `json:"params,omitempty"`

	// retry says how often, and after what pause, a step is started again. It holds for every step that does not say otherwise.
	// +optional
	Retry *Retry `json:"retry,omitempty"`

	// pod holds what the Pods of all steps have in common.
	// +optional
	Pod *PodSettings `json:"pod,omitempty"`

	// activeDeadlineSeconds is how long the order may take from its first step's start, or from the rewind that brought it back after it had finished; pauses by suspend count. Then what runs is stopped, finally runs, and the order has failed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"`

	// ttlSecondsAfterFinished is how long after its end the order is deleted, with its log and its Pods. Unset means never: what GitOps finds missing it creates, and so runs, again.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	TTLSecondsAfterFinished *int64 `json:"ttlSecondsAfterFinished,omitempty"`

	// keepPods says which Pods are kept until the order is deleted: Failed, the default, All or None. For ten minutes after the order's end all of them are.
	// +optional
	KeepPods KeepPods `json:"keepPods,omitempty"`

	// workspace is a volume that all steps share, mounted at /workspace. It is deleted with the order, and cannot be changed.
	// +optional
	Workspace *Workspace `json:"workspace,omitempty"`

	// suspend, while true, keeps new steps from starting; what runs goes on.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// cancel ends the order: running steps are stopped gracefully, the others never start. Once the operator has seen it, unsetting it resumes nothing.
	// +optional
	Cancel bool `json:"cancel,omitempty"`

	// rewinds ask for steps to run again, each with all that comes after it; also in an order that has succeeded or failed. Removing an entry changes nothing.
	// +optional
	// +listType=map
	// +listMapKey=step
	// +kubebuilder:validation:MaxItems=256
	Rewinds []RewindRequest `json:"rewinds,omitempty"`

	// steps is the work, 1 to 256 steps.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Steps []Step `json:"steps"`

	// finally are steps that run, side by side, when all others have ended in whatever way, after a cancel or a deadline too. They cannot change how the order ends. A run of theirs that says nothing else has a timeoutSeconds of 600.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Finally []Step `json:"finally,omitempty"`
}

// RewindRequest asks for a step to be at an epoch, or at a later one.
type RewindRequest struct {
	// step is the name of the step.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Step string `json:"step"`

	// toEpoch is the lowest epoch that will do. A step that is there already stays as it is, and one that has not started will start there.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9999
	ToEpoch int64 `json:"toEpoch"`
}

// Workspace is a volume that the steps of an order share.
type Workspace struct {
	// storage is how large the volume is.
	// +required
	Storage resource.Quantity `json:"storage"`

	// storageClassName is the StorageClass that makes the volume. Unset means the cluster's default.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	StorageClassName *string `json:"storageClassName,omitempty"`
}

// Param is a named value.
type Param struct {
	// name is lower-case letters, digits and hyphens, at most 63; "git-ref" becomes the variable PARAM_GIT_REF.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// value reaches the step byte for byte, at most 8,192 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	Value string `json:"value,omitempty"`
}

// Retry says how often, and after what pause, a step is started again. Each new start is a new epoch.
type Retry struct {
	// limit is how many times a step that failed is started again. Unset means 0: the first failure fails the order.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Limit *int32 `json:"limit,omitempty"`

	// disruptionLimit is how many times a step that was interrupted through no fault of its own (evicted, preempted, its node lost, not started in time) is started again. Unset means 6.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	DisruptionLimit *int32 `json:"disruptionLimit,omitempty"`

	// nonRetryableExitCodes are exit codes of failures that no further try would mend: the step has failed for good.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	NonRetryableExitCodes []int32 `json:"nonRetryableExitCodes,omitempty"`

	// backoff is the pause before a new start.
	// +optional
	Backoff *Backoff `json:"backoff,omitempty"`
}

// Backoff is a pause that grows: initialSeconds × factor^(earlier retries, or disruptions), at most maxSeconds, and up to a tenth more, so that orders that failed together do not come back together.
type Backoff struct {
	// initialSeconds is the first pause. Unset means 5.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	InitialSeconds *int32 `json:"initialSeconds,omitempty"`

	// factor is what each further pause is multiplied by. Unset means 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	Factor *int32 `json:"factor,omitempty"`

	// maxSeconds is the longest pause, but for the tenth that may be added. Unset means 60, or initialSeconds if that is more.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	MaxSeconds *int32 `json:"maxSeconds,omitempty"`
}

// Step is one piece of the work: a container that runs to its end, or a pause.
//
// +kubebuilder:validation:XValidation:rule="has(self.run) != has(self.wait)",message="a step does one thing: set either run (a container) or wait (a pause)"
// +kubebuilder:validation:XValidation:rule="!has(self.dependsOn) || !self.dependsOn.exists(d, d == self.name)",message="a step cannot depend on itself: take its own name out of dependsOn"
// +kubebuilder:validation:XValidation:rule="has(self.run) || !has(self.timeoutSeconds) && !has(self.startTimeoutSeconds)",message="timeoutSeconds and startTimeoutSeconds belong to a step with run: a wait ends by itself"
type Step struct {
	// name is unique within the order: lower-case letters, digits and hyphens, at most 40.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// agent says who does the step, for people; it is shown beside the result.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Agent string `json:"agent,omitempty"`

	// dependsOn are the steps, at most 16, that must be done before this one starts: succeeded, or skipped by their own when. Only in a Graph.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=40
	DependsOn []string `json:"dependsOn,omitempty"`

	// inputs are the steps, at most 16, whose outputs this one gets: that of "find-plan" as STEP_FIND_PLAN_OUTPUT. It must come after them. Unset means those that it depends on; in a Sequence, the one before; of finally, none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=40
	Inputs []string `json:"inputs,omitempty"`

	// when is a CEL expression over params and steps["NAME"].phase, .output, .results and .epoch of steps that this one comes after. If it is false when the step could start, the step is skipped, and what depends on it goes on.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	When string `json:"when,omitempty"`

	// run is a container that does the step; its exit code is the step's result.
	// +optional
	Run *Run `json:"run,omitempty"`

	// wait is a pause; no Pod runs for it.
	// +optional
	Wait *Wait `json:"wait,omitempty"`

	// timeoutSeconds is how long an attempt may take from its Pod's start on, image pulls included; then it is ended and has failed, or was interrupted if its container never started. Unset means no limit.
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=2147483647
	TimeoutSeconds *int64 `json:"timeoutSeconds,omitempty"`

	// startTimeoutSeconds is how long an attempt's Pod may take from its creation until its container starts (scheduling, image pulls); then it is replaced, which counts as a disruption. Unset means 600.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	StartTimeoutSeconds *int64 `json:"startTimeoutSeconds,omitempty"`

	// retry overrides the order's retry for this step, field by field.
	// +optional
	Retry *Retry `json:"retry,omitempty"`
}

// Wait is a pause.
type Wait struct {
	// seconds is how long the step waits from its start, at most a year.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	Seconds int64 `json:"seconds"`
}
