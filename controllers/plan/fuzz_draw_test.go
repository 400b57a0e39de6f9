package plan

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/hostile"
)

// draws makes choices from the bytes of a fuzzer, one byte a choice. When they are used up, every choice is the first one,
// which is the calm one: so a small input is an order as there are many, and each byte more makes it odder.
type draws struct{ bytes []byte }

func (d *draws) n(sides int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	b := d.bytes[0]
	d.bytes = d.bytes[1:]
	return int(b) % sides
}

func (d *draws) yes() bool { return d.n(2) == 1 }

// odd is true for one byte in eight.
func (d *draws) odd() bool { return d.n(8) == 7 }

func pick[T any](d *draws, from ...T) T { return from[d.n(len(from))] }

// maybe is a pointer to one of the values, or nil.
func maybe[T any](d *draws, from ...T) *T {
	if i := d.n(len(from) + 1); i > 0 {
		return &from[i-1]
	}
	return nil
}

var fuzzTexts = append([]string{"", "fine"}, hostile.Valid()...)

func (d *draws) text() string { return pick(d, fuzzTexts...) }

func (d *draws) name() string {
	return pick(d, "a", "b", "c", "d", "a", "", strings.Repeat("n", 40), "A_b", "\x1b[31m\u202e")
}

func (d *draws) int64() int64 {
	return pick[int64](d, 1, 2, 3, 0, -1, steppod.MaxEpoch-1, steppod.MaxEpoch, steppod.MaxEpoch+1, math.MaxInt64, math.MinInt64)
}

func (d *draws) int32() int32 {
	return pick[int32](d, 1, 2, 0, 6, -1, 1000, math.MaxInt32, math.MinInt32)
}

// time is around the time that it is, or nowhere near.
func (d *draws) time() *metav1.Time {
	return pick(d, mt(0), nil, mt(-60), mt(60), mt(-1200), mt(1e9), mt(-1e9), &metav1.Time{Time: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)})
}

// order is an order as the API server might hold it, with a status that any operator, or none, has written.
func (d *draws) order(t *testing.T) *v1alpha1.WorkOrder {
	o := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Name: "order", Namespace: "team", UID: "uid-1", Generation: pick[int64](d, 1, 1, 1, 2, 0)}}
	if d.odd() {
		o.DeletionTimestamp = mt(0)
	}
	o.Spec = v1alpha1.WorkOrderSpec{
		Strategy: pick(d, "", v1alpha1.StrategySequence), Retry: d.retry(), Suspend: d.odd(), Cancel: d.odd(),
	}
	valid := d.n(3) < 2
	if !valid && d.odd() {
		o.Spec.Strategy = "Backwards\x1b"
	}
	number := pick(d, 3, 1, 2, 0, 4, 5)
	if number == 5 && d.odd() {
		number = maxSteps + 1
	}
	for range number {
		o.Spec.Steps = append(o.Spec.Steps, d.step(len(o.Spec.Steps), valid))
	}
	o.Status = d.status(o.Generation, &o.Spec)
	return stored(t, o)
}

// stored is an object as it comes back from the API server.
func stored[T any](t *testing.T, object *T) *T {
	t.Helper()
	encoded, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	decoded := new(T)
	if err := json.Unmarshal(encoded, decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

func (d *draws) retry() *v1alpha1.Retry {
	if d.n(3) == 0 {
		return nil
	}
	r := &v1alpha1.Retry{Limit: maybe(d, d.int32()), DisruptionLimit: maybe(d, d.int32())}
	if d.yes() {
		r.Backoff = &v1alpha1.Backoff{InitialSeconds: maybe(d, d.int32()), Factor: maybe(d, d.int32()), MaxSeconds: maybe(d, d.int32())}
	}
	return r
}

// step is the step of that number; one that the API server would let in, if it is to be valid.
func (d *draws) step(i int, valid bool) v1alpha1.Step {
	s := v1alpha1.Step{Name: string(rune('a'+i%26)) + strings.Repeat("x", i/26), Agent: d.text()}
	kind := pick(d, "run", "wait", "run", "run")
	if !valid {
		kind = pick(d, "run", "both", "nothing")
		if d.odd() {
			s.Name = d.name()
		}
	}
	if kind == "run" || kind == "both" {
		s.Run = &v1alpha1.Run{Image: pick(d, "registry/agent:1", "registry/agent:2", d.text()+"i")}
	}
	if kind == "wait" || kind == "both" {
		s.Wait = &v1alpha1.Wait{Seconds: pick[int64](d, 5, 0, 60, -1, 31_536_000, math.MaxInt64)}
	}
	if d.odd() {
		s.TimeoutSeconds, s.StartTimeoutSeconds, s.Retry = maybe(d, d.int64()), maybe(d, d.int64()), d.retry()
	}
	return s
}

func (d *draws) status(generation int64, spec *v1alpha1.WorkOrderSpec) v1alpha1.WorkOrderStatus {
	s := v1alpha1.WorkOrderStatus{ObservedGeneration: -1, Phase: v1alpha1.WorkOrderPending}
	if d.n(6) == 5 {
		return s // Nobody has looked at it.
	}
	s.ObservedGeneration = pick(d, generation, generation, generation, generation, 2, 0, -1)
	s.Phase = pick[v1alpha1.WorkOrderPhase](d, "Running", "Running", "Running", "Pending", "Suspended", "Succeeded", "Failed", "Cancelled", "", "Sleeping")
	s.Sequence = pick[int64](d, 3, 4, 1, 0, -1, math.MaxInt64-1)
	s.Head = pick(d, "order-abcdef-00000003-0123456789", "order-abcdef-00000001-0123456789", "", "-", "--", "x-99999999999999999999-y", "order-abcdef--1-x")
	s.Rewinds = pick[int64](d, 0, 1, -1)
	s.Suspended, s.Cancelled = d.odd(), d.n(4) == 3
	s.LastEventTime, s.StartTime, s.Message = d.time(), d.time(), d.text()
	if d.odd() {
		s.CompletionTime, s.CurrentStep, s.Progress, s.Epoch = d.time(), d.text(), d.text(), d.int64()
	}
	for range d.n(4) {
		s.Conditions = append(s.Conditions, d.condition())
	}
	at, ordinary := d.n(4), d.yes()
	for i := range spec.Steps {
		phase := pick[v1alpha1.StepPhase](d, "Pending", "Running", "Backoff", "Succeeded", "Failed", "Skipped", "Blocked", "Cancelled", "", "Dreaming")
		switch {
		case !ordinary:
		case i < at:
			phase = v1alpha1.StepSucceeded
		case i == at:
			phase = pick(d, v1alpha1.StepRunning, v1alpha1.StepRunning, v1alpha1.StepRunning, v1alpha1.StepBackoff, phase)
		case i > at:
			phase = v1alpha1.StepPending
		}
		s.Steps = append(s.Steps, d.entry(spec.Steps[i].Name, phase, &spec.Steps[i]))
	}
	switch {
	case d.odd():
		s.Steps = s.Steps[:len(s.Steps)/2]
	case d.odd():
		s.Steps = append(s.Steps, d.entry(d.name(), v1alpha1.StepRunning, nil))
	}
	return s
}

func (d *draws) condition() metav1.Condition {
	c := metav1.Condition{
		Type:   pick(d, ownConditions...),
		Status: pick(d, metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown, "Maybe"),
		Reason: pick(d, "Progressing", v1alpha1.ReasonInvalidSpec, ""), Message: d.text(), LastTransitionTime: *mt(-60),
	}
	if d.odd() {
		c.Type = "example.com/Foreign"
	}
	return c
}

// entry is the status of a step, of which the spec may know nothing.
func (d *draws) entry(name string, phase v1alpha1.StepPhase, spec *v1alpha1.Step) v1alpha1.StepStatus {
	e := v1alpha1.StepStatus{Name: name, Phase: phase}
	if d.odd() {
		e.Name = d.name()
	}
	if e.Phase == v1alpha1.StepPending && !d.odd() {
		return e
	}
	e.Epoch, e.Attempt, e.StartSequence = pick(d, 1, 2, 3, 1, d.int64()), pick(d, 1, 2, 1, d.int64()), pick[int64](d, 1, 3, 4, 0, -1, math.MaxInt64)
	own := steppod.Name("order", "uid-1", e.Name, e.Epoch)
	e.PodName = pick(d, own, own, own, "", "somebody-elses")
	e.SpecHash = pick(d, "", "v1-another", "v9-of-tomorrow")
	if spec != nil && !d.odd() {
		e.SpecHash = steppod.SpecHash(spec, nil)
	}
	e.StartTime = d.time()
	if d.yes() {
		e.NotBefore, e.CompletionTime = d.time(), d.time()
	}
	if d.odd() {
		e.Agent, e.Output, e.Message, e.Retries, e.Disruptions = d.text(), d.text(), d.text(), d.int32(), d.int32()
	}
	if d.n(3) == 2 || e.Phase == v1alpha1.StepBackoff {
		e.Error = maybe(d, v1alpha1.StepError{Code: pick[v1alpha1.ErrorCode](d, "NonZeroExit", "Evicted", "SpecChanged", "QuotaExceeded", "SlowStart", "ImagePull", "", "Boredom"), Message: d.text()})
	}
	return e
}

// world is Pods and refusals for some of the order's attempts, and for some that are none of its.
func (d *draws) world(o *v1alpha1.WorkOrder) World {
	w := World{Pods: map[steppod.Attempt]steppod.Report{}, Refusals: map[steppod.Attempt]Refusal{}}
	see := func(a steppod.Attempt) {
		pod := d.pod(o, a)
		if len(validation.IsDNS1123Subdomain(pod.Name)) > 0 {
			return // The API server would not have it.
		}
		if report, ours := steppod.Read(pod, o); ours {
			w.Pods[report.Attempt] = report
		}
	}
	for i := range o.Status.Steps {
		a := attempt(&o.Status.Steps[i])
		switch pick(d, "its Pod", "no Pod", "its Pod", "an earlier one too", "a later one", "a refusal", "its Pod", "a Pod and a refusal") {
		case "an earlier one too":
			see(a)
			see(steppod.Attempt{Step: a.Step, Epoch: a.Epoch - 1})
		case "a later one":
			see(steppod.Attempt{Step: a.Step, Epoch: a.Epoch + 1})
		case "a refusal":
			w.Refusals[a] = d.refusal()
		case "a Pod and a refusal":
			w.Refusals[a] = d.refusal()
			see(a)
		case "its Pod":
			see(a)
		}
	}
	if d.odd() {
		see(steppod.Attempt{Step: "stranger", Epoch: d.int64()})
	}
	return w
}

func (d *draws) refusal() Refusal {
	return Refusal{
		Why:     v1alpha1.StepError{Code: pick(d, v1alpha1.CodeQuotaExceeded, v1alpha1.CodeForbidden, v1alpha1.CodeInvalidPod), Message: steppod.Line(d.text(), steppod.MaxErrorMessage)},
		RetryAt: at(float64(pick(d, 1, -1, 30))), Attempts: d.n(3), Generation: pick[int64](d, 1, 2, 0), Seal: d.yes(),
	}
}

// pod is the Pod of an attempt in any state that its node, or anybody else, may have put it into.
func (d *draws) pod(o *v1alpha1.WorkOrder, a steppod.Attempt) *corev1.Pod {
	pod := steppod.Seal(o, a.Step, a.Epoch)
	if !d.odd() {
		pod.Spec.SchedulingGates = nil
	}
	if !d.odd() {
		pod.Finalizers = []string{steppod.Finalizer}
	}
	pod.CreationTimestamp = metav1.NewTime(at(float64(pick(d, -5, -40, -700, 600))))
	pod.Annotations = map[string]string{steppod.AnnotationSpecHash: pick(d, "", "v1-another", "v9-of-tomorrow")}
	for i := range o.Spec.Steps {
		if o.Spec.Steps[i].Name == a.Step && !d.odd() {
			pod.Annotations[steppod.AnnotationSpecHash] = steppod.SpecHash(&o.Spec.Steps[i], nil)
		}
	}
	if d.odd() {
		pod.Annotations[steppod.AnnotationStopped] = pick(d, "Cancelled", "StartTimeout", "SpecChanged", "Boredom", "\x1b")
		pod.Spec.ActiveDeadlineSeconds = pick(d, ptr(int64(1)), nil, ptr(int64(60)))
	}
	if d.odd() {
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = mt(float64(pick(d, 0, -90, 30))), pick(d, ptr(int64(0)), ptr(int64(30)), nil)
	}
	d.podStatus(pod)
	return pod
}

func (d *draws) podStatus(pod *corev1.Pod) {
	pod.Status.Phase = pick[corev1.PodPhase](d, "Succeeded", "Failed", "Running", "Pending", "Running", "Failed", "Unknown", "", "Running", "Pending", "Sleeping")
	pod.Spec.NodeName = pick(d, "node", "")
	if d.odd() {
		pod.Status.Reason, pod.Status.Message = pick(d, "Evicted", "DeadlineExceeded", "OutOfcpu", "NodeLost", d.text()), d.text()
	}
	if d.odd() {
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: pick(d, corev1.DisruptionTarget, corev1.PodScheduled), Status: pick(d, corev1.ConditionTrue, corev1.ConditionFalse),
			Reason: pick(d, "Unschedulable", ""), Message: d.text(),
		}}
	}
	state := corev1.ContainerState{}
	switch d.n(4) {
	case 0:
		return
	case 1:
		state.Running = &corev1.ContainerStateRunning{}
	case 2:
		state.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: pick[int32](d, 0, 1, 143, 137, -1), Reason: pick(d, "Completed", "Error", "OOMKilled", "ContainerStatusUnknown"),
			Message: d.text(), FinishedAt: metav1.NewTime(at(float64(pick(d, -1, -100, 1000)))),
		}
	case 3:
		state.Waiting = &corev1.ContainerStateWaiting{Reason: pick(d, "ErrImagePull", "CreateContainerConfigError", "ContainerCreating", d.text()), Message: d.text()}
	}
	name := pick(d, steppod.ContainerName, steppod.ContainerName, "injected-"+strconv.Itoa(d.n(2)))
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: name, State: state}}
}
