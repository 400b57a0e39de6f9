package controllers

import (
	"encoding/json"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4" // The API server's own.

	"workorders.dev/operator/api/v1alpha1"
)

// FuzzStatusPatch shows that between any two statuses the patch applies, gives the one that is wanted, and touches nothing
// but the status and the version that locks it.
func FuzzStatusPatch(f *testing.F) {
	for _, before := range []string{
		`{}`,
		`{"observedGeneration":-1,"phase":"Pending"}`,
		`{"sequence":3,"head":"h","phase":"Running","steps":[{"name":"a","phase":"Running"},{"name":"b","phase":"Pending"}],"conditions":[{"type":"Ready"}]}`,
		`{"sequence":4,"suspended":true,"message":"<&>\u2028","steps":[{"name":"a/b~c","phase":"Failed"}]}`,
	} {
		for _, after := range []string{
			`{}`,
			`{"sequence":4,"head":"i","steps":[{"name":"a","phase":"Succeeded"},{"name":"b","phase":"Running"}]}`,
			`{"sequence":4,"cancelled":true,"conditions":[],"steps":[{"name":"a","phase":"Backoff","error":{"code":"x"}}]}`,
		} {
			f.Add([]byte(before), []byte(after))
		}
	}
	f.Fuzz(func(t *testing.T, beforeJSON, afterJSON []byte) {
		order, after := &v1alpha1.WorkOrder{}, &v1alpha1.WorkOrderStatus{}
		if json.Unmarshal(beforeJSON, &order.Status) != nil || json.Unmarshal(afterJSON, after) != nil {
			t.Skip()
		}
		order.Name, order.UID, order.ResourceVersion = "order", "uid-1", "77"
		order.Spec = sequence("a", "b")
		document := encoded(t, order)
		if err := json.Unmarshal(document, order); err != nil {
			t.Fatal(err)
		}
		patch, err := statusPatch(order, after)
		if err != nil {
			t.Fatal(err)
		}
		checkOperations(t, patch)
		decoded, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			t.Fatalf("it is no patch: %v: %s", err, patch)
		}
		patched, err := decoded.Apply(document)
		if err != nil {
			t.Fatalf("it does not apply: %v: %s", err, patch)
		}
		got, want := &v1alpha1.WorkOrder{}, &v1alpha1.WorkOrder{}
		if err := json.Unmarshal(patched, got); err != nil {
			t.Fatal(err)
		}
		expected := *order
		expected.Status = *after
		if err := json.Unmarshal(encoded(t, &expected), want); err != nil {
			t.Fatal(err)
		}
		if g, w := string(encoded(t, got)), string(encoded(t, want)); g != w {
			t.Errorf("with the patch %s\nit is %s\nand not %s", patch, g, w)
		}
	})
}

// checkOperations checks that a patch locks the order, and that it says so before it does anything else.
func checkOperations(t *testing.T, patch []byte) {
	t.Helper()
	var operations []operation
	if err := json.Unmarshal(patch, &operations); err != nil {
		t.Fatal(err)
	}
	if len(operations) == 0 || operations[0].Path != "/metadata/resourceVersion" || string(operations[0].Value) != `"77"` {
		t.Errorf("it does not lock the order: %s", patch)
	}
	for i, o := range operations {
		if i > 0 && o.Path != "/status" && !strings.HasPrefix(o.Path, "/status/") {
			t.Errorf("it touches %s", o.Path)
		}
	}
}

func encoded(t *testing.T, object any) []byte {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
