package commands

import (
	"fmt"
	"slices"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
	"workorders.dev/operator/controllers/plan"
)

// stepOf is what the status says of a step; nil if it knows no such step.
func stepOf(order *v1alpha1.WorkOrder, name string) *v1alpha1.StepStatus {
	i := slices.IndexFunc(order.Status.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &order.Status.Steps[i]
}

// stepNames are the names of the steps that the status knows, and of those that the operator has not read yet.
func stepNames(order *v1alpha1.WorkOrder) (names []string) {
	for i := range order.Status.Steps {
		names = append(names, order.Status.Steps[i].Name)
	}
	for _, need := range plan.Needs(&order.Spec) {
		if !slices.Contains(names, need.Step.Name) {
			names = append(names, need.Step.Name)
		}
	}
	return names
}

func unknownStep(order *v1alpha1.WorkOrder, name string) error {
	hint := plan.Nearest(name, stepNames(order))
	if hint == "" {
		hint = fmt.Sprintf(": kubectl workorder status %s shows which there are", order.Name)
	}
	return fmt.Errorf("work order %s has no step %q%s", order.Name, timeline.Safe(name), hint)
}
