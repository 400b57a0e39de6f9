package plan

import (
	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// skip passes over the first step that could start if its condition were true.
func skip(t *turn) *Transition {
	if !t.graph.conditional {
		return nil
	}
	d := t.begin(v1alpha1.EventStepSkipped)
	if !d.mayStart() {
		return nil
	}
	o := d.outlook()
	for i := range d.steps {
		step := &d.steps[i]
		if !o.ready(step) || o.graph.node(step.Name).When == "" {
			continue
		}
		yes, err := o.condition(step.Name)
		if yes && err == nil {
			continue // There is no room for it.
		}
		d.passOver(step, err)
		return d.commit()
	}
	return nil
}

// passOver settles a step that does not run: its condition is false, or cannot be evaluated.
func (d *draft) passOver(step *v1alpha1.StepStatus, err error) {
	was := *step
	d.waive(step)
	step.StartSequence = d.firstHeld(&was, step.Epoch) // Should it be asked to run again, this event is superseded.
	n := d.graph.node(step.Name)
	step.SpecHash = steppod.SpecHash(n.Step, n.needs) // Once it is edited, it is decided anew.
	step.Phase = v1alpha1.StepSkipped
	d.about(step.Name, step.Epoch)
	if err == nil {
		d.say("skipped: its when is false")
		return
	}
	step.Phase = v1alpha1.StepFailed
	step.Error = &v1alpha1.StepError{Code: v1alpha1.CodeExpressionFailed, Message: err.Error()}
	d.event.Type = v1alpha1.EventStepFailed
	d.event.Error = &v1alpha1.EventError{Code: step.Error.Code, Message: step.Error.Message}
	d.say("failed: %s", err)
}
