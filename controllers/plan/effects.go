package plan

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// PodRetention is how long Pods are kept after their order has finished. Until then an ended Pod is a tombstone: its
// name cannot be used a second time.
const PodRetention = 10 * time.Minute

// Effects is what must be done for the cluster to be as the saved status says. Doing it twice, or a part of it, does
// no harm.
type Effects struct {
	// Create are the attempts whose Pod is missing.
	Create []Start
	// Seal are the attempts without a Pod whose Pod must never be made: their names are to be taken.
	Seal []Start
	// Stop are the Pods to be stopped.
	Stop []Stop
	// Release are the ended Pods whose result is saved, so that nothing holds them any more.
	Release []steppod.Report
	// Delete are the Pods that are of no more use.
	Delete []steppod.Report
	// DeleteOrder: the order itself is of no more use.
	DeleteOrder bool
	// Wake is when to look again if nothing happens before; zero for never.
	Wake time.Time
}

// Empty says whether there is nothing to do, except to look again later.
func (e *Effects) Empty() bool {
	return len(e.Create)+len(e.Seal)+len(e.Stop)+len(e.Release)+len(e.Delete) == 0 && !e.DeleteOrder
}

// Start is an attempt whose Pod is to be made.
type Start struct {
	steppod.Attempt
	Spec   *v1alpha1.Step
	Status *v1alpha1.StepStatus
	// Inputs are the steps whose outputs it gets.
	Inputs []string
}

// Stop is a Pod to be stopped, and why.
type Stop struct {
	Pod  steppod.Report
	Code v1alpha1.ErrorCode
}

// Act is what is to be done for an order whose status is saved.
func Act(order *v1alpha1.WorkOrder, world World, now time.Time) Effects {
	t := newTurn(order, world, now)
	var e Effects
	e.wakeAt(t, t.deadline())
	current := map[steppod.Attempt]*v1alpha1.StepStatus{}
	for i := range order.Status.Steps {
		step := &order.Status.Steps[i]
		if hasPod(step) {
			current[attempt(step)] = step
			if _, found := t.pod(step); !found {
				e.provide(t, step)
			}
		} else if step.NotBefore != nil {
			e.wakeAt(t, step.NotBefore.Time)
		}
	}
	pods := slices.SortedFunc(maps.Keys(world.Pods), func(a, b steppod.Attempt) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Epoch, b.Epoch))
	})
	for _, key := range pods {
		if pod, step := world.Pods[key], current[key]; step != nil {
			e.tend(t, pod, step)
		} else {
			e.retire(t, pod)
		}
	}
	e.DeleteOrder = t.outlived(&e)
	return e
}

// provide sees to the missing Pod of a running step.
func (e *Effects) provide(t *turn, step *v1alpha1.StepStatus) {
	refusal, refused := t.world.Refusals[attempt(step)]
	n, unwanted := t.graph.node(step.Name), t.unwanted(step) != ""
	if step.Finally {
		e.wakeAt(t, t.overdue(step))
	}
	switch {
	case t.order.DeletionTimestamp != nil:
		// Nothing starts any more, and nobody will ask how it ended.
	case refused && refusal.Seal == unwanted && refusal.Generation == t.order.Generation && t.now.Before(refusal.RetryAt):
		e.wakeAt(t, refusal.RetryAt)
	case unwanted:
		e.Seal = append(e.Seal, Start{Attempt: attempt(step), Status: step})
	case t.status().Suspended:
		// It was started, but never had a Pod: for a person nothing runs yet, so it waits like what comes after it.
	case t.lingers(step):
		// It is stopped below; when it has ended, there is another turn.
	case n != nil && n.Run != nil && steppod.SameSpec(n.Step, n.needs, step.SpecHash):
		e.Create = append(e.Create, Start{Attempt: attempt(step), Spec: n.Step, Status: step, Inputs: n.inputs()})
	}
}

// lingers says whether a Pod of an earlier epoch of the step may still run, where there should be none.
func (t *turn) lingers(step *v1alpha1.StepStatus) bool {
	for key, pod := range t.world.Pods {
		if key.Step == step.Name && key.Epoch < step.Epoch && pod.Ended(t.now) == nil {
			return true
		}
	}
	return false
}

// tend sees to the Pod of a running step: it is stopped if it is not wanted any more, or does not start in time.
func (e *Effects) tend(t *turn, pod steppod.Report, step *v1alpha1.StepStatus) {
	if t.end(step) != nil {
		return // It waits to be written down.
	}
	stop := func(code v1alpha1.ErrorCode) {
		if pod.Stopped == "" && !pod.Deleting {
			e.Stop = append(e.Stop, Stop{Pod: pod, Code: code})
		}
	}
	deadline := pod.Created.Add(t.startTimeout(step))
	switch unwanted := t.unwanted(step); {
	case unwanted != "":
		stop(unwanted)
	case outdated(&pod, step):
		stop(v1alpha1.CodeSuperseded)
	case pod.Started:
	case t.now.Before(deadline):
		e.wakeAt(t, deadline)
		if pod.Bound {
			e.wakeAt(t, pod.Created.Add(slowStart))
		}
	default:
		stop(v1alpha1.CodeStartTimeout)
	}
	e.wakeAt(t, pod.LostAt)
}

// retire sees to a Pod whose attempt is over, or never was: nothing is recorded from it.
func (e *Effects) retire(t *turn, pod steppod.Report) {
	if pod.Ended(t.now) == nil {
		if pod.Stopped == "" && !pod.Deleting {
			e.Stop = append(e.Stop, Stop{Pod: pod, Code: v1alpha1.CodeSuperseded})
		}
		e.wakeAt(t, pod.LostAt)
		return
	}
	if pod.Held {
		e.Release = append(e.Release, pod)
	}
	if t.expired(e) && !pod.Deleting && !t.kept(pod) {
		e.Delete = append(e.Delete, pod)
	}
}

// kept says whether a Pod stays until the order is deleted.
func (t *turn) kept(pod steppod.Report) bool {
	switch t.order.Spec.KeepPods {
	case v1alpha1.KeepAllPods:
		return !pod.Sealed
	case v1alpha1.KeepNoPods:
		return false
	default:
		return pod.End != nil && (pod.End.Verdict == steppod.Failed || pod.End.Verdict == steppod.Disrupted)
	}
}

// outlived says whether the order has finished longer ago than it is to be kept.
func (t *turn) outlived(e *Effects) bool {
	end, ttl := t.status().CompletionTime, t.order.Spec.TTLSecondsAfterFinished
	if !t.finished() || end == nil || ttl == nil || t.order.DeletionTimestamp != nil {
		return false
	}
	if t.order.Generation != t.status().ObservedGeneration || t.rerun != nil {
		return false // Somebody has just asked for more.
	}
	expiry := end.Add(time.Duration(*ttl) * time.Second)
	e.wakeAt(t, expiry)
	return !t.now.Before(expiry)
}

// expired says whether the order has finished so long ago that its Pods are of no more use. If not, it is looked at
// again when they will be.
func (t *turn) expired(e *Effects) bool {
	end := t.status().CompletionTime
	if !t.finished() || end == nil {
		return false
	}
	expiry := end.Add(PodRetention)
	e.wakeAt(t, expiry)
	return !t.now.Before(expiry)
}

// wakeAt sees to it that the order is looked at again at that time, if it lies ahead.
func (e *Effects) wakeAt(t *turn, at time.Time) {
	if at.After(t.now) && (e.Wake.IsZero() || at.Before(e.Wake)) {
		e.Wake = at
	}
}
