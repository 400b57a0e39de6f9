package plan

import (
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/expression"
	"workorders.dev/operator/controllers/steppod"
)

// step checks what a step says for itself.
func (c *check) step(n *node) {
	switch {
	case (n.Run == nil) == (n.Wait == nil):
		c.invalid(c.at(n), n, "", "step %q must have either run or wait: set exactly one", n.Name)
	case n.Run != nil && n.Run.Image == "":
		c.invalid(c.at(n).Child("run", "image"), n, "", "step %q has no image: set run.image", n.Name)
	}
	if c.spec.Workspace == nil || n.Run == nil {
		return
	}
	for i, mount := range n.Run.VolumeMounts {
		if path.Clean(mount.MountPath) == steppod.WorkspacePath {
			c.invalid(c.at(n).Child("run", "volumeMounts").Index(i).Child("mountPath"), n, mount.MountPath,
				"step %q mounts a volume at %s, where the workspace is: mount it elsewhere", n.Name, steppod.WorkspacePath)
		}
	}
}

// volumes checks that no volume of the Pods is called as the workspace's is.
func (c *check) volumes() {
	if c.spec.Workspace == nil || c.spec.Pod == nil {
		return
	}
	for i := range c.spec.Pod.Volumes {
		if c.spec.Pod.Volumes[i].Name == steppod.WorkspaceVolume {
			c.invalid(field.NewPath("spec", "pod", "volumes").Index(i).Child("name"), nil, steppod.WorkspaceVolume,
				"a volume of pod is called %q, as the one of the workspace is: rename it", steppod.WorkspaceVolume)
		}
	}
}

// needs checks what a step depends on.
func (c *check) needs(n *node) {
	switch at := "dependsOn"; {
	case n.finally && len(n.DependsOn) > 0:
		c.invalid(c.at(n).Child(at), n, "", "step %q of finally depends on nothing, as it runs after all steps: leave dependsOn out", n.Name)
		return
	case c.spec.Strategy != v1alpha1.StrategyGraph && len(n.DependsOn) > 0:
		c.invalid(c.at(n).Child(at), n, "", "step %q has dependsOn, which belongs to a Graph: set strategy: Graph, or leave dependsOn out", n.Name)
		return
	case len(n.DependsOn) > maxNeeds:
		c.tooLarge(c.at(n).Child(at), n, "step %q names more than %d steps in dependsOn: put a step in between", n.Name, maxNeeds)
		return
	}
	for i, need := range n.DependsOn {
		other := c.graph.node(need)
		switch at := "dependsOn"; {
		case need == n.Name:
			c.invalid(c.at(n).Child(at).Index(i), n, need, "step %q depends on itself: take its own name out of dependsOn", n.Name)
		case other == nil:
			c.invalid(c.at(n).Child(at).Index(i), n, need, "step %q depends on %q, and there is no such step%s", n.Name, need, c.nearest(need, c.graph.names()))
		case other.finally:
			c.invalid(c.at(n).Child(at).Index(i), n, need, "step %q depends on %q, which is of finally and runs after it", n.Name, need)
		}
	}
}

// cycles checks that no step waits for itself by way of others. Of cycles that have a step in common one is told.
func (c *check) cycles() {
	for _, cycle := range c.graph.cycles() {
		n := c.graph.node(cycle[0])
		at := c.at(n).Child("dependsOn").Index(slices.Index(n.DependsOn, cycle[1]))
		c.invalid(at, nil, strings.Join(slices.Sorted(slices.Values(cycle[1:])), " "), // Wherever one begins to go round it.
			"the steps depend on each other in a circle: %s; take one of these dependencies out", strings.Join(cycle, " → "))
	}
}

// inputs checks that the steps whose outputs a step takes have ended when it starts.
func (c *check) inputs(n *node) {
	if len(n.Inputs) == 0 {
		return
	}
	if len(n.Inputs) > maxNeeds {
		c.tooLarge(c.at(n).Child("inputs"), n, "step %q names more than %d steps in inputs: put a step in between", n.Name, maxNeeds)
		return
	}
	before := c.graph.before(n.Name)
	for i, input := range n.Inputs {
		if slices.Contains(before, input) {
			continue
		}
		at := c.at(n).Child("inputs").Index(i)
		switch {
		case input == n.Name:
			c.invalid(at, n, input, "step %q takes its own output as an input: take its name out of inputs", n.Name)
		case c.graph.node(input) == nil:
			c.invalid(at, n, input, "step %q takes %q as an input, and there is no such step%s", n.Name, input, c.nearest(input, before))
		case n.finally || c.graph.node(input).finally:
			c.invalid(at, n, input, "step %q takes %q as an input, which does not come before it, as steps of finally run side by side after all others: take it out of inputs", n.Name, input)
		case c.spec.Strategy != v1alpha1.StrategyGraph:
			c.invalid(at, n, input, "step %q takes %q as an input, which comes after it: list %q first, or take it out of inputs", n.Name, input, input)
		default:
			c.invalid(at, n, input, "step %q takes %q as an input, which does not come before it: add it to dependsOn, or take it out of inputs", n.Name, input)
		}
	}
}

// condition checks that the when of a step compiles.
func (c *check) condition(n *node) {
	if n.When == "" {
		return
	}
	if _, err := expression.Compile(n.When, scope(c.spec, c.graph.before(n.Name))); err != nil {
		c.invalid(c.at(n).Child("when"), n, n.When, "step %q: %v", n.Name, err)
	}
}
