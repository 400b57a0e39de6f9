package plan

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
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
		d := &draws{choices}
		o := d.order(t)
		w := d.world(o)
		for i := 0; i < 8; i++ {
			now := at(float64(i * 20))
			exhaust(t, o, w, now, d.odd())
			wake := Act(o, w, now).Wake
			if wake.IsZero() {
				return
			}
		}
	})
}

// random is up to 300 choices, a third of them calm ones, from which a fuzzer has something to go on from.
func random(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	choices := make([]byte, 50+r.IntN(250))
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
	for turns, most := 0, 20*(len(o.Spec.Steps)+len(o.Status.Steps)+len(w.Pods)+2); ; turns++ {
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
	if outcome(before.Phase) != "" && next.Status.Phase != before.Phase || before.Cancelled && !next.Status.Cancelled {
		t.Errorf("what was over is not over: %s, %s after it", before.Phase, next.Status.Phase)
	}
	checkSteps(t, before.Steps, next.Status.Steps)
	checkTexts(t, o, next)
}

// checkSteps checks what may become of steps in one transition. Entries that share a name cannot be told from each other.
func checkSteps(t *testing.T, before, after []v1alpha1.StepStatus) {
	t.Helper()
	if !uniqueNames(before) || !uniqueNames(after) {
		return
	}
	was := map[string]*v1alpha1.StepStatus{}
	for i := range before {
		was[before[i].Name] = &before[i]
	}
	for i := range after {
		step, old := &after[i], was[after[i].Name]
		if old == nil {
			old = &v1alpha1.StepStatus{Name: step.Name, Phase: v1alpha1.StepPending}
		}
		switch {
		case settled(old) && !reflect.DeepEqual(old, step):
			t.Errorf("I3: %s had ended: %+v, and has changed: %+v", step.Name, old, step)
		case step.Epoch < old.Epoch && old.Epoch != math.MaxInt64:
			t.Errorf("I8: %s goes back from epoch %d to %d", step.Name, old.Epoch, step.Epoch)
		case step.Epoch > old.Epoch && step.Phase != v1alpha1.StepRunning && step.Phase != v1alpha1.StepSucceeded:
			t.Errorf("%s is in a new epoch, and is %s", step.Name, step.Phase)
		case step.Phase == v1alpha1.StepRunning && old.Phase == v1alpha1.StepPending && count(after[:i], done) < i:
			t.Errorf("I4: %s starts before what it needs is done", step.Name)
		}
	}
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
		if _, found := w.Pods[start.Attempt]; found || !running[start.Attempt] || o.Status.Suspended || o.Status.Cancelled || o.DeletionTimestamp != nil {
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
	if len(e.Delete) > 0 && outcome(o.Status.Phase) == "" {
		t.Error("Pods of an order that has not finished are deleted")
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

// TestTheFuzzersOrdersComeToEverything shows that what FuzzNext begins with reaches every kind of event, or it would show
// little.
func TestTheFuzzersOrdersComeToEverything(t *testing.T) {
	met := map[v1alpha1.EventType]int{}
	for seed := range uint64(4000) {
		d := &draws{random(seed)}
		o := d.order(t)
		w := d.world(o)
		for next := Next(o, w, at(0)); next != nil; next = Next(o, w, at(0)) {
			met[next.Event.Type]++
			o.Status = next.Status
		}
	}
	t.Log(met)
	for _, kind := range []v1alpha1.EventType{
		v1alpha1.EventAccepted, v1alpha1.EventSpecRejected, v1alpha1.EventSpecObserved, v1alpha1.EventSuspended, v1alpha1.EventResumed,
		v1alpha1.EventCancelling, v1alpha1.EventSucceeded, v1alpha1.EventFailed, v1alpha1.EventCancelled,
		v1alpha1.EventStepSucceeded, v1alpha1.EventStepFailed, v1alpha1.EventStepCancelled, v1alpha1.EventStepWaiting, v1alpha1.EventStepRunning, v1alpha1.EventRewound,
	} {
		if met[kind] < 5 {
			t.Errorf("%s happens %d times: too seldom to show anything", kind, met[kind])
		}
	}
}
