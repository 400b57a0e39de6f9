package timeline

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/progress"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with the one that is kept.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("not as in %s; go test -update writes it anew (-want +got):\n%s", file, diff)
	}
}

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func at(second int) *metav1.Time {
	return &metav1.Time{Time: noon.Add(time.Duration(second) * time.Second)}
}

func step(name string, phase v1alpha1.StepPhase, epoch int64, from, to int, output string) v1alpha1.StepStatus {
	s := v1alpha1.StepStatus{Name: name, Phase: phase, Epoch: epoch, Output: output}
	if epoch > 0 {
		s.StartTime = at(from)
	}
	if to > 0 {
		s.CompletionTime = at(to)
	}
	return s
}

// rewoundOrder is an order of which one step has failed twice, and is about to succeed.
func rewoundOrder() (*v1alpha1.WorkOrder, progress.Chain) {
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Name: "add-dark-mode", UID: "uid"}}
	for _, name := range []string{"classify", "implement", "review", "publish"} {
		order.Spec.Steps = append(order.Spec.Steps, v1alpha1.Step{Name: name})
	}
	order.Status = v1alpha1.WorkOrderStatus{
		Phase: v1alpha1.WorkOrderRunning, Progress: "1/4", Rewinds: 2, StartTime: at(0), Sequence: 7, Message: "implement starts again, epoch 3",
		Steps: []v1alpha1.StepStatus{
			step("classify", v1alpha1.StepSucceeded, 1, 0, 3, "/feature\x1b[31m"), step("implement", v1alpha1.StepRunning, 3, 20, 0, ""),
			step("review", v1alpha1.StepPending, 0, 0, 0, ""), step("publish", v1alpha1.StepPending, 0, 0, 0, ""),
		},
	}
	order.Status.Steps[0].Agent = "classifier"
	var events []v1alpha1.ProgressEvent
	add := func(spec v1alpha1.ProgressEventSpec) {
		spec.WorkOrder.UID, spec.Sequence = "uid", int64(len(events)+1)
		if n := len(events); n > 0 {
			spec.Previous = events[n-1].Name
		}
		spec.Time = *at(len(events))
		events = append(events, v1alpha1.ProgressEvent{ObjectMeta: metav1.ObjectMeta{Name: "e" + string(rune('0'+spec.Sequence))}, Spec: spec})
	}
	failed := func(epoch int64, from, to int, why string) {
		add(v1alpha1.ProgressEventSpec{
			Type: v1alpha1.EventStepFailed, Step: "implement", Epoch: epoch, Message: "failed: " + why,
			Result: &v1alpha1.StepResult{Phase: v1alpha1.StepFailed, StartTime: at(from), CompletionTime: at(to)}, Error: &v1alpha1.EventError{Code: v1alpha1.CodeNonZeroExit, Message: why},
		})
	}
	rewind := func(epoch, after int64) {
		add(v1alpha1.ProgressEventSpec{
			Type: v1alpha1.EventRewound, Step: "implement", Epoch: epoch, Message: "starts again",
			Rewind: &v1alpha1.Rewind{SupersededAfter: after, Steps: []v1alpha1.RewoundStep{{Step: "implement", NewEpoch: epoch}}},
		})
	}
	add(v1alpha1.ProgressEventSpec{Type: v1alpha1.EventAccepted, Message: "accepted 4 steps"})
	add(v1alpha1.ProgressEventSpec{
		Type: v1alpha1.EventStepSucceeded, Step: "classify", Epoch: 1, Message: "succeeded: /feature",
		Result: &v1alpha1.StepResult{Phase: v1alpha1.StepSucceeded, Output: "/feature", StartTime: at(0), CompletionTime: at(3)},
	})
	failed(1, 3, 8, "exit code 1: tests fail")
	rewind(2, 1)
	failed(2, 9, 19, "exit code 1: \u202etests fail")
	rewind(3, 3)
	order.Status.Head = events[len(events)-1].Name
	order.Status.Sequence = int64(len(events))
	return order, progress.Follow("uid", order.Status.Head, events)
}

// wide is a graph whose middle runs side by side.
func wide() *v1alpha1.WorkOrder {
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Name: "diamond"}}
	order.Spec.Strategy = v1alpha1.StrategyGraph
	order.Spec.Steps = []v1alpha1.Step{
		{Name: "deploy", DependsOn: []string{"lint", "test"}}, {Name: "build"}, {Name: "lint", DependsOn: []string{"build"}, When: `params.lint == "yes"`},
		{Name: "test", DependsOn: []string{"build"}}, {Name: "docs", DependsOn: []string{"build"}},
	}
	order.Spec.Finally = []v1alpha1.Step{{Name: "tell"}}
	return order
}

func TestARewindIsSeenToSupersede(t *testing.T) {
	order, chain := rewoundOrder()
	picture := Of(order, chain, noon.Add(26*time.Second))
	golden(t, "rewound", picture.Draw(Style{}))
	golden(t, "rewound-narrow", picture.Draw(Style{Width: 40}))
	colored := picture.Draw(Style{Color: true})
	if plain := ansi.Strip(colored); strings.Contains(plain, "(superseded)") || strings.ContainsAny(plain, "\x1b\u202e") {
		t.Errorf("on a terminal:\n%q", plain)
	}
	for _, line := range strings.Split(colored, "\n") {
		if struckOut := strings.Contains(line, "\x1b[2;9m"); struckOut != strings.Contains(line, "tests fail") {
			t.Errorf("struck out: %t: %q", struckOut, line)
		}
	}
}

func TestAGraphIsDrawnByLayers(t *testing.T) {
	order := wide()
	golden(t, "graph", Graph(order, Style{}))
	golden(t, "graph.dot", Dot(order))
	golden(t, "graph.mermaid", Mermaid(order))
	picture := Of(order, progress.Chain{}, noon)
	golden(t, "graph-not-begun", picture.Draw(Style{}))
}

func TestWhatIsMissingInTheLogIsSaid(t *testing.T) {
	order, chain := rewoundOrder()
	order.Status.Sequence += 3
	for want, chain := range map[string]progress.Chain{
		"the last 3 transitions are not in the log yet":           chain,
		"the log is broken: event e3 is missing, and attempts be": {Events: chain.Events[3:], Missing: "e3"},
	} {
		picture := Of(order, chain, noon)
		if !strings.Contains(picture.Draw(Style{}), want) {
			t.Errorf("it does not say %q:\n%s", want, picture.Draw(Style{}))
		}
	}
}

func TestALongOrderIsCutToTheScreenAroundWhereTheWorkIs(t *testing.T) {
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Name: "long"}, Status: v1alpha1.WorkOrderStatus{Phase: v1alpha1.WorkOrderRunning, Progress: "40/80"}}
	for n := range 80 {
		phase, epoch := v1alpha1.StepSucceeded, int64(1)
		if n == 40 {
			phase = v1alpha1.StepRunning
		} else if n > 40 {
			phase, epoch = v1alpha1.StepPending, 0
		}
		order.Status.Steps = append(order.Status.Steps, step("step-"+string(rune('a'+n/26))+string(rune('a'+n%26)), phase, epoch, 0, 1, ""))
	}
	picture := Of(order, progress.Chain{}, noon)
	for height := 6; height < 100; height++ {
		drawn := picture.Draw(Style{Height: height})
		if lines := strings.Count(drawn, "\n"); lines > height {
			t.Errorf("%d lines on a screen of %d", lines, height)
		}
		if !strings.Contains(drawn, "● step-bo") {
			t.Errorf("what runs is not to be seen on a screen of %d lines:\n%s", height, drawn)
		}
	}
}

func TestSeveralOrdersShareTheScreen(t *testing.T) {
	order, chain := rewoundOrder()
	pictures := []Picture{Of(order, chain, noon), Of(wide(), progress.Chain{}, noon)}
	if whole := Together(pictures, Style{}, 30); !strings.Contains(whole, "implement") || !strings.Contains(whole, "deploy") {
		t.Errorf("there is room for both:\n%s", whole)
	}
	golden(t, "together", Together(pictures, Style{}, 4))
	for range 10 {
		pictures = append(pictures, pictures[0])
	}
	if few := Together(pictures, Style{}, 4); strings.Count(few, "\n") != 4 || !strings.Contains(few, "… 9 more") {
		t.Errorf("12 orders on 4 lines:\n%s", few)
	}
}

func TestTimesAreReadAtAGlance(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1499 * time.Millisecond: "1s", 59 * time.Second: "59s", 72 * time.Second: "1m12s", 3*time.Hour + 5*time.Minute: "3h05m",
		49 * time.Hour: "2d1h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

func TestOrdersAreListedWithHowFarTheyAre(t *testing.T) {
	order, _ := rewoundOrder()
	order.Namespace, order.CreationTimestamp = "team", *at(0)
	other := *wide()
	other.Namespace, other.CreationTimestamp = "team", *at(10)
	golden(t, "list", Table([]v1alpha1.WorkOrder{*order, other}, true, Style{}, noon.Add(time.Hour)))
}

func TestTheLogIsALineAnEvent(t *testing.T) {
	_, chain := rewoundOrder()
	void, lines := chain.Superseded(), ""
	for _, event := range chain.Events {
		event.Spec.Time = metav1.NewTime(event.Spec.Time.Local())
		entry := Entry{ProgressEvent: event, Superseded: void[event.Name]}
		if event.Spec.Rewind != nil {
			entry.Supersedes = "3"
		}
		lines += entry.Line(Style{})[len("12:00:00"):] + "\n"
	}
	golden(t, "log", lines)
	if gap := Gap(2, chain.Events[5], Style{}); !strings.Contains(gap, "3 transitions could not be written down") {
		t.Errorf("got %q", gap)
	}
	if gap := Gap(5, chain.Events[5], Style{}); gap != "" {
		t.Errorf("there is none, and yet %q", gap)
	}
}
