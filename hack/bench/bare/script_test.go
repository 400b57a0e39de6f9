package bare

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/proxy"
)

const (
	oldUID = "11111111-2222-3333-4444-555555555555"
	newUID = "99999999-8888-7777-6666-555555555555"
)

// calls are what an operator sends for an order of one step.
func calls() []proxy.Call {
	sent := func(verb, resource, name, method, path, body string) proxy.Call {
		return proxy.Call{Class: proxy.Write, Verb: verb, Resource: resource, Name: name, Sent: &proxy.Sent{Method: method, Path: path, Body: []byte(body)}}
	}
	const group, core = "/apis/workorders.dev/v1alpha1/namespaces/bench-aaaaaa/", "/api/v1/namespaces/bench-aaaaaa/"
	return []proxy.Call{
		sent("create", "progressevents", "", "POST", group+"progressevents", `{"metadata":{"name":"bench-99999-x-1"},"spec":{"workOrder":{"uid":"`+oldUID+`"},"type":"Accepted"}}`),
		sent("patch", "workorders/status", "bench-99999", "PATCH", group+"workorders/bench-99999/status",
			`[{"op":"add","path":"/metadata/resourceVersion","value":"17"},{"op":"add","path":"/status/head","value":"bench-99999-x-1"}]`),
		sent("create", "pods", "", "POST", core+"pods",
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bench-99999-only-1","labels":{"workorders.dev/step":"only","workorders.dev/order-uid":"`+oldUID+`"}}}`),
		sent("create", "progressevents", "", "POST", group+"progressevents", `{"metadata":{"name":"bench-99999-x-2"},"spec":{"type":"StepSucceeded","step":"only"}}`),
		sent("patch", "pods", "bench-99999-only-1", "PATCH", core+"pods/bench-99999-only-1", `{"metadata":{"uid":"the recorded Pod's"}}`),
		{Class: proxy.Read, Verb: "get", Resource: "pods"},
	}
}

func recordedScript(t *testing.T) *Script {
	t.Helper()
	s := &Script{name: OrderName(recorded), uid: oldUID, namespace: "bench-aaaaaa"}
	if err := s.take(calls()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAScriptIsWhatTheOperatorWrote(t *testing.T) {
	s := recordedScript(t)
	if len(s.writes) != 5 || s.Transitions != 2 {
		t.Fatalf("%d writes and %d transitions, want 5 and 2", len(s.writes), s.Transitions)
	}
	if first, second := s.writes[0].awaits, s.writes[3].awaits; first != "" || second != "bench-99999-only-1" {
		t.Errorf("the first event waits for %q, and the result for %q", first, second)
	}
	if err := s.take([]proxy.Call{{Verb: "delete", Resource: "pods", Sent: &proxy.Sent{}}}); err == nil {
		t.Error("what a script cannot write again must be refused")
	}
}

func TestAnotherOrderIsWrittenWithAsManyBytes(t *testing.T) {
	s := recordedScript(t)
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{
		Namespace: "bench-bbbbbb", Name: OrderName(3), UID: types.UID(newUID), ResourceVersion: "42",
	}}
	podUIDs := map[string]string{"bench-00003-only-1": "the other Pod's uid"}
	for i, w := range s.writes {
		path, body := s.fit(w, order, podUIDs)
		for _, old := range []string{"bench-99999", "bench-aaaaaa", oldUID, `"17"`, "the recorded"} {
			if strings.Contains(path, old) || strings.Contains(string(body), old) {
				t.Errorf("write %d still says %s: %s %s", i, old, path, body)
			}
		}
		if w.changes == "" && len(body) != len(w.Body) {
			t.Errorf("write %d has %d bytes instead of %d", i, len(body), len(w.Body))
		}
	}
	if _, body := s.fit(s.writes[1], order, nil); !strings.Contains(string(body), `"value":"42"`) {
		t.Errorf("the save does not name the version: %s", body)
	}
	if _, body := s.fit(s.writes[4], order, podUIDs); !strings.Contains(string(body), "the other Pod's uid") {
		t.Errorf("the Pod that is changed is another: %s", body)
	}
}
