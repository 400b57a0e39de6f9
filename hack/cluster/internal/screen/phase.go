package screen

import (
	"fmt"
	"sync"
	"time"
)

// Phase is something that takes a while. On a terminal its line is redrawn every second; elsewhere it speaks
// up every 15 seconds, so that a short phase is one line in a log.
type Phase struct {
	screen  *Screen
	started time.Time
	stopped chan struct{}
	wait    sync.WaitGroup

	mu   sync.Mutex
	text string
}

// Start begins a phase; end it with Done or Fail.
func (s *Screen) Start(format string, args ...any) *Phase {
	p := &Phase{screen: s, started: time.Now(), stopped: make(chan struct{}), text: fmt.Sprintf(format, args...)}
	p.draw()
	p.wait.Go(p.run)
	return p
}

// Say replaces what the phase says it is doing.
func (p *Phase) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = fmt.Sprintf(format, args...)
}

// Done ends the phase well.
func (p *Phase) Done(format string, args ...any) {
	p.stop()
	p.screen.Done(time.Since(p.started), format, args...)
}

// Fail ends the phase badly; what went wrong is said by whoever returns the error.
func (p *Phase) Fail() {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.screen.line(p.screen.paint(red, "✗"), p.text, Duration(time.Since(p.started)))
}

// Drop ends the phase without a word: there was nothing to do.
func (p *Phase) Drop() {
	p.stop()
	if p.screen.terminal {
		p.screen.mu.Lock()
		defer p.screen.mu.Unlock()
		fmt.Fprint(p.screen.out, clearLine)
	}
}

func (p *Phase) stop() {
	close(p.stopped)
	p.wait.Wait()
}

func (p *Phase) run() {
	every := heartbeat
	if p.screen.terminal {
		every = time.Second / 5
	}
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		select {
		case <-p.stopped:
			return
		case <-ticks.C:
			if p.screen.terminal {
				p.draw()
				continue
			}
			p.mu.Lock()
			text := p.text
			p.mu.Unlock()
			p.screen.line(" ", text, Duration(time.Since(p.started).Round(time.Second)))
		}
	}
}

func (p *Phase) draw() {
	if !p.screen.terminal {
		return
	}
	p.mu.Lock()
	text := p.text
	p.mu.Unlock()
	p.screen.mu.Lock()
	defer p.screen.mu.Unlock()
	elapsed := Duration(time.Since(p.started).Truncate(time.Second / 10))
	fmt.Fprintf(p.screen.out, "%s%s %s  %s", clearLine, p.screen.paint(yellow, "…"), text, p.screen.paint(dim, elapsed))
}
