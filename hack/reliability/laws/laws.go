package laws

import (
	"cmp"
	"fmt"
	"slices"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/progress"
	"workorders.dev/operator/hack/reliability/node"
)

// Record is all that is known of an order.
type Record struct {
	// Order is the order at the end.
	Order *v1alpha1.WorkOrder
	// History is every status that it has had, oldest first.
	History []v1alpha1.WorkOrderStatus
	// Specs are the specs that it has had, by generation.
	Specs map[int64]*v1alpha1.WorkOrderSpec
	// Events are the ProgressEvents of its namespace, on its chain or not.
	Events []v1alpha1.ProgressEvent
	// Runs are what ran for it, in the order of their starts.
	Runs []node.Run
}

// chain is the order's log.
func (r *Record) chain() progress.Chain {
	return progress.Follow(r.Order.UID, r.Order.Status.Head, r.Events)
}

// Violations are the laws that were broken, each a sentence that begins with the law's number in docs/design.
func Violations(r Record) []string {
	return append(Midway(r), noLostResult(&r)...)
}

// Midway are the laws that were broken of those that hold at any moment. That no result is lost can only be said when an order
// has come to rest.
func Midway(r Record) []string {
	var found []string
	for _, law := range []func(*Record) []string{oneStart, noFalseResult, inOrder, notOutrun, rewound, foldIsStatus, onlyGrows} {
		found = append(found, law(&r)...)
	}
	return found
}

// oneStart is I1: at most one start of each epoch of a step, and never two of its attempts at the same time.
func oneStart(r *Record) (found []string) {
	type attempt struct {
		step  string
		epoch int64
	}
	starts := map[attempt]int{}
	before := map[string]*node.Run{}
	for i := range r.Runs {
		run := &r.Runs[i]
		key := attempt{run.Step, run.Epoch}
		if starts[key]++; starts[key] > 1 {
			found = append(found, fmt.Sprintf("I1: %s started %d times in epoch %d", run.Step, starts[key], run.Epoch))
		}
		if last := before[run.Step]; last != nil && (last.Ended.IsZero() || last.Ended.After(run.Started)) {
			found = append(found, fmt.Sprintf("I1: %s started in epoch %d while epoch %d ran", run.Step, run.Epoch, last.Epoch))
		}
		before[run.Step] = run
	}
	return found
}

// noLostResult is I2: what ended, and could say so, is in the log; or in the status, where events could not be written.
func noLostResult(r *Record) (found []string) {
	told := map[string]bool{}
	for _, result := range results(r.chain()) {
		told[result.Spec.Result.PodName] = true
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Reported && !told[run.Pod] && (!gap(r) || !shown(r, run)) {
			found = append(found, fmt.Sprintf("I2: the result of %s in epoch %d is lost", run.Step, run.Epoch))
		}
	}
	return found
}

// gap says whether numbers are missing in a log, at its end too.
func gap(r *Record) bool {
	events := r.chain().Events
	return int64(len(events)) != r.Order.Status.Sequence
}

// shown says whether a status ever showed how a run ended.
func shown(r *Record, run *node.Run) bool {
	return slices.ContainsFunc(r.History, func(status v1alpha1.WorkOrderStatus) bool {
		return slices.ContainsFunc(status.Steps, func(step v1alpha1.StepStatus) bool {
			return step.Name == run.Step && step.Epoch == run.Epoch && step.PodName == run.Pod && step.CompletionTime != nil
		})
	})
}

// results are the events of a chain that hold a Pod's result.
func results(chain progress.Chain) []*v1alpha1.ProgressEvent {
	return slices.DeleteFunc(slices.Clone(chain.Events), func(e *v1alpha1.ProgressEvent) bool {
		return e.Spec.Result == nil || e.Spec.Result.PodName == ""
	})
}

// noFalseResult is I3: a result is what the attempt's own Pod returned, is given once, and does not change.
func noFalseResult(r *Record) (found []string) {
	given := map[string]bool{}
	for _, event := range results(r.chain()) {
		spec := &event.Spec
		name := fmt.Sprintf("%s in epoch %d", spec.Step, spec.Epoch)
		if given[name] {
			found = append(found, "I3: there are two results of "+name)
		}
		given[name] = true
		i := slices.IndexFunc(r.Runs, func(run node.Run) bool {
			return run.Pod == spec.Result.PodName && run.Step == spec.Step && run.Epoch == spec.Epoch
		})
		switch {
		case i < 0 && (spec.Result.ExitCode != nil || spec.Type == v1alpha1.EventStepSucceeded):
			found = append(found, "I3: there is a result of "+name+", which never ran")
		case i >= 0:
			found = append(found, falsified(spec, &r.Runs[i])...)
		}
	}
	return append(found, changed(r)...)
}

// falsified says what an event has wrong of a run.
func falsified(spec *v1alpha1.ProgressEventSpec, run *node.Run) (found []string) {
	name := fmt.Sprintf("I3: %s in epoch %d", spec.Step, spec.Epoch)
	said := spec.Result.Output
	if spec.Error != nil {
		said = spec.Error.Details
	}
	if run.Reported && (spec.Result.ExitCode == nil || *spec.Result.ExitCode != run.ExitCode) {
		found = append(found, fmt.Sprintf("%s ended with %d, and the log says otherwise", name, run.ExitCode))
	}
	if run.Reported && said != run.Message {
		found = append(found, fmt.Sprintf("%s said %q, and the log %q", name, run.Message, said))
	}
	// It did what was not asked for any more. One that was only asked to stop, and succeeded all the same, has succeeded.
	outdated := spec.Error != nil && spec.Error.Code == v1alpha1.CodeSuperseded
	if succeeded := run.ExitCode == 0 && !run.Ended.IsZero(); !succeeded && spec.Type == v1alpha1.EventStepSucceeded {
		found = append(found, name+" did not succeed, and the log says that it did")
	} else if succeeded && run.Reported && spec.Type != v1alpha1.EventStepSucceeded && !outdated {
		found = append(found, name+" succeeded, and the log says that it did not")
	}
	return found
}

// changed finds results that changed without a new epoch.
func changed(r *Record) (found []string) {
	settled := map[string]v1alpha1.StepStatus{}
	for i := range r.History {
		for _, step := range r.History[i].Steps {
			before, known := settled[step.Name]
			if known && before.Epoch == step.Epoch && !step.Removed && !sameResult(&before, &step) {
				found = append(found, fmt.Sprintf("I3: the result of %s in epoch %d changed at sequence %d",
					step.Name, step.Epoch, r.History[i].Sequence))
			}
			switch {
			case step.Removed: // What the spec does not hold any more keeps its epoch, and no result.
				delete(settled, step.Name)
			case step.CompletionTime != nil:
				settled[step.Name] = step
			}
		}
	}
	return found
}

func sameResult(a, b *v1alpha1.StepStatus) bool {
	return b.CompletionTime != nil && a.CompletionTime.Equal(b.CompletionTime) && a.Output == b.Output && gocmp.Equal(a.ExitCode, b.ExitCode)
}

// foldIsStatus is I7: the log, folded, is the status, unless the newest event could not be written.
func foldIsStatus(r *Record) []string {
	status := r.Order.Status.DeepCopy()
	status.Conditions = slices.DeleteFunc(status.Conditions, func(c metav1.Condition) bool { return !slices.Contains(v1alpha1.Conditions, c.Type) })
	if status.Head == "" || plan.SequenceOf(status.Head) != status.Sequence {
		return nil
	}
	chain := r.chain()
	folded, whole := chain.Fold()
	switch {
	case chain.Missing != "":
		return []string{"I7: the log is broken at " + chain.Missing}
	case !whole:
		return []string{"I7: the log has no beginning"}
	}
	if diff := gocmp.Diff(folded, *status); diff != "" {
		return []string{"I7: the log, folded, is not the status (-folded +status):\n" + diff}
	}
	return nil
}

// onlyGrows is I8: sequences and epochs only grow, and the time of events never goes back.
func onlyGrows(r *Record) (found []string) {
	epochs := map[string]int64{}
	var before v1alpha1.WorkOrderStatus
	for i := range r.History {
		status := &r.History[i]
		if status.Sequence < before.Sequence {
			found = append(found, fmt.Sprintf("I8: sequence %d came after %d", status.Sequence, before.Sequence))
		}
		if last := before.LastEventTime; last != nil && (status.LastEventTime == nil || status.LastEventTime.Before(last)) {
			found = append(found, fmt.Sprintf("I8: the time went back at sequence %d", status.Sequence))
		}
		for _, step := range status.Steps {
			if step.Epoch < epochs[step.Name] {
				found = append(found, fmt.Sprintf("I8: %s went from epoch %d to %d", step.Name, epochs[step.Name], step.Epoch))
			}
			epochs[step.Name] = step.Epoch
		}
		before = *status
	}
	events := r.chain().Events
	if !slices.IsSortedFunc(events, func(a, b *v1alpha1.ProgressEvent) int { return cmp.Compare(a.Spec.Sequence, b.Spec.Sequence) }) {
		found = append(found, "I8: the numbers of the log do not grow")
	}
	return found
}
