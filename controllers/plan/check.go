package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/expression"
	"workorders.dev/operator/controllers/steppod"
)

// Limits on the size of an order. What they allow at the very worst is 1.25 MiB of JSON: etcd takes 1.5 MiB in one request,
// so there is room for what others write into the order's metadata.
const (
	maxSpecBytes = 256 << 10
	// maxSteps is the most steps that an order can have, maxFinally those of finally, and maxEntries the most that the
	// status holds: with those that were removed after they had started.
	maxSteps   = 256
	maxFinally = 16
	maxEntries = 320
	maxNeeds   = 16

	// maxStepBytes is the largest entry of a step in the status: 1 KiB of output, 512 bytes of error, 256 of message,
	// and under 1 KiB of names, numbers and times.
	maxStepBytes = 3 << 10
	// maxRemovedBytes is that of a step that was removed: its name, its epoch and little else.
	maxRemovedBytes = 1 << 10

	// Does not compile if the limits allow more.
	_ = uint(5<<18 - (maxSpecBytes + (maxSteps+maxFinally)*maxStepBytes + (maxEntries-maxSteps-maxFinally)*maxRemovedBytes))
)

// Check says why the order's spec cannot run as it stands, or nil if it can. The API server refuses most of this
// already; this is for what it cannot see, and for specs that came past it.
func Check(order *v1alpha1.WorkOrder) *v1alpha1.Stall {
	stall := Validate(&order.Spec)
	if stall != nil {
		return stall
	}
	g, removed := graphOf(&order.Spec), 0
	for i := range order.Status.Steps {
		if step := &order.Status.Steps[i]; step.Epoch > 0 && g.node(step.Name) == nil {
			removed++
		}
	}
	if all := len(order.Spec.Steps) + len(order.Spec.Finally) + removed; all > maxEntries {
		return tooLarge("the order has %d steps, with those that were removed after they had started, and at most %d are allowed: delete it and apply it anew", all, maxEntries)
	}
	return nil
}

// Validate says why a spec cannot run, whatever has happened to the order so far; nil if it can.
func Validate(spec *v1alpha1.WorkOrderSpec) *v1alpha1.Stall {
	if stall := checkShape(spec); stall != nil {
		return stall
	}
	g := graphOf(spec)
	for i := range g.nodes {
		if stall := checkNode(spec, &g, &g.nodes[i]); stall != nil {
			return stall
		}
	}
	if cycle := g.cycle(); cycle != nil {
		return invalid("the steps depend on each other in a circle: %s; take one of these dependencies out", strings.Join(cycle, " → "))
	}
	for _, r := range spec.Rewinds {
		if g.node(r.Step) == nil {
			return invalid("rewinds names %q, and there is no such step%s", r.Step, nearest(r.Step, g.names()))
		}
	}
	for i := range g.nodes {
		if stall := checkReferences(spec, &g, &g.nodes[i]); stall != nil {
			return stall
		}
	}
	return checkSize(spec)
}

// checkShape checks the lists of steps as such.
func checkShape(spec *v1alpha1.WorkOrderSpec) *v1alpha1.Stall {
	switch {
	case spec.Strategy != "" && spec.Strategy != v1alpha1.StrategySequence && spec.Strategy != v1alpha1.StrategyGraph:
		return invalid("strategy %q is not known: write Sequence or Graph, or leave it out", spec.Strategy)
	case len(spec.Steps) == 0:
		return invalid("the order has no steps: list at least one")
	case len(spec.Steps) > maxSteps:
		return tooLarge("an order has at most %d steps, and this one has %d: split it", maxSteps, len(spec.Steps))
	case len(spec.Finally) > maxFinally:
		return tooLarge("finally has at most %d steps, and here it has %d: do more in one of them", maxFinally, len(spec.Finally))
	}
	seen := map[string]bool{}
	for _, step := range allSteps(spec) {
		if seen[step.Name] {
			return invalid("two steps are called %q: rename one", step.Name)
		}
		seen[step.Name] = true
	}
	return nil
}

// checkNode checks what a step says for itself, and that what it directly names exists.
func checkNode(spec *v1alpha1.WorkOrderSpec, g *graph, n *node) *v1alpha1.Stall {
	switch {
	case (n.Run == nil) == (n.Wait == nil):
		return invalid("step %q must have either run or wait: set exactly one", n.Name)
	case n.Run != nil && n.Run.Image == "":
		return invalid("step %q has no image: set run.image", n.Name)
	case n.finally && len(n.DependsOn) > 0:
		return invalid("step %q of finally depends on nothing, as it runs after all steps: leave dependsOn out", n.Name)
	case spec.Strategy != v1alpha1.StrategyGraph && len(n.DependsOn) > 0:
		return invalid("step %q has dependsOn, which belongs to a Graph: set strategy: Graph, or leave dependsOn out", n.Name)
	case len(n.DependsOn) > maxNeeds || len(n.Inputs) > maxNeeds:
		return tooLarge("step %q names more than %d steps in dependsOn or inputs: put a step in between", n.Name, maxNeeds)
	}
	for _, need := range n.DependsOn {
		other := g.node(need)
		switch {
		case need == n.Name:
			return invalid("step %q depends on itself: take its own name out of dependsOn", n.Name)
		case other == nil:
			return invalid("step %q depends on %q, and there is no such step%s", n.Name, need, nearest(need, g.names()))
		case other.finally:
			return invalid("step %q depends on %q, which is of finally and runs after it", n.Name, need)
		}
	}
	return nil
}

// checkReferences checks that what a step reads of others has ended when it starts.
func checkReferences(spec *v1alpha1.WorkOrderSpec, g *graph, n *node) *v1alpha1.Stall {
	if len(n.Inputs) == 0 && n.When == "" && (spec.Workspace == nil || n.Run == nil) {
		return nil
	}
	before := g.before(n.Name)
	for _, input := range n.Inputs {
		if !slices.Contains(before, input) {
			return invalid("step %q takes %q as an input, which does not come before it: add it to dependsOn, or take it out%s", n.Name, input, nearest(input, before))
		}
	}
	if n.When != "" {
		if _, err := expression.Compile(n.When, scope(spec, before)); err != nil {
			return invalid("step %q: %v", n.Name, err)
		}
	}
	if spec.Workspace != nil && n.Run != nil {
		for _, mount := range n.Run.VolumeMounts {
			if mount.MountPath == steppod.WorkspacePath {
				return invalid("step %q mounts a volume at %s, where the workspace is: mount it elsewhere", n.Name, steppod.WorkspacePath)
			}
		}
	}
	return nil
}

// allSteps are the steps of a spec and those of finally.
func allSteps(spec *v1alpha1.WorkOrderSpec) []*v1alpha1.Step {
	all := make([]*v1alpha1.Step, 0, len(spec.Steps)+len(spec.Finally))
	for i := range spec.Steps {
		all = append(all, &spec.Steps[i])
	}
	for i := range spec.Finally {
		all = append(all, &spec.Finally[i])
	}
	return all
}

// names are the names of all steps.
func (g *graph) names() []string {
	names := make([]string, 0, len(g.nodes))
	for i := range g.nodes {
		names = append(names, g.nodes[i].Name)
	}
	return names
}

// nearest is what may have been meant by a name that is not known: the names that differ in two letters at most.
func nearest(name string, known []string) string {
	best, least := "", 3
	for _, candidate := range known {
		if d := distance(name, candidate); d < least {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is how many letters must be put in, taken out or replaced to make one word of the other (Levenshtein, 1966).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j+1]+1, row[j]+1, replaced)
		}
	}
	return row[len(b)]
}

func checkSize(spec *v1alpha1.WorkOrderSpec) *v1alpha1.Stall {
	encoded, err := json.Marshal(spec)
	if err != nil {
		return invalid("the spec cannot be written as JSON: %v", err)
	}
	if len(encoded) > maxSpecBytes {
		return tooLarge("the spec has %d bytes, and at most %d are allowed: move data into ConfigMaps or volumes", len(encoded), maxSpecBytes)
	}
	return nil
}

func invalid(format string, args ...any) *v1alpha1.Stall {
	return stalled(v1alpha1.ReasonInvalidSpec, fmt.Sprintf(format, args...))
}

func tooLarge(format string, args ...any) *v1alpha1.Stall {
	return stalled(v1alpha1.ReasonTooLarge, fmt.Sprintf(format, args...))
}

// stalled cuts the message, as it quotes a spec that may be anything.
func stalled(reason, message string) *v1alpha1.Stall {
	return &v1alpha1.Stall{Reason: reason, Message: steppod.Line(message, steppod.MaxMessage)}
}
