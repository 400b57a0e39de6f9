package timeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"workorders.dev/operator/api/v1alpha1"
)

// Style is how a picture is drawn.
type Style struct {
	// Color is for terminals: what is superseded is struck out. Otherwise words say so.
	Color bool
	// Width and Height are how much room there is; 0 is as much as it takes.
	Width, Height int
	// Ticks moves what moves.
	Ticks int
}

// marks say at a glance how a step is.
var marks = map[v1alpha1.StepPhase]string{
	v1alpha1.StepPending: "·", v1alpha1.StepRunning: "●", v1alpha1.StepBackoff: "↻", v1alpha1.StepSucceeded: "✔",
	v1alpha1.StepFailed: "✘", v1alpha1.StepSkipped: "↷", v1alpha1.StepBlocked: "⊘", v1alpha1.StepCancelled: "■",
}

// pulse is what a running step's mark becomes on a terminal, tick by tick.
var pulse = []string{"●", "◉", "○", "◉"}

var (
	bold, faint        = ansi.Style{}.Bold(), ansi.Style{}.Faint()
	green, red, yellow = color(ansi.Green), color(ansi.Red), color(ansi.Yellow)
	blue               = color(ansi.Blue)
	struck             = ansi.Style{}.Faint().Strikethrough(true)
)

// color is one of the terminal's own sixteen colors, which suit the one that its owner has behind the text.
func color(c ansi.BasicColor) ansi.Style { return ansi.Style{}.ForegroundColor(c) }

// tones are the colors of phases, of steps and of orders.
var tones = map[string]ansi.Style{
	string(v1alpha1.StepRunning): blue, string(v1alpha1.StepBackoff): yellow, string(v1alpha1.StepSucceeded): green,
	string(v1alpha1.StepFailed): red, string(v1alpha1.StepBlocked): red, string(v1alpha1.StepCancelled): yellow,
	string(v1alpha1.WorkOrderSuspended): yellow,
}

// paint colors a text, if there are colors.
func (s Style) paint(with ansi.Style, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return with.Styled(text)
}

// Draw is the picture as lines of text.
func (p *Picture) Draw(style Style) string {
	lines := []string{p.head(style)}
	if p.Now != "" {
		lines = append(lines, "  "+style.paint(faint, p.Now))
	}
	lines = append(lines, "")
	rows := p.Rows
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Layer > 0 }) {
		rows = byLayer(rows)
	}
	drawn := columnsOf(rows).draw(rows, style)
	if style.Height > 0 {
		drawn = fit(rows, drawn, max(1, style.Height-len(lines)-1), style)
	}
	lines = append(lines, drawn...)
	if p.Note != "" {
		lines = append(lines, "", "  "+style.paint(yellow, p.Note))
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
		if style.Width > 0 {
			lines[i] = ansi.Truncate(lines[i], style.Width, "…")
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// head is the line that says how the order is as a whole.
func (p *Picture) head(style Style) string {
	parts := []string{style.paint(bold, p.Name), style.paint(tones[p.Phase], p.Phase), p.bar(style), fmt.Sprintf("%d/%d", p.Done, p.All)}
	if p.Elapsed > 0 || p.Done > 0 {
		parts = append(parts, Duration(p.Elapsed))
	}
	if p.Rewinds > 0 {
		parts = append(parts, plural(p.Rewinds, "rewind"))
	}
	return strings.Join(parts, "  ")
}

func (p *Picture) bar(style Style) string {
	filled, empty := Bar(p.Done, p.All, 24)
	return style.paint(tones[p.Phase], filled) + style.paint(faint, empty)
}

// Bar is the two parts of a bar of that width: what is done, and what is not.
func Bar(done, all, width int) (filled, empty string) {
	n := 0
	if all > 0 {
		n = width * min(max(done, 0), all) / all
	}
	return strings.Repeat("━", n), strings.Repeat("─", width-n)
}

// Duration is a time that a person can read at a glance: 7s, 1m12s, 3h05m, 2d4h.
func Duration(d time.Duration) string {
	seconds := int64(d.Round(time.Second) / time.Second)
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%dm%02ds", seconds/60, seconds%60)
	case seconds < 48*3600:
		return fmt.Sprintf("%dh%02dm", seconds/3600, seconds/60%60)
	}
	return fmt.Sprintf("%dd%dh", seconds/86400, seconds/3600%24)
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// columns are how wide each column of the rows is.
type columns struct {
	step, agent, epoch, took int
}

func columnsOf(rows []Row) (c columns) {
	for i := range rows {
		c.step = max(c.step, len(rows[i].Step))
		c.agent = max(c.agent, ansi.StringWidth(rows[i].Agent))
		c.epoch = max(c.epoch, len(rows[i].epoch()))
		c.took = max(c.took, len(rows[i].took()))
	}
	return c
}

// epoch is the step's epoch, if it says anything: most steps are started once.
func (r *Row) epoch() string {
	if r.Epoch < 2 && !r.Superseded {
		return ""
	}
	return fmt.Sprintf("epoch %d", r.Epoch)
}

func (r *Row) took() string {
	if r.Epoch == 0 || r.Phase == v1alpha1.StepSkipped || r.Phase == v1alpha1.StepBlocked {
		return ""
	}
	return Duration(r.Took)
}

func (c columns) draw(rows []Row, style Style) (lines []string) {
	for i := range rows {
		row := &rows[i]
		mark := marks[row.Phase]
		if style.Color && row.Phase == v1alpha1.StepRunning && !row.Superseded {
			mark = pulse[style.Ticks%len(pulse)]
		}
		cells := []string{pad(row.Step, c.step)}
		for _, cell := range []struct {
			text  string
			width int
		}{{row.Agent, c.agent}, {row.epoch(), c.epoch}} {
			if cell.width > 0 {
				cells = append(cells, pad(cell.text, cell.width))
			}
		}
		cells = append(cells, strings.Repeat(" ", c.took-len(row.took()))+row.took(), row.Text)
		text := strings.TrimRight(strings.Join(cells, "  "), " ")
		switch {
		case row.Superseded && style.Color:
			text, mark = style.paint(struck, text), style.paint(faint, mark)
		case row.Superseded:
			text += "  (superseded)"
		case row.Phase == v1alpha1.StepPending || row.Phase == v1alpha1.StepSkipped:
			text, mark = style.paint(faint, text), style.paint(faint, mark)
		default:
			mark = style.paint(tones[string(row.Phase)], mark)
		}
		lines = append(lines, "  "+style.paint(faint, brace(rows, i))+mark+" "+text)
	}
	return lines
}

// brace joins the rows of a layer of a graph, whose steps run side by side.
func brace(rows []Row, i int) string {
	row := &rows[i]
	switch first, last := i == 0 || rows[i-1].Layer != row.Layer, i == len(rows)-1 || rows[i+1].Layer != row.Layer; {
	case row.Layer == 0:
		return ""
	case !row.Together:
		return "─ " // Nothing runs beside it but what it has superseded.
	case first:
		return "┌ "
	case last:
		return "└ "
	}
	return "│ "
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}

// fit leaves out rows for which there is no room: those that are farthest from where the work is.
func fit(rows []Row, lines []string, room int, style Style) []string {
	if len(lines) <= room {
		return lines
	}
	at := slices.IndexFunc(rows, func(r Row) bool {
		return !r.Superseded && (r.Phase == v1alpha1.StepRunning || r.Phase == v1alpha1.StepBackoff || r.Phase == v1alpha1.StepPending || r.Phase == v1alpha1.StepFailed)
	})
	if at < 0 {
		at = len(rows) - 1
	}
	if room < 4 { // There is no room for saying that there is more.
		at = min(at, len(lines)-room)
		return lines[at : at+room]
	}
	room -= 2 // For what is said of the rest.
	from := min(max(0, at-room/2), len(lines)-room)
	shown := slices.Clone(lines[from : from+room])
	if from > 0 {
		shown = slices.Insert(shown, 0, "  "+style.paint(faint, fmt.Sprintf("… %d more above", from)))
	}
	if below := len(lines) - from - room; below > 0 {
		shown = append(shown, "  "+style.paint(faint, fmt.Sprintf("… %d more below", below)))
	}
	return shown
}
