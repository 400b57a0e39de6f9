package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/report"
	"workorders.dev/operator/hack/reliability/specs"
)

// shape is how a status looks to somebody who does not know what was edited: each step's name and phase.
func shape(s *v1alpha1.WorkOrderStatus) string {
	said := string(s.Phase)
	for _, step := range s.Steps {
		if !step.Removed {
			said += " " + step.Name + ":" + string(step.Phase)
		}
	}
	return said
}

// playing is a simulation of an order with that spec, in which steps called "fails" fail.
func playing(spec *v1alpha1.WorkOrderSpec) *simulation {
	o := order()
	o.Spec = *spec.DeepCopy()
	s := simulate(o, calm)
	s.behave = func(a steppod.Attempt) behaviour {
		if a.Step == specs.Fails {
			return exits(1, "no")
		}
		return succeeds("something")
	}
	return s
}

func TestAfterAnEditTheOrderIsAsItsLastSpecSays(t *testing.T) {
	began, all, cases := time.Now(), specs.All(), 0
	fresh := map[string]string{}
	for name, spec := range all {
		s := playing(&spec)
		if err := s.run(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		fresh[name] = shape(&s.order.Status)
	}
	var broken []string
	for from, before := range all {
		for to, wanted := range all {
			for _, moment := range []time.Duration{0, 3 * time.Second, 6 * time.Second, 11 * time.Second} {
				cases++
				name := fmt.Sprintf("from %q to %q after %s", from, to, moment)
				for _, breach := range edit(&before, &wanted, moment, fresh[to]) {
					broken = append(broken, name+": "+breach)
				}
			}
		}
	}
	if len(all) != 30 {
		t.Errorf("there are %d specs", len(all))
	}
	for _, b := range broken[:min(len(broken), 10)] {
		t.Error(b)
	}
	t.Logf("%d transitions in %s, %d broken", cases, time.Since(began).Round(time.Millisecond), len(broken))
	line := report.Line{Row: "R18", Harness: "unit", Cases: cases, Unit: "transitions of 30 specs at 4 moments", Violations: len(broken), Full: true}
	if err := line.Since(began).Add(); err != nil {
		t.Error(err)
	}
}

// edit plays an order, edits it at a moment, and says in what it differs from a new one.
func edit(before, wanted *v1alpha1.WorkOrderSpec, moment time.Duration, fresh string) []string {
	s := playing(before)
	late := ""
	s.after(moment, func() {
		if phase := s.order.Status.Phase; phase == v1alpha1.WorkOrderSucceeded || phase == v1alpha1.WorkOrderFailed {
			late = shape(&s.order.Status) // What has finished does not run again.
		}
		s.edit(func(o *v1alpha1.WorkOrder) { o.Spec = *wanted.DeepCopy() })
	})
	if err := s.run(); err != nil {
		return []string{err.Error()}
	}
	broken := slices.Clone(s.laws.broken)
	status := &s.order.Status
	stalled := plan.StateOf(status).Stalled
	switch got := shape(status); {
	case late != "":
		if got != late {
			broken = append(broken, fmt.Sprintf("it had finished as %s, and is %s", late, got))
		}
	case plan.Validate(wanted) != nil:
		if stalled == nil || !strings.Contains(status.Message, stalled.Message) {
			broken = append(broken, "nobody is told that it cannot run: "+status.Message)
		}
		return append(broken, mended(s)...)
	case got != fresh:
		broken = append(broken, fmt.Sprintf("it is %s, and a new one would be %s", got, fresh))
	}
	if status.ObservedGeneration != s.order.Generation {
		broken = append(broken, "the edit was not read")
	}
	return broken
}

// mended mends an order that cannot run, and says whether it then does.
func mended(s *simulation) []string {
	s.edit(func(o *v1alpha1.WorkOrder) { specs.Mend(&o.Spec) })
	if err := s.run(); err != nil {
		return []string{err.Error()}
	}
	if got := shape(&s.order.Status); got != "Succeeded a:Succeeded z:Succeeded" {
		return []string{"mended, it is " + got}
	}
	return slices.Clone(s.laws.broken)
}
