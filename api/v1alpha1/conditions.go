package v1alpha1

// The conditions of a WorkOrder. Finished and Succeeded are for people and `kubectl wait`; Ready, Reconciling and
// Stalled are read by kstatus, so by Flux and Helm; Reconciling and Stalled are absent when they are not true.
const (
	// ConditionFinished is True once nothing more will run: the order succeeded, failed or was cancelled.
	ConditionFinished = "Finished"
	// ConditionSucceeded is True once every step has succeeded, False once that cannot happen any more.
	ConditionSucceeded = "Succeeded"
	// ConditionReady is True once the order has succeeded.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the order is on its way: running, retrying, suspended.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when the order cannot go on by itself: it failed, was cancelled, or its spec cannot run.
	ConditionStalled = "Stalled"
	// ConditionLogComplete is False while the newest transitions could not be written down as ProgressEvents.
	ConditionLogComplete = "LogComplete"
)

// Conditions are those that the operator keeps, and that the log speaks of. Others may put more beside them.
var Conditions = []string{ConditionFinished, ConditionSucceeded, ConditionReady, ConditionReconciling, ConditionStalled, ConditionLogComplete}

// The reasons of those conditions.
const (
	// ReasonPending: the order was accepted and has started nothing yet.
	ReasonPending = "Pending"
	// ReasonProgressing: a step runs or is about to.
	ReasonProgressing = "Progressing"
	// ReasonRetrying: a step failed or was interrupted, and waits for its next epoch.
	ReasonRetrying = "Retrying"
	// ReasonWaiting: a step was started, but its Pod is refused or cannot start.
	ReasonWaiting = "Waiting"
	// ReasonQueued: as many orders run as may, and this one waits for its turn.
	ReasonQueued = "Queued"
	// ReasonDeadlineExceeded: activeDeadlineSeconds are over, and running steps are being stopped.
	ReasonDeadlineExceeded = "DeadlineExceeded"
	// ReasonSuspended: spec.suspend is set.
	ReasonSuspended = "Suspended"
	// ReasonCancelling: spec.cancel was set, and running steps are being stopped.
	ReasonCancelling = "Cancelling"
	// ReasonSucceeded: every step has succeeded.
	ReasonSucceeded = "Succeeded"
	// ReasonFailed: a step failed for good.
	ReasonFailed = "Failed"
	// ReasonCancelled: the order was cancelled.
	ReasonCancelled = "Cancelled"
	// ReasonInvalidSpec: the spec cannot run as it is; the message says what to mend.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonTooLarge: the spec, or the status that it could grow into, is larger than what one object may hold.
	ReasonTooLarge = "TooLarge"
	// ReasonRecorded: every transition is written down as a ProgressEvent.
	ReasonRecorded = "Recorded"
	// ReasonGap: the newest transitions could not be written down.
	ReasonGap = "Gap"
)

// ErrorCode says why a step failed, was interrupted, or cannot start.
type ErrorCode string

// Failures: the step itself went wrong. They count against retry.limit.
const (
	// CodeNonZeroExit: the container ended with an exit code other than 0.
	CodeNonZeroExit ErrorCode = "NonZeroExit"
	// CodeOOMKilled: the container used more memory than its limit.
	CodeOOMKilled ErrorCode = "OOMKilled"
	// CodeTimeout: the attempt took longer than timeoutSeconds.
	CodeTimeout ErrorCode = "Timeout"
	// CodeResultsTooLarge: the step succeeded, but its output is a JSON object of more than 1 KiB.
	CodeResultsTooLarge ErrorCode = "ResultsTooLarge"
	// CodeExpressionFailed: the step's when could not be evaluated. It is not tried again.
	CodeExpressionFailed ErrorCode = "ExpressionFailed"
)

// Disruptions: the attempt was interrupted through no fault of its own. They count against retry.disruptionLimit.
const (
	// CodeEvicted: the Pod was evicted, preempted, or its node shut down or drained.
	CodeEvicted ErrorCode = "Evicted"
	// CodeNotAdmitted: the node refused the Pod.
	CodeNotAdmitted ErrorCode = "NotAdmitted"
	// CodeDeleted: somebody deleted the Pod while it ran.
	CodeDeleted ErrorCode = "Deleted"
	// CodeLost: the Pod is gone, or its node never said how it ended.
	CodeLost ErrorCode = "Lost"
	// CodeStartTimeout: the container did not start within startTimeoutSeconds.
	CodeStartTimeout ErrorCode = "StartTimeout"
	// CodeStartError: the node could not start the container, so the step never ran: its node was in trouble, or there is no
	// such command in the image.
	CodeStartError ErrorCode = "StartError"
)

// Ends that the operator brought about itself. They count against nothing.
const (
	// CodeCancelled: the order was cancelled.
	CodeCancelled ErrorCode = "Cancelled"
	// CodeDeadlineExceeded: the order took longer than activeDeadlineSeconds.
	CodeDeadlineExceeded ErrorCode = "DeadlineExceeded"
	// CodeSpecChanged: the step's spec, or what it depends on, was changed while it ran.
	CodeSpecChanged ErrorCode = "SpecChanged"
	// CodeRewound: spec.rewinds asks for the step, or for one before it, to run again.
	CodeRewound ErrorCode = "Rewound"
	// CodeRemoved: the step was removed from the spec.
	CodeRemoved ErrorCode = "Removed"
	// CodeSuperseded: the Pod belongs to an epoch that is over.
	CodeSuperseded ErrorCode = "Superseded"
)

// Reasons why a Pod is refused. The step waits, and the Pod is tried again.
const (
	// CodeQuotaExceeded: a ResourceQuota leaves no room for the Pod.
	CodeQuotaExceeded ErrorCode = "QuotaExceeded"
	// CodePodSecurity: the Pod violates the namespace's Pod security level.
	CodePodSecurity ErrorCode = "PodSecurity"
	// CodeServiceAccountNotFound: the ServiceAccount of spec.pod does not exist.
	CodeServiceAccountNotFound ErrorCode = "ServiceAccountNotFound"
	// CodeNamespaceTerminating: the namespace is being deleted.
	CodeNamespaceTerminating ErrorCode = "NamespaceTerminating"
	// CodeAdmissionUnavailable: an admission webhook that has to be asked about Pods does not answer.
	CodeAdmissionUnavailable ErrorCode = "AdmissionUnavailable"
	// CodeForbidden: the API server refused the Pod for another reason, such as an admission webhook or missing rights.
	CodeForbidden ErrorCode = "Forbidden"
	// CodeInvalidPod: the API server says that the Pod is not valid.
	CodeInvalidPod ErrorCode = "InvalidPod"
	// CodeNameConflict: a Pod of that name exists that is not the order's.
	CodeNameConflict ErrorCode = "NameConflict"
)

// Reasons why a Pod that exists has not started. The step waits, for startTimeoutSeconds at most.
const (
	// CodeUnschedulable: no node has room for the Pod or suits it.
	CodeUnschedulable ErrorCode = "Unschedulable"
	// CodeImagePull: the image cannot be pulled.
	CodeImagePull ErrorCode = "ImagePull"
	// CodeSlowStart: the container has not started for half a minute, and the Pod does not say why. An image may be large, or a volume missing.
	CodeSlowStart ErrorCode = "SlowStart"
	// CodeContainerConfig: the container cannot be made, for instance as a Secret or ConfigMap that it names is missing.
	CodeContainerConfig ErrorCode = "ContainerConfig"
)
