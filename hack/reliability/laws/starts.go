package laws

import (
	"fmt"
	"slices"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/node"
)

// needsOf is what a step needs by a spec, and whether it is of finally.
func needsOf(spec *v1alpha1.WorkOrderSpec, name string) (needs []string, finally bool) {
	for i := range spec.Steps {
		switch {
		case spec.Steps[i].Name != name:
		case spec.Strategy == v1alpha1.StrategyGraph:
			return spec.Steps[i].DependsOn, false
		case i > 0:
			return []string{spec.Steps[i-1].Name}, false
		default:
			return nil, false
		}
	}
	return nil, slices.ContainsFunc(spec.Finally, func(s v1alpha1.Step) bool { return s.Name == name })
}

// entryOf is what a status says of a step; nil if it says nothing.
func entryOf(status *v1alpha1.WorkOrderStatus, name string) *v1alpha1.StepStatus {
	for i := range status.Steps {
		if status.Steps[i].Name == name {
			return &status.Steps[i]
		}
	}
	return nil
}

// done says whether what needs a step may start.
func done(step *v1alpha1.StepStatus) bool {
	return step.Phase == v1alpha1.StepSucceeded || step.Phase == v1alpha1.StepSkipped
}

// over says whether nothing more happens to a step by itself.
func over(step *v1alpha1.StepStatus) bool {
	return step.Phase != v1alpha1.StepPending && step.Phase != v1alpha1.StepRunning && step.Phase != v1alpha1.StepBackoff
}

// epoch is one of a step's.
type epoch struct {
	step   string
	number int64
}

// beginning is the first status that holds a step Running in an epoch: the start was decided with it.
type beginning struct {
	*v1alpha1.StepStatus
	status *v1alpha1.WorkOrderStatus
}

// beginnings are those of all epochs.
func (r *Record) beginnings() map[epoch]beginning {
	began := map[epoch]beginning{}
	for i := range r.History {
		status := &r.History[i]
		for j := range status.Steps {
			step := &status.Steps[j]
			key := epoch{step.Name, step.Epoch}
			if _, known := began[key]; !known && step.Phase == v1alpha1.StepRunning {
				began[key] = beginning{step, status}
			}
		}
	}
	return began
}

// inOrder is I4: a step starts only after all that it needs is done, by the spec in force at its start and by the epochs
// in which what it needs was then. What was rewound in between has a higher epoch and is not done, so a step that is
// rewound starts again only after what it needs, if that was rewound too. The ledger must bear that out.
func inOrder(r *Record) (found []string) {
	began := r.beginnings()
	for _, start := range began {
		found = append(found, r.premature(start)...)
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		start, decided := began[epoch{run.Step, run.Epoch}]
		if !decided {
			found = append(found, fmt.Sprintf("I4: %s ran in epoch %d, and no status ever said that it starts", run.Step, run.Epoch))
			continue
		}
		found = append(found, r.overtaken(start, run)...)
	}
	slices.Sort(found) // Maps have no order.
	return found
}

// premature says what was wrong with the decision to start a step, by the status that it was made with.
func (r *Record) premature(start beginning) (found []string) {
	spec := r.Specs[start.status.ObservedGeneration]
	if spec == nil {
		return nil // It was edited faster than anybody could look.
	}
	wrong := func(format string, values ...any) {
		found = append(found, fmt.Sprintf("I4: %s started in epoch %d ", start.Name, start.Epoch)+fmt.Sprintf(format, values...))
	}
	needs, finally := needsOf(spec, start.Name)
	for _, need := range needs {
		if entry := entryOf(start.status, need); entry == nil || !done(entry) {
			wrong("before %s was done", need)
		}
	}
	if finally {
		for _, name := range start.atWork() {
			wrong("before %s was over", name)
		}
	} else if start.status.Cancelled || start.status.Expired {
		wrong("in an order that was being ended")
	}
	if others := start.beside(); spec.Parallelism != nil && others >= int(*spec.Parallelism) {
		wrong("beside %d others, and %d may run", others, *spec.Parallelism)
	}
	if start.status.Suspended {
		wrong("while the order was suspended")
	}
	return found
}

// atWork are the steps that are not of finally and were not over when it began.
func (b *beginning) atWork() (names []string) {
	for i := range b.status.Steps {
		if step := &b.status.Steps[i]; !step.Finally && !over(step) {
			names = append(names, step.Name)
		}
	}
	return names
}

// beside is how many other steps ran when it began.
func (b *beginning) beside() (others int) {
	for i := range b.status.Steps {
		if step := &b.status.Steps[i]; step.Phase == v1alpha1.StepRunning && step.Name != b.Name {
			others++
		}
	}
	return others
}

// overtaken says what of all that a step needs had not really succeeded, in the epoch that it was decided on, when it ran.
func (r *Record) overtaken(start beginning, run *node.Run) (found []string) {
	spec := r.Specs[start.status.ObservedGeneration]
	if spec == nil {
		return nil
	}
	needs, finally := needsOf(spec, start.Name)
	for _, need := range needs {
		entry := entryOf(start.status, need)
		if entry == nil || entry.Phase != v1alpha1.StepSucceeded || entry.PodName == "" {
			continue // It was skipped, or had nothing to run.
		}
		if !r.succeeded(need, entry.Epoch, run) {
			found = append(found, fmt.Sprintf("I4: %s ran in epoch %d before %s had succeeded in epoch %d", run.Step, run.Epoch, need, entry.Epoch))
		}
	}
	if !finally {
		return found
	}
	for i := range r.Runs {
		other := &r.Runs[i]
		entry := entryOf(start.status, other.Step)
		if entry != nil && !entry.Finally && r.startedBefore(other, start) && !before(other, run) {
			found = append(found, fmt.Sprintf("I4: %s ran in epoch %d while %s still did", run.Step, run.Epoch, other.Step))
		}
	}
	return found
}

// startedBefore says whether a run was decided on before that beginning. What is started again later runs after it.
func (r *Record) startedBefore(run *node.Run, start beginning) bool {
	number, known := r.reached()[epoch{run.Step, run.Epoch}]
	return known && number < start.status.Sequence
}

// succeeded says whether a step had succeeded in that epoch, by the ledger, when the run began.
func (r *Record) succeeded(step string, number int64, run *node.Run) bool {
	return slices.ContainsFunc(r.Runs, func(earlier node.Run) bool {
		return earlier.Step == step && earlier.Epoch == number && earlier.ExitCode == 0 && before(&earlier, run)
	})
}

// before says whether a run was over when another one began.
func before(earlier, later *node.Run) bool {
	return !earlier.Ended.IsZero() && !earlier.Ended.After(later.Started)
}

// notOutrun is I4 as seen from the end: in an order that has succeeded all is done, and nothing that a step needs was started
// again after it. What stands in an order of which it was changed after an end what needs what is not judged.
func notOutrun(r *Record) (found []string) {
	status := &r.Order.Status
	if status.Phase != v1alpha1.WorkOrderSucceeded {
		return nil
	}
	late, reached := r.rewiredLate(), r.reached()
	for i := range status.Steps {
		step := &status.Steps[i]
		if step.Removed {
			continue
		}
		if !step.Finally && !done(step) {
			found = append(found, fmt.Sprintf("I4: the order has succeeded, and %s is %s", step.Name, step.Phase))
		}
		needs, _ := needsOf(&r.Order.Spec, step.Name)
		for _, need := range needs {
			entry := entryOf(status, need)
			if entry != nil && !late && reached[epoch{need, entry.Epoch}] > reached[epoch{step.Name, step.Epoch}] {
				found = append(found, fmt.Sprintf("I4: %s was started again, in epoch %d, and %s, which needs it, was not", need, entry.Epoch, step.Name))
			}
		}
	}
	return found
}

// reached are the numbers of the transitions that started, or skipped, each step in each epoch.
func (r *Record) reached() map[epoch]int64 {
	numbers := map[epoch]int64{}
	for i := range r.History {
		for j := range r.History[i].Steps {
			step := &r.History[i].Steps[j]
			key := epoch{step.Name, step.Epoch}
			if _, known := numbers[key]; !known && (step.Phase == v1alpha1.StepRunning || done(step)) {
				numbers[key] = r.History[i].Sequence
			}
		}
	}
	return numbers
}

// rewiredLate says whether a step needs something else by the last spec than by one with which the order once ended.
func (r *Record) rewiredLate() bool {
	return slices.ContainsFunc(r.History, func(status v1alpha1.WorkOrderStatus) bool {
		spec := r.Specs[status.ObservedGeneration]
		return status.CompletionTime != nil && spec != nil && slices.ContainsFunc(r.Order.Spec.Steps, func(step v1alpha1.Step) bool {
			was, _ := needsOf(spec, step.Name)
			is, _ := needsOf(&r.Order.Spec, step.Name)
			return !slices.Equal(was, is)
		})
	})
}
