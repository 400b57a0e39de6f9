package plan

import (
	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/expression"
)

// outlook tells which steps of a draft can start.
type outlook struct {
	*draft
	// entries are the steps by name, and over says that all but those of finally are settled.
	entries map[string]*v1alpha1.StepStatus
	over    bool
	// held are the steps that have to be rewound before anything that comes after them may start.
	held *rerun
}

func (d *draft) outlook() *outlook {
	o := &outlook{draft: d, entries: make(map[string]*v1alpha1.StepStatus, len(d.steps)), over: mainOver(d.steps)}
	for i := range d.steps {
		o.entries[d.steps[i].Name] = &d.steps[i]
	}
	o.held = d.findRerun(d.steps, &d.state)
	return o
}

// ready says whether a step waits for nothing any more but perhaps for room; its condition aside.
func (o *outlook) ready(step *v1alpha1.StepStatus) bool {
	n := o.graph.node(step.Name)
	if step.Phase != v1alpha1.StepPending || step.Removed || !n.runnable() || o.held.holds(step.Name) {
		return false
	}
	if n.finally {
		return o.over
	}
	if windingDown(o.state.Cancelled, o.state.Expired) {
		return false
	}
	for _, need := range n.needs {
		if entry := o.entries[need]; entry == nil || !done(entry) {
			return false
		}
	}
	return true
}

// condition says whether a step that is ready is to run at all.
func (o *outlook) condition(name string) (bool, error) {
	n := o.graph.node(name)
	if n.When == "" {
		return true, nil
	}
	before := o.graph.before(name)
	program, err := expression.Compile(n.When, scope(&o.order.Spec, before))
	if err != nil {
		return false, err
	}
	facts := expression.Facts{Params: map[string]string{}, Steps: make(map[string]expression.Step, len(before))}
	for _, p := range o.order.Spec.Params {
		facts.Params[p.Name] = p.Value
	}
	for _, earlier := range before {
		if entry := o.entries[earlier]; entry != nil {
			results, _ := expression.Results(entry.Output)
			facts.Steps[earlier] = expression.Step{
				Phase: string(entry.Phase), Output: entry.Output, Results: results, Epoch: entry.Epoch,
			}
		}
	}
	return program.Eval(facts)
}

// scope is what the condition of a step that comes after those may speak of.
func scope(spec *v1alpha1.WorkOrderSpec, before []string) expression.Scope {
	s := expression.Scope{Steps: before}
	for _, p := range spec.Params {
		s.Params = append(s.Params, p.Name)
	}
	return s
}
