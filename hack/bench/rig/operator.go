package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
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

	binary         string
	metrics, probe string
	command        *exec.Cmd
	ended          chan error
}

// Start starts it, if it does not run, and returns when it is ready.
func (o *Operator) Start(ctx context.Context) error {
	if o.command != nil {
		return nil
	}
	for _, address := range []*string{&o.metrics, &o.probe} {
		port, err := freeport.Next()
		if err != nil {
			return err
		}
		*address = fmt.Sprintf("127.0.0.1:%d", port)
	}
	command := exec.Command(o.binary, "--metrics-bind-address="+o.metrics, "--health-probe-bind-address="+o.probe)
	command.Env = append(os.Environ(), "KUBECONFIG="+o.Kubeconfig)
	if o.Log != "" {
		log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer log.Close()
		command.Stdout, command.Stderr = log, log
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	o.command, o.ended = command, make(chan error, 1)
	go func() { o.ended <- command.Wait() }()
	return Until(ctx, time.Minute, "the operator to be ready", o.ready)
}

func (o *Operator) ready() (bool, error) {
	select {
	case err := <-o.ended:
		o.command = nil
		return false, fmt.Errorf("it has ended: %w", err)
	default:
	}
	reply, err := http.Get("http://" + o.probe + "/readyz")
	if err != nil {
		return false, nil // It does not listen yet.
	}
	return reply.StatusCode == http.StatusOK, reply.Body.Close()
}

// Stop ends it as a kubelet does, and returns when it has ended.
func (o *Operator) Stop() error {
	if o.command == nil {
		return nil
	}
	command := o.command
	o.command = nil
	if err := command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the operator: %w", err)
	}
	if err := <-o.ended; err != nil {
		return fmt.Errorf("the operator ended badly: %w", err)
	}
	return nil
}

// Usage is what it has used so far.
func (o *Operator) Usage() (usage.Usage, error) { return usage.Of(o.command.Process.Pid) }

// Metrics are its metrics as they are now.
func (o *Operator) Metrics() (Metrics, error) {
	reply, err := http.Get("http://" + o.metrics + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read the operator's metrics: %w", err)
	}
	defer reply.Body.Close()
	return parseMetrics(reply.Body)
}
