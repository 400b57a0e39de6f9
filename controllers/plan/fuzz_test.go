package plan

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/hostile"
)

// FuzzNext shows, for whole orders and worlds that are made of a fuzzer's bytes, that every order in every state has an
// answer, that the answers keep the laws, and that they come to an end.
func FuzzNext(f *testing.F) {
	for seed := range uint64(500) {
		f.Add(random(seed))
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		play(t, choices, func(o *v1alpha1.WorkOrder, w World, now time.Time, gaps bool) { exhaust(t, o, w, now, gaps) })
	})
}

// play is an order that is looked at a few times, and edited now and then; each time it is brought to rest.
func play(t *testing.T, choices []byte, rest func(o *v1alpha1.WorkOrder, w World, now time.Time, gaps bool)) {
	d := &draws{choices}
	o := d.order(t)
	w := d.world(o)
	for i := range 8 {
		now := at(float64(i * 20))
		rest(o, w, now, d.odd())
		if d.n(4) == 3 {
			o = d.edit(t, o)
			w = d.world(o)
			continue
		}
		if wake := Act(o, w, now).Wake; wake.IsZero() {
			return
		}
	}
}

// random is up to 500 choices, a third of them calm ones, from which a fuzzer has something to go on from.
func random(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	choices := make([]byte, 50+r.IntN(450))
	for i := range choices {
		if r.IntN(3) > 0 {
			choices[i] = byte(r.Uint32())
		}
	}
	return choices
}

// FuzzForgedOrder is the same for orders and Pods as somebody might write them in JSON.
func FuzzForgedOrder(f *testing.F) {
	spec := `"spec":{"steps":[{"name":"a","run":{"image":"x"}},{"name":"b","wait":{"seconds":5}}]}`
	for _, order := range []string{
		`{}`,
		`{"metadata":{"generation":1},` + spec + `}`,
		`{"metadata":{"generation":1},` + spec + `,"status":{"observedGeneration":1,"phase":"Running","steps":[{"name":"a","phase":"Running","epoch":1,"podName":"p"},{"name":"b","phase":"Pending"}]}}`,
		`{"metadata":{"generation":1},` + spec + `,"status":{"observedGeneration":1,"steps":[{"name":"zz","phase":"Pending"},{"name":"zz","phase":"Backoff","epoch":-7}]}}`,
		`{"metadata":{"generation":1},"spec":{"steps":[{"name":"a"}]},"status":{"observedGeneration":1,"steps":[{"name":"a","phase":"Pending"},{"name":"a","phase":"Running"},{"name":"a","phase":"Running"}]}}`,
		`{"metadata":{"generation":1},"spec":{"steps":[{"name":"a"}]},"status":{"observedGeneration":1,"steps":[{"name":"a","phase":"Backoff"},{"name":"","phase":""}]}}`,
		`{"metadata":{"generation":2},` + spec + `,"status":{"observedGeneration":1,"phase":"Sleeping","sequence":-1,"head":"-","lastEventTime":"9999-12-31T23:59:59Z","conditions":[{"type":"Stalled","status":"True","lastTransitionTime":"2030-01-02T03:04:05Z"},{"type":"Stalled","status":"Maybe","lastTransitionTime":"2030-01-02T03:04:05Z"}],"steps":[{"name":"a","phase":"Dreaming","epoch":-1}]}}`,
		`{"metadata":{"generation":1},"spec":{"retry":{"limit":-1,"backoff":{"initialSeconds":-5,"factor":-2,"maxSeconds":2147483647}},"steps":[{"name":"a","run":{"image":"x"},"startTimeoutSeconds":-1}]},"status":{"observedGeneration":1,"cancelled":true,"steps":[{"name":"a","phase":"Running","epoch":9223372036854775807,"podName":"p","retries":-2147483648}]}}`,
		`{"metadata":{"generation":2},"spec":{"strategy":"Graph","parallelism":1,"failFast":true,"activeDeadlineSeconds":60,"rewinds":[{"step":"a","toEpoch":2}],"steps":[{"name":"a","run":{"image":"x"}},{"name":"b","dependsOn":["a"],"inputs":["a"],"when":"steps.a.epoch > 1","run":{"image":"x"}}],"finally":[{"name":"u","run":{"image":"x"}}]},"status":{"observedGeneration":1,"phase":"Failed","startTime":"2030-01-02T12:00:00Z","completionTime":"2030-01-02T12:00:00Z","expired":true,"steps":[{"name":"a","phase":"Cancelled","epoch":1,"startSequence":1,"outdated":true},{"name":"b","phase":"Cancelled"},{"name":"u","phase":"Succeeded","finally":true,"epoch":1,"startSequence":2},{"name":"gone","phase":"Cancelled","removed":true,"epoch":3}]}}`,
	} {
		f.Add([]byte(order), []byte(`{"status":{"phase":"Failed"}}`))
		f.Add([]byte(order), []byte(`{"metadata":{"deletionTimestamp":"2030-01-01T00:00:00Z"}}`))
	}
	f.Fuzz(func(t *testing.T, orderJSON, podJSON []byte) {
		o, pod := &v1alpha1.WorkOrder{}, &corev1.Pod{}
		if json.Unmarshal(orderJSON, o) != nil || json.Unmarshal(podJSON, pod) != nil || len(o.Status.Steps) > 40 {
			t.Skip()
		}
		o.Name, o.UID = "order", "uid-1"
		if o = stored(t, o); hasZeroTime(reflect.ValueOf(o.Status)) {
			t.Skip() // The first second of the year 1 stands for no time at all, and cannot be written back.
		}
		exhaust(t, o, foundBy(o, pod), at(0), len(podJSON)%2 == 1)
	})
}

// foundBy is the world in which every step has that Pod.
func foundBy(o *v1alpha1.WorkOrder, pod *corev1.Pod) World {
	world := World{Pods: map[steppod.Attempt]steppod.Report{}}
	for _, step := range o.Status.Steps {
		found := pod.DeepCopy()
		own := steppod.Seal(o, step.Name, step.Epoch)
		found.Name, found.Labels, found.OwnerReferences = own.Name, own.Labels, own.OwnerReferences
		if report, ours := steppod.Read(found, o); ours {
			world.Pods[report.Attempt] = report
		}
	}
	return world
}

// hasZeroTime says whether there is a time inside a value that is there and is none.
func hasZeroTime(v reflect.Value) bool {
	if at, isTime := v.Interface().(metav1.Time); isTime {
		return at.IsZero()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && hasZeroTime(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if hasZeroTime(v.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if hasZeroTime(v.Field(i)) {
				return true
			}
		}
	default: // Nothing else holds a time.
	}
	return false
}

// exhaust makes transitions in a world in which nothing else happens until there are no more, and checks each of them.
// With gaps, every third one could not be written down.
func exhaust(t *testing.T, o *v1alpha1.WorkOrder, w World, now time.Time, gaps bool) {
	t.Helper()
	for turns, most := 0, 20*(len(o.Spec.Steps)+len(o.Spec.Finally)+len(o.Status.Steps)+len(w.Pods)+2); ; turns++ {
		before := o.DeepCopy()
		next, again := Next(o, w, now), Next(before.DeepCopy(), w, now)
		effects := Act(o, w, now)
		checkEffects(t, o, w, now, &effects)
		if !reflect.DeepEqual(before, o) {
			t.Fatal("what was only to be looked at was changed")
		}
		if !reflect.DeepEqual(next, again) {
			t.Fatalf("asked twice, it gives two answers: %+v and %+v", next, again)
		}
		if next == nil {
			return
		}
		if turns > most {
			t.Fatalf("it never comes to rest: %s of %s", next.Event.Type, next.Event.Step)
		}
		checkTransition(t, before, next, now)
		if gaps && turns%3 == 2 {
			next.Status = next.Unrecorded()
		}
		o.Status = stored(t, next).Status
		if next.Status.Head != next.Name {
			if o.Status.Head != before.Status.Head || o.Status.Sequence != next.Event.Sequence {
				t.Fatal("an event that was not written down moves the head, or does not move the sequence")
			}
		}
	}
}

// checkTransition checks what holds for every transition, whatever the order was before.
func checkTransition(t *testing.T, o *v1alpha1.WorkOrder, next *Transition, now time.Time) {
	t.Helper()
	event, before := &next.Event, &o.Status
	written := stored(t, &v1alpha1.ProgressEvent{ObjectMeta: metav1.ObjectMeta{Name: next.Name}, Spec: *event})
	folded := Fold(before, written)
	if got, want := asJSON(t, folded), asJSON(t, next.Status); got != want {
		t.Errorf("I7: the fold of the event as it is stored is\n%s\nand the status\n%s", got, want)
	}
	if event.Previous != before.Head || event.Sequence != before.Sequence+1 || next.Status.Sequence != event.Sequence || next.Status.Head != next.Name {
		t.Errorf("I8: event %d follows on %d, and names %q as its parent", event.Sequence, before.Sequence, event.Previous)
	}
	if next.Name != EventName(&written.Spec) || event.Sequence > 0 && SequenceOf(next.Name) != event.Sequence {
		t.Errorf("the event is called %s", next.Name)
	}
	if last := before.LastEventTime; event.Time.Nanosecond() != 0 || last != nil && event.Time.Before(last) || event.Time.After(now) && (last == nil || !event.Time.Equal(last)) {
		t.Errorf("the event happened at %v, the one before at %v, and it is %v", event.Time, last, now)
	}
	revived := outcome(before.Phase) != "" && next.Status.Phase != before.Phase
	if revived && (event.Rewind == nil || event.Rewind.Reason != v1alpha1.RewindRequested || len(o.Spec.Rewinds) == 0 || o.Spec.Cancel) {
		t.Errorf("what was over is not over: %s, %s after it: %s", before.Phase, next.Status.Phase, event.Message)
	}
	if before.Cancelled && !next.Status.Cancelled || before.Expired && !next.Status.Expired && !revived || before.Cancelled && revived {
		t.Error("what was cancelled, or came to its deadline, is not")
	}
	if uniqueNames(before.Steps) && uniqueNames(next.Status.Steps) {
		checkSteps(t, o, next)
		checkStarts(t, o, &next.Status)
	}
	checkTexts(t, o, next)
}

// checkSteps checks what may become of steps in one transition. Entries that share a name cannot be told from each other.
func checkSteps(t *testing.T, o *v1alpha1.WorkOrder, next *Transition) {
	t.Helper()
	was := byName(o.Status.Steps)
	after := byName(next.Status.Steps)
	for name, old := range was {
		if after[name] == nil && old.Epoch > 0 {
			t.Errorf("I8: %s has vanished, and its epoch %d with it", name, old.Epoch)
		}
	}
	for name, step := range after {
		old := was[name]
		if old == nil {
			old = &v1alpha1.StepStatus{Name: name, Phase: v1alpha1.StepPending}
		}
		switch {
		case step.Epoch < old.Epoch && old.Epoch != math.MaxInt64:
			t.Errorf("I8: %s goes back from epoch %d to %d", name, old.Epoch, step.Epoch)
		case step.Epoch > old.Epoch:
			checkNewEpoch(t, o, &next.Event, old, step)
		case step.Removed && (!old.Removed || hasPod(old)) && !hasPod(step) && !reflect.DeepEqual(*step, removed(*step)):
			t.Errorf("%s was removed, and is %+v", name, step)
		case settled(old) && !step.Removed && !neverRan(old) && !sameResult(*old, *step):
			t.Errorf("I3: %s had ended: %+v, and has changed: %+v", name, old, step)
		}
	}
}

func byName(steps []v1alpha1.StepStatus) map[string]*v1alpha1.StepStatus {
	entries := make(map[string]*v1alpha1.StepStatus, len(steps))
	for i := range steps {
		entries[steps[i].Name] = &steps[i]
	}
	return entries
}

// neverRan says whether a settled step has nothing to lose: it was given up before it started.
func neverRan(s *v1alpha1.StepStatus) bool {
	return s.Phase == v1alpha1.StepBlocked || s.Phase == v1alpha1.StepCancelled && s.Epoch == 0 || s.StartSequence == 0
}

// sameResult says whether two entries tell of the same result; whether the step was edited since is not part of it.
func sameResult(a, b v1alpha1.StepStatus) bool {
	for _, s := range []*v1alpha1.StepStatus{&a, &b} {
		s.Outdated, s.Finally, s.Removed, s.SpecHash = false, false, false, ""
	}
	return reflect.DeepEqual(a, b)
}

// checkNewEpoch checks a step that has come to a new epoch: it was started there, or rewound to it, or was given up when
// it was asked for.
func checkNewEpoch(t *testing.T, o *v1alpha1.WorkOrder, event *v1alpha1.ProgressEventSpec, old, step *v1alpha1.StepStatus) {
	t.Helper()
	rewound := event.Rewind != nil && slices.Contains(event.Rewind.Steps, v1alpha1.RewoundStep{Step: step.Name, NewEpoch: step.Epoch})
	asked := slices.Contains(o.Spec.Rewinds, v1alpha1.RewindRequest{Step: step.Name, ToEpoch: step.Epoch})
	switch {
	case step.Phase == v1alpha1.StepRunning && step.StartSequence == event.Sequence && step.StartTime != nil:
	case (step.Phase == v1alpha1.StepPending || settled(step)) && rewound && step.StartSequence == event.Sequence && step.StartTime == nil:
	case settled(step) && step.Phase != v1alpha1.StepSucceeded && asked && reflect.DeepEqual(step.StartTime, old.StartTime):
	case old.Epoch < 0 && step.Epoch == 0: // There is no such epoch.
	default:
		t.Errorf("%s is in a new epoch, and is %+v; rewound: %t, asked for: %t", step.Name, step, rewound, asked)
	}
}

// checkStarts checks the steps that a transition starts: I4, and no more than may run at once.
func checkStarts(t *testing.T, o *v1alpha1.WorkOrder, after *v1alpha1.WorkOrderStatus) {
	t.Helper()
	was, is, running, started := byName(o.Status.Steps), byName(after.Steps), 0, 0
	for name, step := range is {
		if step.Phase != v1alpha1.StepRunning {
			continue
		}
		running++
		old := was[name]
		if old != nil && old.Phase == v1alpha1.StepRunning && old.Epoch == step.Epoch {
			continue
		}
		finally := step.Finally || old != nil && old.Finally
		if started++; step.Removed || o.DeletionTimestamp != nil || (after.Cancelled || after.Expired) && !finally {
			t.Errorf("%s starts, and should not: %+v, %+v", name, old, step)
		}
		if old != nil && old.Phase == v1alpha1.StepBackoff {
			continue // What it needs was done when it started first.
		}
		for _, need := range needsOf(&o.Spec, name) {
			if is[need] == nil || !done(is[need]) {
				t.Errorf("I4: %s starts before %s is done", name, need)
			}
		}
		for other, entry := range is {
			if step.Finally && !entry.Finally && !settled(entry) && (was[other] == nil || !was[other].Finally) {
				t.Errorf("I4: %s of finally starts before %s has ended", name, other)
			}
		}
	}
	if most := o.Spec.Parallelism; started > 0 && (most != nil && running > int(*most) || after.Suspended || after.Queued != 0 || outcome(after.Phase) != "") {
		t.Errorf("%d steps start, %d run, in an order that is %s", started, running, after.Phase)
	}
}

// needsOf is what a step directly needs, as the user's documentation has it; nothing if its name is not its own.
func needsOf(spec *v1alpha1.WorkOrderSpec, name string) (needs []string) {
	found := 0
	for i, step := range slices.Concat(spec.Steps, spec.Finally) {
		if step.Name != name {
			continue
		}
		switch found++; {
		case i >= len(spec.Steps):
		case spec.Strategy == v1alpha1.StrategyGraph:
			needs = step.DependsOn
		case i > 0:
			needs = []string{spec.Steps[i-1].Name}
		}
	}
	if found > 1 {
		return nil
	}
	return needs
}

// checkTexts checks that what is said is fit to be shown, and short enough to be kept. What a status said before that no
// operator wrote is passed on as it was.
func checkTexts(t *testing.T, o *v1alpha1.WorkOrder, next *Transition) {
	t.Helper()
	event := &next.Event
	says := func(what, text string, limit int, lines bool) {
		flaw := hostile.LineFlaw(text)
		if lines {
			flaw = hostile.Flaw(text)
		}
		if size := len(asJSON(t, text)) - 2; flaw != "" || size > limit {
			t.Errorf("S3: %s: %s, %d bytes: %q", what, flaw, size, text)
		}
	}
	says("the event's message", event.Message, steppod.MaxMessage, false)
	says("the order's message", next.Status.Message, steppod.MaxMessage, false)
	if event.Result != nil {
		says("the output", event.Result.Output, steppod.MaxOutput, true)
	}
	if event.Error != nil {
		says("the error", event.Error.Message, steppod.MaxErrorMessage, false)
		says("the details", event.Error.Details, steppod.MaxOutput, true)
	}
	names := []string{"Name", "PodName", "CurrentStep", "Step", "Previous", "Head"} // The API server sees to these.
	if len(hostile.Find(o.Status, names...)) > 0 {
		return
	}
	if found := hostile.Find(event, names...); len(found) > 0 {
		t.Errorf("S3: the event: %q", found)
	}
	if found := hostile.Find(next.Status, append(names, "Conditions")...); len(found) > 0 {
		t.Errorf("S3: the status: %q", found)
	}
}

// checkEffects checks what holds for all that is done about Pods, whatever the order is like.
func checkEffects(t *testing.T, o *v1alpha1.WorkOrder, w World, now time.Time, e *Effects) {
	t.Helper()
	if again := Act(o.DeepCopy(), w, now); !reflect.DeepEqual(*e, again) {
		t.Error("asked twice, it does two things")
	}
	if !e.Wake.IsZero() && !e.Wake.After(now) {
		t.Errorf("it wakes at %v, and it is %v", e.Wake, now)
	}
	running := map[steppod.Attempt]bool{}
	for i := range o.Status.Steps {
		if s := &o.Status.Steps[i]; hasPod(s) {
			running[attempt(s)] = true
		}
	}
	for _, start := range e.Create {
		ending := (o.Status.Cancelled || o.Status.Expired) && !start.Status.Finally
		if _, found := w.Pods[start.Attempt]; found || !running[start.Attempt] || o.Status.Suspended || ending || start.Status.Removed || o.DeletionTimestamp != nil {
			t.Errorf("I1: a Pod is made for %v", start.Attempt)
		}
		if pod := steppod.Build(o, start.Spec, start.Status, start.Inputs); len(pod.Spec.Containers) != 1 {
			t.Errorf("the Pod of %v is not one container", start.Attempt)
		}
	}
	for _, seal := range e.Seal {
		if _, found := w.Pods[seal.Attempt]; found || !running[seal.Attempt] {
			t.Errorf("the name of %v is taken", seal.Attempt)
		}
	}
	for _, stop := range e.Stop {
		if stop.Pod.Ended(now) != nil || stop.Pod.Deleting || stop.Pod.Stopped != "" {
			t.Errorf("a Pod that has ended, or is being stopped, is stopped: %v", stop.Pod)
		}
	}
	for _, pod := range append(e.Release, e.Delete...) {
		if running[pod.Attempt] || pod.Ended(now) == nil {
			t.Errorf("I2: the Pod of %v is let go before its result is saved", pod.Attempt)
		}
	}
	if outcome(o.Status.Phase) == "" && (len(e.Delete) > 0 || e.DeleteOrder) {
		t.Error("an order that has not finished is deleted, or its Pods are")
	}
	if ttl := o.Spec.TTLSecondsAfterFinished; e.DeleteOrder && (ttl == nil || now.Before(o.Status.CompletionTime.Add(time.Duration(*ttl)*time.Second))) {
		t.Error("an order is deleted that is to be kept")
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// TestTheFuzzersOrdersComeToEverything shows that what FuzzNext begins with reaches every kind of event, every reason of a
// rewind and every state of a step, or it would show little.
func TestTheFuzzersOrdersComeToEverything(t *testing.T) {
	met := map[string]int{}
	for seed := range uint64(2000) {
		play(t, random(seed), func(o *v1alpha1.WorkOrder, w World, now time.Time, _ bool) {
			for next := Next(o, w, now); next != nil; next = Next(o, w, now) {
				note(met, o, next)
				o.Status = next.Status
			}
		})
	}
	t.Log(met)
	expected := []string{
		"several run", "a finished order is rewound", "an assigned epoch is started", "a step is removed", "finally runs after a cancel",
	}
	for _, kind := range []v1alpha1.EventType{
		v1alpha1.EventAccepted, v1alpha1.EventSpecRejected, v1alpha1.EventSpecObserved, v1alpha1.EventSuspended, v1alpha1.EventResumed,
		v1alpha1.EventQueued, v1alpha1.EventAdmitted, v1alpha1.EventDeadlineExceeded,
		v1alpha1.EventCancelling, v1alpha1.EventSucceeded, v1alpha1.EventFailed, v1alpha1.EventCancelled,
		v1alpha1.EventStepSucceeded, v1alpha1.EventStepFailed, v1alpha1.EventStepSkipped, v1alpha1.EventStepCancelled,
		v1alpha1.EventStepWaiting, v1alpha1.EventStepRunning, v1alpha1.EventRewound,
	} {
		expected = append(expected, string(kind))
	}
	for _, reason := range []v1alpha1.RewindReason{
		v1alpha1.RewindFailed, v1alpha1.RewindDisrupted, v1alpha1.RewindSpecChanged, v1alpha1.RewindRequested, v1alpha1.RewindGap,
	} {
		expected = append(expected, "rewind: "+string(reason))
	}
	for _, phase := range []v1alpha1.StepPhase{v1alpha1.StepBackoff, v1alpha1.StepSkipped, v1alpha1.StepBlocked, v1alpha1.StepCancelled} {
		expected = append(expected, "becomes "+string(phase))
	}
	for _, what := range expected {
		if met[what] < 5 {
			t.Errorf("%s: happens %d times: too seldom to show anything", what, met[what])
		}
	}
}

// note counts what a transition shows.
func note(met map[string]int, o *v1alpha1.WorkOrder, next *Transition) {
	met[string(next.Event.Type)]++
	if rewind := next.Event.Rewind; rewind != nil {
		met["rewind: "+string(rewind.Reason)]++
	}
	if outcome(o.Status.Phase) != "" && outcome(next.Status.Phase) == "" {
		met["a finished order is rewound"]++
	}
	was, running := byName(o.Status.Steps), 0
	for i := range next.Status.Steps {
		step := &next.Status.Steps[i]
		if step.Phase == v1alpha1.StepRunning {
			running++
		}
		old := was[step.Name]
		if old == nil {
			continue
		}
		if old.Phase != step.Phase {
			met["becomes "+string(step.Phase)]++
		}
		if step.Removed && !old.Removed {
			met["a step is removed"]++
		}
		if step.Phase == v1alpha1.StepRunning && old.Phase == v1alpha1.StepPending {
			switch {
			case old.Epoch > 0:
				met["an assigned epoch is started"]++
			case step.Finally && next.Status.Cancelled:
				met["finally runs after a cancel"]++
			}
		}
	}
	if running > 1 {
		met["several run"]++
	}
}
