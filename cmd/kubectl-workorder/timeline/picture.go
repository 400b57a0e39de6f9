package timeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
	"workorders.dev/operator/controllers/progress"
)

// Picture is an order at a moment, as a person wants to see it.
type Picture struct {
	Name, Phase string
	// Done of All steps are done.
	Done, All int
	Elapsed   time.Duration
	Rewinds   int64
	// Now says what goes on, or how it all ended.
	Now  string
	Rows []Row
	// Note says what the picture lacks; empty if nothing.
	Note string
}

// Row is an attempt at a step: the one that counts, or an earlier one that it superseded.
type Row struct {
	Step, Agent string
	Phase       v1alpha1.StepPhase
	// Epoch is 0 if the step has not started.
	Epoch int64
	// Took is how long the attempt took, or has taken until now.
	Took time.Duration
	Text string
	// Superseded says that the step was started again after this attempt.
	Superseded bool
	// Layer is how many steps at least come before this one in a graph; Together says that there are others in its layer.
	Layer    int
	Together bool
}

// Of is the picture of an order with its log at a moment.
func Of(order *v1alpha1.WorkOrder, chain progress.Chain, now time.Time) Picture {
	status := &order.Status
	p := Picture{Name: order.Name, Phase: string(cmp.Or(status.Phase, v1alpha1.WorkOrderPending)), Rewinds: status.Rewinds, Now: Line(status.Message)}
	if _, err := fmt.Sscanf(status.Progress, "%d/%d", &p.Done, &p.All); err != nil {
		p.All = len(order.Spec.Steps) + len(order.Spec.Finally) // Nobody has looked at it yet.
	}
	p.Elapsed = between(status.StartTime, status.CompletionTime, now)
	earlier := superseded(chain)
	layers := layersOf(&order.Spec)
	for i := range status.Steps {
		step := &status.Steps[i]
		if step.Removed {
			continue
		}
		p.Rows = append(p.Rows, earlier[step.Name]...)
		p.Rows = append(p.Rows, rowOf(step, now))
	}
	if len(status.Steps) == 0 {
		p.Rows = waiting(order)
	}
	for i := range p.Rows {
		p.Rows[i].Layer, p.Rows[i].Together = layers.of(p.Rows[i].Step)
	}
	p.Note = note(status, chain)
	if running := p.running(); running != "" {
		p.Now = running
	}
	return p
}

// running says what runs now, and for how long; empty if nothing does.
func (p *Picture) running() string {
	var names []string
	longest := time.Duration(0)
	for i := range p.Rows {
		if row := &p.Rows[i]; row.Phase == v1alpha1.StepRunning && !row.Superseded {
			names = append(names, row.Step)
			longest = max(longest, row.Took)
		}
	}
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return fmt.Sprintf("%s has run for %s", names[0], Duration(longest))
	case n <= mostNamed:
		return fmt.Sprintf("%s and %s have run for up to %s", strings.Join(names[:n-1], ", "), names[n-1], Duration(longest))
	default:
		return fmt.Sprintf("%s and %d others have run for up to %s", strings.Join(names[:mostNamed-1], ", "), n-mostNamed+1, Duration(longest))
	}
}

// mostNamed is how many steps are named in a sentence.
const mostNamed = 4

// rowOf is the attempt at a step that counts.
func rowOf(step *v1alpha1.StepStatus, now time.Time) Row {
	row := Row{Step: step.Name, Agent: Line(step.Agent), Phase: step.Phase, Epoch: step.Epoch}
	row.Took = between(step.StartTime, step.CompletionTime, now)
	row.Text = Line(cmp.Or(step.Output, step.Message))
	if step.Error != nil {
		row.Text = Line(cmp.Or(step.Error.Message, step.Message, string(step.Error.Code)))
	}
	if step.Phase == v1alpha1.StepBackoff && step.NotBefore != nil {
		row.Text = fmt.Sprintf("again in %s: %s", Duration(max(0, step.NotBefore.Sub(now))), row.Text)
	}
	return row
}

// superseded are the attempts that a rewind has made void, by step, oldest first. They are told by how they ended.
func superseded(chain progress.Chain) map[string][]Row {
	void, rows := chain.Superseded(), map[string][]Row{}
	for _, event := range chain.Events {
		spec := &event.Spec
		if !void[event.Name] || spec.Result == nil {
			continue
		}
		row := Row{Step: spec.Step, Agent: Line(spec.Result.Agent), Phase: spec.Result.Phase, Epoch: spec.Epoch, Superseded: true}
		if spec.Result.StartTime != nil && spec.Result.CompletionTime != nil {
			row.Took = spec.Result.CompletionTime.Sub(spec.Result.StartTime.Time)
		}
		if row.Text = Line(spec.Result.Output); spec.Error != nil {
			row.Text = Line(cmp.Or(spec.Error.Message, string(spec.Error.Code)))
		}
		rows[spec.Step] = append(rows[spec.Step], row)
	}
	return rows
}

// waiting are the steps of an order that nobody has looked at yet.
func waiting(order *v1alpha1.WorkOrder) (rows []Row) {
	for _, need := range plan.Needs(&order.Spec) {
		rows = append(rows, Row{Step: need.Step.Name, Agent: Line(need.Step.Agent), Phase: v1alpha1.StepPending})
	}
	return rows
}

// note says what is missing in a log.
func note(status *v1alpha1.WorkOrderStatus, chain progress.Chain) string {
	written := int64(0)
	if n := len(chain.Events); n > 0 {
		written = chain.Events[n-1].Spec.Sequence
	}
	switch {
	case chain.Missing != "":
		return fmt.Sprintf("the log is broken: event %s is missing, and attempts before it are not shown", Safe(chain.Missing))
	case status.Sequence > written:
		return fmt.Sprintf("the last %d transitions are not in the log yet, as events cannot be written", status.Sequence-written)
	}
	return ""
}

// between is the time from start to end, or to now if it has no end; 0 if it has no start.
func between(start, end *metav1.Time, now time.Time) time.Duration {
	switch {
	case start == nil:
		return 0
	case end != nil:
		return end.Sub(start.Time)
	}
	return max(0, now.Sub(start.Time).Truncate(time.Second))
}

// layers are the steps of a graph by how many come before them at least. Of a sequence there are none.
type layers struct {
	depth map[string]int
	size  map[int]int
}

func layersOf(spec *v1alpha1.WorkOrderSpec) layers {
	l := layers{depth: map[string]int{}, size: map[int]int{}}
	if spec.Strategy != v1alpha1.StrategyGraph {
		return l
	}
	last := 0
	for _, need := range plan.Needs(spec) { // What a step needs stands before it.
		depth := 1
		for _, name := range need.Needs {
			depth = max(depth, l.depth[name]+1)
		}
		if need.Finally {
			depth = last + 1
		} else {
			last = max(last, depth)
		}
		l.depth[need.Step.Name] = depth
		l.size[depth]++
	}
	return l
}

func (l layers) of(step string) (depth int, together bool) {
	depth = l.depth[step]
	return depth, l.size[depth] > 1
}

// byLayer brings rows into the order of their layers, and leaves those of one as they are.
func byLayer(rows []Row) []Row {
	sorted := slices.Clone(rows)
	slices.SortStableFunc(sorted, func(a, b Row) int { return cmp.Compare(a.Layer, b.Layer) })
	return sorted
}
