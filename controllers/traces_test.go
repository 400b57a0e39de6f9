package controllers

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/traces"
)

var _ = Describe("The trace of an order", func() {
	It("has a span for each attempt, in one for the run, whichever process told of them", func(ctx SpecContext) {
		spans := make(chan *tracev1.Span, 10)
		to := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
			defer GinkgoRecover()
			body, err := io.ReadAll(request.Body)
			Expect(err).NotTo(HaveOccurred())
			sent := &collector.ExportTraceServiceRequest{}
			Expect(proto.Unmarshal(body, sent)).To(Succeed())
			for _, span := range sent.ResourceSpans[0].ScopeSpans[0].Spans {
				spans <- span
			}
		}))
		DeferCleanup(to.Close)
		spec := sequence("build")
		spec.Retry = &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}}
		c := newCrank(ctx, spec)
		// Each turn is that of a process of its own.
		turn := func() {
			GinkgoHelper()
			c.restart()
			tracer, err := traces.Start(ctx, to.URL, logr.Discard())
			Expect(err).NotTo(HaveOccurred())
			c.reconciler.Traces = tracer
			c.turn(ctx)
			Expect(tracer.Stop(context.WithoutCancel(ctx))).To(Succeed())
		}
		turn()
		c.ends(ctx, "build", 3, "no compiler")
		turn() // It has failed.
		turn() // It starts again.
		c.ends(ctx, "build", 0, "")
		turn() // It has succeeded,
		turn() // and so has the order.
		Expect(c.order.Status.Phase).To(Equal(v1alpha1.WorkOrderSucceeded))

		var failed, succeeded, run *tracev1.Span
		Eventually(spans).Should(Receive(&failed))
		Eventually(spans).Should(Receive(&succeeded))
		Eventually(spans).Should(Receive(&run))
		Consistently(spans).ShouldNot(Receive())
		Expect([]string{failed.Name, succeeded.Name, run.Name}).To(Equal([]string{"build", "build", "RUN"}))
		Expect(failed.Status.Message).To(Equal("NonZeroExit"))
		for _, attempt := range []*tracev1.Span{failed, succeeded} {
			Expect(attempt.ParentSpanId).To(Equal(run.SpanId))
			Expect(attempt.TraceId).To(Equal(run.TraceId))
		}
		Expect(failed.SpanId).NotTo(Equal(succeeded.SpanId))
	})
})
