package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"workorders.dev/operator/hack/freeport"
	"workorders.dev/operator/hack/usage"
)

// Operator is the operator as a process.
type Operator struct {
	// Kubeconfig is the file by which it finds the API server.
	Kubeconfig string
	// Log is where what it says goes; nowhere if it is empty.
	Log string
	// Args are added to its command line.
	Args []string
	// Died is told if it ends although nobody stopped it.
	Died func(error)

	binary                  string
	metrics, probe, profile string
	process                 *process
}

// process is one that this one has started.
type process struct {
	command *exec.Cmd
	// ended is closed when it has ended, and how says how.
	ended chan struct{}
	how   error
	// stopping is closed before it is told to end.
	stopping chan struct{}
}

// launch starts a process, in a process group of its own, as who presses Ctrl-C means this one: it has to tidy up, and needs
// the others for that. If it ends before it is stopped, died is told.
func launch(command *exec.Cmd, died func(error)) (*process, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(command.Path), err)
	}
	p := &process{command: command, ended: make(chan struct{}), stopping: make(chan struct{})}
	go func() {
		p.how = command.Wait()
		close(p.ended)
		select {
		case <-p.stopping:
		default:
			died(fmt.Errorf("%s ended by itself: %w", filepath.Base(command.Path), errors.Join(p.how, errEnded)))
		}
	}()
	return p, nil
}

// errEnded says that a process has ended, even if it says that all is well.
var errEnded = errors.New("it has ended")

// over says whether it has ended.
func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// stopTimeout is how long a process may take to end.
const stopTimeout = 45 * time.Second

// stop ends it as a kubelet does, and returns when it has ended.
func (p *process) stop() error {
	close(p.stopping)
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", filepath.Base(p.command.Path), err)
	}
	select {
	case <-p.ended:
		return p.how
	case <-time.After(stopTimeout):
		_ = p.command.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end within %s of TERM", filepath.Base(p.command.Path), stopTimeout)
	}
}

// Start starts it, unless it runs, and returns when it is ready: when its caches are filled.
func (o *Operator) Start(ctx context.Context) error {
	if o.process != nil && !o.process.over() {
		return nil
	}
	for _, address := range []*string{&o.metrics, &o.probe, &o.profile} {
		port, err := freeport.Next()
		if err != nil {
			return err
		}
		*address = fmt.Sprintf("127.0.0.1:%d", port)
	}
	command := exec.Command(o.binary, append([]string{
		"--metrics-bind-address=" + o.metrics, "--health-probe-bind-address=" + o.probe, "--pprof-bind-address=" + o.profile,
	}, o.Args...)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+o.Kubeconfig)
	if o.Log != "" {
		log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer log.Close()
		command.Stdout, command.Stderr = log, log
	}
	var err error
	if o.process, err = launch(command, o.Died); err != nil {
		return err
	}
	return Until(ctx, time.Minute, "the operator to be ready", o.ready)
}

func (o *Operator) ready() (bool, error) {
	if o.process.over() {
		return false, fmt.Errorf("it has ended: %w", o.process.how)
	}
	reply, err := patient.Get("http://" + o.probe + "/readyz")
	if err != nil {
		return false, nil // It does not listen yet.
	}
	return reply.StatusCode == http.StatusOK, reply.Body.Close()
}

// patient waits for an answer, but not for ever.
var patient = &http.Client{Timeout: time.Minute}

// Stop ends it, if it runs.
func (o *Operator) Stop() error {
	if o.process == nil || o.process.over() {
		return nil
	}
	return o.process.stop()
}

// Usage is what it has used so far.
func (o *Operator) Usage() (usage.Usage, error) { return usage.Of(o.process.command.Process.Pid) }

// Metrics are its metrics as they are now.
func (o *Operator) Metrics() (Metrics, error) {
	reply, err := patient.Get("http://" + o.metrics + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read the operator's metrics: %w", err)
	}
	defer reply.Body.Close()
	return parseMetrics(reply.Body)
}

// Profile writes one of its profiles to a file, for `go tool pprof`: "profile?seconds=10", "heap", "allocs".
func (o *Operator) Profile(what, file string) (err error) {
	reply, err := patient.Get("http://" + o.profile + "/debug/pprof/" + what)
	if err != nil {
		return fmt.Errorf("profile the operator: %w", err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("profile the operator: %s", reply.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, reply.Body)
	return err
}
