package model

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"

	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// trace tells a way through the states as a table, a line an action, in the format of controllers/plan/testdata. The
// middle is what `kubectl get workorders` shows from then on, and the end what Pods there are.
func (m *machine) trace(way []action) string {
	var text bytes.Buffer
	rows := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(rows, "\t")
			}
			fmt.Fprint(rows, cell)
		}
		fmt.Fprintln(rows)
	}
	row("TIME", "SEQ", "WHAT", "STEP", "EPOCH", "MESSAGE", "|", "PHASE", "PROGRESS", "STEP", "EPOCH", "REWINDS", "|", "PODS")
	m.telling = true
	defer func() { m.telling = false }()
	w := m.start()
	for _, a := range way {
		s := m.do(w, a)
		w = s.world
		what := s.who
		if what == "operator" {
			what += " " + string(rune('A'+a.who))
		}
		cells := []any{s.now().Sub(midnight), "", what, s.step, s.epoch, s.said, "|", "(gone)", "", "", "", ""}
		if order := s.order(w.order); order != nil {
			o := &order.Status
			cells[1] = o.Sequence
			copy(cells[7:], []any{o.Phase, o.Progress, o.CurrentStep, o.Epoch, o.Rewinds})
		}
		row(append(cells, "|", s.podsNow())...)
		for _, breach := range s.broken {
			row("", "", "LAW BROKEN", "", "", breach)
		}
	}
	_ = rows.Flush() // Into memory.
	var trimmed strings.Builder
	for line := range strings.Lines(text.String()) {
		trimmed.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return trimmed.String()
}

// podsNow are the Pods that there are, and how they are.
func (s *step) podsNow() string {
	var said []string
	for _, pod := range s.podsOf(s.world.pods) {
		how := string(pod.Status.Phase)
		if steppod.Sealed(pod) {
			how = "Sealed"
		}
		if pod.DeletionTimestamp != nil {
			how += ", deleted"
		}
		said = append(said, fmt.Sprintf("%s/%s %s", pod.Labels[steppod.LabelStep], pod.Labels[steppod.LabelEpoch], how))
	}
	return strings.Join(said, "; ")
}

// tell says what an action does, if anybody listens.
func (s *step) tell(format string, args ...any) {
	if s.telling {
		s.said += fmt.Sprintf(format, args...)
	}
}

// tellOf says which attempt an action is about.
func (s *step) tellOf(pod *corev1.Pod) {
	s.step, s.epoch = pod.Labels[steppod.LabelStep], pod.Labels[steppod.LabelEpoch]
}

// tellRequest says what a controller asks for.
func (s *step) tellRequest(r *request) {
	if !s.telling {
		return
	}
	if n := s.find(s.world.pods, r.name); n != 0 && r.kind == "Pod" {
		s.tellOf(s.objects.values[n].(*corev1.Pod))
	}
	switch object := r.object.(type) {
	case *v1alpha1.ProgressEvent:
		s.step, s.epoch = object.Spec.Step, fmt.Sprint(object.Spec.Epoch)
		s.tell("writes event %d, %s: %s", object.Spec.Sequence, object.Spec.Type, object.Spec.Message)
		return
	case *corev1.Pod:
		s.tellOf(object)
		if steppod.Sealed(object) {
			s.tell("takes the name of its Pod")
			return
		}
		s.tell("creates its Pod")
		return
	}
	switch {
	case r.verb == patchStatus:
		s.tell("saves the status")
	case r.verb == patch && strings.Contains(string(r.patch), "finalizers"):
		s.tell("releases its Pod")
	case r.verb == patch:
		s.tell("marks its Pod as stopped")
	case r.verb == remove:
		s.tell("deletes its Pod")
	case r.kind == "Pod":
		s.tell("asks the API server for Pod %s", r.name)
	default:
		s.tell("asks the API server for the %s", r.kind)
	}
}
