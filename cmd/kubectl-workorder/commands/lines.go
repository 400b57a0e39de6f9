package commands

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
	"workorders.dev/operator/controllers/follow"
	"workorders.dev/operator/controllers/progress"
)

// plainView is a line for each thing that happens.
type plainView struct {
	patience
	breaks
	out io.Writer
	// named says that each line begins with the order's name.
	named bool
	// after are the numbers up to which the orders' events were shown.
	after map[types.UID]int64
}

func (v *plainView) show(state follow.State) {
	prefix := ""
	if v.named {
		prefix = fmt.Sprintf("%-24s  ", state.Order.Name)
	}
	if broken := v.broken(state); broken != "" {
		fmt.Fprintln(v.errOut, prefix+broken)
		if len(state.Fresh) > 0 {
			v.after[state.Order.UID] = state.Fresh[0].Spec.Sequence - 1
		}
	}
	for _, entry := range entries(state.Chain, state.Fresh) {
		if gap := timeline.Gap(v.after[state.Order.UID], entry.ProgressEvent, timeline.Style{}); gap != "" {
			fmt.Fprintln(v.out, prefix+gap)
		}
		fmt.Fprintln(v.out, prefix+entry.Line(timeline.Style{}))
		v.after[state.Order.UID] = entry.Spec.Sequence
	}
	if state.Gone {
		fmt.Fprintln(v.out, prefix+"is listed no more")
	}
}

// breaks says, once for each, where logs begin that have lost their beginning.
type breaks struct{ told map[string]bool }

// broken is what there is to say of a state; empty if nothing, or nothing new.
func (b *breaks) broken(state follow.State) string {
	missing := state.Chain.Missing
	if missing == "" || b.told[missing] {
		return ""
	}
	if b.told == nil {
		b.told = map[string]bool{}
	}
	b.told[missing] = true
	return fmt.Sprintf("the log is broken: event %s is missing, and so is what came before it", timeline.Safe(missing))
}

// entries are events as lines of a log.
func entries(chain progress.Chain, events []*v1alpha1.ProgressEvent) []timeline.Entry {
	void := chain.Superseded()
	list := make([]timeline.Entry, 0, len(events))
	for _, event := range events {
		list = append(list, timeline.Entry{ProgressEvent: event, Superseded: void[event.Name], Supersedes: numbers(chain.SupersededBy(event))})
	}
	return list
}

// numbers are the sequences of events, as a person writes them: 4, 6-9.
func numbers(events []*v1alpha1.ProgressEvent) string {
	var parts []string
	for i := 0; i < len(events); {
		first, last := events[i].Spec.Sequence, events[i].Spec.Sequence
		for i++; i < len(events) && events[i].Spec.Sequence == last+1; i++ {
			last++
		}
		if part := fmt.Sprint(first); last > first {
			parts = append(parts, fmt.Sprintf("%s-%d", part, last))
		} else {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

// jsonView is a JSON object for each thing that happens.
type jsonView struct {
	patience
	breaks
	out io.Writer
}

func (v *jsonView) show(state follow.State) {
	if broken := v.broken(state); broken != "" {
		fmt.Fprintln(v.errOut, broken)
	}
	for _, entry := range entries(state.Chain, state.Fresh) {
		writeJSON(v.out, entry)
	}
}

// jsonEvent is an event as a program wants to read it: what happened, without what that changes in the status.
type jsonEvent struct {
	Name       string `json:"name"`
	Namespace  string `json:"namespace"`
	Superseded bool   `json:"superseded"`
	v1alpha1.ProgressEventSpec
	// Changes hides those of the spec.
	Changes *struct{} `json:"changes,omitempty"`
}

func writeJSON(out io.Writer, entry timeline.Entry) {
	line, err := json.Marshal(jsonEvent{Name: entry.Name, Namespace: entry.Namespace, Superseded: entry.Superseded, ProgressEventSpec: entry.Spec})
	must(err) // Values that were JSON before.
	fmt.Fprintf(out, "%s\n", timeline.JSON(line))
}

// bare is an order as it would be written down: with its kind, which clients leave out, and without who has written what.
func bare(order *v1alpha1.WorkOrder) *v1alpha1.WorkOrder {
	order.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("WorkOrder"))
	order.ManagedFields = nil
	return order
}

// printJSON prints an object for programs, and for people to look into.
func printJSON(out io.Writer, object any) error {
	encoded, err := json.MarshalIndent(object, "", "    ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", timeline.JSON(encoded))
	return err
}
