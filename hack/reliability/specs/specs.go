// Package specs holds thirty specs of work orders, of which each can be edited into each: what R18 goes over, in process and
// at a real API server.
package specs

import "workorders.dev/operator/api/v1alpha1"

// Fails is the name of the step that has to fail wherever it runs; all others have to succeed.
const Fails = "fails"

// run is a step that runs a container.
func run(name string, needs ...string) v1alpha1.Step {
	return v1alpha1.Step{Name: name, DependsOn: needs, Run: &v1alpha1.Run{Image: "registry/agent:1", Args: []string{name}}}
}

func when(step v1alpha1.Step, condition string) v1alpha1.Step {
	step.When = condition
	return step
}

func image(step v1alpha1.Step, image string) v1alpha1.Step {
	step.Run = &v1alpha1.Run{Image: image}
	return step
}

func sequence(steps ...v1alpha1.Step) v1alpha1.WorkOrderSpec {
	return v1alpha1.WorkOrderSpec{Steps: steps}
}

func graph(steps ...v1alpha1.Step) v1alpha1.WorkOrderSpec {
	return v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph, Steps: steps}
}

func finally(spec v1alpha1.WorkOrderSpec, steps ...v1alpha1.Step) v1alpha1.WorkOrderSpec {
	spec.Finally = steps
	return spec
}

// All are thirty ways to write an order of much the same steps, by what they are. Some cannot run.
func All() map[string]v1alpha1.WorkOrderSpec {
	one := int32(1)
	diamond := func() []v1alpha1.Step {
		return []v1alpha1.Step{run("a"), run("b", "a"), run("c", "a"), run("d", "b", "c")}
	}
	narrow := graph(diamond()...)
	narrow.Parallelism = &one
	return map[string]v1alpha1.WorkOrderSpec{
		"one":                   sequence(run("a")),
		"three":                 sequence(run("a"), run("b"), run("c")),
		"three, backwards":      sequence(run("c"), run("b"), run("a")),
		"one in between":        sequence(run("a"), run("x"), run("b"), run("c")),
		"one before":            sequence(run("x"), run("a"), run("b"), run("c")),
		"one after":             sequence(run("a"), run("b"), run("c"), run("x")),
		"without the second":    sequence(run("a"), run("c")),
		"another image":         sequence(image(run("a"), "registry/agent:2"), run("b"), run("c")),
		"another last image":    sequence(run("a"), run("b"), image(run("c"), "registry/agent:2")),
		"a pause instead":       sequence(run("a"), v1alpha1.Step{Name: "b", Wait: &v1alpha1.Wait{Seconds: 5}}, run("c")),
		"other steps":           sequence(run("p"), run("q")),
		"with finally":          finally(sequence(run("a"), run("b")), run("f")),
		"with more finally":     finally(sequence(run("a"), run("b")), run("f"), run("g")),
		"finally became a step": sequence(run("a"), run("b"), run("f")),
		"a step became finally": finally(sequence(run("a")), run("b")),
		"skips one":             sequence(run("a"), when(run("b"), `steps["a"].output == "nothing"`), run("c")),
		"asks and runs":         sequence(run("a"), when(run("b"), `steps["a"].phase == "Succeeded"`), run("c")),
		"diamond":               graph(diamond()...),
		"half a diamond":        graph(diamond()[:2]...),
		"narrow diamond":        narrow,
		"diamond, turned":       graph(run("d"), run("c", "d"), run("b", "d"), run("a", "b", "c")),
		"side by side":          graph(run("a"), run("b"), run("c")),
		"fails":                 sequence(run("a"), run(Fails), run("c")),
		"a branch fails":        graph(run("a"), run(Fails), run("b", Fails), run("c", "a")),
		"circle":                graph(run("a", "b"), run("b", "a")),
		"unknown need":          graph(run("a"), run("b", "nobody")),
		"same name twice":       sequence(run("a"), run("a")),
		"does not compile":      sequence(run("a"), when(run("b"), `steps["a"].outptu == ""`)),
		"asks what comes later": sequence(when(run("a"), `steps["b"].output == ""`), run("b")),
		"does nothing":          sequence(run("a"), v1alpha1.Step{Name: "b"}),
	}
}

// Mend makes of any of them one that can run: a, then z.
func Mend(spec *v1alpha1.WorkOrderSpec) {
	spec.Strategy, spec.Parallelism, spec.Steps, spec.Finally = "", nil, []v1alpha1.Step{run("a"), run("z")}, nil
}
