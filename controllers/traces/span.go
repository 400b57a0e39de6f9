package traces

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
)

// span is what is told of one attempt, or of one run of an order.
type span struct {
	trace      trace.TraceID
	id, parent trace.SpanID
	name       string
	kind       trace.SpanKind
	start, end time.Time
	attributes []attribute.KeyValue
	// failure is the code of what went wrong; empty if nothing did.
	failure string
}

// spanOf is the span of what has ended with a transition; nil if that is nothing. Template is what kind of order it is, if
// that is known.
func spanOf(order *v1alpha1.WorkOrder, event *v1alpha1.ProgressEventSpec, template string) *span {
	of := &span{trace: traceID(event), attributes: []attribute.KeyValue{
		semconv.CICDPipelineName(cmp.Or(template, order.Name)),
		semconv.CICDPipelineRunID(runOf(event)),
		semconv.K8SNamespaceName(order.Namespace),
	}}
	switch {
	case event.Result != nil && event.Result.StartTime != nil && event.Result.CompletionTime != nil:
		of.ofAttempt(event)
	case v1alpha1.Outcome(event.Type) == event.Changes.Order.Outcome && event.Changes.Order.CompletionTime != nil: // Later events hold it too.
		of.ofRun(order, event, template)
	default:
		return nil
	}
	return of
}

// ofAttempt makes it the span of an attempt.
func (s *span) ofAttempt(event *v1alpha1.ProgressEventSpec) {
	result := event.Result
	s.id, s.parent = attemptID(event), runID(event)
	s.name, s.kind = event.Step, trace.SpanKindInternal
	s.start, s.end = result.StartTime.Time, result.CompletionTime.Time
	s.attributes = append(s.attributes,
		semconv.CICDPipelineTaskName(event.Step),
		semconv.CICDPipelineTaskRunID(fmt.Sprintf("%s/%s/%d", event.WorkOrder.UID, event.Step, event.Epoch)),
		attribute.Int64("workorders.epoch", event.Epoch),
		attribute.Int64("workorders.attempt", result.Attempt),
	)
	if result.PodName != "" {
		s.attributes = append(s.attributes, semconv.K8SPodName(result.PodName))
	}
	if result.Agent != "" {
		s.attributes = append(s.attributes, attribute.String("workorders.agent", result.Agent))
	}
	if result.ExitCode != nil {
		s.attributes = append(s.attributes, semconv.ProcessExitCode(int(*result.ExitCode)))
	}
	code := v1alpha1.ErrorCode("")
	if event.Error != nil && result.Phase != v1alpha1.StepSucceeded {
		code = event.Error.Code
	}
	word := resultOf(result.Phase, code)
	s.attributes = append(s.attributes, semconv.CICDPipelineTaskRunResultKey.String(word))
	s.fail(word, code)
}

// fail says by what code it failed, if it did. Its message is not told: it may hold what the step itself said.
func (s *span) fail(result string, code v1alpha1.ErrorCode) {
	if code == "" {
		return
	}
	s.attributes = append(s.attributes, semconv.ErrorTypeKey.String(string(code)))
	if result != cancellation {
		s.failure = string(code)
	}
}

// How things end, in the words of the conventions, which has the same for tasks and for pipelines.
var (
	success      = semconv.CICDPipelineResultSuccess.Value.AsString()
	failure      = semconv.CICDPipelineResultFailure.Value.AsString()
	interruption = semconv.CICDPipelineResultError.Value.AsString()
	timeout      = semconv.CICDPipelineResultTimeout.Value.AsString()
	cancellation = semconv.CICDPipelineResultCancellation.Value.AsString()
)

// resultOf says how an attempt ended, or an order whose step ended so.
func resultOf(phase v1alpha1.StepPhase, code v1alpha1.ErrorCode) string {
	switch {
	case phase == v1alpha1.StepSucceeded:
		return success
	case code == v1alpha1.CodeTimeout || code == v1alpha1.CodeDeadlineExceeded:
		return timeout
	case phase == v1alpha1.StepCancelled:
		return cancellation
	}
	switch plan.WhyAgain(code) {
	case v1alpha1.RewindFailed:
		return failure
	case v1alpha1.RewindDisrupted:
		return interruption
	default: // It was stopped to start again.
		return cancellation
	}
}

// ofRun makes it the span of a run of the order, from the start of its first step, or of the rewind that brought it back.
func (s *span) ofRun(order *v1alpha1.WorkOrder, event *v1alpha1.ProgressEventSpec, template string) {
	state := &event.Changes.Order
	s.id = runID(event)
	s.name, s.kind = semconv.CICDPipelineActionNameRun.Value.AsString(), trace.SpanKindServer
	if template != "" {
		s.name += " " + template
	}
	s.start, s.end = state.CompletionTime.Time, state.CompletionTime.Time
	if began := beginning(state); began != 0 {
		s.start = time.Unix(began, 0)
	}
	s.attributes = append(s.attributes,
		semconv.CICDPipelineActionNameRun,
		attribute.String("workorders.order", event.WorkOrder.Name),
		attribute.Int64("workorders.rewinds", state.Rewinds),
	)
	word, code := success, v1alpha1.ErrorCode("")
	switch {
	case state.Outcome == v1alpha1.OutcomeSucceeded:
	case state.Outcome == v1alpha1.OutcomeCancelled:
		word = cancellation
	case state.Expired:
		word, code = timeout, v1alpha1.CodeDeadlineExceeded
	default:
		code = firstFailure(order.Status.Steps)
		word = resultOf(v1alpha1.StepFailed, code)
	}
	s.attributes = append(s.attributes, semconv.CICDPipelineResultKey.String(word))
	s.fail(word, code)
}

// firstFailure is the code of the first step that has failed for good.
func firstFailure(steps []v1alpha1.StepStatus) v1alpha1.ErrorCode {
	for i := range steps {
		if steps[i].Phase == v1alpha1.StepFailed && steps[i].Error != nil {
			return steps[i].Error.Code
		}
	}
	return ""
}

// beginning is when the present run of an order began, in Unix time; 0 if no step was ever started.
func beginning(state *v1alpha1.OrderState) int64 {
	switch {
	case state.ActiveSince != nil:
		return state.ActiveSince.Unix()
	case state.StartTime != nil:
		return state.StartTime.Unix()
	default:
		return 0
	}
}

// traceID is the trace of an order, the same for all its runs.
func traceID(event *v1alpha1.ProgressEventSpec) trace.TraceID {
	sum := hash("%s", event.WorkOrder.UID)
	return trace.TraceID(sum[:16])
}

// runID is the span of the order's run that an event is of.
func runID(event *v1alpha1.ProgressEventSpec) trace.SpanID {
	sum := hash("%s", runOf(event))
	return trace.SpanID(sum[:8])
}

// runOf names the order's run that an event is of.
func runOf(event *v1alpha1.ProgressEventSpec) string {
	return fmt.Sprintf("%s@%d", event.WorkOrder.UID, beginning(&event.Changes.Order))
}

// attemptID is the span of the attempt that an event is of.
func attemptID(event *v1alpha1.ProgressEventSpec) trace.SpanID {
	sum := hash("%s/%s/%d", event.WorkOrder.UID, event.Step, event.Epoch)
	return trace.SpanID(sum[:8])
}

// hash is a digest of what an id is of. Traces that exist hold what it gave: it stays as it is.
func hash(format string, of ...any) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, format, of...))
}
