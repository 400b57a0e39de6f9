package steppod

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"workorders.dev/operator/api/v1alpha1"
)

// When a Node is deleted, the control plane calls its Pods Failed and then deletes them by force, while their containers
// may run on: kubernetes/pkg/controller/podgc.
func TestAPodThatIsCalledFailedHasNotEndedWhileItsContainerRuns(t *testing.T) {
	called := life{runs, failed, targeted("node no longer exists")}
	if report, _ := Read(lived(called...), testOrder()); report.End != nil || !report.LostAt.IsZero() {
		t.Errorf("it runs, and ended as %+v, or is lost at %v", report.End, report.LostAt)
	}
	report, _ := Read(lived(append(called, deleted(time.Minute, 0))...), testOrder())
	if lostAt := noon.Add(time.Minute + LostAfter); report.End != nil || !report.LostAt.Equal(lostAt) {
		t.Errorf("it was deleted, and ended as %+v, or is lost at %v and not at %v", report.End, report.LostAt, lostAt)
	}
	report, _ = Read(lived(append(called, deleted(time.Minute, 0), terminated(143, "", "bye"))...), testOrder())
	want := &End{Verdict: Disrupted, Code: v1alpha1.CodeEvicted, Message: "its Pod was evicted: node no longer exists",
		Output: "bye", ExitCode: ptr(int32(143)), Finished: at}
	if diff := cmp.Diff(want, report.End); diff != "" {
		t.Errorf("its kubelet told how it ended, after all: %s", diff)
	}
}
