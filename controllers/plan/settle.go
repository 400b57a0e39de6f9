package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/expression"
	"workorders.dev/operator/controllers/steppod"
)

// settle writes down how the first running step that has ended did end.
func settle(t *turn) *Transition {
	for i := range t.status().Steps {
		step := &t.status().Steps[i]
		if step.Phase != v1alpha1.StepRunning {
			continue
		}
		if end := t.ended(step); end != nil {
			return t.settleStep(i, explained(end, step.Error))
		}
	}
	return nil
}

// explained is the end of an attempt that never started, with what was known to keep it from starting.
func explained(end *steppod.End, obstacle *v1alpha1.StepError) *steppod.End {
	if end.Code != v1alpha1.CodeStartTimeout || obstacle == nil {
		return end
	}
	full := *end
	full.Message = steppod.Line(fmt.Sprintf("%s: %s: %s", end.Message, obstacle.Code, obstacle.Message), steppod.MaxErrorMessage)
	full.Output = "" // The kubelet's, which knows no container.
	return &full
}

// ended is how a running step ended, whatever its kind; nil while it has not.
func (t *turn) ended(step *v1alpha1.StepStatus) *steppod.End {
	switch {
	case step.PodName != "":
		return t.end(step)
	case step.NotBefore == nil || !t.now.Before(step.NotBefore.Time):
		return &steppod.End{Verdict: steppod.Succeeded}
	case step.Removed:
		return steppod.StoppedFor(v1alpha1.CodeRemoved)
	}
	return nil
}

func (t *turn) settleStep(index int, end *steppod.End) *Transition {
	step, policy := &t.status().Steps[index], t.policy(&t.status().Steps[index])
	end = checked(end)
	switch {
	case step.Removed:
		return t.settleRemoved(index, end)
	case end.Verdict == steppod.Succeeded:
		return t.record(v1alpha1.EventStepSucceeded, index, end, v1alpha1.StepSucceeded, joined("succeeded", firstLine(end.Output)))
	case windingDown(t.status().Cancelled, t.status().Expired) && !step.Finally:
		return t.record(v1alpha1.EventStepCancelled, index, end, v1alpha1.StepCancelled, parting(end))
	case step.Epoch >= steppod.MaxEpoch:
		return t.record(v1alpha1.EventStepFailed, index, end, v1alpha1.StepFailed,
			fmt.Sprintf("failed: %s; %d epochs are the most a step can have", reason(end), int64(steppod.MaxEpoch)))
	case end.Verdict == steppod.Stopped && end.Code != v1alpha1.CodeTimeout:
		return t.retry(index, end, 0, halted(end))
	case end.Verdict == steppod.Disrupted && step.Disruptions < policy.disruptionLimit:
		delay := policy.delay(t.order.UID, step, step.Disruptions)
		return t.retry(index, end, delay, fmt.Sprintf("interrupted: %s; disruption %d of %d, starts again in %s",
			reason(end), step.Disruptions+1, policy.disruptionLimit, delay.Round(time.Second)))
	case end.Verdict == steppod.Failed && policy.final(end.ExitCode):
		return t.record(v1alpha1.EventStepFailed, index, end, v1alpha1.StepFailed, "failed: "+reason(end)+"; that exit code is not retried")
	case end.Verdict == steppod.Failed && step.Retries < policy.limit:
		delay := policy.delay(t.order.UID, step, step.Retries)
		return t.retry(index, end, delay, fmt.Sprintf("failed: %s; retry %d of %d in %s",
			reason(end), step.Retries+1, policy.limit, delay.Round(time.Second)))
	}
	return t.record(v1alpha1.EventStepFailed, index, end, v1alpha1.StepFailed, "failed: "+reason(end))
}

// halted is what is said of an attempt that ended as the step is to run again.
func halted(end *steppod.End) string {
	if end.Code == v1alpha1.CodeLost {
		return "interrupted: " + reason(end) + "; starts again" // Nobody stopped it.
	}
	return "stopped: " + reason(end) + "; starts again"
}

// parting is what is said of an attempt that ended badly in an order that is being ended.
func parting(end *steppod.End) string {
	if end.Verdict == steppod.Stopped {
		return "stopped: " + reason(end)
	}
	return "failed: " + reason(end) + "; it does not start again, as the order is being ended"
}

// settleRemoved writes down how a step ended that the spec does not hold any more. Its entry keeps nothing but its epoch.
func (t *turn) settleRemoved(index int, end *steppod.End) *Transition {
	kind, phase, message := v1alpha1.EventStepCancelled, v1alpha1.StepCancelled, "stopped: it was removed from the spec"
	if end.Verdict == steppod.Succeeded {
		kind, phase, message = v1alpha1.EventStepSucceeded, v1alpha1.StepSucceeded, "succeeded, but was removed from the spec"
	}
	d, step := t.recording(kind, index, end, phase, message)
	*step = removed(*step)
	return d.commit()
}

// checked is an end whose output fits: one that is a JSON object must be kept whole for conditions to look into it.
func checked(end *steppod.End) *steppod.End {
	if end.Verdict != steppod.Succeeded {
		return end
	}
	if _, is := expression.Results(cmp.Or(end.Whole, end.Output)); !is || end.Whole == "" && inStatus(end.Output) != "" {
		return end
	}
	return with(end, &steppod.End{
		Verdict: steppod.Failed, Code: v1alpha1.CodeResultsTooLarge,
		Message: fmt.Sprintf("its output is a JSON object of more than %d bytes, where a quotation mark counts as two: write less, or hand it on through a volume", steppod.MaxOutputInStatus),
	})
}

// inStatus is an output as the status keeps it: cut if it is long, but a JSON object only ever whole, without its blanks
// if need be; empty for an object that is too long all the same.
func inStatus(output string) string {
	cut := steppod.Cut(output, steppod.MaxOutputInStatus)
	if _, is := expression.Results(output); cut == output || !is {
		return cut
	}
	compact := &bytes.Buffer{}
	if err := json.Compact(compact, []byte(output)); err != nil || steppod.Cut(compact.String(), steppod.MaxOutputInStatus) != compact.String() {
		return ""
	}
	return compact.String()
}

// retry writes down an attempt that ended badly and is followed by another one after a pause.
func (t *turn) retry(index int, end *steppod.End, delay time.Duration, message string) *Transition {
	d, step := t.recording(v1alpha1.EventStepFailed, index, end, v1alpha1.StepBackoff, message)
	step.NotBefore = wholeSecondAfter(t.now.Add(delay))
	switch end.Verdict {
	case steppod.Failed:
		step.Retries++
	case steppod.Disrupted:
		step.Disruptions++
	case steppod.Succeeded, steppod.Stopped:
	}
	return d.commit()
}

// record writes down how an attempt ended, for good.
func (t *turn) record(kind v1alpha1.EventType, index int, end *steppod.End, phase v1alpha1.StepPhase, message string) *Transition {
	d, _ := t.recording(kind, index, end, phase, message)
	return d.commit()
}

// recording drafts the event that holds an attempt's result, and puts the result into the step's entry.
func (t *turn) recording(kind v1alpha1.EventType, index int, end *steppod.End, phase v1alpha1.StepPhase, message string) (*draft, *v1alpha1.StepStatus) {
	d, step := t.beginStep(kind, index)
	d.say("%s", message)
	step.Phase = phase
	step.NotBefore = nil
	step.CompletionTime = completion(step, end, &d.event.Time)
	step.ExitCode = end.ExitCode
	step.Error, step.Message = nil, ""
	result := &v1alpha1.StepResult{
		Phase: phase, Agent: step.Agent, Attempt: step.Attempt, PodName: step.PodName, ExitCode: end.ExitCode,
		StartTime: step.StartTime, CompletionTime: step.CompletionTime,
	}
	if phase == v1alpha1.StepBackoff {
		result.Phase = v1alpha1.StepFailed
	}
	d.event.Result = result
	if end.Verdict == steppod.Succeeded {
		result.Output = end.Output
		if step.Output = inStatus(end.Output); step.Output != end.Output && strings.HasSuffix(step.Output, "…") {
			step.Message = "its output is cut here; the event of its success has more"
		}
		return d, step
	}
	step.Error = &v1alpha1.StepError{Code: end.Code, Message: steppod.Line(reason(end), steppod.MaxErrorMessage)}
	d.event.Error = &v1alpha1.EventError{Code: step.Error.Code, Message: step.Error.Message, Details: end.Output}
	return d, step
}

// completion is when an attempt ended: by its node's clock, but never before its start nor after it was written down.
func completion(step *v1alpha1.StepStatus, end *steppod.End, recorded *metav1.Time) *metav1.Time {
	at := metav1.NewTime(end.Finished)
	switch {
	case end.Finished.IsZero() || at.After(recorded.Time):
		return recorded
	case step.StartTime != nil && at.Before(step.StartTime):
		return step.StartTime
	}
	return &at
}

// reason is why an attempt ended badly, with the last thing that the step itself said.
func reason(end *steppod.End) string {
	said := strings.TrimSpace(end.Output)
	if i := strings.LastIndexByte(said, '\n'); i >= 0 {
		said = said[i+1:]
	}
	return joined(end.Message, said)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func joined(what, detail string) string {
	if detail == "" {
		return what
	}
	return what + ": " + detail
}
