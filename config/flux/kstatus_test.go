// Package flux_test checks what Flux makes of orders.
package flux_test

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"

	"workorders.dev/operator/config/internal/stages"
)

// kstatus is the library by which Flux, Helm and others know whether to wait, to go on or to give up.
func TestKstatusKnowsHowAnOrderIs(t *testing.T) {
	want := map[string]status.Status{
		"new":       status.InProgressStatus,
		"running":   status.InProgressStatus,
		"retrying":  status.InProgressStatus,
		"rewinding": status.InProgressStatus,
		"suspended": status.InProgressStatus,
		"cancelled": status.FailedStatus,
		"failed":    status.FailedStatus,
		"failed again after it was asked to run again": status.FailedStatus,
		"failed before its first step started":         status.FailedStatus,
		"ended by its deadline":                        status.FailedStatus,
		"failed, and asked to run again":               status.InProgressStatus,
		"invalid":                                      status.FailedStatus,
		"done":                                         status.CurrentStatus,
		"done, and asked to run again":                 status.InProgressStatus,
		"done, and edited, which nobody has seen yet":  status.InProgressStatus,
		"deleting":                                     status.TerminatingStatus,
	}
	for name, stage := range stages.All() {
		object, err := stage.Object()
		if err != nil {
			t.Fatal(err)
		}
		got, err := status.Compute(object)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Status != want[name] {
			t.Errorf("an order that is %s is %s: %s; want %s", name, got.Status, got.Message, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("there is no order that is %s", name)
	}
}
