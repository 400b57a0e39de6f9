package plan

import (
	"slices"

	"workorders.dev/operator/api/v1alpha1"
)

// graph is the steps of a spec in the order in which they run, and what each of them needs. What a step needs stands
// before it; among steps that could change places, the one that is declared first comes first; finally comes last.
type graph struct {
	nodes []node
	index map[string]int
	// conditional says whether any step has a condition.
	conditional bool
	// tangled is how many steps at the end of all but finally are in a cycle, behind one, or need a step that there is not.
	tangled int
}

// node is a step, and what must be done before it can start.
type node struct {
	*v1alpha1.Step
	// needs are the names of the steps that it directly needs.
	needs []string
	// finally: it runs when all steps that are not of finally have ended, however they did.
	finally bool
}

// graphOf is the graph of a spec. It is total: what cannot be brought into order comes as it is declared.
func graphOf(spec *v1alpha1.WorkOrderSpec) graph {
	g := graph{nodes: make([]node, 0, len(spec.Steps)+len(spec.Finally))}
	for i := range spec.Steps {
		n := node{Step: &spec.Steps[i]}
		switch {
		case spec.Strategy == v1alpha1.StrategyGraph:
			n.needs = n.DependsOn
		case i > 0:
			n.needs = []string{spec.Steps[i-1].Name}
		}
		g.nodes = append(g.nodes, n)
	}
	if spec.Strategy == v1alpha1.StrategyGraph {
		g.sort()
	}
	for i := range spec.Finally {
		g.nodes = append(g.nodes, node{Step: &spec.Finally[i], finally: true})
	}
	g.index = indexOf(g.nodes)
	g.conditional = slices.ContainsFunc(g.nodes, func(n node) bool { return n.When != "" })
	return g
}

// indexOf is where each step is; the first, if several have the same name.
func indexOf(nodes []node) map[string]int {
	index := make(map[string]int, len(nodes))
	for i := range nodes {
		if _, taken := index[nodes[i].Name]; !taken {
			index[nodes[i].Name] = i
		}
	}
	return index
}

// sort brings the nodes into the order in which they run: again and again the first declared of those that need nothing
// that is not yet placed (Kahn, 1962).
func (g *graph) sort() {
	index := indexOf(g.nodes)
	missing := make([]int, len(g.nodes)) // How many of its needs are not placed yet.
	dependants := make([][]int, len(g.nodes))
	var ready []int
	for i := range g.nodes {
		missing[i] = len(g.nodes[i].needs)
		for _, need := range g.nodes[i].needs {
			if j, known := index[need]; known {
				dependants[j] = append(dependants[j], i)
			}
		}
		if missing[i] == 0 {
			ready = append(ready, i)
		}
	}
	sorted := make([]node, 0, len(g.nodes))
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		sorted = append(sorted, g.nodes[i])
		for _, j := range dependants[i] {
			if missing[j]--; missing[j] == 0 {
				at, _ := slices.BinarySearch(ready, j)
				ready = slices.Insert(ready, at, j)
			}
		}
	}
	g.tangled = len(g.nodes) - len(sorted)
	for i := range g.nodes {
		if missing[i] > 0 {
			sorted = append(sorted, g.nodes[i])
		}
	}
	g.nodes = sorted
}

// node is the step of that name, or nil if the spec has none.
func (g *graph) node(name string) *node {
	if i, found := g.index[name]; found {
		return &g.nodes[i]
	}
	return nil
}

// before are the names of all steps that a step comes after, in the order in which they run.
func (g *graph) before(name string) []string {
	wanted := map[string]bool{}
	until, found := g.index[name]
	if !found {
		return nil
	}
	last := &g.nodes[until]
	for _, need := range last.needs {
		wanted[need] = true
	}
	var names []string
	for i := until - 1; i >= 0; i-- {
		n := &g.nodes[i]
		if !wanted[n.Name] && (!last.finally || n.finally) {
			continue
		}
		names = append(names, n.Name)
		for _, need := range n.needs {
			wanted[need] = true
		}
	}
	slices.Reverse(names)
	return names
}

// isTangled says whether the node at i is in a cycle, behind one, or needs a step that there is not.
func (g *graph) isTangled(i int) bool {
	return !g.nodes[i].finally && i+g.tangled >= g.main()
}

// main is how many steps there are but those of finally.
func (g *graph) main() int {
	n := len(g.nodes)
	for n > 0 && g.nodes[n-1].finally {
		n--
	}
	return n
}

// cycles are ways from a step back to itself along what each needs, one of those that have a step in common.
func (g *graph) cycles() [][]string {
	var cycles [][]string
	var way []string
	done, told := map[string]bool{}, map[string]bool{}
	var follow func(name string)
	follow = func(name string) {
		if from := slices.Index(way, name); from >= 0 {
			cycle := slices.Clone(way[from:])
			if len(cycle) > 1 && !slices.ContainsFunc(cycle, func(name string) bool { return told[name] }) {
				for _, name := range cycle {
					told[name] = true
				}
				cycles = append(cycles, append(cycle, name))
			}
			return
		}
		if n := g.node(name); n != nil && !done[name] {
			way = append(way, name)
			for _, need := range n.needs {
				follow(need)
			}
			way = way[:len(way)-1]
			done[name] = true
		}
	}
	for i := g.main() - g.tangled; i < g.main(); i++ {
		follow(g.nodes[i].Name)
	}
	return cycles
}

// Need is a step of an order, and what it needs.
type Need struct {
	Step *v1alpha1.Step
	// Needs are the names of the steps that must be done before it starts. A step of finally needs that all others are over,
	// and names none.
	Needs []string
	// Finally says that the step is one of spec.finally.
	Finally bool
}

// Needs are the steps of a spec in the order in which they run. What cannot be brought into order comes as it is declared.
func Needs(spec *v1alpha1.WorkOrderSpec) []Need {
	g := graphOf(spec)
	needs := make([]Need, 0, len(g.nodes))
	for i := range g.nodes {
		needs = append(needs, Need{Step: g.nodes[i].Step, Needs: g.nodes[i].needs, Finally: g.nodes[i].finally})
	}
	return needs
}

// Inputs are the steps whose outputs each step gets, by its name.
func Inputs(spec *v1alpha1.WorkOrderSpec) map[string][]string {
	g := graphOf(spec)
	inputs := make(map[string][]string, len(g.nodes))
	for i := range g.nodes {
		inputs[g.nodes[i].Name] = g.nodes[i].inputs()
	}
	return inputs
}

// inputs are the steps whose outputs a step gets.
func (n *node) inputs() []string {
	if n.Inputs != nil {
		return n.Inputs
	}
	return n.needs
}

// runnable says whether the step can be started: it says what to do.
func (n *node) runnable() bool { return n != nil && (n.Run != nil || n.Wait != nil) }
