package node

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"workorders.dev/operator/controllers/steppod"
)

// work is what a container is to do.
type work struct {
	duration    time.Duration
	output      string
	failEpochs  int64
	evictEpochs int64
	exitCode    int
	hold        string
	fill        int
}

// What --hold names: the phase in which a Pod stays until somebody deletes it.
const (
	holdUnbound = "unbound"
	holdBound   = "bound"
	holdRunning = "running"
)

// outcome is how a container ends.
type outcome struct {
	exitCode int32
	message  string
	// reason is that of the Pod, if it was not the container that brought it to its end.
	reason  string
	evicted bool
}

// workOf reads a Pod's arguments.
func workOf(pod *corev1.Pod) (work, error) {
	var w work
	flags := flag.NewFlagSet(pod.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&w.duration, "duration", 0, "")
	flags.StringVar(&w.output, "output", "", "")
	flags.Int64Var(&w.failEpochs, "fail-epochs", 0, "")
	flags.Int64Var(&w.evictEpochs, "evict-epochs", 0, "")
	flags.IntVar(&w.exitCode, "exit-code", 1, "")
	flags.StringVar(&w.hold, "hold", "", "")
	flags.IntVar(&w.fill, "fill", 0, "")
	if err := flags.Parse(pod.Spec.Containers[0].Args); err != nil {
		return w, fmt.Errorf("arguments of Pod %s: %w", pod.Name, err)
	}
	if epochOf(pod) != 1 {
		w.hold = ""
	}
	return w, nil
}

// outcome is how the work ends in an epoch if nobody stops it.
func (w work) outcome(epoch int64) outcome {
	switch {
	case epoch <= w.evictEpochs:
		return outcome{exitCode: exitKilled, message: "evicted", reason: "Evicted", evicted: true}
	case epoch <= w.failEpochs:
		return outcome{exitCode: int32(w.exitCode), message: w.filled(fmt.Sprintf("failed in epoch %d", epoch))}
	}
	return outcome{message: w.filled(w.output)}
}

// filled is a message, made as long as --fill says.
func (w work) filled(message string) string {
	return message + strings.Repeat("x", max(0, w.fill-len(message)))
}

// Exit codes of a container that was told to stop, and of one that was not asked.
const (
	exitTerminated = 143
	exitKilled     = 137
)

// The outcomes that somebody else brings about.
var (
	stoppedOutcome = outcome{exitCode: exitTerminated, message: "stopped by its deadline", reason: "DeadlineExceeded"}
	deletedOutcome = outcome{exitCode: exitTerminated, message: "deleted"}
	lostOutcome    = outcome{exitCode: exitKilled, message: "its node died"}
)

// epochOf is the epoch in a Pod's labels; 0 for a Pod of no order.
func epochOf(pod *corev1.Pod) int64 {
	epoch, err := strconv.ParseInt(pod.Labels[steppod.LabelEpoch], 10, 64)
	if err != nil {
		return 0
	}
	return epoch
}
