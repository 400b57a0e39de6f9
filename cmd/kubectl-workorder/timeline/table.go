package timeline

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"workorders.dev/operator/api/v1alpha1"
)

// cell is a piece of a table.
type cell struct {
	text string
	tone ansi.Style
}

// Table is a line for each order, with how far it is.
func Table(orders []v1alpha1.WorkOrder, namespaces bool, style Style, now time.Time) string {
	head := []cell{}
	for _, title := range []string{"NAME", "PHASE", "PROGRESS", "STEP", "REWINDS", "TOOK", "AGE"} {
		head = append(head, cell{text: title})
	}
	rows := [][]cell{head}
	for i := range orders {
		rows = append(rows, tableRow(&orders[i], now))
	}
	if namespaces {
		rows[0] = append([]cell{{text: "NAMESPACE"}}, rows[0]...)
		for i := range orders {
			rows[i+1] = append([]cell{{text: orders[i].Namespace}}, rows[i+1]...)
		}
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			widths[i] = max(widths[i], ansi.StringWidth(row[i].text))
		}
	}
	var table strings.Builder
	for _, row := range rows {
		line := ""
		for i := range row {
			line += style.paint(row[i].tone, pad(row[i].text, widths[i])) + "   "
		}
		if line = strings.TrimRight(line, " "); style.Width > 0 {
			line = ansi.Truncate(line, style.Width, "…")
		}
		table.WriteString(line + "\n")
	}
	return table.String()
}

func tableRow(order *v1alpha1.WorkOrder, now time.Time) []cell {
	status := &order.Status
	phase := string(cmp.Or(status.Phase, v1alpha1.WorkOrderPending))
	done, all := 0, len(order.Spec.Steps)+len(order.Spec.Finally)
	_, _ = fmt.Sscanf(status.Progress, "%d/%d", &done, &all) // Empty as long as nobody has looked at the order.
	filled, empty := Bar(done, all, 10)
	step := status.CurrentStep
	if status.Epoch > 1 {
		step += fmt.Sprintf("/%d", status.Epoch)
	}
	rewinds, took := "", ""
	if status.Rewinds > 0 {
		rewinds = fmt.Sprint(status.Rewinds)
	}
	if status.StartTime != nil {
		took = Duration(between(status.StartTime, status.CompletionTime, now))
	}
	return []cell{
		{text: order.Name}, {phase, tones[phase]}, {fmt.Sprintf("%s%s %d/%d", filled, empty, done, all), tones[phase]},
		{text: Line(step)}, {text: rewinds}, {text: took}, {text: Duration(max(0, now.Sub(order.CreationTimestamp.Time)))},
	}
}
