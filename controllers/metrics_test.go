package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func ago(seconds int) *metav1.Time {
	return &metav1.Time{Time: noon.Add(-time.Duration(seconds) * time.Second)}
}

// shown are the orders that a cache shows.
type shown []v1alpha1.WorkOrder

func (s shown) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return fmt.Errorf("nobody asks for one order")
}

func (s shown) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*v1alpha1.WorkOrderList).Items = s
	return nil
}

func TestTheCensusCountsWhatTheCacheShows(t *testing.T) {
	at := func(phase v1alpha1.WorkOrderPhase, steps ...v1alpha1.StepStatus) v1alpha1.WorkOrder {
		return v1alpha1.WorkOrder{Status: v1alpha1.WorkOrderStatus{Phase: phase, Sequence: 1, Steps: steps}}
	}
	waits := func(since int) v1alpha1.StepStatus {
		return v1alpha1.StepStatus{Phase: v1alpha1.StepRunning, StartTime: ago(since), Error: &v1alpha1.StepError{Code: v1alpha1.CodeImagePull}}
	}
	gap := func(ended int) v1alpha1.WorkOrder {
		order := at(v1alpha1.WorkOrderSucceeded)
		order.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionLogComplete, Status: metav1.ConditionFalse}}
		order.Status.CompletionTime = ago(ended)
		return order
	}
	elected := make(chan struct{})
	c := &census{clock: testingclock.NewFakePassiveClock(noon), elected: elected, orders: shown{
		at(v1alpha1.WorkOrderSuspended, waits(4000)),
		at(v1alpha1.WorkOrderRunning, waits(20), v1alpha1.StepStatus{Phase: v1alpha1.StepRunning, StartTime: ago(5000)}),
		at(v1alpha1.WorkOrderRunning, waits(300), v1alpha1.StepStatus{Phase: v1alpha1.StepFailed, StartTime: ago(5000), Error: &v1alpha1.StepError{}}),
		gap(3000), gap(4000),
		{Status: v1alpha1.WorkOrderStatus{Phase: v1alpha1.WorkOrderPending, ObservedGeneration: -1}},
	}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	if count, err := testutil.GatherAndCount(registry); err != nil || count != 0 {
		t.Errorf("a replica that is not at work counts %d, %v", count, err)
	}
	close(elected)
	want := `
# HELP workorders_incomplete_logs Work orders that are not finished, or only since an hour, of which the newest transitions could not be written down as ProgressEvents.
# TYPE workorders_incomplete_logs gauge
workorders_incomplete_logs 1
# HELP workorders_oldest_waiting_step_seconds Time since the start of the oldest step of which it is written down that it waits for its Pod to be created or to start, in orders that are to go on; 0 if there is none.
# TYPE workorders_oldest_waiting_step_seconds gauge
workorders_oldest_waiting_step_seconds 300
# HELP workorders_orders Work orders that there are, by phase.
# TYPE workorders_orders gauge
workorders_orders{phase="Cancelled"} 0
workorders_orders{phase="Failed"} 0
workorders_orders{phase="Pending"} 1
workorders_orders{phase="Running"} 2
workorders_orders{phase="Succeeded"} 2
workorders_orders{phase="Suspended"} 1
# HELP workorders_unseen_orders Work orders that nobody has looked at yet.
# TYPE workorders_unseen_orders gauge
workorders_unseen_orders 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("names that are not as Prometheus wants them: %v, %v", problems, err)
	}
}

func TestTemplatesAreNotWithoutEnd(t *testing.T) {
	label := "example.com/template"
	order := func(template string) *v1alpha1.WorkOrder {
		return &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{label: template}}}
	}
	of := func(t *templates, template, step string) string {
		got, name := t.of(order(template), step)
		return got + " " + name
	}
	if got := of(&templates{}, "release", "build"); got != " " {
		t.Errorf("nobody asked for %q", got)
	}
	few := &templates{label: label}
	for i := range maxTemplates {
		template := fmt.Sprint("template-", i)
		if got := of(few, template, "build"); got != template+" build" {
			t.Errorf("%s is %q", template, got)
		}
	}
	for _, c := range [][3]string{
		{"one too many", "build", "(other) (other)"}, {"template-7", "one too many", "(other) (other)"}, {"template-7", "build", "template-7 build"}, {"", "build", " "},
	} {
		if got := of(few, c[0], c[1]); got != c[2] {
			t.Errorf("%s of %q is %q, want %q", c[1], c[0], got, c[2])
		}
	}
}

func TestOneStepHasTheFirstPod(t *testing.T) {
	step := func(name string, sequence, epoch int64, pod string) v1alpha1.StepStatus {
		return v1alpha1.StepStatus{Name: name, StartSequence: sequence, Epoch: epoch, PodName: pod}
	}
	for what, c := range map[string]struct {
		steps []v1alpha1.StepStatus
		of    steppod.Attempt
		want  bool
	}{
		"the only one":               {[]v1alpha1.StepStatus{step("a", 1, 1, "a-1"), step("b", 0, 0, "")}, steppod.Attempt{Step: "a", Epoch: 1}, true},
		"after another":              {[]v1alpha1.StepStatus{step("a", 1, 1, "a-1"), step("b", 2, 1, "b-1")}, steppod.Attempt{Step: "b", Epoch: 1}, false},
		"before one listed earlier":  {[]v1alpha1.StepStatus{step("a", 3, 1, "a-1"), step("b", 1, 1, "b-1")}, steppod.Attempt{Step: "a", Epoch: 1}, false},
		"beside another, listed 1st": {[]v1alpha1.StepStatus{step("a", 1, 1, "a-1"), step("b", 1, 1, "b-1")}, steppod.Attempt{Step: "a", Epoch: 1}, true},
		"beside another, listed 2nd": {[]v1alpha1.StepStatus{step("a", 1, 1, "a-1"), step("b", 1, 1, "b-1")}, steppod.Attempt{Step: "b", Epoch: 1}, false},
		"after a wait":               {[]v1alpha1.StepStatus{step("a", 1, 1, ""), step("b", 2, 1, "b-1")}, steppod.Attempt{Step: "b", Epoch: 1}, true},
		"once more":                  {[]v1alpha1.StepStatus{step("a", 4, 2, "a-2")}, steppod.Attempt{Step: "a", Epoch: 2}, false},
		"late, of what runs again":   {[]v1alpha1.StepStatus{step("a", 4, 2, ""), step("b", 5, 1, "b-1")}, steppod.Attempt{Step: "b", Epoch: 1}, false},
	} {
		if got := isFirstPod(&v1alpha1.WorkOrder{Status: v1alpha1.WorkOrderStatus{Steps: c.steps}}, c.of); got != c.want {
			t.Errorf("%s: %t, want %t", what, got, c.want)
		}
	}
}

// counts are how often each thing was counted, by its name and labels: counters as they stand, and of histograms the number of samples.
func counts() map[string]float64 {
	GinkgoHelper()
	families, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	counts := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				if label.GetValue() != "" {
					name += " " + label.GetValue()
				}
			}
			counts[name] += metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return counts
}

var _ = Describe("What happens to an order", func() {
	It("is counted, once it is saved", func(ctx SpecContext) {
		spec := sequence("build", "ship")
		spec.Retry = &v1alpha1.Retry{Limit: pointer(int32(1)), Backoff: &v1alpha1.Backoff{InitialSeconds: pointer(int32(0))}}
		c := newCrank(ctx, spec)
		c.order.Labels = map[string]string{"example.com/template": "counted"}
		Expect(c.Update(ctx, c.order)).To(Succeed())
		c.reconciler.templates.label = "example.com/template"
		before := counts()
		c.turn(ctx)
		c.ends(ctx, "build", 3, "no compiler")
		c.turn(ctx)
		c.turn(ctx)
		c.ends(ctx, "build", 0, "")
		c.turn(ctx)
		pod := c.pod(ctx, "ship")
		pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}
		Expect(c.Status().Update(ctx, pod)).To(Succeed())
		c.turn(ctx)
		after := counts()
		for name, want := range map[string]float64{
			"workorders_transitions_total Accepted":                    1,
			"workorders_transitions_total StepFailed":                  2,
			"workorders_step_duration_seconds Failed build counted":    1,
			"workorders_step_duration_seconds Succeeded build counted": 1,
			"workorders_step_duration_seconds Disrupted ship counted":  1,
			"workorders_result_latency_seconds":                        2, // Of a Pod that was evicted before it ran nobody knows when it ended.
			"workorders_rewinds_total Failed":                          1,
			"workorders_first_pod_latency_seconds":                     1,
		} {
			Expect(after[name]-before[name]).To(Equal(want), name)
		}
	})
})
