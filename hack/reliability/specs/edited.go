package specs

import (
	"fmt"
	"slices"
	"strings"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
)

// Outline is how an order looks to somebody who does not know what was edited: its phase, and each step's.
func Outline(status *v1alpha1.WorkOrderStatus) string {
	said := string(status.Phase)
	for _, step := range status.Steps {
		if !step.Removed {
			said += " " + step.Name + ":" + string(step.Phase)
		}
	}
	return said
}

// Edited is an order that was edited from one spec into another, and has come to rest since. A spec that holds it was
// then edited once more, so that it went on.
type Edited struct {
	// Before is the last status that spoke of the first spec, and After the one that it rests in.
	Before, After *v1alpha1.WorkOrderStatus
	// To is the last spec, and Fresh what becomes of a new order of it; nil if it cannot run.
	To    *v1alpha1.WorkOrderSpec
	Fresh *v1alpha1.WorkOrderStatus
}

// Wrong says in what the order is not as it has to be: as it was, if it had finished; else as a new order of the last
// spec, or told that it cannot run. One that is cancelled, or was being ended, comes to that end.
func (e *Edited) Wrong() (wrong []string) {
	before, after := Outline(e.Before), Outline(e.After)
	stalled := plan.StateOf(e.After).Stalled
	switch {
	case e.Before.CompletionTime != nil && !e.broughtBack():
		if after != before {
			wrong = append(wrong, fmt.Sprintf("it had finished as %s, and is %s", before, after))
		}
	case e.Before.Cancelled, e.To.Cancel:
		wrong = e.uncancelled()
	case e.ending():
		if e.After.Phase != v1alpha1.WorkOrderFailed && !e.asNew() {
			wrong = append(wrong, "its deadline had been over, and it is "+after)
		}
	case e.Fresh == nil:
		if stalled == nil || !strings.Contains(e.After.Message, stalled.Message) {
			wrong = append(wrong, "nobody is told that it cannot run: "+e.After.Message)
		}
	case stalled != nil:
		wrong = append(wrong, "it is told that it cannot run: "+e.After.Message)
	case !e.asNew():
		wrong = append(wrong, fmt.Sprintf("it is %s, and a new one is %s", after, Outline(e.Fresh)))
	}
	return wrong
}

// uncancelled says in what a cancelled order is as if it were not: it ends in another way, though it was not too late, or
// something but finally started.
func (e *Edited) uncancelled() (wrong []string) {
	after := Outline(e.After)
	if e.After.Phase != v1alpha1.WorkOrderCancelled && !over(e.Before) {
		wrong = append(wrong, "it was cancelled, and is "+after)
	}
	for _, step := range e.After.Steps {
		ran := step.Phase == v1alpha1.StepSucceeded || step.Phase == v1alpha1.StepFailed
		if !step.Finally && ran && !e.kept(&step) {
			wrong = append(wrong, fmt.Sprintf("it was cancelled, and then %s started: %s", step.Name, after))
		}
	}
	return wrong
}

// Stalls says whether the order is told that it cannot run: one that had finished, or was being ended, is not.
func (e *Edited) Stalls() bool {
	return e.Fresh == nil && e.Before.CompletionTime == nil && !e.Before.Cancelled && !e.ending()
}

// ending says whether the order was being brought to its end, as its deadline was over.
func (e *Edited) ending() bool { return e.Before.Expired && e.Before.CompletionTime == nil }

// broughtBack says whether the last spec has an order that had finished run again: it rewinds a step that the order had.
func (e *Edited) broughtBack() bool {
	if e.Fresh == nil || e.To.Cancel || e.Before.Cancelled {
		return false
	}
	return slices.ContainsFunc(e.To.Rewinds, func(request v1alpha1.RewindRequest) bool {
		step := stepOf(e.Before, request.Step)
		return step != nil && step.Epoch < request.ToEpoch
	})
}

// asNew says whether the order is as a new one of its last spec. A step that a new one does not get to may have started
// before the edit, and then may have succeeded; finally runs as soon as any step has started, and what fails fast may have
// to wait for its turn.
func (e *Edited) asNew() bool {
	if e.Fresh == nil || e.After.Phase != e.Fresh.Phase {
		return false
	}
	for _, wanted := range e.Fresh.Steps {
		got := stepOf(e.After, wanted.Name)
		switch {
		case got == nil:
			return false
		case got.Phase == wanted.Phase:
		case done(got) && unreached(&wanted) && (e.kept(got) || got.Finally || e.To.FailFast):
		default:
			return false
		}
	}
	return !slices.ContainsFunc(e.After.Steps, func(got v1alpha1.StepStatus) bool {
		return !got.Removed && stepOf(e.Fresh, got.Name) == nil
	})
}

// done says whether what needs a step may go on.
func done(step *v1alpha1.StepStatus) bool {
	return step.Phase == v1alpha1.StepSucceeded || step.Phase == v1alpha1.StepSkipped
}

// unreached says whether an order ended before it came to that step.
func unreached(step *v1alpha1.StepStatus) bool {
	return step.Phase == v1alpha1.StepCancelled || step.Phase == v1alpha1.StepBlocked
}

// over says whether all steps but those of finally had ended.
func over(status *v1alpha1.WorkOrderStatus) bool {
	return len(status.Steps) > 0 && !slices.ContainsFunc(status.Steps, func(step v1alpha1.StepStatus) bool {
		return !step.Finally && slices.Contains([]v1alpha1.StepPhase{v1alpha1.StepPending, v1alpha1.StepRunning, v1alpha1.StepBackoff}, step.Phase)
	})
}

// kept says whether a step is in the epoch in which it was before the edit.
func (e *Edited) kept(step *v1alpha1.StepStatus) bool {
	before := stepOf(e.Before, step.Name)
	return before != nil && before.Epoch > 0 && before.Epoch == step.Epoch
}

// stepOf is a step's entry in a status; nil if there is none of a step that the spec holds.
func stepOf(status *v1alpha1.WorkOrderStatus, name string) *v1alpha1.StepStatus {
	for i := range status.Steps {
		if step := &status.Steps[i]; step.Name == name && !step.Removed {
			return step
		}
	}
	return nil
}
