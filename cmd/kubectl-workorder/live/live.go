// Package live redraws orders in place on a terminal.
package live

import (
	"context"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
	"k8s.io/apimachinery/pkg/types"

	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
	"workorders.dev/operator/controllers/follow"
)

// Display is a part of a terminal on which orders are redrawn. What it showed last stays there.
type Display struct{ program *tea.Program }

// While draws on a terminal while something is done that shows states on it, and returns what that has come to. Its context ends
// when somebody presses Control-C, or q. In the end all is drawn that there is, be it more than fits on the screen.
func While(ctx context.Context, screen term.File, do func(context.Context, *Display) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m := model{interrupted: stop, now: time.Now, states: map[types.UID]follow.State{}}
	// Signals are the program's own business.
	d := &Display{tea.NewProgram(m, tea.WithOutput(screen), tea.WithoutSignalHandler(), tea.WithFPS(30))}
	done := make(chan error, 1)
	go func() {
		done <- do(ctx, d)
		d.program.Send(end{})
	}()
	last, err := d.program.Run()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(screen, last.(model).draw(0)); err != nil {
		return err
	}
	return <-done
}

// Show shows a state of an order from now on.
func (d *Display) Show(state follow.State) { d.program.Send(state) }

// At shows a state as it was at a time that is not now.
func (d *Display) At(state follow.State, now time.Time) { d.program.Send(past{state, now}) }

// Trouble says what goes wrong; nothing any more, if it is empty.
func (d *Display) Trouble(text string) { d.program.Send(trouble(text)) }

type (
	tick    time.Time
	trouble string
	end     struct{}
	past    struct {
		follow.State
		now time.Time
	}
)

// model is what is drawn.
type model struct {
	interrupted   func()
	now           func() time.Time
	states        map[types.UID]follow.State
	order         []types.UID
	trouble       string
	width, height int
	ticks         int
	ended         bool
}

// tickPause is how often what moves is moved.
const tickPause = 250 * time.Millisecond

func ticking() tea.Cmd { return tea.Tick(tickPause, func(t time.Time) tea.Msg { return tick(t) }) }

// Init begins to tick.
func (m model) Init() tea.Cmd { return ticking() }

// Update takes note of what has happened.
func (m model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case tea.KeyPressMsg:
		if key := message.String(); key == "ctrl+c" || key == "q" || key == "esc" {
			m.interrupted()
		}
	case tick:
		m.ticks++
		return m, ticking()
	case past:
		m.now = func() time.Time { return message.now }
		m.keep(message.State)
	case follow.State:
		m.keep(message)
	case trouble:
		m.trouble = string(message)
	case end:
		m.ended = true
		return m, tea.Quit
	}
	return m, nil
}

func (m *model) keep(state follow.State) {
	uid := state.Order.UID
	if !slices.Contains(m.order, uid) {
		m.order = append(m.order, uid)
	}
	m.states[uid] = state
}

// View draws all orders as far as they fit; nothing once it has ended, as the last picture is printed below.
func (m model) View() tea.View {
	if m.ended {
		return tea.NewView("")
	}
	if m.height == 0 {
		return tea.NewView(m.draw(0)) // It is not known yet.
	}
	return tea.NewView(m.draw(max(1, m.height-2)))
}

// draw draws all orders: whole, if the room is enough lines for that, or a line each. 0 is room enough.
func (m model) draw(room int) string {
	style := timeline.Style{Color: true, Width: m.width, Ticks: m.ticks}
	if m.trouble != "" {
		room = max(0, room-2)
	}
	pictures := make([]timeline.Picture, 0, len(m.order))
	for _, uid := range m.order {
		state := m.states[uid]
		pictures = append(pictures, timeline.Of(state.Order, state.Chain, m.now()))
	}
	if len(pictures) == 1 {
		style.Height = room
	}
	text := timeline.Together(pictures, style, room)
	if m.trouble != "" && !m.ended {
		text += "\n" + timeline.Warn("  trying again: "+m.trouble, style) + "\n"
	}
	return text
}
