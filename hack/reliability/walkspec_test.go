package reliability

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"workorders.dev/operator/api/v1alpha1"
)

// drawSpec is any order: a Sequence or a Graph of a few steps. In both, what a step needs is listed before it.
func drawSpec(random *rand.Rand) v1alpha1.WorkOrderSpec {
	spec := v1alpha1.WorkOrderSpec{Retry: atOnce(int32(random.IntN(3))), FailFast: random.IntN(8) == 0}
	if random.IntN(6) == 0 {
		spec.Retry.NonRetryableExitCodes = []int32{1}
	}
	if random.IntN(4) == 0 {
		spec.Workspace = &v1alpha1.Workspace{Storage: resource.MustParse("1Mi")}
	}
	if random.IntN(3) > 0 {
		spec.Strategy = v1alpha1.StrategyGraph
		if random.IntN(2) == 0 {
			spec.Parallelism = drawParallelism(random)
		}
	}
	for range 2 + random.IntN(4) {
		spec.Steps = append(spec.Steps, drawStep(random, &spec))
	}
	if random.IntN(2) == 0 {
		spec.Finally = []v1alpha1.Step{step("last", "--duration=50ms")}
	}
	return spec
}

func drawParallelism(random *rand.Rand) *int32 {
	limit := int32(1 + random.IntN(2))
	return &limit
}

// drawStep is any step that may come after those of the spec, under a name that none of them has.
func drawStep(random *rand.Rand, spec *v1alpha1.WorkOrderSpec) v1alpha1.Step {
	n := len(spec.Steps)
	for slices.ContainsFunc(spec.Steps, func(s v1alpha1.Step) bool { return s.Name == fmt.Sprint("s", n) }) {
		n++
	}
	drawn := step(fmt.Sprint("s", n), fmt.Sprintf(oneOf(random, "--output=out%d", `--output={"n":%d}`), random.IntN(9)), fmt.Sprintf("--duration=%dms", random.IntN(300)))
	switch random.IntN(8) {
	case 0:
		drawn.Run, drawn.Wait = nil, &v1alpha1.Wait{Seconds: int64(random.IntN(2))}
	case 1, 2:
		drawn.Run.Args = append(drawn.Run.Args, fmt.Sprintf("--fail-epochs=%d", 1+random.IntN(2)))
	case 3:
		drawn.Run.Args = append(drawn.Run.Args, "--evict-epochs=1")
	}
	before := spec.Steps
	if spec.Strategy == v1alpha1.StrategyGraph {
		before = slices.DeleteFunc(slices.Clone(spec.Steps), func(v1alpha1.Step) bool { return random.IntN(2) == 0 })
		for _, earlier := range before {
			drawn.DependsOn = append(drawn.DependsOn, earlier.Name)
		}
	}
	if len(before) > 0 {
		ask(random, &drawn, before[random.IntN(len(before))].Name)
	}
	if drawn.Run != nil && random.IntN(8) == 0 {
		seconds := int64(2 + random.IntN(600))
		drawn.TimeoutSeconds = &seconds
	}
	return drawn
}

// ask has a step want to know something of one that comes before it, now and then.
func ask(random *rand.Rand, step *v1alpha1.Step, before string) {
	about := `steps["` + before + `"]`
	if random.IntN(5) == 0 {
		step.When = oneOf(random, about+`.phase == "Succeeded"`, about+`.output == "out1"`, `has(`+about+`.results.n) && `+about+`.results.n == 1`)
	}
	if random.IntN(5) == 0 {
		step.Inputs = []string{before}
	}
}

// redraw changes a spec, and says how. Some of what comes out cannot run.
func redraw(random *rand.Rand, spec *v1alpha1.WorkOrderSpec) string {
	n := random.IntN(len(spec.Steps))
	chosen := &spec.Steps[n]
	switch random.IntN(10) {
	case 0, 1:
		if chosen.Run == nil {
			chosen.Wait = &v1alpha1.Wait{Seconds: int64(random.IntN(2))}
			return chosen.Name + " waits"
		}
		chosen.Run.Args = append(slices.Clone(chosen.Run.Args), fmt.Sprintf("--output=new%d", random.IntN(99)))
		return chosen.Name + " says something else"
	case 2:
		added := drawStep(random, spec)
		spec.Steps = append(spec.Steps, added)
		return added.Name + " is added"
	case 3:
		return discardStep(spec, n)
	case 4:
		return rewire(random, spec)
	case 5:
		spec.Retry = atOnce(int32(random.IntN(3)))
		return "retries"
	case 6:
		seconds := int64(1 + random.IntN(20))
		spec.ActiveDeadlineSeconds = &seconds
		return fmt.Sprintf("%d seconds", seconds)
	case 7:
		chosen.When = oneOf(random, "", `steps["nobody"].output == ""`, "1 +", "true", "false")
		return chosen.Name + " when " + chosen.When
	case 8:
		for i := range spec.Finally {
			spec.Finally[i].Run.Args = append(slices.Clone(spec.Finally[i].Run.Args), fmt.Sprintf("--output=new%d", random.IntN(99)))
		}
		return "finally says something else"
	}
	if spec.Strategy == v1alpha1.StrategyGraph {
		chosen.DependsOn = append(slices.Clone(chosen.DependsOn), "nobody")
		return chosen.Name + " needs nobody"
	}
	spec.Strategy = v1alpha1.StrategyGraph
	return "side by side"
}

// discardStep takes a step out of a spec, and out of what names it.
func discardStep(spec *v1alpha1.WorkOrderSpec, n int) string {
	name := spec.Steps[n].Name
	if len(spec.Steps) == 1 {
		return "nothing"
	}
	spec.Steps = slices.Delete(slices.Clone(spec.Steps), n, n+1)
	for i := range spec.Steps {
		is := func(other string) bool { return other == name }
		spec.Steps[i].DependsOn = slices.DeleteFunc(slices.Clone(spec.Steps[i].DependsOn), is)
		spec.Steps[i].Inputs = slices.DeleteFunc(slices.Clone(spec.Steps[i].Inputs), is)
		if strings.Contains(spec.Steps[i].When, `"`+name+`"`) {
			spec.Steps[i].When = ""
		}
	}
	spec.Rewinds = slices.DeleteFunc(spec.Rewinds, func(r v1alpha1.RewindRequest) bool { return r.Step == name })
	return name + " is removed"
}

// rewire has steps need something else: two change places in a Sequence, or one needs one more that is listed before it.
func rewire(random *rand.Rand, spec *v1alpha1.WorkOrderSpec) string {
	if len(spec.Steps) == 1 {
		return "nothing"
	}
	later := 1 + random.IntN(len(spec.Steps)-1)
	earlier := random.IntN(later)
	one, other := spec.Steps[earlier].Name, &spec.Steps[later]
	switch {
	case spec.Strategy != v1alpha1.StrategyGraph:
		spec.Steps[earlier], spec.Steps[later] = spec.Steps[later], spec.Steps[earlier]
		return "another order"
	case slices.Contains(other.DependsOn, one):
		other.DependsOn = slices.DeleteFunc(slices.Clone(other.DependsOn), func(need string) bool { return need == one })
		return other.Name + " does not need " + one
	case random.IntN(3) == 0:
		spec.Parallelism = drawParallelism(random)
		return "parallelism"
	}
	other.DependsOn = append(slices.Clone(other.DependsOn), one)
	return other.Name + " needs " + one
}

// mend makes of any spec that is drawn here one that can run to its end.
func mend(spec *v1alpha1.WorkOrderSpec) {
	spec.Suspend = false
	known := map[string]bool{}
	for i := range spec.Steps {
		known[spec.Steps[i].Name] = true
	}
	for i := range spec.Steps {
		s := &spec.Steps[i]
		s.DependsOn = slices.DeleteFunc(slices.Clone(s.DependsOn), func(need string) bool { return !known[need] })
		s.Inputs = nil
		if s.When != "true" && s.When != "false" {
			s.When = ""
		}
	}
	spec.Rewinds = slices.DeleteFunc(slices.Clone(spec.Rewinds), func(r v1alpha1.RewindRequest) bool { return !known[r.Step] })
}
