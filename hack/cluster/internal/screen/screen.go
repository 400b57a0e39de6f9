// Package screen shows a person what is going on: one line a phase, with how long it took.
package screen

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// heartbeat is how often a running phase says where it is when its output goes to a file.
const heartbeat = 15 * time.Second

const (
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	dim    = "\x1b[2m"
	plain  = "\x1b[0m"

	clearLine = "\r\x1b[K"
)

// Screen writes phases and notes to one writer. It redraws a line in place only on a terminal.
type Screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	colors   bool
}

// New returns a screen on a file, which may be a terminal.
func New(out *os.File) *Screen {
	terminal := term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb"
	return &Screen{out: out, terminal: terminal, colors: terminal && os.Getenv("NO_COLOR") == ""}
}

// Note says something that is true and took no time.
func (s *Screen) Note(format string, args ...any) {
	s.line(s.paint(dim, "·"), fmt.Sprintf(format, args...), "")
}

// Warn says something that a person should read.
func (s *Screen) Warn(format string, args ...any) {
	s.line(s.paint(yellow, "!"), fmt.Sprintf(format, args...), "")
}

// Done says that something has been done, and for how long.
func (s *Screen) Done(took time.Duration, format string, args ...any) {
	s.line(s.paint(green, "✓"), fmt.Sprintf(format, args...), Duration(took))
}

func (s *Screen) line(mark, text, took string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.terminal {
		fmt.Fprint(s.out, clearLine)
	}
	if took != "" {
		took = "  " + s.paint(dim, took)
	}
	fmt.Fprintf(s.out, "%s %s%s\n", mark, text, took)
}

func (s *Screen) paint(color, text string) string {
	if !s.colors {
		return text
	}
	return color + text + plain
}

// Duration is a length of time as people say it: 4.1 s, 2 min 5 s.
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	default:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
}
