// Package specs holds specs of work orders, of which each can be edited into each, and says what must become of an order
// that is: what R18 goes over, in process and at a real API server.
package specs

import (
	"maps"

	"k8s.io/apimachinery/pkg/api/resource"

	"workorders.dev/operator/api/v1alpha1"
)

// What these steps have to do wherever they run; all others have to succeed, and soon.
const (
	Fails     = "fails"      // It fails in every epoch.
	FailsOnce = "fails-once" // It fails in its first epoch.
	Long      = "long"       // It runs until it is stopped.
)

// deadline is the activeDeadlineSeconds of a spec that has one: long enough for all steps but Long.
const deadline = 20

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

// with changes a spec.
func with(spec v1alpha1.WorkOrderSpec, change func(*v1alpha1.WorkOrderSpec)) v1alpha1.WorkOrderSpec {
	change(&spec)
	return spec
}

func rewinds(spec v1alpha1.WorkOrderSpec, requests ...v1alpha1.RewindRequest) v1alpha1.WorkOrderSpec {
	spec.Rewinds = requests
	return spec
}

func cancelled(spec v1alpha1.WorkOrderSpec) v1alpha1.WorkOrderSpec {
	spec.Cancel = true
	return spec
}

func retries(spec v1alpha1.WorkOrderSpec, limit, pause int32) v1alpha1.WorkOrderSpec {
	spec.Retry = &v1alpha1.Retry{Limit: &limit, Backoff: &v1alpha1.Backoff{InitialSeconds: &pause}}
	return spec
}

func diamond() []v1alpha1.Step {
	return []v1alpha1.Step{run("a"), run("b", "a"), run("c", "a"), run("d", "b", "c")}
}

func narrow(spec v1alpha1.WorkOrderSpec) v1alpha1.WorkOrderSpec {
	one := int32(1)
	spec.Parallelism = &one
	return spec
}

// All are ways to write an order of much the same steps, by what they are. Some cannot run.
func All() map[string]v1alpha1.WorkOrderSpec {
	all := map[string]v1alpha1.WorkOrderSpec{}
	for _, part := range []map[string]v1alpha1.WorkOrderSpec{sequences(), graphs(), handled(), ended(), equipped(), impossible()} {
		maps.Copy(all, part)
	}
	return all
}

// sequences differ in their steps.
func sequences() map[string]v1alpha1.WorkOrderSpec {
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
		"skips one":             sequence(run("a"), when(run("b"), `steps["a"].output == "nothing"`), run("c")),
		"asks and runs":         sequence(run("a"), when(run("b"), `steps["a"].phase == "Succeeded"`), run("c")),
		"with finally":          finally(sequence(run("a"), run("b")), run("f")),
		"with more finally":     finally(sequence(run("a"), run("b")), run("f"), run("g")),
		"finally became a step": sequence(run("a"), run("b"), run("f")),
		"a step became finally": finally(sequence(run("a")), run("b")),
	}
}

// graphs differ in what their steps need.
func graphs() map[string]v1alpha1.WorkOrderSpec {
	return map[string]v1alpha1.WorkOrderSpec{
		"diamond":         graph(diamond()...),
		"half a diamond":  graph(diamond()[:2]...),
		"narrow diamond":  narrow(graph(diamond()...)),
		"diamond, turned": graph(run("d"), run("c", "d"), run("b", "d"), run("a", "b", "c")),
		"side by side":    graph(run("a"), run("b"), run("c")),
	}
}

// handled are specs with which somebody holds, ends or turns back the order.
func handled() map[string]v1alpha1.WorkOrderSpec {
	three := func() v1alpha1.WorkOrderSpec { return sequence(run("a"), run("b"), run("c")) }
	again := func(step string, epoch int64) v1alpha1.RewindRequest {
		return v1alpha1.RewindRequest{Step: step, ToEpoch: epoch}
	}
	return map[string]v1alpha1.WorkOrderSpec{
		"held":                      with(three(), func(s *v1alpha1.WorkOrderSpec) { s.Suspend = true }),
		"held diamond":              with(graph(diamond()...), func(s *v1alpha1.WorkOrderSpec) { s.Suspend = true }),
		"cancelled":                 cancelled(finally(three(), run("f"))),
		"cancelled diamond":         cancelled(graph(diamond()...)),
		"held with finally":         with(finally(sequence(run("a"), run("b")), run("f")), func(s *v1alpha1.WorkOrderSpec) { s.Suspend = true }),
		"cancelled with finally":    cancelled(finally(sequence(run("a"), run("b")), run("f"))),
		"cancelled, one less":       cancelled(finally(sequence(run("a")), run("f"))),
		"cancelled, finally new":    cancelled(finally(sequence(run("a"), run("b")), image(run("f"), "registry/agent:2"))),
		"cancelled, a branch freed": cancelled(finally(graph(run("a"), run("b"), run("c", "a")), run("f"))),
		"the first once more":       rewinds(three(), again("a", 2)),
		"a branch once more":        rewinds(graph(diamond()...), again("b", 3), again("d", 2)),
		"the failed one once more":  rewinds(sequence(run("a"), run(Fails), run("c")), again(Fails, 2)),
		"finally once more":         rewinds(finally(sequence(run("a"), run("b")), run("f")), again("f", 2)),
		"held and once more":        with(rewinds(three(), again("b", 2)), func(s *v1alpha1.WorkOrderSpec) { s.Suspend = true }),
	}
}

// ended are specs of which not every step succeeds.
func ended() map[string]v1alpha1.WorkOrderSpec {
	return map[string]v1alpha1.WorkOrderSpec{
		"fails":                        sequence(run("a"), run(Fails), run("c")),
		"a branch fails":               graph(run("a"), run(Fails), run("b", Fails), run("c", "a")),
		"a branch fails, then finally": finally(graph(run("a"), run(Fails), run("b", Fails), run("c", "a")), run("f")),
		"finally fails":                finally(sequence(run("a")), run(Fails)),
		"fails fast":                   with(narrow(graph(run(Fails), run("a"), run("c", "a"))), func(s *v1alpha1.WorkOrderSpec) { s.FailFast = true }),
		"fails in spite":               retries(sequence(run("a"), run(Fails)), 2, 0),
		"retried":                      retries(sequence(run("a"), run(FailsOnce), run("c")), 1, 2),
		"not to be retried":            with(retries(sequence(run("a"), run(Fails)), 3, 0), func(s *v1alpha1.WorkOrderSpec) { s.Retry.NonRetryableExitCodes = []int32{1} }),
		"too late": with(finally(sequence(run("a"), run(Long), run("c")), run("f")), func(s *v1alpha1.WorkOrderSpec) {
			seconds := int64(deadline)
			s.ActiveDeadlineSeconds = &seconds
		}),
	}
}

// equipped are specs whose steps get more than their own.
func equipped() map[string]v1alpha1.WorkOrderSpec {
	shared := v1alpha1.Workspace{Storage: resource.MustParse("1Mi")}
	slow, choosy := run("b"), run("c")
	seconds := int64(600)
	slow.TimeoutSeconds, choosy.Inputs = &seconds, []string{"a"}
	return map[string]v1alpha1.WorkOrderSpec{
		"with a timeout": sequence(run("a"), slow, run("c")),
		"with inputs":    sequence(run("a"), run("b"), choosy),
		"with other Pods": with(sequence(run("a"), run("b")), func(s *v1alpha1.WorkOrderSpec) {
			s.Pod = &v1alpha1.PodSettings{Labels: map[string]string{"team": "red"}}
		}),
		"with a workspace":      with(sequence(run("a"), run("b")), func(s *v1alpha1.WorkOrderSpec) { s.Workspace = &shared }),
		"workspace and diamond": with(graph(diamond()...), func(s *v1alpha1.WorkOrderSpec) { s.Workspace = &shared }),
		"with params": with(sequence(run("a"), when(run("b"), `params["stage"] == "test"`)), func(s *v1alpha1.WorkOrderSpec) {
			s.Params = []v1alpha1.Param{{Name: "stage", Value: "test"}}
		}),
	}
}

// impossible are specs that cannot run.
func impossible() map[string]v1alpha1.WorkOrderSpec {
	return map[string]v1alpha1.WorkOrderSpec{
		"circle":                graph(run("a", "b"), run("b", "a")),
		"unknown need":          graph(run("a"), run("b", "nobody")),
		"same name twice":       sequence(run("a"), run("a")),
		"does not compile":      sequence(run("a"), when(run("b"), `steps["a"].outptu == ""`)),
		"asks what comes later": sequence(when(run("a"), `steps["b"].output == ""`), run("b")),
		"does nothing":          sequence(run("a"), v1alpha1.Step{Name: "b"}),
		"rewinds nobody":        rewinds(sequence(run("a")), v1alpha1.RewindRequest{Step: "nobody", ToEpoch: 2}),
	}
}

// Mend makes of any of them one that can run: a, then z.
func Mend(spec *v1alpha1.WorkOrderSpec) {
	*spec = v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{run("a"), run("z")}, Workspace: spec.Workspace}
}

// Mended is the outline of an order that was mended, when it has come to its end.
const Mended = "Succeeded a:Succeeded z:Succeeded"
