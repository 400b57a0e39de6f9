package timeline

import (
	"fmt"
	"strings"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
)

// Graph is what depends on what as lines of text, layer by layer.
func Graph(order *v1alpha1.WorkOrder, style Style) string {
	needs, layers := plan.Needs(&order.Spec), layersOf(&order.Spec)
	rows, width := make([]Row, len(needs)), 0
	for i, need := range needs {
		rows[i] = Row{Step: Safe(need.Step.Name)}
		rows[i].Layer, rows[i].Together = layers.of(need.Step.Name)
		switch {
		case need.Finally:
			rows[i].Text = "after all others"
		case len(need.Needs) > 0:
			rows[i].Text = "after " + Line(strings.Join(need.Needs, ", "))
		}
		if need.Step.When != "" {
			rows[i].Text = strings.TrimPrefix(rows[i].Text+"; ", "; ") + "when " + Line(need.Step.When)
		}
		width = max(width, len(rows[i].Step))
	}
	if order.Spec.Strategy == v1alpha1.StrategyGraph {
		rows = byLayer(rows)
	}
	var text strings.Builder
	for i := range rows {
		line := fmt.Sprintf("%s%s  %s", style.paint(faint, brace(rows, i)), pad(rows[i].Step, width), style.paint(faint, rows[i].Text))
		fmt.Fprintln(&text, strings.TrimRight(line, " "))
	}
	return text.String()
}

// edges calls draw for each pair of steps of which the second needs the first.
func edges(order *v1alpha1.WorkOrder, draw func(from, to string)) {
	needs, wanted := plan.Needs(&order.Spec), map[string]bool{}
	for _, need := range needs {
		for _, name := range need.Needs {
			wanted[name] = true
		}
	}
	for _, need := range needs {
		for _, name := range need.Needs {
			draw(name, need.Step.Name)
		}
		for _, other := range needs { // What is of finally comes after all that nothing else comes after.
			if need.Finally && !other.Finally && !wanted[other.Step.Name] {
				draw(other.Step.Name, need.Step.Name)
			}
		}
	}
}

// Dot is what depends on what in the language of Graphviz.
func Dot(order *v1alpha1.WorkOrder) string {
	var text strings.Builder
	fmt.Fprintf(&text, "digraph %q {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n", Safe(order.Name))
	for _, need := range plan.Needs(&order.Spec) {
		fmt.Fprintf(&text, "  %q;\n", Safe(need.Step.Name))
	}
	edges(order, func(from, to string) { fmt.Fprintf(&text, "  %q -> %q;\n", Safe(from), Safe(to)) })
	return text.String() + "}\n"
}

// Mermaid is what depends on what in the language of Mermaid. Steps are numbered, as not every name may be a node's.
func Mermaid(order *v1alpha1.WorkOrder) string {
	var text strings.Builder
	text.WriteString("graph LR\n")
	number := map[string]int{}
	for i, need := range plan.Needs(&order.Spec) {
		number[need.Step.Name] = i
		fmt.Fprintf(&text, "  s%d[%q]\n", i, strings.ReplaceAll(Safe(need.Step.Name), `"`, "'"))
	}
	edges(order, func(from, to string) {
		if at, known := number[from]; known {
			fmt.Fprintf(&text, "  s%d --> s%d\n", at, number[to])
		}
	})
	return text.String()
}
