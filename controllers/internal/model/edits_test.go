package model

import (
	"fmt"
	"slices"
	"strings"

	"workorders.dev/operator/api/v1alpha1"
)

// What people do to a spec. None of these edits makes it one that cannot run, whatever the others have made of it.
var (
	suspends = []edit{
		{"suspends the order", func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = true }},
		{"resumes the order", func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = false }},
	}
	cancels = []edit{{"cancels the order", func(o *v1alpha1.WorkOrder) { o.Spec.Cancel = true }}}
	edits   = []edit{{"edits the image of every step", func(o *v1alpha1.WorkOrder) {
		for _, steps := range [][]v1alpha1.Step{o.Spec.Steps, o.Spec.Finally} {
			for i := range steps {
				if steps[i].Run != nil {
					steps[i].Run = &v1alpha1.Run{Image: "registry/agent:2"}
				}
			}
		}
	}}}
	// shortens leaves so little time that any order takes too long.
	shortens = edit{"sets a deadline", func(o *v1alpha1.WorkOrder) { seconds := int64(aWhile - 5); o.Spec.ActiveDeadlineSeconds = &seconds }}
)

// breaks are an edit after which the spec cannot run, and one that mends it.
var breaks = []edit{
	{"depends on what there is not", func(o *v1alpha1.WorkOrder) { o.Spec.Steps[0].Inputs = []string{"nobody"} }},
	{"mends it", func(o *v1alpha1.WorkOrder) {
		for i := range o.Spec.Steps {
			o.Spec.Steps[i].Inputs = nil
		}
	}},
}

// editsOne edits what one step runs.
func editsOne(step string) edit {
	return edit{"edits the image of " + step, func(o *v1alpha1.WorkOrder) {
		for i := range o.Spec.Steps {
			if o.Spec.Steps[i].Name == step && o.Spec.Steps[i].Run != nil {
				o.Spec.Steps[i].Run = &v1alpha1.Run{Image: "registry/agent:3"}
			}
		}
	}}
}

// rewindsTo asks for a step to be at an epoch.
func rewindsTo(step string, epoch int64) edit {
	return edit{fmt.Sprintf("asks for %s at epoch %d", step, epoch), func(o *v1alpha1.WorkOrder) { askFor(o, step, epoch) }}
}

// rewindsFurther asks for a step to be at an epoch beyond the one that it is at.
func rewindsFurther(step string, by int64) edit {
	return edit{fmt.Sprintf("asks for %s, %d epochs further", step, by), func(o *v1alpha1.WorkOrder) {
		if entry := entryOf(&o.Status, step); entry != nil {
			askFor(o, step, entry.Epoch+by)
		}
	}}
}

func askFor(o *v1alpha1.WorkOrder, step string, epoch int64) {
	if digestOf(&o.Spec, step) == "" {
		return // It is not in the spec at present.
	}
	askNoMore(o, step)
	o.Spec.Rewinds = append(o.Spec.Rewinds, v1alpha1.RewindRequest{Step: step, ToEpoch: epoch})
}

// asksNoMore takes back what was asked for.
func asksNoMore(step string) edit {
	return edit{"asks no more for " + step, func(o *v1alpha1.WorkOrder) { askNoMore(o, step) }}
}

func askNoMore(o *v1alpha1.WorkOrder, step string) {
	o.Spec.Rewinds = slices.DeleteFunc(slices.Clone(o.Spec.Rewinds), func(r v1alpha1.RewindRequest) bool { return r.Step == step })
}

// inserts puts a step before another one.
func inserts(name, before string) edit {
	return edit{fmt.Sprintf("inserts %s before %s", name, before), func(o *v1alpha1.WorkOrder) {
		at := slices.IndexFunc(o.Spec.Steps, func(s v1alpha1.Step) bool { return s.Name == before })
		if at < 0 || digestOf(&o.Spec, name) != "" {
			return
		}
		added := v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: "registry/agent:1"}}
		steps := slices.Clone(o.Spec.Steps)
		if o.Spec.Strategy == v1alpha1.StrategyGraph {
			added.DependsOn = steps[at].DependsOn
			steps[at].DependsOn = append(slices.Clone(steps[at].DependsOn), name)
		}
		o.Spec.Steps = slices.Insert(steps, at, added)
	}}
}

// removes takes a step out, and out of what the others say of it.
func removes(name string) edit {
	return edit{"removes " + name, func(o *v1alpha1.WorkOrder) {
		steps := slices.DeleteFunc(slices.Clone(o.Spec.Steps), func(s v1alpha1.Step) bool { return s.Name == name })
		if len(steps) == 0 {
			return
		}
		for i := range steps {
			steps[i].DependsOn = slices.DeleteFunc(slices.Clone(steps[i].DependsOn), func(need string) bool { return need == name })
			if strings.Contains(steps[i].When, "steps[") {
				steps[i].When = "" // It may be about the one that goes.
			}
		}
		o.Spec.Steps = steps
		askNoMore(o, name)
	}}
}
