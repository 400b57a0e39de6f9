package plan

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
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
	o.Spec = d.spec()
	o.Status = d.status(o.Generation, &o.Spec)
	return stored(t, o)
}

// edit is the order with another spec, of which many steps have the names of those before.
func (d *draws) edit(t *testing.T, o *v1alpha1.WorkOrder) *v1alpha1.WorkOrder {
	edited := o.DeepCopy()
	edited.Generation++
	edited.Spec = d.spec()
	return stored(t, edited)
}

// spec is a spec that the API server would let in, two times in three; but for what it cannot see.
func (d *draws) spec() v1alpha1.WorkOrderSpec {
	spec := v1alpha1.WorkOrderSpec{
		Strategy: pick(d, "", v1alpha1.StrategySequence, v1alpha1.StrategyGraph, v1alpha1.StrategyGraph),
		Retry:    d.retry(), Suspend: d.odd(), Cancel: d.odd(),
	}
	valid := d.n(3) < 2
	if !valid && d.odd() {
		spec.Strategy = "Backwards\x1b"
	}
	number := pick(d, 3, 1, 2, 0, 4, 5)
	if number == 5 && d.odd() {
		number = maxSteps + 1
	}
	for range number {
		spec.Steps = append(spec.Steps, d.step(rune('a'), len(spec.Steps), valid))
	}
	for range pick(d, 0, 0, 1, 2) {
		spec.Finally = append(spec.Finally, d.step(rune('u'), len(spec.Finally), valid))
	}
	d.relate(&spec, valid)
	all := slices.Concat(stepNames(spec.Steps), stepNames(spec.Finally))
	for range pick(d, 0, 0, 1, 2) {
		request := v1alpha1.RewindRequest{Step: d.reference(all, valid), ToEpoch: pick[int64](d, 2, 3, 1, steppod.MaxEpoch)}
		if !valid {
			request.ToEpoch = d.int64()
		}
		if request.Step != "" && !slices.ContainsFunc(spec.Rewinds, func(r v1alpha1.RewindRequest) bool { return r.Step == request.Step }) {
			spec.Rewinds = append(spec.Rewinds, request)
		}
	}
	d.limits(&spec, valid)
	return spec
}

// relate says what the steps need of each other. In a valid Graph each step needs only some of those before it, or only
// some of those after it, so that there is no cycle; in others anything.
func (d *draws) relate(spec *v1alpha1.WorkOrderSpec, valid bool) {
	graph, all := spec.Strategy == v1alpha1.StrategyGraph, stepNames(spec.Steps)
	backwards := graph && d.odd()
	for i := range spec.Steps[:min(len(spec.Steps), 26)] {
		step, others := &spec.Steps[i], all[:i]
		switch {
		case !valid:
			others = slices.Concat(all, stepNames(spec.Finally))
		case backwards:
			others = all[i+1:]
		}
		if graph || !valid && d.odd() {
			for range d.n(3) {
				step.DependsOn = d.another(step.DependsOn, others, valid)
			}
		}
		if graph && valid {
			others = step.DependsOn
		}
		d.ask(step, others, valid)
	}
	for i := range spec.Finally {
		d.ask(&spec.Finally[i], all, valid)
	}
}

// ask gives a step inputs and a condition, now and then.
func (d *draws) ask(step *v1alpha1.Step, others []string, valid bool) {
	if d.n(4) == 3 {
		step.Inputs = d.another([]string{}, others, valid)
	}
	if d.n(4) != 3 {
		return
	}
	step.When = pick(d, "false", "true", `params.text == "fine"`, "1 +", d.text())
	if name := d.reference(others, valid); name != "" {
		about := "steps[" + strconv.Quote(name) + "]"
		step.When = pick(d, step.When, about+`.phase == "Succeeded"`, about+".results.count > 2", about+".epoch > 1", about+`.output != ""`)
	}
}

// another is a list of names with one more, if there is any.
func (d *draws) another(names, others []string, valid bool) []string {
	if name := d.reference(others, valid); !slices.Contains(names, name) && (name != "" || !valid) {
		names = append(names, name)
	}
	return names
}

// reference is one of the names, or if it is not to be valid perhaps of no step at all; empty if there is none.
func (d *draws) reference(names []string, valid bool) string {
	switch {
	case !valid && d.odd():
		return d.name()
	case len(names) == 0:
		return ""
	}
	return pick(d, names...)
}

func stepNames(steps []v1alpha1.Step) []string {
	names := make([]string, 0, len(steps))
	for i := range steps {
		names = append(names, steps[i].Name)
	}
	return names
}

// limits are what a spec says of the order as a whole.
func (d *draws) limits(spec *v1alpha1.WorkOrderSpec, valid bool) {
	if spec.Strategy == v1alpha1.StrategyGraph || !valid {
		spec.Parallelism, spec.FailFast = maybe[int32](d, 1, 2, 256), d.n(4) == 3
	}
	spec.ActiveDeadlineSeconds, spec.TTLSecondsAfterFinished = maybe[int64](d, 3600, 30, 1, math.MaxInt32), maybe[int64](d, 0, 60, math.MaxInt32)
	if !valid && d.odd() {
		spec.Parallelism, spec.ActiveDeadlineSeconds, spec.TTLSecondsAfterFinished = maybe(d, d.int32()), maybe(d, d.int64()), maybe(d, d.int64())
	}
	spec.KeepPods = pick(d, "", v1alpha1.KeepFailedPods, v1alpha1.KeepAllPods, v1alpha1.KeepNoPods, "Some\x1b")
	if d.yes() {
		spec.Params = []v1alpha1.Param{{Name: "text", Value: d.text()}}
	}
	if d.odd() {
		spec.Workspace = &v1alpha1.Workspace{Storage: resource.MustParse("1Gi"), StorageClassName: maybe(d, "fast", d.text())}
	}
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

// step is the step of that number, of a list whose first has that letter for a name; one that the API server would let in,
// if it is to be valid.
func (d *draws) step(first rune, i int, valid bool) v1alpha1.Step {
	s := v1alpha1.Step{Name: string(first+rune(i%26)) + strings.Repeat("x", i/26), Agent: d.text()}
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
	d.progress(&s, spec)
	return s
}

// progress is how far the steps have come: in an ordinary way one after the other, or in any way.
func (d *draws) progress(s *v1alpha1.WorkOrderStatus, spec *v1alpha1.WorkOrderSpec) {
	s.Expired, s.Queued = d.odd(), pick[int32](d, 0, 0, 0, 0, 0, 1, 7, -1)
	if d.odd() {
		s.ActiveSince = d.time()
	}
	g := graphOf(spec)
	at, ordinary := d.n(4), d.yes()
	for i := range g.nodes {
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
		entry := d.entry(g.nodes[i].Name, phase, &g.nodes[i])
		if entry.Finally = g.nodes[i].finally; d.odd() {
			entry.Finally, entry.Removed, entry.Outdated = d.yes(), d.odd(), d.yes()
		}
		s.Steps = append(s.Steps, entry)
	}
	switch {
	case d.odd():
		s.Steps = s.Steps[:len(s.Steps)/2]
	case d.odd():
		s.Steps = append(s.Steps, d.entry(d.name(), v1alpha1.StepRunning, nil))
	case d.n(4) == 3: // It was removed after it had started.
		gone := d.entry(pick(d, "gone", d.name()), pick(d, v1alpha1.StepCancelled, v1alpha1.StepRunning), nil)
		gone.Removed = true
		s.Steps = append(s.Steps, gone)
	}
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
func (d *draws) entry(name string, phase v1alpha1.StepPhase, spec *node) v1alpha1.StepStatus {
	e := v1alpha1.StepStatus{Name: name, Phase: phase}
	if d.odd() {
		e.Name = d.name()
	}
	if e.Phase == v1alpha1.StepPending && !d.odd() {
		if d.odd() { // It waits in the epoch that it was rewound to.
			e.Epoch, e.StartSequence, e.Attempt = pick[int64](d, 2, 3, steppod.MaxEpoch), pick[int64](d, 3, 0), 1
		}
		return e
	}
	e.Epoch, e.Attempt, e.StartSequence = pick(d, 1, 2, 3, 1, d.int64()), pick(d, 1, 2, 1, d.int64()), pick[int64](d, 1, 3, 4, 0, -1, math.MaxInt64)
	own := steppod.Name("order", "uid-1", e.Name, e.Epoch)
	e.PodName = pick(d, own, own, own, "", "somebody-elses")
	e.SpecHash = pick(d, "", "v1-another", "v9-of-tomorrow")
	if spec != nil && !d.odd() {
		e.SpecHash = steppod.SpecHash(spec.Step, spec.needs)
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
	w.Queued = pick[int32](d, 0, 0, 0, 0, 0, 1, 2, 100, math.MaxInt32, -1)
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
	g := graphOf(&o.Spec)
	if n := g.node(a.Step); n != nil && !d.odd() {
		pod.Annotations[steppod.AnnotationSpecHash] = steppod.SpecHash(n.Step, n.needs)
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
			Message: pick(d, d.text(), `{"count": 3}`), FinishedAt: metav1.NewTime(at(float64(pick(d, -1, -100, 1000)))),
		}
	case 3:
		state.Waiting = &corev1.ContainerStateWaiting{Reason: pick(d, "ErrImagePull", "CreateContainerConfigError", "ContainerCreating", d.text()), Message: d.text()}
	}
	name := pick(d, steppod.ContainerName, steppod.ContainerName, "injected-"+strconv.Itoa(d.n(2)))
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: name, State: state}}
}
