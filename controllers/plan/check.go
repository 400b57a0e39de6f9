package plan

import (
	"encoding/json"
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"workorders.dev/operator/api/v1alpha1"
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

// Problem is one reason for which a spec cannot run.
type Problem struct {
	// Field is where it is, as spec.steps[3].dependsOn[1].
	Field *field.Path
	// Step is the step that it is about, and Value what stands there; either may be empty.
	Step, Value string
	// Reason is that of the condition Stalled.
	Reason string
	// Message says what is wrong and what to do about it. It does not need the field to be understood.
	Message string
}

// Identity tells a problem from the others of an order. It stays the same when an edit moves the step or makes the message
// read otherwise.
type Identity struct{ field, step, value, reason string }

var index = regexp.MustCompile(`\[[0-9]+\]`)

// Identity is the problem's.
func (p *Problem) Identity() Identity {
	return Identity{index.ReplaceAllString(p.Field.String(), ""), p.Step, p.Value, p.Reason}
}

// Stall is how an order that has this problem says so.
func (p *Problem) Stall() *v1alpha1.Stall {
	// The message is cut, as it quotes a spec that may be anything.
	return &v1alpha1.Stall{Reason: p.Reason, Message: steppod.Line(p.Message, steppod.MaxMessage)}
}

// Check says why the order's spec cannot run as it stands, or nil if it can. The API server refuses most of this
// already; this is for what it cannot see, and for specs that came past it.
func Check(order *v1alpha1.WorkOrder) *v1alpha1.Stall {
	return first(Problems(order))
}

// Validate says why a spec cannot run, whatever has happened to the order so far; nil if it can.
func Validate(spec *v1alpha1.WorkOrderSpec) *v1alpha1.Stall {
	return first(problemsOf(spec).found)
}

func first(problems []Problem) *v1alpha1.Stall {
	if len(problems) == 0 {
		return nil
	}
	return problems[0].Stall()
}

// Problems are all reasons for which the order's spec cannot run as it stands. What follows from another one only is
// left out.
func Problems(order *v1alpha1.WorkOrder) []Problem {
	c := problemsOf(&order.Spec)
	if len(c.found) == 0 {
		c.removed(order.Status.Steps)
	}
	return c.found
}

// check gathers what is wrong with a spec.
type check struct {
	spec  *v1alpha1.WorkOrderSpec
	graph graph
	found []Problem
}

// problemsOf checks a spec: first its lists as such, then each step by itself, then what the steps say of each other.
func problemsOf(spec *v1alpha1.WorkOrderSpec) *check {
	c := &check{spec: spec}
	if !c.shape() {
		return c
	}
	c.graph = graphOf(spec)
	c.names()
	for i := range c.graph.nodes {
		c.step(&c.graph.nodes[i])
		c.needs(&c.graph.nodes[i])
	}
	c.cycles()
	c.rewinds()
	c.volumes()
	for i := range c.graph.nodes {
		if n := &c.graph.nodes[i]; !c.graph.isTangled(i) { // What comes before one that is tangled is not known yet.
			c.inputs(n)
			c.condition(n)
		}
	}
	c.size()
	return c
}

// invalid adds a problem that a mended spec would not have; the step may be nil.
func (c *check) invalid(at *field.Path, n *node, value, format string, args ...any) {
	c.add(v1alpha1.ReasonInvalidSpec, at, n, value, fmt.Sprintf(format, args...))
}

// tooLarge adds a problem that a smaller spec would not have; the step may be nil.
func (c *check) tooLarge(at *field.Path, n *node, format string, args ...any) {
	c.add(v1alpha1.ReasonTooLarge, at, n, "", fmt.Sprintf(format, args...))
}

func (c *check) add(reason string, at *field.Path, n *node, value, message string) {
	p := Problem{Field: at, Value: value, Reason: reason, Message: message}
	if n != nil {
		p.Step = n.Name
	}
	c.found = append(c.found, p)
}

// at is where a step is declared.
func (c *check) at(n *node) *field.Path {
	list, steps := field.NewPath("spec", "steps"), c.spec.Steps
	if n.finally {
		list, steps = field.NewPath("spec", "finally"), c.spec.Finally
	}
	for i := range steps {
		if &steps[i] == n.Step {
			return list.Index(i)
		}
	}
	return list
}

// shape checks the lists of steps as such, and says whether it is worth while to look at the steps.
func (c *check) shape() bool {
	spec, at := c.spec, field.NewPath("spec")
	switch {
	case spec.Strategy != "" && spec.Strategy != v1alpha1.StrategySequence && spec.Strategy != v1alpha1.StrategyGraph:
		c.invalid(at.Child("strategy"), nil, string(spec.Strategy), "strategy %q is not known: write Sequence or Graph, or leave it out", spec.Strategy)
	case len(spec.Steps) == 0:
		c.invalid(at.Child("steps"), nil, "", "the order has no steps: list at least one")
	case len(spec.Steps) > maxSteps:
		c.tooLarge(at.Child("steps"), nil, "an order has at most %d steps, and this one has %d: split it", maxSteps, len(spec.Steps))
	case len(spec.Finally) > maxFinally:
		c.tooLarge(at.Child("finally"), nil, "finally has at most %d steps, and here it has %d: do more in one of them", maxFinally, len(spec.Finally))
	}
	return len(c.found) == 0
}

// names checks that no two steps have the same name.
func (c *check) names() {
	seen, told := map[string]bool{}, map[string]bool{}
	for i := range c.graph.nodes {
		n := &c.graph.nodes[i]
		if seen[n.Name] && !told[n.Name] {
			c.invalid(c.at(n).Child("name"), n, n.Name, "two steps are called %q: rename one", n.Name)
			told[n.Name] = true
		}
		seen[n.Name] = true
	}
}

// rewinds checks that what is to run again exists.
func (c *check) rewinds() {
	for i, r := range c.spec.Rewinds {
		if c.graph.node(r.Step) == nil {
			c.invalid(field.NewPath("spec", "rewinds").Index(i).Child("step"), nil, r.Step,
				"rewinds names %q, and there is no such step%s", r.Step, c.nearest(r.Step, c.graph.names()))
		}
	}
}

func (c *check) size() {
	at := field.NewPath("spec")
	encoded, err := json.Marshal(c.spec)
	switch {
	case err != nil:
		c.invalid(at, nil, "", "the spec cannot be written as JSON: %v", err)
	case len(encoded) > maxSpecBytes:
		c.tooLarge(at, nil, "the spec has %d bytes, and at most %d are allowed: move data into ConfigMaps or volumes", len(encoded), maxSpecBytes)
	}
}

// removed checks that there is room in the status for the steps that were removed after they had started.
func (c *check) removed(entries []v1alpha1.StepStatus) {
	removed := 0
	for i := range entries {
		if step := &entries[i]; step.Epoch > 0 && c.graph.node(step.Name) == nil {
			removed++
		}
	}
	if all := len(c.spec.Steps) + len(c.spec.Finally) + removed; all > maxEntries {
		c.tooLarge(field.NewPath("spec", "steps"), nil, "the order has %d steps, with those that were removed after they had started, and at most %d are allowed: delete it and apply it anew", all, maxEntries)
	}
}
