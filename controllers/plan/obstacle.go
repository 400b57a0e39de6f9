package plan

import (
	"fmt"

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
		d, waiting := t.beginStep(v1alpha1.EventStepWaiting, i, fmt.Sprintf("cannot start: %s: %s", obstacle.Code, obstacle.Message))
		waiting.Error = obstacle
		d.event.Error = &v1alpha1.EventError{Code: obstacle.Code, Message: obstacle.Message}
		return d.commit()
	}
	return nil
}

// obstacle is what keeps a running step from starting, or nil.
func (t *turn) obstacle(step *v1alpha1.StepStatus) *v1alpha1.StepError {
	if step.Phase != v1alpha1.StepRunning || step.PodName == "" {
		return nil
	}
	report, found := t.pod(step)
	if !found {
		if refusal, refused := t.world.Refusals[attempt(step)]; refused {
			return &refusal.Why
		}
		return nil
	}
	if report.Started || report.Stopped != "" {
		return nil
	}
	return report.Waiting
}

// relieve says of a step that could not start that it runs now.
func relieve(t *turn) *Transition {
	for i := range t.status().Steps {
		step := &t.status().Steps[i]
		if step.Phase != v1alpha1.StepRunning || step.Error == nil {
			continue
		}
		if report, found := t.pod(step); found && report.Started {
			d, running := t.beginStep(v1alpha1.EventStepRunning, i, "runs now")
			running.Error = nil
			return d.commit()
		}
	}
	return nil
}
