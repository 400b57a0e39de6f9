package model

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// What the laws say of graphs: what each step needs, and what has to run again with it. They go by what is written for
// users, and by none of the operator's code.

// allSteps are the steps of a spec, those of finally last.
func allSteps(spec *v1alpha1.WorkOrderSpec) []v1alpha1.Step {
	return slices.Concat(spec.Steps, spec.Finally)
}

// needsOf is what a step directly needs, and whether it is one of finally.
func needsOf(spec *v1alpha1.WorkOrderSpec, name string) (needs []string, finally bool) {
	for i, step := range spec.Steps {
		switch {
		case step.Name != name:
		case spec.Strategy == v1alpha1.StrategyGraph:
			return step.DependsOn, false
		case i > 0:
			return []string{spec.Steps[i-1].Name}, false
		}
	}
	return nil, slices.ContainsFunc(spec.Finally, func(s v1alpha1.Step) bool { return s.Name == name })
}

// digestOf is the digest of a step as the spec has it; empty if the spec does not have it.
func digestOf(spec *v1alpha1.WorkOrderSpec, name string) string {
	for _, step := range allSteps(spec) {
		if step.Name == name {
			needs, _ := needsOf(spec, name)
			return steppod.SpecHash(&step, needs)
		}
	}
	return ""
}

// requested is the epoch that a spec asks for; 0 if it does not.
func requested(spec *v1alpha1.WorkOrderSpec, name string) int64 {
	for _, r := range spec.Rewinds {
		if r.Step == name {
			return r.ToEpoch
		}
	}
	return 0
}

// entryOf is the entry of a step in a status; nil if it has none.
func entryOf(status *v1alpha1.WorkOrderStatus, name string) *v1alpha1.StepStatus {
	for i := range status.Steps {
		if status.Steps[i].Name == name {
			return &status.Steps[i]
		}
	}
	return nil
}

// runsAgain are the steps that have to run again as an order stands, and all that come after them.
func runsAgain(order *v1alpha1.WorkOrder) map[string]bool {
	again, all := map[string]bool{}, allSteps(&order.Spec)
	main := func(name string) bool { _, finally := needsOf(&order.Spec, name); return !finally }
	for before := -1; before < len(again); { // The steps of a graph may stand in any order.
		before = len(again)
		for _, step := range all {
			needs, finally := needsOf(&order.Spec, step.Name)
			follows := slices.ContainsFunc(needs, func(need string) bool { return again[need] })
			for name := range again {
				follows = follows || finally && main(name)
			}
			if follows || isAskedToRunAgain(order, step.Name) {
				again[step.Name] = true
			}
		}
	}
	return again
}

// isAskedToRunAgain says whether a step that has been decided on is to be decided on again: it was edited, or is back, or a
// rewind is asked for; or it is of finally, and there is more to be done before it. In an order that is to be cancelled only what
// of finally was edited is.
func isAskedToRunAgain(order *v1alpha1.WorkOrder, name string) bool {
	entry := entryOf(&order.Status, name)
	if entry == nil || entry.Phase == v1alpha1.StepPending {
		return false
	}
	_, finally := needsOf(&order.Spec, name)
	edited := entry.SpecHash != "" && entry.SpecHash != digestOf(&order.Spec, name)
	switch {
	case order.Spec.Cancel:
		return finally && (edited || entry.Outdated)
	case finally && order.Status.CompletionTime == nil && !mainOver(order):
		return true
	}
	return edited || entry.Removed || entry.Outdated || requested(&order.Spec, name) > entry.Epoch
}

// mainOver says whether all steps of a spec but those of finally have come to their end.
func mainOver(order *v1alpha1.WorkOrder) bool {
	return !slices.ContainsFunc(order.Spec.Steps, func(step v1alpha1.Step) bool {
		entry := entryOf(&order.Status, step.Name)
		return entry == nil || !settled(entry.Phase)
	})
}

func done(phase v1alpha1.StepPhase) bool {
	return phase == v1alpha1.StepSucceeded || phase == v1alpha1.StepSkipped
}

// waitsFor is what a step would have to wait for as an order stands; empty if nothing.
func waitsFor(order *v1alpha1.WorkOrder, name string) string {
	needs, finally := needsOf(&order.Spec, name)
	for _, need := range needs {
		if entry := entryOf(&order.Status, need); entry == nil || entry.Removed || !done(entry.Phase) {
			return need
		}
	}
	for i := range order.Status.Steps {
		if other := &order.Status.Steps[i]; finally && !other.Finally && !settled(other.Phase) {
			return other.Name
		}
	}
	return ""
}

// begun checks I4 for a step that starts by a status that was just saved.
func (s *step) begun(before, after *v1alpha1.WorkOrder, name string) {
	if other := waitsFor(after, name); other != "" {
		s.breach("I4: %s is Running while %s is not done", name, other)
	}
	if !after.Status.Cancelled && !after.Status.Expired && runsAgain(after)[name] {
		s.breach("I4: %s is Running while it, or what it needs, is about to run again", name)
	}
	most := after.Spec.Parallelism
	if most != nil && running(&after.Status) > max(int(*most), running(&before.Status)) {
		s.breach("%d steps run at once, and %d may", running(&after.Status), *most)
	}
}

func running(status *v1alpha1.WorkOrderStatus) (n int) {
	for i := range status.Steps {
		if status.Steps[i].Phase == v1alpha1.StepRunning {
			n++
		}
	}
	return n
}

// undisturbed checks I4 for a step that runs on: nothing that it waited for leaves its epoch meanwhile, unless an edit that
// was just read means that the step is to be stopped.
func (s *step) undisturbed(before, after *v1alpha1.WorkOrder, name string) {
	if before.Status.ObservedGeneration != after.Status.ObservedGeneration {
		return
	}
	if was, is := waitsFor(before, name), waitsFor(after, name); was == "" && is != "" {
		s.breach("I4: %s runs on although %s is not done any more", name, is)
	}
}

// unwanted notes which attempts an edit makes unwanted: for however short a time it stands, they may be stopped for it.
func (s *step) unwanted(order *v1alpha1.WorkOrder) {
	again := runsAgain(order)
	for i := range order.Status.Steps {
		step := &order.Status.Steps[i]
		if step.Phase == v1alpha1.StepRunning && (again[step.Name] || digestOf(&order.Spec, step.Name) == "") {
			a := attempt(order.UID, step.Name, step.Epoch)
			s.change("unwanted "+a, func(g *ghost) { g.Unwanted[a] = true })
		}
	}
}

// isWanted says whether the present attempt of a step, which a Pod makes, is to go on.
func (s *step) isWanted(order *v1alpha1.WorkOrder, pod *corev1.Pod) bool {
	entry := entryOf(&order.Status, pod.Labels[steppod.LabelStep])
	if entry == nil || entry.Phase != v1alpha1.StepRunning || attempt(order.UID, entry.Name, entry.Epoch) != attemptOf(pod) {
		return false
	}
	ending := !entry.Finally && (order.Status.Cancelled || order.Status.Expired || order.Spec.Cancel)
	return !ending && !s.ghost().Unwanted[attemptOf(pod)] && pod.Annotations[steppod.AnnotationSpecHash] == entry.SpecHash
}
