package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/controllers/steppod"
)

// talker is an API server that has one Pod, and answers each request for its log with the next of these. An answer that does not
// end its last line breaks off there.
type talker struct {
	answers []string
	asked   atomic.Int32
	pod     corev1.Pod
}

func (k *talker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/log") {
		if n := int(k.asked.Load()); n >= len(k.answers)-1 { // The last answer is that of a container that has ended.
			k.pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(&k.pod) // A test that gets no answer fails.
		return
	}
	answer := k.answers[min(int(k.asked.Add(1)), len(k.answers))-1]
	fmt.Fprint(w, answer)
	w.(http.Flusher).Flush()
	if !strings.HasSuffix(answer, "\n") {
		panic(http.ErrAbortHandler)
	}
}

// listened is what is printed of a log that comes in these answers.
func listened(t *testing.T, answers ...string) string {
	t.Helper()
	k := &talker{answers: answers, pod: corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}}}
	k.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: steppod.ContainerName, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	server := httptest.NewServer(k)
	defer server.Close()
	config := &rest.Config{Host: server.URL}
	pods, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	tool := &tool{}
	c, err := client.NewWithWatch(config, client.Options{Mapper: mapper()})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	tool.IOStreams = genericiooptions.IOStreams{Out: &out, ErrOut: &out}
	s := &streams{tool: tool, logging: &logging{follow: true}, cluster: &cluster{WithWatch: c}, pods: pods, current: map[string]bool{"p": true}}
	if err := s.copyLive(t.Context(), attempt{namespace: "n", pod: "p"}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestALogIsPrintedWholeAndOnceWhateverBreaks(t *testing.T) {
	at := func(n int, text string) string {
		return time.Date(2030, 1, 2, 3, 4, n/10, n%10*100_000_000, time.UTC).Format(time.RFC3339Nano) + " " + text
	}
	long := strings.Repeat("x", mostOfLine)
	for _, test := range []struct {
		when    string
		answers []string
		want    string
	}{
		{"nothing breaks", []string{at(1, "one\n") + at(2, "two\n")}, "one\ntwo\n"},
		{"it breaks off in a line", []string{at(1, "one\n") + at(2, "tw"), at(1, "one\n") + at(2, "two\n") + at(3, "three\n")}, "one\ntwo\nthree\n"},
		{"it breaks off in a time stamp", []string{at(1, "one\n") + at(2, "")[:9], at(1, "one\n") + at(2, "two\n")}, "one\ntwo\n"},
		{"it ends although the container runs", []string{at(1, "one\n"), at(1, "one\n") + at(2, "two\n")}, "one\ntwo\n"},
		{"a line is very long", []string{at(1, long+"9999-12-31T23:59:59Z y\n") + at(2, "two\n"), at(2, "two\n") + at(3, "three\n")}, ""},
		{"a line would do something to a terminal", []string{at(1, "\x1b[2J\ttab\n")}, "\\x1b[2J\ttab\n"},
		{"times go back", []string{at(3, "three\n") + at(2, "two\n"), at(3, "three\n") + at(4, "four\n")}, "three\ntwo\nfour\n"},
	} {
		got := listened(t, test.answers...)
		if test.want == "" { // Its pieces are lines.
			got = strings.Replace(strings.ReplaceAll(got, "\n", ""), long+"9999-12-31T23:59:59Z y", "LONG", 1)
			test.want = "LONGtwothree"
		}
		if got != test.want {
			t.Errorf("%s: got %.200q, want %q", test.when, got, test.want)
		}
	}
}

func TestAPodThatOnlyTakesANameIsNotWaitedFor(t *testing.T) {
	pod := &corev1.Pod{}
	if a := attemptOf(pod); a.ran || a.ended {
		t.Errorf("one that waits has not run, and has not ended: %v", a)
	}
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: steppod.GateSealed}}
	if a := attemptOf(pod); a.ran || !a.ended {
		t.Errorf("it has not run, and never will: %v", a)
	}
}
