package plan

import (
	"time"

	"workorders.dev/operator/api/v1alpha1"
)

// complain says of a running step that its Pod is refused or does not start, once for each reason.
func complain(t *turn) *Transition {
	for i := range t.status().Steps {
		step := &t.status().Steps[i]
		obstacle := t.obstacle(step)
		if obstacle == nil || step.Error != nil && step.Error.Code == obstacle.Code {
			continue
		}
		d, waiting := t.beginStep(v1alpha1.EventStepWaiting, i)
		d.say("cannot start: %s: %s", obstacle.Code, obstacle.Message)
		waiting.Error = obstacle
		d.event.Error = &v1alpha1.EventError{Code: obstacle.Code, Message: obstacle.Message}
		return d.commit()
	}
	return nil
}

// obstacle is what keeps a running step from starting, or nil.
func (t *turn) obstacle(step *v1alpha1.StepStatus) *v1alpha1.StepError {
	if !hasPod(step) {
		return nil
	}
	report, found := t.pod(step)
	if !found {
		if refusal, refused := t.world.Refusals[attempt(step)]; refused && refusal.Generation == t.order.Generation {
			return &refusal.Why
		}
		return nil
	}
	switch {
	case report.Started || report.Stopped != "":
		return nil
	case report.Waiting == nil && step.Error == nil && report.Bound && !t.now.Before(report.Created.Add(slowStart)):
		return &v1alpha1.StepError{Code: v1alpha1.CodeSlowStart, Message: "its container has not started yet; kubectl describe pod " + report.Name + " may say why"}
	}
	return report.Waiting
}

// onlyStartHelps says whether a reason for waiting is over only when the container has started.
func onlyStartHelps(code v1alpha1.ErrorCode) bool {
	return code == v1alpha1.CodeImagePull || code == v1alpha1.CodeContainerConfig || code == v1alpha1.CodeSlowStart
}

// slowStart is how long a Pod that has a node may take to start before it is worth a word. A volume that cannot be
// mounted shows in no other way: the kubelet speaks of it in Kubernetes Events alone.
const slowStart = 30 * time.Second

// relieve says of a step that could not start that it can now: its container runs, or its Pod, which was refused or had
// no node, has nothing to complain of any more. Of a container that could not be made only its start is proof.
func relieve(t *turn) *Transition {
	for i := range t.status().Steps {
		step := &t.status().Steps[i]
		if step.Phase != v1alpha1.StepRunning || step.Error == nil {
			continue
		}
		if report, found := t.pod(step); found && report.Stopped == "" && (report.Started || report.Waiting == nil && !onlyStartHelps(step.Error.Code)) {
			message := "can start now"
			if report.Started {
				message = "runs now"
			}
			d, running := t.beginStep(v1alpha1.EventStepRunning, i)
			d.say("%s", message)
			running.Error = nil
			return d.commit()
		}
	}
	return nil
}
