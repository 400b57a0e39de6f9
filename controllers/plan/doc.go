// Package plan decides what happens next to a work order. It is pure: it has no client, no context, no logger and no
// clock; the same order, world and time always give the same answer.
//
// Next is the heart. It looks at an order, at the World (its Pods, and the Pods that the API server refuses) and at
// the time, and returns the next Transition, or nil. A transition is one ProgressEvent and the status that follows
// from it. Act then says what must be done in the cluster for it to be as the saved status says.
//
// # The rules
//
// They are tried in this order; the first that applies makes the transition.
//
//  1. observe: a new or edited spec is read. A new order is Accepted and its first step starts. Of what an edit asks
//     for, cancel beats a spec that cannot run (SpecRejected), which beats suspend.
//  2. renew: a running step that was edited while it had a Pod, and has none any more, begins anew in its epoch.
//  3. settle: a running step whose Pod or wait has ended is written down: StepSucceeded, or StepFailed, which leaves it
//     in Backoff while its budget lasts and Failed after that, or StepCancelled in an order that is cancelled.
//  4. rewind: a step whose backoff is over starts again in its next epoch: Rewound.
//  5. complain: a running step whose Pod is refused or does not start is said to wait: StepWaiting, once per reason.
//  6. relieve: and once it runs after all, that is said too: StepRunning.
//  7. finish: when every step is settled, the order ends: Succeeded, Failed or Cancelled.
//
// What follows from a transition happens with it, in the same event: the step that it unblocks starts, the steps that
// it leaves without hope are Blocked, the steps that a cancellation need not stop are Cancelled. So a start has no
// event of its own; it is in the first event whose changes hold the step Running in that epoch.
//
// # Budgets
//
// An attempt that failed counts against retry.limit and makes the next epoch a new attempt, with a new idempotency
// key. One that was interrupted (evicted, deleted, lost, not started in time) counts against retry.disruptionLimit,
// and its next epoch is the same attempt again. One that the operator stopped because its spec was edited counts
// against neither.
//
// # The log
//
// The status is the fold of the log: Transition.Status is made by Fold and by nothing else. An event that cannot be
// written leaves a gap: head stays, sequence grows, LogComplete is False, and the next event carries every step.
package plan
