package plan

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"workorders.dev/operator/api/v1alpha1"
)

// FuzzFold shows that any event can be folded onto any status, events of tomorrow and forged ones too, and that the status
// after it is one that people and tools can read.
func FuzzFold(f *testing.F) {
	for _, status := range []string{
		`{}`,
		`{"steps":[{"name":"a","phase":"Running","epoch":1},{"name":"b","phase":"Pending"}],"conditions":[{"type":"example.com/Seen","status":"True"},{"type":"Ready","status":"Maybe"}]}`,
		`{"phase":"Succeeded","steps":[{"name":"a"},{"name":"a"}],"sequence":7,"head":"x"}`,
	} {
		for _, event := range []string{
			`{"spec":{}}`,
			`{"metadata":{"name":"e"},"spec":{"sequence":2,"type":"StepSucceeded","step":"a","changes":{"order":{"observedGeneration":1},"steps":[{"name":"a","phase":"Succeeded"}]}}}`,
			`{"spec":{"type":"OfTomorrow","changes":{"allSteps":true,"order":{"outcome":"Exploded","cancelled":true,"suspended":true,"stalled":{"reason":""},"startTime":"2030-01-02T03:04:05Z","completionTime":"1999-01-02T03:04:05Z"},"steps":[{"name":"c","phase":"Dreaming"}]}}}`,
		} {
			f.Add([]byte(status), []byte(event))
		}
	}
	f.Fuzz(func(t *testing.T, statusJSON, eventJSON []byte) {
		before, event := &v1alpha1.WorkOrderStatus{}, &v1alpha1.ProgressEvent{}
		if json.Unmarshal(statusJSON, before) != nil || json.Unmarshal(eventJSON, event) != nil {
			t.Skip()
		}
		wasStatus, wasEvent := asJSON(t, before), asJSON(t, event)
		after := Fold(before, event)
		if asJSON(t, before) != wasStatus || asJSON(t, event) != wasEvent {
			t.Error("what was only to be looked at was changed")
		}
		if again := Fold(&after, event); asJSON(t, again) != asJSON(t, after) {
			t.Errorf("the same event twice gives %s, and once %s", asJSON(t, again), asJSON(t, after))
		}
		if after.Head != event.Name || after.Sequence != event.Spec.Sequence {
			t.Errorf("the head is %q, number %d", after.Head, after.Sequence)
		}
		checkConditions(t, before, &after)
		StateOf(&after)
	})
}

// checkConditions checks that each of the operator's conditions is there as often as the API allows, that they do not
// contradict each other, and that those of others are as they were.
func checkConditions(t *testing.T, before, after *v1alpha1.WorkOrderStatus) {
	t.Helper()
	var own, foreign, kept []metav1.Condition
	for _, c := range after.Conditions {
		if slices.Contains(ownConditions, c.Type) {
			own = append(own, c)
		} else {
			kept = append(kept, c)
		}
	}
	for _, c := range before.Conditions {
		if !slices.Contains(ownConditions, c.Type) {
			foreign = append(foreign, c)
		}
	}
	if asJSON(t, foreign) != asJSON(t, kept) {
		t.Errorf("the conditions of others were %v and are %v", foreign, kept)
	}
	is := map[string]metav1.ConditionStatus{}
	for _, c := range own {
		if _, twice := is[c.Type]; twice {
			t.Errorf("the condition %s is there twice", c.Type)
		}
		is[c.Type] = c.Status
	}
	_, reconciling := is[v1alpha1.ConditionReconciling]
	_, stalled := is[v1alpha1.ConditionStalled]
	ready := is[v1alpha1.ConditionReady] == metav1.ConditionTrue
	finished := is[v1alpha1.ConditionFinished] == metav1.ConditionTrue
	if ready != (after.Phase == v1alpha1.WorkOrderSucceeded) || ready && !finished || reconciling && (stalled || finished) || !reconciling && !stalled && !ready {
		t.Errorf("of an order that is %s it is said: %v", after.Phase, is)
	}
}

// FuzzEventName shows that the number can be read out of every name that an event gets, that nothing else is taken for one
// that cannot be, and that names are such as the API server takes.
func FuzzEventName(f *testing.F) {
	for _, name := range []string{"", "-", "--", "order", "order-abcdef-00000003-0123456789", "x-99999999999999999999-y", "x--5-y", "x-+5-y", "my.order", "a-1-b-2-c"} {
		f.Add(name, "uid-1", int64(3), "done")
		f.Add(name, "", int64(math.MaxInt64), name)
		f.Add(name, name, int64(-1), "\x00")
	}
	f.Fuzz(func(t *testing.T, name, uid string, sequence int64, message string) {
		if SequenceOf(name) < 0 {
			t.Errorf("the number of %q is %d", name, SequenceOf(name))
		}
		spec := &v1alpha1.ProgressEventSpec{WorkOrder: v1alpha1.WorkOrderReference{Name: name, UID: types.UID(uid)}, Sequence: sequence, Message: message}
		event := EventName(spec)
		if event != EventName(spec) {
			t.Error("its name changes")
		}
		if sequence < 1 {
			return
		}
		if got := SequenceOf(event); got != sequence {
			t.Errorf("event %d is called %s, of which %d is read", sequence, event, got)
		}
		if len(validation.IsDNS1123Subdomain(name)) == 0 && len(name) <= 63 && len(validation.IsDNS1123Subdomain(event)) > 0 {
			t.Errorf("event %d of %q is called %q, which the API server refuses", sequence, name, event)
		}
		next := *spec
		next.Sequence++
		if sequence < 99_999_999 && EventName(&next) <= event {
			t.Errorf("%s does not sort before %s", event, EventName(&next))
		}
		other := *spec
		other.Message += "!"
		if EventName(&other) == event {
			t.Error("an event that says something else has the same name")
		}
	})
}
