package laws

import (
	"fmt"
	"slices"

	"workorders.dev/operator/api/v1alpha1"
)

// rewound is the other half of I3: a result changes only by a higher epoch and a record that says so. It reads the records
// by the documented rule, in its own words, and holds them against the statuses and against what package progress shows.
func rewound(r *Record) (found []string) {
	chain := r.chain()
	void := map[string]bool{}
	for _, event := range chain.Events {
		if event.Spec.Rewind == nil {
			continue
		}
		found = append(found, r.misrecorded(&event.Spec)...)
		for _, other := range chain.Events {
			void[other.Name] = void[other.Name] || superseded(&other.Spec, &event.Spec)
		}
	}
	shown := map[string]bool{}
	for _, event := range chain.Collapse() {
		shown[event.Name] = true
	}
	for _, event := range chain.Events {
		spec := &event.Spec
		what := fmt.Sprintf("event %d, %s of %s in epoch %d,", spec.Sequence, spec.Type, spec.Step, spec.Epoch)
		if void[event.Name] == shown[event.Name] {
			found = append(found, fmt.Sprintf("I3: %s is superseded: %t, and shown as one that holds: %t", what, void[event.Name], shown[event.Name]))
		}
		if outlived, known := r.outlived(spec); known && outlived != void[event.Name] {
			found = append(found, fmt.Sprintf("I3: %s is superseded: %t, and its epoch is past: %t", what, void[event.Name], outlived))
		}
	}
	return found
}

// superseded is the rule of docs/progress: an event is superseded if and only if its step is listed, its epoch is lower than
// that entry's newEpoch, and supersededAfter < its sequence < the Rewound's own.
func superseded(event, by *v1alpha1.ProgressEventSpec) bool {
	if event.Sequence <= by.Rewind.SupersededAfter || event.Sequence >= by.Sequence {
		return false
	}
	for _, entry := range by.Rewind.Steps {
		if entry.Step == event.Step && event.Epoch < entry.NewEpoch {
			return true
		}
	}
	return false
}

// at is the status that came with a transition, and the one right before it; nil if they are not known, as who looks now and
// then does not see them all.
func (r *Record) at(sequence int64) (before, after *v1alpha1.WorkOrderStatus) {
	for i := range r.History {
		switch status := &r.History[i]; status.Sequence {
		case sequence - 1:
			before = status
		case sequence:
			after = status
		}
	}
	return before, after
}

// misrecorded says what a record of a rewind says otherwise than the statuses before and after it.
func (r *Record) misrecorded(spec *v1alpha1.ProgressEventSpec) (found []string) {
	if spec.Rewind.SupersededAfter < 0 || spec.Rewind.SupersededAfter >= spec.Sequence {
		found = append(found, fmt.Sprintf("I3: the rewind %d goes back to %d", spec.Sequence, spec.Rewind.SupersededAfter))
	}
	before, after := r.at(spec.Sequence)
	gap := gap(r) // Epochs that grew while nothing could be written are listed later, in whatever state they are by then.
	for _, entry := range spec.Rewind.Steps {
		if after != nil && !begins(entryOf(after, entry.Step), entry.NewEpoch, gap) {
			found = append(found, fmt.Sprintf("I3: the rewind %d says that %s starts again in epoch %d, and the status does not", spec.Sequence, entry.Step, entry.NewEpoch))
		}
		if before != nil && !gap && !ended(entryOf(before, entry.Step), entry.NewEpoch) {
			found = append(found, fmt.Sprintf("I3: the rewind %d lists %s in epoch %d, which was at work, or there already", spec.Sequence, entry.Step, entry.NewEpoch))
		}
	}
	return found
}

// begins says whether a step is in that epoch, and has not ended in it. One may have been given up at once.
func begins(step *v1alpha1.StepStatus, number int64, late bool) bool {
	return step != nil && step.Epoch == number && (late || !over(step) || step.Phase == v1alpha1.StepBlocked)
}

// ended says whether a step is in an earlier epoch, of which no container runs.
func ended(step *v1alpha1.StepStatus, number int64) bool {
	return step != nil && step.Epoch < number && (step.Phase != v1alpha1.StepRunning || step.PodName == "")
}

// outlived says whether the epoch of an event is past, by the last status of all. Not known is that of events that are of no
// epoch that began: a rewind to one that never came to its start, and of steps that the spec did not hold all the time.
func (r *Record) outlived(event *v1alpha1.ProgressEventSpec) (past, known bool) {
	last := entryOf(&r.Order.Status, event.Step)
	if event.Step == "" || last == nil {
		return false, event.Step == ""
	}
	began := slices.ContainsFunc(r.History, func(status v1alpha1.WorkOrderStatus) bool {
		entry := entryOf(&status, event.Step)
		return entry != nil && entry.Epoch == event.Epoch && entry.Phase == v1alpha1.StepRunning
	})
	if event.Type == v1alpha1.EventRewound && !began {
		return false, false
	}
	if event.Epoch > 0 {
		return last.Epoch > event.Epoch, true
	}
	vanished := slices.ContainsFunc(r.History, func(status v1alpha1.WorkOrderStatus) bool {
		return status.Sequence > event.Sequence && entryOf(&status, event.Step) == nil
	})
	return last.Epoch > event.Epoch, !vanished && !gap(r)
}
