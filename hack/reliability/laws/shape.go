package laws

import (
	"fmt"
	"slices"
	"strings"

	"workorders.dev/operator/api/v1alpha1"
)

// Shape is a status without what differs between two orders of the same spec that went the same way: times, names and
// digests.
func Shape(status *v1alpha1.WorkOrderStatus) string {
	var shape strings.Builder
	fmt.Fprintf(&shape, "%s %s rewinds=%d sequence=%d", status.Phase, status.Progress, status.Rewinds, status.Sequence)
	for _, step := range status.Steps {
		fmt.Fprintf(&shape, "\n%s %s epoch=%d attempt=%d retries=%d disruptions=%d", step.Name, step.Phase,
			step.Epoch, step.Attempt, step.Retries, step.Disruptions)
		if step.ExitCode != nil {
			fmt.Fprintf(&shape, " exit=%d", *step.ExitCode)
		}
		if step.Output != "" {
			fmt.Fprintf(&shape, " output=%q", step.Output)
		}
		if step.Error != nil {
			fmt.Fprintf(&shape, " error=%s", step.Error.Code)
		}
	}
	return shape.String()
}

// Story is the log of an order: a line for each event on the chain.
func Story(r Record) string {
	var story strings.Builder
	for _, event := range r.chain().Events {
		fmt.Fprintf(&story, "%d %s %s/%d\n", event.Spec.Sequence, event.Spec.Type, event.Spec.Step, event.Spec.Epoch)
	}
	return story.String()
}

// Tally is the same log without its order: of steps that run side by side, either may end first.
func Tally(r Record) string {
	var lines []string
	for _, event := range r.chain().Events {
		lines = append(lines, fmt.Sprintf("%s %s/%d\n", event.Spec.Type, event.Spec.Step, event.Spec.Epoch))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
