package steppod

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestATrimmedPodSaysTheSame(t *testing.T) {
	for _, test := range ends {
		checkTrimmed(t, lived(test.life...))
	}
	for _, life := range []life{{}, {bound}, {runs}, {gated}, {runs, deleted(0, 0)}, {targeted("moved"), failed}} {
		checkTrimmed(t, lived(life...))
	}
}

// checkTrimmed checks that a Pod says the same when it is trimmed, which FuzzRead does with whatever Pods it finds.
func checkTrimmed(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	trimmed := pod.DeepCopy()
	Trim(trimmed)
	want, wasOurs := Read(pod, testOrder())
	got, isOurs := Read(trimmed, testOrder())
	if diff := cmp.Diff(want, got); diff != "" || isOurs != wasOurs {
		t.Errorf("ours: %v, and trimmed: %v\n%s", wasOurs, isOurs, diff)
	}
	again := trimmed.DeepCopy()
	if Trim(again); !cmp.Equal(again, trimmed) {
		t.Errorf("trimmed twice it is another: %s", cmp.Diff(trimmed, again))
	}
}

func TestATrimmedPodIsSmall(t *testing.T) {
	pod := lived(terminated(0, "Completed", "done"), phase(corev1.PodSucceeded, "", ""))
	pod.Annotations["example.com/note"] = "not ours"
	size := func() int {
		encoded, err := json.Marshal(pod.Spec)
		if err != nil {
			t.Fatal(err)
		}
		return len(encoded)
	}
	before := size()
	if Trim(pod); size() > before/4 || pod.Annotations["example.com/note"] != "" {
		t.Errorf("of %d bytes of the spec are left %d: %v", before, size(), pod.Annotations)
	}
}
