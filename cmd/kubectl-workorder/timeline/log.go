package timeline

import (
	"fmt"
	"strings"
	"time"

	"workorders.dev/operator/api/v1alpha1"
)

// Entry is an event of the log, as a line.
type Entry struct {
	*v1alpha1.ProgressEvent
	// Superseded says that a later rewind made it void.
	Superseded bool
	// Supersedes are the numbers of the events that it makes void itself; empty if none.
	Supersedes string
}

// Line is the entry on one line. Its columns have fixed widths, as who follows a log sees the next line only when it comes.
func (e Entry) Line(style Style) string {
	spec := &e.Spec
	step := spec.Step
	if step != "" && spec.Epoch > 0 {
		step = fmt.Sprintf("%s/%d", spec.Step, spec.Epoch)
	}
	text := fmt.Sprintf("%s  %4d  %-16s  %-24s  %s", spec.Time.Local().Format(time.TimeOnly), spec.Sequence, Line(string(spec.Type)), Line(step), Line(spec.Message))
	if text = strings.TrimRight(text, " "); e.Supersedes != "" {
		text += " (supersedes " + e.Supersedes + ")"
	}
	switch {
	case e.Superseded && style.Color:
		return style.paint(struck, text)
	case e.Superseded:
		return text + "  (superseded)"
	case spec.Type == v1alpha1.EventRewound:
		return style.paint(yellow, text)
	case spec.Error != nil && spec.Type == v1alpha1.EventStepFailed, spec.Type == v1alpha1.EventFailed:
		return style.paint(red, text)
	case spec.Type == v1alpha1.EventSucceeded:
		return style.paint(green, text)
	}
	return text
}

// Gap says what is missing before an event; empty if nothing is. After is the number of the event before it.
func Gap(after int64, e *v1alpha1.ProgressEvent, style Style) string {
	missing := e.Spec.Sequence - after - 1
	if missing <= 0 {
		return ""
	}
	return style.paint(yellow, fmt.Sprintf("          -- %s could not be written down --", plural(missing, "transition")))
}
