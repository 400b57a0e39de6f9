package traces

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
)

func at(second int64) *metav1.Time {
	return &metav1.Time{Time: time.Unix(2_000_000_000+second, 0)}
}

// order is one of which two steps have failed, if it has failed.
var order = &v1alpha1.WorkOrder{
	ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "release"},
	Status: v1alpha1.WorkOrderStatus{Steps: []v1alpha1.StepStatus{
		{Phase: v1alpha1.StepSucceeded}, {Phase: v1alpha1.StepBackoff, Error: &v1alpha1.StepError{Code: v1alpha1.CodeTimeout}},
		{Phase: v1alpha1.StepFailed, Error: &v1alpha1.StepError{Code: v1alpha1.CodeOOMKilled}}, {Phase: v1alpha1.StepFailed, Error: &v1alpha1.StepError{Code: v1alpha1.CodeLost}},
	}},
}

// event is an event of the first run of an order, of what is given.
func event(of v1alpha1.ProgressEventSpec) *v1alpha1.ProgressEventSpec {
	of.WorkOrder = v1alpha1.WorkOrderReference{Name: "release", UID: "uid-1"}
	if of.Changes.Order.StartTime == nil {
		of.Changes.Order.StartTime = at(0)
	}
	return &of
}

// attempt is the end of an attempt, with an error if there is a code.
func attempt(step string, epoch int64, phase v1alpha1.StepPhase, code v1alpha1.ErrorCode) *v1alpha1.ProgressEventSpec {
	e := event(v1alpha1.ProgressEventSpec{Step: step, Epoch: epoch, Result: &v1alpha1.StepResult{
		Phase: phase, Agent: "builder", Attempt: 1, PodName: "release-build-1", ExitCode: new(int32), StartTime: at(1), CompletionTime: at(5), Output: "confidential",
	}})
	if code != "" {
		e.Error = &v1alpha1.EventError{Code: code, Message: "exit code 1: confidential"}
	}
	return e
}

// end is the end of a run.
func end(outcome v1alpha1.Outcome, state v1alpha1.OrderState) *v1alpha1.ProgressEventSpec {
	state.Outcome, state.CompletionTime = outcome, at(9)
	return event(v1alpha1.ProgressEventSpec{Type: v1alpha1.EventType(outcome), Message: "confidential", Changes: v1alpha1.Changes{Order: state}})
}

// told is what is told of an event besides who and where, as a list of attributes: key=value.
func told(t *testing.T, event *v1alpha1.ProgressEventSpec) []string {
	t.Helper()
	s := spanOf(order, event, "")
	if s == nil {
		return nil
	}
	said := []string{s.name, s.kind.String()}
	for _, a := range s.attributes[3:] {
		said = append(said, string(a.Key)+"="+a.Value.String())
	}
	if s.failure != "" {
		said = append(said, "failure: "+s.failure)
	}
	return said
}

func TestASpanSaysHowItEnded(t *testing.T) {
	task := func(result string, more ...string) []string {
		said := []string{"build", "internal", "cicd.pipeline.task.name=build", "cicd.pipeline.task.run.id=uid-1/build/2",
			"workorders.epoch=2", "workorders.attempt=1", "k8s.pod.name=release-build-1", "workorders.agent=builder", "process.exit.code=0", "cicd.pipeline.task.run.result=" + result}
		return append(said, more...)
	}
	run := func(more ...string) []string {
		return append([]string{"RUN", "server", "cicd.pipeline.action.name=RUN", "workorders.order=release", "workorders.rewinds=0"}, more...)
	}
	for _, c := range []struct {
		of   *v1alpha1.ProgressEventSpec
		want []string
	}{
		{attempt("build", 2, v1alpha1.StepSucceeded, ""), task("success")},
		{attempt("build", 2, v1alpha1.StepFailed, v1alpha1.CodeNonZeroExit), task("failure", "error.type=NonZeroExit", "failure: NonZeroExit")},
		{attempt("build", 2, v1alpha1.StepFailed, v1alpha1.CodeTimeout), task("timeout", "error.type=Timeout", "failure: Timeout")},
		{attempt("build", 2, v1alpha1.StepFailed, v1alpha1.CodeEvicted), task("error", "error.type=Evicted", "failure: Evicted")},
		{attempt("build", 2, v1alpha1.StepFailed, v1alpha1.CodeSpecChanged), task("cancellation", "error.type=SpecChanged")},
		{attempt("build", 2, v1alpha1.StepCancelled, v1alpha1.CodeCancelled), task("cancellation", "error.type=Cancelled")},
		{attempt("build", 2, v1alpha1.StepCancelled, v1alpha1.CodeDeadlineExceeded), task("timeout", "error.type=DeadlineExceeded", "failure: DeadlineExceeded")},
		{end(v1alpha1.OutcomeSucceeded, v1alpha1.OrderState{}), run("cicd.pipeline.result=success")},
		{end(v1alpha1.OutcomeFailed, v1alpha1.OrderState{}), run("cicd.pipeline.result=failure", "error.type=OOMKilled", "failure: OOMKilled")},
		{end(v1alpha1.OutcomeFailed, v1alpha1.OrderState{Expired: true}), run("cicd.pipeline.result=timeout", "error.type=DeadlineExceeded", "failure: DeadlineExceeded")},
		{end(v1alpha1.OutcomeCancelled, v1alpha1.OrderState{}), run("cicd.pipeline.result=cancellation")},
		{event(v1alpha1.ProgressEventSpec{Type: v1alpha1.EventAccepted}), nil},
		// What is edited after the end says again how the order ended, and ends nothing.
		{event(v1alpha1.ProgressEventSpec{Type: v1alpha1.EventSpecObserved, Changes: v1alpha1.Changes{Order: v1alpha1.OrderState{
			Outcome: v1alpha1.OutcomeFailed, CompletionTime: at(9),
		}}}), nil},
		// It was stopped before it had a Pod that could say when.
		{event(v1alpha1.ProgressEventSpec{Step: "build", Epoch: 1, Result: &v1alpha1.StepResult{Phase: v1alpha1.StepCancelled}}), nil},
	} {
		if diff := cmp.Diff(c.want, told(t, c.of)); diff != "" {
			t.Errorf("%s of %q: want (-), got (+):\n%s", c.of.Type, c.of.Step, diff)
		}
	}
}

func TestAnAttemptIsPartOfTheRunThatItBelongsTo(t *testing.T) {
	first, again := end(v1alpha1.OutcomeFailed, v1alpha1.OrderState{}), end(v1alpha1.OutcomeSucceeded, v1alpha1.OrderState{ActiveSince: at(20)})
	early, late := attempt("build", 1, v1alpha1.StepSucceeded, ""), attempt("build", 2, v1alpha1.StepSucceeded, "")
	late.Changes.Order.ActiveSince = at(20)
	spans := map[string]*span{}
	for name, e := range map[string]*v1alpha1.ProgressEventSpec{"first": first, "again": again, "early": early, "late": late} {
		spans[name] = spanOf(order, e, "")
	}
	if spans["early"].parent != spans["first"].id || spans["late"].parent != spans["again"].id || spans["first"].id == spans["again"].id {
		t.Errorf("%+v", spans)
	}
	seen := map[string]bool{}
	for name, s := range spans {
		if s.trace != spans["first"].trace {
			t.Errorf("%s is in another trace", name)
		}
		seen[s.id.String()] = true
	}
	if len(seen) != len(spans) {
		t.Errorf("two spans have one id: %v", seen)
	}
	if got := spans["again"]; !got.start.Equal(at(20).Time) || !got.end.Equal(at(9).Time) {
		t.Errorf("the second run is from %v to %v", got.start, got.end)
	}
}

// Traces that exist hold these ids: whoever changes them breaks every trace that is under way.
func TestIdsStayAsTheyAre(t *testing.T) {
	s := spanOf(order, attempt("build", 2, v1alpha1.StepSucceeded, ""), "")
	got := strings.Join([]string{s.trace.String(), s.parent.String(), s.id.String()}, " ")
	if want := "4a49acf8a6bd727728495d1e541a8408 bc5cde3c02c579db 7df91da3243d8d3a"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTheTemplateIsThePipeline(t *testing.T) {
	s := spanOf(order, end(v1alpha1.OutcomeSucceeded, v1alpha1.OrderState{}), "nightly")
	if s.name != "RUN nightly" || s.attributes[0] != attribute.String("cicd.pipeline.name", "nightly") {
		t.Errorf("%s, %v", s.name, s.attributes[0])
	}
}

func TestACollectorGetsWhatIsTold(t *testing.T) {
	var requests []*collector.ExportTraceServiceRequest
	var tokens []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		got := &collector.ExportTraceServiceRequest{}
		if err := proto.Unmarshal(body, got); err != nil {
			t.Error(err)
		}
		requests, tokens = append(requests, got), append(tokens, request.URL.Path+" "+request.Header.Get("Authorization"))
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer abc")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.cluster.name=here")
	for _, e := range []*v1alpha1.ProgressEventSpec{attempt("build", 1, v1alpha1.StepFailed, v1alpha1.CodeNonZeroExit), end(v1alpha1.OutcomeFailed, v1alpha1.OrderState{})} {
		// Each is told by a process of its own.
		tracer, err := Start(t.Context(), server.URL, logr.Discard())
		if err != nil {
			t.Fatal(err)
		}
		tracer.Tell(order, e, "")
		if err := tracer.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if len(requests) != 2 || tokens[0] != "/v1/traces Bearer abc" {
		t.Fatalf("%d requests: %v", len(requests), tokens)
	}
	step, run := requests[0].ResourceSpans[0].ScopeSpans[0].Spans[0], requests[1].ResourceSpans[0].ScopeSpans[0].Spans[0]
	if string(step.ParentSpanId) != string(run.SpanId) || string(step.TraceId) != string(run.TraceId) || len(run.ParentSpanId) != 0 {
		t.Errorf("they are not one trace: %v, %v", step, run)
	}
	if step.StartTimeUnixNano != uint64(at(1).UnixNano()) || step.EndTimeUnixNano != uint64(at(5).UnixNano()) || step.Status.Message != "NonZeroExit" {
		t.Errorf("%v", step)
	}
	for _, request := range requests {
		if text := request.String(); strings.Contains(text, "confidential") || !strings.Contains(text, "workorder-operator") || !strings.Contains(text, `"here"`) {
			t.Error(text)
		}
	}
}

func TestACollectorThatIsNoURLIsRefused(t *testing.T) {
	for _, collector := range []string{"collector:4318", "http://", "ftp://collector", "%zz"} {
		if _, err := Start(t.Context(), collector, logr.Discard()); err == nil || !strings.Contains(err.Error(), "give a URL like http://") {
			t.Errorf("%s: %v", collector, err)
		}
	}
	if _, err := Start(t.Context(), "https://user:secret@collector", logr.Discard()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("with a password: %v", err)
	}
}
