package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"
)

// defaultTerminationLog is where the kubelet looks for a container's last words unless the Pod says otherwise.
const defaultTerminationLog = "/dev/termination-log"

// options is what the flags ask for.
type options struct {
	duration        time.Duration
	failProbability float64
	// seed is nil unless the flag was given: then one is drawn from the attempt.
	seed           *uint64
	failEpochs     int64
	hangEpochs     int64
	exitCode       int
	output         string
	terminationLog string
	ledger, ends   string
	help           bool
}

// parseOptions reads the flags; its error is one sentence that says what to change.
func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("step", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&o.duration, "duration", 2*time.Second, "how long the work takes")
	flags.Float64Var(&o.failProbability, "fail-probability", 0, "fail with this probability, from 0 to 1")
	flags.Func("seed", "makes --fail-probability repeatable: the same seed and epoch always end the same way", func(s string) error {
		seed, err := strconv.ParseUint(s, 10, 64)
		o.seed = &seed
		return err
	})
	flags.Int64Var(&o.failEpochs, "fail-epochs", 0, "fail in every epoch up to this one")
	flags.Int64Var(&o.hangEpochs, "hang-epochs", 0, "go on until stopped in every epoch up to this one")
	flags.IntVar(&o.exitCode, "exit-code", 1, "the exit code of a failure, from 1 to 255")
	flags.StringVar(&o.output, "output", "", "left behind as the termination message on success")
	flags.StringVar(&o.terminationLog, "termination-log", defaultTerminationLog, "the file for the termination message")
	flags.StringVar(&o.ledger, "start-ledger", "", "append one line to this file at the start: UID/STEP/EPOCH HOSTNAME TIME and alone, or beside if another attempt of the step still runs")
	flags.StringVar(&o.ends, "end-ledger", "", "append one line to this file at the end: UID/STEP/EPOCH HOSTNAME TIME EXIT-CODE MESSAGE")

	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		o.help = true
		flags.SetOutput(out)
		flags.PrintDefaults()
		return o, nil
	case err != nil:
		return o, fmt.Errorf("%w: see step --help for the flags", err)
	}
	return o, o.check(flags.Args())
}

// check refuses what the flag package lets through.
func (o options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("there is no use for %q: give everything as a flag, see step --help", rest[0])
	case o.duration < 0:
		return fmt.Errorf("--duration=%s is negative: give 0s or more", o.duration)
	// Written so that NaN is refused too.
	case !(o.failProbability >= 0 && o.failProbability <= 1):
		return fmt.Errorf("--fail-probability=%v is not a probability: give a number from 0 to 1", o.failProbability)
	case o.failEpochs < 0:
		return fmt.Errorf("--fail-epochs=%d is negative: give 0 or more", o.failEpochs)
	case o.hangEpochs < 0:
		return fmt.Errorf("--hang-epochs=%d is negative: give 0 or more", o.hangEpochs)
	case o.exitCode < 1 || o.exitCode > 255:
		return fmt.Errorf("--exit-code=%d is no failure: give a number from 1 to 255", o.exitCode)
	}
	return nil
}
