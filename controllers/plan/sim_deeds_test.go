package plan_test

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
)

// happen has people, and the world, do so much to the order in its first minute and a half. In the end they let it go on.
func (s *simulation) happen(roll dice, howMuch int) {
	for range howMuch {
		deed := deeds[roll("deed", len(deeds))]
		s.after(time.Duration(roll("at", 90_000))*time.Millisecond, func() { deed(s, roll) })
	}
	s.after(20*time.Minute, func() {
		s.refuseEvents = false
		s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = false; mend(o) })
	})
}

// deeds are what people, and the world, do to an order while it runs.
var deeds = []func(*simulation, dice){
	func(s *simulation, _ dice) { s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = !o.Spec.Suspend }) },
	func(s *simulation, _ dice) { s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = !o.Spec.Cancel }) },
	func(s *simulation, roll dice) { s.edit(func(o *v1alpha1.WorkOrder) { editStep(o, roll) }) },
	func(s *simulation, _ dice) {
		s.edit(func(o *v1alpha1.WorkOrder) {
			o.Spec.Steps = append(o.Spec.Steps, run(fmt.Sprintf("more-%d", o.Generation)))
		})
	},
	func(s *simulation, _ dice) {
		s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Steps = o.Spec.Steps[:max(1, len(o.Spec.Steps)-1)] })
	},
	func(s *simulation, roll dice) {
		s.edit(func(o *v1alpha1.WorkOrder) {
			o.Spec.Cancel = true
			if removeStep(o, roll); roll("insert too", 2) == 1 {
				insertStep(o, roll)
			}
		})
	},
	func(s *simulation, _ dice) { s.edit(func(o *v1alpha1.WorkOrder) { slices.Reverse(o.Spec.Steps) }) },
	func(s *simulation, roll dice) { s.edit(func(o *v1alpha1.WorkOrder) { insertStep(o, roll) }) },
	func(s *simulation, roll dice) { s.edit(func(o *v1alpha1.WorkOrder) { removeStep(o, roll) }) },
	func(s *simulation, roll dice) { s.edit(func(o *v1alpha1.WorkOrder) { askForRewind(o, roll) }) },
	func(s *simulation, roll dice) { s.edit(func(o *v1alpha1.WorkOrder) { askForRewind(o, roll) }) },
	func(s *simulation, roll dice) {
		s.after(10*time.Minute, func() { s.edit(func(o *v1alpha1.WorkOrder) { askForRewind(o, roll) }) })
	},
	func(s *simulation, roll dice) {
		s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.ActiveDeadlineSeconds = ptr(int64(1 + roll("seconds", 120))) })
	},
	func(s *simulation, _ dice) { s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Strategy = "Backwards" }) },
	func(s *simulation, roll dice) { s.deleteOrder(roll("foreground", 2) == 1) },
	func(s *simulation, roll dice) {
		s.refuseEvents = true
		s.after(time.Duration(roll("no events for", 30))*time.Second, func() { s.refuseEvents = false })
	},
	func(s *simulation, roll dice) {
		s.operator.skew = time.Duration(roll("skew", 240)-120) * time.Second
		s.operator.ahead = max(s.operator.ahead, s.operator.skew)
	},
	func(s *simulation, roll dice) {
		s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.TTLSecondsAfterFinished = ptr(int64(roll("seconds", 1500))) })
	},
	func(s *simulation, _ dice) { s.addCondition() },
	func(s *simulation, _ dice) { s.forgeEvent() },
	func(s *simulation, roll dice) { s.squat(roll) },
}

// editStep changes what a step does, whether it has started or not.
func editStep(o *v1alpha1.WorkOrder, roll dice) {
	which := roll("which", len(o.Spec.Steps)+len(o.Spec.Finally))
	var step *v1alpha1.Step
	if which < len(o.Spec.Steps) {
		step = &o.Spec.Steps[which]
	} else {
		step = &o.Spec.Finally[which-len(o.Spec.Steps)]
	}
	switch {
	case step.Wait != nil:
		step.Wait.Seconds = int64(roll("wait", 20))
	case roll("timeout", 4) == 1:
		step.TimeoutSeconds = ptr(int64(2 + roll("seconds", 8)))
	default:
		step.Run.Image = fmt.Sprintf("registry/agent:%d", o.Generation+1)
	}
}

// insertStep puts a step somewhere, and in a graph before another one.
func insertStep(o *v1alpha1.WorkOrder, roll dice) {
	at := roll("where", len(o.Spec.Steps)+1)
	added := run(fmt.Sprintf("more-%d", o.Generation))
	if after := roll("before", len(o.Spec.Steps)); o.Spec.Strategy == v1alpha1.StrategyGraph {
		o.Spec.Steps[after].DependsOn = append(o.Spec.Steps[after].DependsOn, added.Name)
	}
	o.Spec.Steps = slices.Insert(o.Spec.Steps, at, added)
}

// removeStep takes a step out, and out of what others say of it.
func removeStep(o *v1alpha1.WorkOrder, roll dice) {
	if len(o.Spec.Steps) == 1 {
		return
	}
	at := roll("which", len(o.Spec.Steps))
	gone := o.Spec.Steps[at].Name
	o.Spec.Steps = slices.Delete(o.Spec.Steps, at, at+1)
	for i := range o.Spec.Steps {
		step := &o.Spec.Steps[i]
		step.DependsOn = slices.DeleteFunc(step.DependsOn, func(name string) bool { return name == gone })
	}
	for _, list := range [][]v1alpha1.Step{o.Spec.Steps, o.Spec.Finally} {
		for i := range list {
			list[i].When = ""
			before := allBefore(&o.Spec, list[i].Name)
			list[i].Inputs = slices.DeleteFunc(list[i].Inputs, func(name string) bool { return !slices.Contains(before, name) })
		}
	}
	o.Spec.Rewinds = slices.DeleteFunc(o.Spec.Rewinds, func(r v1alpha1.RewindRequest) bool { return r.Step == gone })
}

// askForRewind asks for a step to run once more, or twice.
func askForRewind(o *v1alpha1.WorkOrder, roll dice) {
	all := slices.Concat(o.Spec.Steps, o.Spec.Finally)
	name, epoch := all[roll("which", len(all))].Name, int64(1+roll("further", 2))
	for _, s := range o.Status.Steps {
		if s.Name == name {
			epoch += s.Epoch
		}
	}
	o.Spec.Rewinds = slices.DeleteFunc(o.Spec.Rewinds, func(r v1alpha1.RewindRequest) bool { return r.Step == name })
	o.Spec.Rewinds = append(o.Spec.Rewinds, v1alpha1.RewindRequest{Step: name, ToEpoch: epoch})
}

// mend makes a spec valid again.
func mend(o *v1alpha1.WorkOrder) {
	if plan.Validate(&o.Spec) == nil {
		return
	}
	o.Spec.Steps = o.Spec.Steps[:min(len(o.Spec.Steps), 256)]
	o.Spec.Strategy = ""
	o.Spec.Parallelism, o.Spec.Rewinds = nil, nil
	for _, list := range [][]v1alpha1.Step{o.Spec.Steps, o.Spec.Finally} {
		for i := range list {
			list[i].DependsOn, list[i].Inputs, list[i].When = nil, nil, ""
		}
	}
}

// forgeEvent adds an event that no operator wrote, as a child of the head.
func (s *simulation) forgeEvent() {
	if s.order == nil {
		return
	}
	forged := v1alpha1.ProgressEventSpec{
		WorkOrder: v1alpha1.WorkOrderReference{Name: s.order.Name, UID: s.order.UID}, Sequence: s.order.Status.Sequence + 1,
		Previous: s.order.Status.Head, Type: v1alpha1.EventSucceeded, Time: metav1.NewTime(s.now),
		Changes: v1alpha1.Changes{Order: v1alpha1.OrderState{Outcome: v1alpha1.OutcomeSucceeded}},
	}
	_ = s.postEvent(plan.EventName(&forged), forged)
}

// squat lets somebody else take the name of a Pod that the order is about to need, for a while.
func (s *simulation) squat(roll dice) {
	if s.order == nil || s.order.DeletionTimestamp != nil {
		return
	}
	step := s.order.Spec.Steps[roll("which", len(s.order.Spec.Steps))].Name
	pod := steppod.Seal(s.order, step, 1)
	pod.OwnerReferences[0].UID = "somebody-else"
	if s.postPod(pod) == nil {
		s.after(20*time.Second, func() { s.deletePod(pod.Name, "") })
	}
}
