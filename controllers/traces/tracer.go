package traces

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"workorders.dev/operator/api/v1alpha1"
)

// scope names who tells, beside the service.
const scope = "workorders.dev/operator"

// Tracer tells of orders.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// Start returns a Tracer that sends spans by OTLP over HTTP to the collector at a URL, as http://collector.monitoring:4318, to
// which /v1/traces is added. It sends them in batches, in the background. What cannot be sent is dropped, which the log says, and
// so is, in silence, what comes while more wait than can be kept, 2,048 unless OTEL_BSP_MAX_QUEUE_SIZE is set. The environment
// variables OTEL_EXPORTER_OTLP_… that the URL does not answer count too, as headers and certificates.
func Start(ctx context.Context, collector string, log logr.Logger) (*Tracer, error) {
	to, err := url.Parse(collector)
	switch {
	case err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "":
		return nil, fmt.Errorf("%q is no place to send traces to: give a URL like http://collector.monitoring:4318", collector)
	case to.User != nil || to.RawQuery != "":
		return nil, errors.New("the URL to send traces to has a user or a query, which would not be sent: set OTEL_EXPORTER_OTLP_HEADERS instead")
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(to.JoinPath("v1", "traces").String()))
	if err != nil {
		return nil, fmt.Errorf("set up the sending of traces to %s: %w", collector, err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Info("Traces were not sent", "collector", to.Redacted(), "cause", err.Error())
	}))
	// The environment may name it otherwise, and say more.
	service, err := resource.Merge(resource.NewSchemaless(semconv.ServiceName("workorder-operator")), resource.Environment())
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithIDGenerator(derived{}),
		// To keep only some of the orders is the collector's choice, by a hash of the trace's id.
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithResource(service),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))}, nil
}

// Stop sends what has not been sent, as long as the context lets it.
func (t *Tracer) Stop(ctx context.Context) error {
	return t.provider.Shutdown(ctx)
}

// Tell tells of what has ended with a transition that was saved, if anything has. Template is what kind of order it is, and
// empty if that is not known.
func (t *Tracer) Tell(order *v1alpha1.WorkOrder, event *v1alpha1.ProgressEventSpec, template string) {
	s := spanOf(order, event, template)
	if s == nil {
		return
	}
	ctx := context.WithValue(context.Background(), derived{}, s)
	if s.parent.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: s.trace, SpanID: s.parent, TraceFlags: trace.FlagsSampled,
		}))
	}
	_, open := t.tracer.Start(ctx, s.name, trace.WithSpanKind(s.kind), trace.WithTimestamp(s.start), trace.WithAttributes(s.attributes...))
	if s.failure != "" {
		open.SetStatus(codes.Error, s.failure)
	}
	open.End(trace.WithTimestamp(s.end))
}

// derived gives a span the ids that it has, instead of new ones. It is also the key under which a context holds that span.
type derived struct{}

// NewIDs implements [sdktrace.IDGenerator].
func (derived) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	s := ctx.Value(derived{}).(*span)
	return s.trace, s.id
}

// NewSpanID implements [sdktrace.IDGenerator].
func (derived) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	return ctx.Value(derived{}).(*span).id
}
