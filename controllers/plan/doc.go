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
//  1. observe: a new or edited spec is read. A new order is Accepted and what can start does. A rewind that is asked for of an
//     order that has finished is Rewound with that.
//  2. expire: an order that has taken longer than activeDeadlineSeconds is brought to its end: DeadlineExceeded.
//  3. settle: a running step whose Pod or wait has ended is written down: StepSucceeded, or StepFailed, which leaves it
//     in Backoff while its budget lasts and Failed after that, or StepCancelled in an order that is being ended.
//  4. again: what spec.rewinds asks for, and what was edited after it had started, goes to its next epoch with all that
//     comes after it, in one transition, once nothing of it runs any more: Rewound.
//  5. rewind: a step whose backoff is over starts again in its next epoch: Rewound.
//  6. queue: an order that has to wait for a place to run is told where it stands: Queued, and at last Admitted.
//  7. skip: a step that could start if its condition were true is passed over: StepSkipped.
//  8. complain: a running step whose Pod is refused or does not start is said to wait: StepWaiting, once per reason.
//  9. relieve: and once it runs after all, that is said too: StepRunning.
//  10. finish: when every step is settled, the order ends: Succeeded, Failed or Cancelled.
//
// What follows from a transition happens with it, in the same event: the steps that it unblocks start, the steps that it
// leaves without hope are Blocked, the steps that need not be stopped first are Cancelled. So a start has no event of its
// own; it is in the first event whose changes hold the step Running in that epoch.
//
// # What can start
//
// A step that is Pending starts when all that it needs has succeeded or was skipped, its condition is true, fewer than
// parallelism steps run, and nothing that it needs is about to run again. In a Sequence a step needs the one before it,
// in a Graph what it depends on. A step of finally needs that all others are settled, in whatever way.
//
// # What wins over what
//
// Each line says what becomes of the second when the first holds. A test goes over them one by one.
//
//	deletion  over all:          nothing starts or is read any more; how attempts end is still written down
//	cancel    over suspend:      suspend is not heeded any more
//	cancel    over rewind:       what is cancelled is not rewound, not even after its end
//	cancel    over failure:      nothing is retried, and the order ends Cancelled
//	cancel    over deadline:     the order ends Cancelled, if it is cancelled before its last step has been stopped
//	cancel    over invalid spec: what runs is stopped, whatever the spec says
//	end       over cancel:       once all but finally have ended it is too late, unless the edit asks for more
//	end       over edit:         what has finished does not run again by an edit; only a rewind brings it back
//	deadline  over suspend:      pauses count, and an order that is suspended expires as well
//	deadline  over rewind:       the rewind waits for the end, then brings the order back whole, with a new deadline
//	deadline  over failure:      nothing is retried
//	deadline  over invalid spec: it counts on, and what runs is stopped
//	invalid   over suspend:      it is said that the spec cannot run; nothing starts in either case
//	invalid   over rewind:       the rewind waits until the spec is mended
//	invalid   over failure:      it is written down; the retry waits until the spec is mended
//	suspend   over rewind:       what runs is stopped and rewound, and starts when the order is resumed
//	suspend   over failure:      it is written down; the retry waits until the order is resumed
//	rewind    over failure:      what failed for good runs again, with its budgets as new; so does a failed order
//	rewind    over edit:         both go to their next epochs in one transition
//
// # Budgets
//
// An attempt that failed counts against retry.limit and makes the next epoch a new attempt, with a new idempotency
// key. One that was interrupted (evicted, deleted, lost, not started, or not in time) counts against retry.disruptionLimit,
// and its next epoch is the same attempt again. One that the operator stopped, for an edit or a rewind, counts against
// neither; the step begins with both budgets anew.
//
// # The log
//
// The status is the fold of the log: Transition.Status is made by Fold and by nothing else. An event that cannot be
// written leaves a gap: head stays, sequence grows, LogComplete is False, and the next event carries every step.
package plan
