package plan

import (
	"strings"
	"testing"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// story is an order to which things happen one after the other.
type story struct {
	*testing.T
	order   *v1alpha1.WorkOrder
	seconds float64
	log     []string
}

func begin(t *testing.T, change ...func(*v1alpha1.WorkOrder)) *story {
	return (&story{T: t, order: newOrder(change...)}).turn(World{})
}

// turn lets the order go on in that world until nothing happens any more.
func (s *story) turn(world World) *story {
	for range 20 {
		next := Next(s.order, world, at(s.seconds))
		if next == nil {
			return s
		}
		s.log = append(s.log, string(next.Event.Type))
		s.order = s.order.DeepCopy()
		s.order.Status = *next.Status.DeepCopy()
	}
	s.Fatal("it never comes to rest")
	return s
}

func (s *story) edit(change func(*v1alpha1.WorkOrderSpec)) *story {
	s.order = edited(s.order, change)
	return s.turn(World{})
}

// ends lets the attempt that runs end.
func (s *story) ends(step string, epoch int64, end steppod.End) *story {
	return s.turn(ending(step, epoch, end))
}

// after lets time pass.
func (s *story) after(seconds float64) *story {
	s.seconds += seconds
	return s.turn(World{})
}

func (s *story) expect(want string) {
	s.Helper()
	if got := strings.Join(s.log, " ") + " | " + brief(&s.order.Status); !strings.HasSuffix(got, want) {
		s.Errorf("\ngot  %s\nwant … %s", got, want)
	}
}

func rewindTo(step string, epoch int64) specEdit {
	return func(s *v1alpha1.WorkOrderSpec) { s.Rewinds = []v1alpha1.RewindRequest{{Step: step, ToEpoch: epoch}} }
}

func deadline(o *v1alpha1.WorkOrder) { o.Spec.ActiveDeadlineSeconds = ptr(int64(100)) }

func bump(s *v1alpha1.WorkOrderSpec) { s.Steps[0].Run.Image = "registry/agent:2" }

var (
	wasCancelled = *steppod.StoppedFor(v1alpha1.CodeCancelled)
	wasExpired   = *steppod.StoppedFor(v1alpha1.CodeDeadlineExceeded)
	wasRewound   = *steppod.StoppedFor(v1alpha1.CodeRewound)
)

// precedence is the table in doc.go, a line a case: what happens, and what becomes of the order.
var precedence = map[string]func(*story){
	"deletion over all": func(s *story) {
		s.order.DeletionTimestamp = mt(0)
		s.edit(all(cancel, suspend, rewindTo("a", 2), bump)).ends("a", 1, broken).after(1000)
		s.expect("Accepted StepFailed | Running a:Backoff/1 b:Pending c:Pending")
	},
	"cancel over suspend": func(s *story) {
		s.edit(all(cancel, suspend)).expect("Cancelling | Running a:Running/1 b:Cancelled c:Cancelled")
	},
	"cancel over rewind": func(s *story) {
		s.edit(all(cancel, rewindTo("a", 2))).ends("a", 1, wasCancelled).edit(all(uncancel, rewindTo("a", 3)))
		s.expect("StepCancelled Cancelled SpecObserved | Cancelled a:Cancelled/1 b:Cancelled c:Cancelled")
	},
	"cancel over failure": func(s *story) {
		s.edit(cancel).ends("a", 1, broken).expect("StepCancelled Cancelled | Cancelled a:Cancelled/1 b:Cancelled c:Cancelled")
	},
	"cancel over deadline": func(s *story) {
		s.after(100).edit(cancel).ends("a", 1, wasCancelled)
		s.expect("DeadlineExceeded Cancelling StepCancelled Cancelled | Cancelled a:Cancelled/1 b:Cancelled c:Cancelled")
	},
	"cancel over invalid spec": func(s *story) {
		s.edit(all(spoil, cancel)).ends("a", 1, wasCancelled).expect("Cancelled | Cancelled a:Cancelled/1 b:Cancelled c:Cancelled")
	},
	"end over cancel": func(s *story) {
		s.edit(func(s *v1alpha1.WorkOrderSpec) { s.Steps, s.Finally = s.Steps[:1], []v1alpha1.Step{podStep("f")} })
		s.ends("a", 1, fine).edit(cancel).ends("f", 1, fine).expect("SpecObserved StepSucceeded Succeeded | Succeeded a:Succeeded/1 f:Succeeded/1")
	},
	"end over edit": func(s *story) {
		s.edit(func(s *v1alpha1.WorkOrderSpec) { s.Steps = s.Steps[:1] }).ends("a", 1, fine).edit(bump)
		s.expect("StepSucceeded Succeeded SpecObserved | Succeeded a:Succeeded/1")
	},
	"deadline over suspend": func(s *story) {
		s.edit(suspend).after(100).ends("a", 1, wasExpired)
		s.expect("Suspended DeadlineExceeded StepCancelled Failed | Failed a:Cancelled/1 b:Cancelled c:Cancelled")
	},
	"deadline over rewind": func(s *story) {
		s.after(100).edit(rewindTo("a", 3)).expect("DeadlineExceeded SpecObserved | Running a:Running/1 b:Cancelled c:Cancelled")
		s.ends("a", 1, wasExpired).expect("StepCancelled Failed Rewound | Running a:Running/3 b:Pending c:Pending")
		s.after(99).expect("Rewound | Running a:Running/3 b:Pending c:Pending")
		s.after(1).expect("DeadlineExceeded | Running a:Running/3 b:Cancelled c:Cancelled")
	},
	"deadline over failure": func(s *story) {
		s.after(100).ends("a", 1, broken).expect("StepCancelled Failed | Failed a:Cancelled/1 b:Cancelled c:Cancelled")
	},
	"deadline over invalid spec": func(s *story) {
		s.edit(spoil).after(100).expect("SpecRejected DeadlineExceeded | Running a:Running/1 b:Cancelled c:Cancelled")
	},
	"invalid over suspend": func(s *story) {
		s.edit(all(spoil, suspend)).expect("SpecRejected | Suspended a:Running/1 b:Pending c:Pending")
	},
	"invalid over rewind": func(s *story) {
		s.ends("a", 1, fine).edit(all(spoil, rewindTo("a", 2))).expect("SpecRejected | Running a:Succeeded/1 b:Running/1 c:Pending")
		s.edit(mend).ends("b", 1, wasRewound).expect("SpecObserved StepFailed Rewound | Running a:Running/2 b:Pending/2 c:Pending")
	},
	"invalid over failure": func(s *story) {
		s.edit(spoil).ends("a", 1, broken).after(50).expect("SpecRejected StepFailed | Running a:Backoff/1 b:Pending c:Pending")
		s.edit(mend).expect("SpecObserved Rewound | Running a:Running/2 b:Pending c:Pending")
	},
	"suspend over rewind": func(s *story) {
		s.edit(all(suspend, rewindTo("a", 2))).ends("a", 1, wasRewound).expect("Suspended StepFailed Rewound | Suspended a:Pending/2 b:Pending c:Pending")
		s.edit(resume).expect("Resumed | Running a:Running/2 b:Pending c:Pending")
	},
	"suspend over failure": func(s *story) {
		s.edit(suspend).ends("a", 1, broken).after(50).expect("Suspended StepFailed | Suspended a:Backoff/1 b:Pending c:Pending")
		s.edit(resume).expect("Resumed Rewound | Running a:Running/2 b:Pending c:Pending")
	},
	"rewind over failure": func(s *story) {
		s.ends("a", 1, broken).after(20).ends("a", 2, broken).expect("Rewound StepFailed Failed | Failed a:Failed/2 b:Blocked c:Blocked")
		s.edit(rewindTo("a", 3)).expect("Rewound | Running a:Running/3 b:Pending c:Pending")
		if step := s.order.Status.Steps[0]; step.Retries != 0 {
			s.Errorf("of its budget %d are used", step.Retries)
		}
	},
	"rewind over edit": func(s *story) {
		s.ends("a", 1, fine).edit(all(rewindTo("b", 2), bump)).ends("b", 1, wasRewound)
		s.expect("SpecObserved StepFailed Rewound | Running a:Running/2 b:Pending/2 c:Pending")
	},
}

func TestWhatWinsOverWhat(t *testing.T) {
	for name, cell := range precedence {
		t.Run(name, func(t *testing.T) { cell(begin(t, deadline, retries(1, 1))) })
	}
}

func TestARequestThatARetryHasMetIsMet(t *testing.T) {
	s := begin(t, retries(1, 1)).ends("a", 1, broken).after(20).edit(rewindTo("a", 2))
	s.expect("StepFailed Rewound SpecObserved | Running a:Running/2 b:Pending c:Pending")
	s.edit(func(s *v1alpha1.WorkOrderSpec) { s.Rewinds = nil }).expect("SpecObserved SpecObserved | Running a:Running/2 b:Pending c:Pending")
}

func TestAStepThatHasNotStartedStartsAtTheEpochThatIsAskedFor(t *testing.T) {
	s := begin(t).edit(rewindTo("b", 5)).ends("a", 1, fine)
	s.expect("SpecObserved StepSucceeded | Running a:Succeeded/1 b:Running/5 c:Pending")
}

// onlyFinally is an order of which all but finally has ended.
func onlyFinally(t *testing.T) *story {
	s := begin(t).edit(func(s *v1alpha1.WorkOrderSpec) { s.Steps, s.Finally = s.Steps[:1], []v1alpha1.Step{podStep("f")} })
	return s.ends("a", 1, fine)
}

// addition is an edit that adds a step.
func addition(s *v1alpha1.WorkOrderSpec) { s.Steps = append(s.Steps, podStep("b")) }

func TestItIsNotTooLateToCancelWhatAnEditAsksFor(t *testing.T) {
	for name, more := range map[string]specEdit{"a step more": addition, "a changed step": bump, "a spec that cannot run": spoil} {
		t.Run(name, func(t *testing.T) {
			s := onlyFinally(t).edit(all(cancel, more)).ends("f", 1, fine)
			if s.order.Status.Phase != v1alpha1.WorkOrderCancelled {
				t.Errorf("%v: %s", s.log, brief(&s.order.Status))
			}
		})
	}
}

func TestItIsNotTooLateToCancelWhatAnEditTakesAway(t *testing.T) {
	s := begin(t, retries(1, 1)).edit(func(s *v1alpha1.WorkOrderSpec) { s.Steps = s.Steps[:2] }).ends("a", 1, fine).ends("b", 1, broken)
	s.expect("StepFailed | Running a:Succeeded/1 b:Backoff/1")
	s.edit(all(cancel, func(s *v1alpha1.WorkOrderSpec) { s.Steps = s.Steps[:1] })).expect("Cancelling Cancelled | Cancelled a:Succeeded/1 b:Cancelled/1")
}

func TestItIsNotTooLateToCancelWhatAnEditFrees(t *testing.T) {
	s := begin(t).edit(func(s *v1alpha1.WorkOrderSpec) { s.Finally = []v1alpha1.Step{podStep("f")} }).ends("a", 1, broken)
	s.expect("StepFailed | Running a:Failed/1 b:Blocked c:Blocked f:Running/1")
	s.edit(all(cancel, func(s *v1alpha1.WorkOrderSpec) { s.Steps = s.Steps[1:] }))
	s.expect("Cancelling | Running b:Cancelled c:Cancelled f:Running/1 a:Cancelled/1")
}

func TestAnOrderThatIsHeldIsCancelledTooLateAllTheSame(t *testing.T) {
	s := begin(t).edit(func(s *v1alpha1.WorkOrderSpec) {
		s.Steps, s.Finally, s.Suspend = s.Steps[:1], []v1alpha1.Step{podStep("f")}, true
	}).ends("a", 1, fine)
	s.expect("StepSucceeded | Suspended a:Succeeded/1 f:Pending")
	s.edit(cancel).expect("SpecObserved | Running a:Succeeded/1 f:Running/1")
}

func TestWhatIsCancelledTooLateIsNotRewound(t *testing.T) {
	s := onlyFinally(t).edit(all(cancel, rewindTo("a", 2)))
	s.expect("SpecObserved | Running a:Succeeded/1 f:Running/1")
	s.ends("f", 1, fine).expect("Succeeded | Succeeded a:Succeeded/1 f:Succeeded/1")
	s.edit(uncancel).expect("Rewound | Running a:Running/2 f:Pending/2")
}

func TestAStepOfFinallyMayBeChangedWhileAnOrderIsBeingEnded(t *testing.T) {
	for name, end := range map[string]func(*story) *story{
		"too late to cancel": func(s *story) *story { return s.ends("a", 1, fine).edit(cancel) },
		"cancelled":          func(s *story) *story { return s.edit(cancel).ends("a", 1, wasCancelled) },
		"expired":            func(s *story) *story { return s.after(100).ends("a", 1, wasExpired) },
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, deadline).edit(func(s *v1alpha1.WorkOrderSpec) { s.Steps, s.Finally = s.Steps[:1], []v1alpha1.Step{podStep("f")} })
			end(s).edit(func(s *v1alpha1.WorkOrderSpec) { s.Finally[0].Run.Image = "registry/agent:2" })
			s.ends("f", 1, *steppod.StoppedFor(v1alpha1.CodeSpecChanged))
			if got := brief(&s.order.Status); !strings.Contains(got, "f:Running/2") {
				t.Errorf("%v: %s", s.log, got)
			}
		})
	}
}
