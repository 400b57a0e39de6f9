package plan_test

import (
	"encoding/json"
	"fmt"
	"slices"

	"workorders.dev/operator/api/v1alpha1"
)

// verdict is what becomes of a condition.
type verdict int

const (
	holds verdict = iota
	fails
	hasNoValue
)

// whens are conditions on another step, and what each means: told without CEL.
var whens = []struct {
	says  string
	means func(*v1alpha1.StepStatus) verdict
}{
	{`steps[%[1]q].output != "" || steps[%[1]q].epoch > 1`, func(s *v1alpha1.StepStatus) verdict { return whether(s.Output != "" || s.Epoch > 1) }},
	{`has(steps[%[1]q].results.errors) && steps[%[1]q].results.errors > 0`, func(s *v1alpha1.StepStatus) verdict {
		errors, found := errorsOf(s)
		if found && errors == nil {
			return hasNoValue // What is no number is neither more nor less than one.
		}
		return whether(found && *errors > 0)
	}},
	{`steps[%[1]q].phase == "Succeeded"`, func(s *v1alpha1.StepStatus) verdict { return whether(s.Phase == v1alpha1.StepSucceeded) }},
	{`steps[%[1]q].results.errors == 0`, func(s *v1alpha1.StepStatus) verdict {
		errors, found := errorsOf(s)
		if !found {
			return hasNoValue
		}
		return whether(errors != nil && *errors == 0)
	}},
}

func whether(yes bool) verdict {
	if yes {
		return holds
	}
	return fails
}

// errorsOf is what the results of a step say of errors; nil if that is no number.
func errorsOf(s *v1alpha1.StepStatus) (number *int64, found bool) {
	var results map[string]json.RawMessage
	_ = json.Unmarshal([]byte(s.Output), &results) // What is no object has no results.
	said, found := results["errors"]
	if json.Unmarshal(said, &number) != nil {
		number = nil
	}
	return number, found
}

// verdictOn is what the condition of a step comes to in that status; not known of one that is none of the above. It has no
// value if it speaks of a step that does not come before, in an order that is brought to its end with a spec that cannot run.
func verdictOn(order *v1alpha1.WorkOrder, step *v1alpha1.Step) (v verdict, known bool) {
	before := allBefore(&order.Spec, step.Name)
	for i := range order.Status.Steps {
		other := &order.Status.Steps[i]
		for _, w := range whens {
			switch {
			case step.When != fmt.Sprintf(w.says, other.Name):
			case slices.Contains(before, other.Name) && specOf(&order.Spec, other.Name) != nil: // Not one that is needed, and removed.
				return w.means(other), true
			default:
				return hasNoValue, true
			}
		}
	}
	return holds, step.When == ""
}

// decided checks that what its condition says became of a step when it could start. A retry does not ask again.
func (l *laws) decided(order *v1alpha1.WorkOrder, was, step *v1alpha1.StepStatus) {
	spec := specOf(&order.Spec, step.Name)
	if spec == nil || was.Phase == step.Phase && was.Epoch == step.Epoch {
		return
	}
	want := holds
	switch {
	case step.Phase == v1alpha1.StepRunning && was.Phase != v1alpha1.StepBackoff:
	case step.Phase == v1alpha1.StepSkipped:
		want = fails
	case step.Phase == v1alpha1.StepFailed && step.Error != nil && step.Error.Code == v1alpha1.CodeExpressionFailed:
		want = hasNoValue
	default:
		return
	}
	got, known := verdictOn(order, spec)
	switch {
	case !known || spec.When == "":
	case got == holds:
		l.seen[sawCondition]++
	case got == fails:
		l.seen[sawSkip]++
	case got == hasNoValue:
		l.seen[sawNoValue]++
	}
	if known && got != want {
		l.breach("%s is %s, and its when, %s, comes to %d: %s", step.Name, step.Phase, spec.When, got, encode(order.Status))
	}
}
