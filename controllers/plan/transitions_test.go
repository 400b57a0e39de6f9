package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/report"
	"workorders.dev/operator/hack/reliability/specs"
)

// playing is a simulation of an order with that spec, whose steps do what their names say.
func playing(spec *v1alpha1.WorkOrderSpec) *simulation {
	o := order()
	o.Spec = *spec.DeepCopy()
	s := simulate(o, calm)
	s.behave = func(a steppod.Attempt) behaviour {
		switch {
		case a.Step == specs.Fails, a.Step == specs.FailsOnce && a.Epoch == 1:
			return exits(1, "no")
		case a.Step == specs.Long:
			return runsForEver()
		}
		return succeeds("something")
	}
	return s
}

// play lets time pass until nothing is left to do, and resumes the order if it was held.
func (s *simulation) play() error {
	if err := s.run(); err != nil || s.order.Status.Phase != v1alpha1.WorkOrderSuspended {
		return err
	}
	s.edit(func(o *v1alpha1.WorkOrder) { o.Spec.Suspend = false })
	return s.run()
}

// freshly is what becomes of new orders of these specs, by name; those that cannot run are left out.
func freshly(t *testing.T, all map[string]v1alpha1.WorkOrderSpec) map[string]*v1alpha1.WorkOrderStatus {
	fresh := map[string]*v1alpha1.WorkOrderStatus{}
	for name, spec := range all {
		s := playing(&spec)
		if err := s.play(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if plan.Validate(&spec) == nil {
			fresh[name] = &s.order.Status
		}
	}
	return fresh
}

func TestAfterAnEditTheOrderIsAsItsLastSpecSays(t *testing.T) {
	began, all, cases := time.Now(), specs.All(), 0
	fresh := freshly(t, all)
	moments := []time.Duration{0, 3 * time.Second, 6 * time.Second, 11 * time.Second}
	var broken []string
	for i, from := range slices.Sorted(maps.Keys(all)) {
		for j, to := range slices.Sorted(maps.Keys(all)) {
			for k, moment := range moments {
				if !report.Full() && k != (i+j)%len(moments) {
					continue // Every pair, at one of the moments.
				}
				before, wanted := all[from], all[to]
				cases++
				name := fmt.Sprintf("from %q to %q after %s", from, to, moment)
				for _, breach := range edit(&before, &wanted, moment, fresh[to]) {
					broken = append(broken, name+": "+breach)
				}
			}
		}
	}
	if least := 30; len(all) < least {
		t.Errorf("there are %d specs, and should be %d", len(all), least)
	}
	for _, b := range broken[:min(len(broken), 10)] {
		t.Error(b)
	}
	t.Logf("%d transitions in %s, %d broken", cases, time.Since(began).Round(time.Millisecond), len(broken))
	line := report.Line{Row: "R18", Harness: "unit", Cases: cases, Unit: fmt.Sprintf("transitions of %d specs", len(all)), Violations: len(broken), Full: report.Full(), Notes: []string{fmt.Sprintf("all pairs, each at up to %d moments", len(moments))}}
	if err := line.Since(began).Add(); err != nil {
		t.Error(err)
	}
}

// edit plays an order, edits it at a moment, and says in what it is then not as it has to be.
func edit(before, wanted *v1alpha1.WorkOrderSpec, moment time.Duration, fresh *v1alpha1.WorkOrderStatus) []string {
	s := playing(before)
	edited := specs.Edited{To: wanted, Fresh: fresh}
	s.after(moment, func() {
		edited.Before = s.order.Status.DeepCopy()
		s.edit(func(o *v1alpha1.WorkOrder) { o.Spec = *wanted.DeepCopy() })
	})
	if err := s.play(); err != nil {
		return []string{err.Error()}
	}
	edited.After = &s.order.Status
	broken := append(edited.Wrong(), s.laws.broken...)
	if edited.After.ObservedGeneration != s.order.Generation {
		broken = append(broken, "the edit was not read")
	}
	if edited.Stalls() {
		broken = append(broken, mended(s)...)
	}
	return broken
}

// mended mends an order that cannot run, and says whether it then does.
func mended(s *simulation) []string {
	s.edit(func(o *v1alpha1.WorkOrder) { specs.Mend(&o.Spec) })
	if err := s.run(); err != nil {
		return []string{err.Error()}
	}
	if got := specs.Outline(&s.order.Status); got != specs.Mended {
		return []string{"mended, it is " + got}
	}
	return s.laws.broken
}
