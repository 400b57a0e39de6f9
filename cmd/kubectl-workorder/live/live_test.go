package live

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/follow"
)

// after is the model when it was told all that.
func after(m tea.Model, messages ...tea.Msg) model {
	for _, message := range messages {
		m, _ = m.Update(message)
	}
	return m.(model)
}

// order is an order of so many steps, of which the first runs.
func order(name string, steps int) follow.State {
	o := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}
	o.Status = v1alpha1.WorkOrderStatus{Phase: v1alpha1.WorkOrderRunning, Progress: fmt.Sprintf("0/%d", steps)}
	for n := range steps {
		o.Status.Steps = append(o.Status.Steps, v1alpha1.StepStatus{Name: fmt.Sprintf("step-%d", n), Phase: v1alpha1.StepPending})
	}
	o.Status.Steps[0].Phase, o.Status.Steps[0].Epoch = v1alpha1.StepRunning, 1
	return follow.State{Order: o}
}

func newModel(interrupted func()) model {
	return model{interrupted: interrupted, now: time.Now, states: map[types.UID]follow.State{}}
}

func TestThePictureFitsTheScreenAndStaysWholeInTheEnd(t *testing.T) {
	m := after(newModel(nil), tea.WindowSizeMsg{Width: 60, Height: 10}, order("long", 40))
	shown := ansi.Strip(m.View().Content)
	if lines := strings.Count(shown, "\n"); lines > 10 || !strings.Contains(shown, "step-0") || !strings.Contains(shown, "more below") {
		t.Errorf("%d lines on a screen of 10:\n%s", lines, shown)
	}
	m = after(m, trouble("it is away"))
	if shown := ansi.Strip(m.View().Content); !strings.Contains(shown, "trying again: it is away") || strings.Count(shown, "\n") > 10 {
		t.Errorf("in trouble:\n%s", shown)
	}
	m = after(m, trouble(""), end{})
	if last := ansi.Strip(m.draw(0)); m.View().Content != "" || !strings.Contains(last, "step-39") || strings.Contains(last, "trying") {
		t.Errorf("in the end there is %q above this:\n%s", m.View().Content, last)
	}
}

func TestWhatRunsIsSeenToMove(t *testing.T) {
	m := after(newModel(nil), order("x", 2))
	if first, second := m.View().Content, after(m, tick(time.Now())).View().Content; first == second {
		t.Errorf("nothing moves:\n%s", first)
	}
}

func TestSeveralOrdersAreShownInTheOrderInWhichTheyCame(t *testing.T) {
	shown := ansi.Strip(after(newModel(nil), tea.WindowSizeMsg{Width: 80, Height: 8}, order("b", 3), order("a", 3), order("b", 4)).View().Content)
	if lines := strings.Split(shown, "\n"); !strings.HasPrefix(lines[0], "b ") || !strings.Contains(lines[0], "0/4") || !strings.HasPrefix(lines[1], "a ") {
		t.Errorf("got:\n%s", shown)
	}
}

func TestControlCIsHeeded(t *testing.T) {
	for _, key := range []tea.KeyPressMsg{{Code: 'c', Mod: tea.ModCtrl}, {Code: 'q', Text: "q"}} {
		interrupted := false
		after(newModel(func() { interrupted = true }), key)
		if !interrupted {
			t.Errorf("%s does nothing", key)
		}
	}
}
