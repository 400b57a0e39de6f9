package node

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestWorkIsInTheArguments(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Args: []string{"--duration=5ms", "--evict-epochs=1", "--fail-epochs=2", "--exit-code=3", "--output=done"},
	}}}}
	w, err := workOf(pod)
	if err != nil || w.duration != 5*time.Millisecond {
		t.Fatalf("got %+v, %v", w, err)
	}
	for epoch, want := range map[int64]outcome{
		1: {exitCode: exitKilled, message: "evicted", reason: "Evicted", evicted: true},
		2: {exitCode: 3, message: "failed in epoch 2"},
		3: {message: "done"},
	} {
		if got := w.outcome(epoch); got != want {
			t.Errorf("epoch %d: got %+v, want %+v", epoch, got, want)
		}
	}
	pod.Spec.Containers[0].Args = []string{"--output=done", "--fill=9"}
	if w, err := workOf(pod); err != nil || w.outcome(1).message != "donexxxxx" {
		t.Errorf("got %+v, %v", w.outcome(1), err)
	}
	pod.Spec.Containers[0].Args = []string{"--hold=bound"}
	for epoch, want := range map[string]string{"1": holdBound, "2": ""} {
		pod.Labels = map[string]string{"workorders.dev/epoch": epoch}
		if w, err := workOf(pod); err != nil || w.hold != want {
			t.Errorf("epoch %s: held %q, want %q, %v", epoch, w.hold, want, err)
		}
	}
	pod.Spec.Containers[0].Args = []string{"--unknown"}
	if _, err := workOf(pod); err == nil {
		t.Error("what is not understood must not pass for work done")
	}
}

func TestTheLedgerKeepsWhatRan(t *testing.T) {
	var l ledger
	pod := &corev1.Pod{}
	pod.Labels = map[string]string{"workorders.dev/order-uid": "uid", "workorders.dev/step": "a", "workorders.dev/epoch": "2"}
	run := l.started(pod)
	if got := l.of("uid"); len(got) != 1 || got[0].Step != "a" || got[0].Epoch != 2 || !got[0].Ended.IsZero() {
		t.Errorf("got %+v", got)
	}
	l.ended(run, stoppedOutcome)
	l.reported(run)
	if got := l.of("uid")[0]; got.Ended.IsZero() || got.ExitCode != exitTerminated || !got.Stopped || !got.Reported {
		t.Errorf("got %+v", got)
	}
	if got := l.of("other"); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}
