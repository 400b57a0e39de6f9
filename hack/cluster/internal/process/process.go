// Package process starts programs that outlive their starter, and remembers them well enough never to signal
// a stranger that has inherited a process number.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Record is a process that was started here. A process number comes round again, but not together with the
// same start time since the same boot.
type Record struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Ticks uint64 `json:"ticks"` // start time in clock ticks since boot
	Boot  string `json:"boot"`
}

// Spec is a program to start.
type Spec struct {
	Name string   // of the component, and of its record and log
	Path string   // of the executable
	Args []string // without the program's name
	Env  []string
}

// Child is a process started by this very program.
type Child struct {
	Record
	ended chan struct{}
}

// Start starts a program in a session of its own, with its output appended to a log.
func Start(spec Spec, log string) (*Child, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()

	command := exec.Command(spec.Path, spec.Args...)
	command.Env = spec.Env
	command.Dir = "/"
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", spec.Name, err)
	}
	child := &Child{Record: Record{Name: spec.Name, PID: command.Process.Pid}, ended: make(chan struct{})}
	// Until it is waited for, even a dead child keeps its number, so this reads about no other process.
	child.Ticks, err = startTicks(child.PID)
	if err == nil {
		child.Boot, err = bootID()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot remember %s: %w", spec.Name, err), command.Process.Kill(), command.Wait())
	}
	go func() {
		_ = command.Wait()
		close(child.ended)
	}()
	return child, nil
}

// Ended is closed when the child has ended.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Of is the record of a process that runs now, whoever started it.
func Of(name string, pid int) (Record, error) {
	ticks, err := startTicks(pid)
	if err != nil {
		return Record{}, err
	}
	boot, err := bootID()
	return Record{Name: name, PID: pid, Ticks: ticks, Boot: boot}, err
}

// Alive is whether the process runs, and is the one that was started.
func (r Record) Alive() bool {
	if boot, err := bootID(); err != nil || boot != r.Boot {
		return false
	}
	stat, err := readStat(r.PID)
	return err == nil && stat.ticks == r.Ticks && stat.state != "Z" && stat.state != "X"
}

// Stop asks the process to end, waits for it, and kills it when patience is at an end.
func (r Record) Stop(ctx context.Context, patience time.Duration) error {
	if err := r.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if r.gone(ctx, patience) {
		return nil
	}
	return r.Kill(ctx)
}

// Kill ends the process at once.
func (r Record) Kill(ctx context.Context) error {
	if err := r.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !r.gone(ctx, 10*time.Second) {
		return fmt.Errorf("%s (process %d) does not end, not even when killed; look at /proc/%d/stack", r.Name, r.PID, r.PID)
	}
	return nil
}

// signal goes through a process descriptor, which stays with this process even if it ends in between.
func (r Record) signal(which syscall.Signal) error {
	process, err := os.FindProcess(r.PID)
	if err != nil || !r.Alive() {
		return nil
	}
	defer process.Release()
	if err := process.Signal(which); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot signal %s (process %d): %w", r.Name, r.PID, err)
	}
	return nil
}

func (r Record) gone(ctx context.Context, patience time.Duration) bool {
	deadline := time.Now().Add(patience)
	for r.Alive() {
		if ctx.Err() != nil || time.Now().After(deadline) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}
