// Package samples_test checks the samples.
package samples_test

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/plan"
)

func TestEverySampleIsListedAndCanRun(t *testing.T) {
	var all struct {
		Resources []string `json:"resources"`
	}
	read(t, "kustomization.yaml", &all)
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) != len(all.Resources)+1 {
		t.Errorf("there are %v, and listed are %v: %v", files, all.Resources, err)
	}
	for _, file := range all.Resources {
		order := &v1alpha1.WorkOrder{}
		read(t, file, order)
		if stall := plan.Validate(&order.Spec); stall != nil {
			t.Errorf("%s: %s", file, stall.Message)
		}
		if order.Name != file[:len(file)-len(".yaml")] && file != "agent.yaml" {
			t.Errorf("%s holds the order %s", file, order.Name)
		}
	}
}

// read decodes a file; a field that there is not is an error, as it would only be a warning to a user.
func read(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if file != "kustomization.yaml" {
		err = yaml.UnmarshalStrict(content, into)
	} else {
		err = yaml.Unmarshal(content, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
