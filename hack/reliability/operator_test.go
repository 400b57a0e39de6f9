package reliability

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// process is the operator as a process of its own. Like one that a kubelet looks after, it is started again whenever it
// ends, but at once.
type process struct {
	binary     string
	kubeconfig string
	env        []string
	args       []string

	mu      sync.Mutex
	command *exec.Cmd
	ended   chan struct{} // Closed when command has ended.
	wanted  bool
	killed  bool
	deaths  []string
	deposed int // How often it ended as it did not lead any more.
	said    tail
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = true
	return p.launch()
}

func (p *process) launch() error {
	p.command = exec.Command(p.binary, append([]string{"--metrics-bind-address=0", "--health-probe-bind-address=127.0.0.1:0"}, p.args...)...)
	p.command.Env = append(append(os.Environ(), "KUBECONFIG="+p.kubeconfig), p.env...)
	p.command.Stdout, p.command.Stderr = &p.said, &p.said
	p.ended, p.killed = make(chan struct{}), false
	if err := p.command.Start(); err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	go p.lookAfter(p.command, p.ended)
	return nil
}

// lookAfter waits for the end of a process, and starts the next one.
func (p *process) lookAfter(command *exec.Cmd, ended chan struct{}) {
	err := command.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch said := p.said.String(); {
	case p.killed:
	case slices.Contains(p.args, "--leader-elect") && strings.Contains(said, "leader election lost"):
		p.deposed++
	default:
		p.deaths = append(p.deaths, fmt.Sprintf("the operator ended by itself: %v\n%s", err, said))
	}
	if p.wanted {
		if err := p.launch(); err != nil {
			p.deaths = append(p.deaths, err.Error())
		}
	}
	close(ended)
}

// kill ends the operator as a power cut would, and returns when it has gone. The next one starts at once.
func (p *process) kill() {
	p.mu.Lock()
	ended := p.ended
	if !p.killed {
		p.killed = true
		_ = p.command.Process.Kill() // It may have ended by itself, which is noted elsewhere.
	}
	p.mu.Unlock()
	<-ended
}

// become replaces the operator by another one.
func (p *process) become(binary string) {
	p.mu.Lock()
	p.binary = binary
	p.mu.Unlock()
	p.kill()
}

// stop ends it for good.
func (p *process) stop() {
	p.mu.Lock()
	p.wanted = false
	p.mu.Unlock()
	p.kill()
}

// freeze stops it where it is, and thaw lets it go on as if no time had passed.
func (p *process) freeze() { p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.signal(syscall.SIGCONT) }

func (p *process) signal(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.deaths = append(p.deaths, err.Error())
	}
}

// pid is the process that runs now.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.command.Process.Pid
}

// ousted is how often it ended as it did not lead any more.
func (p *process) ousted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deposed
}

// complaints are the ends that nobody brought about, since it was last asked.
func (p *process) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	deaths := p.deaths
	p.deaths = nil
	return deaths
}

// tail keeps the end of what is written to it.
type tail struct {
	mu      sync.Mutex
	content []byte
}

// tailLength is as much as a person reads of a log.
const tailLength = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.content = append(t.content, p...)
	t.content = t.content[max(0, len(t.content)-tailLength):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.content)
}
