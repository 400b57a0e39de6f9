// Command step stands in for a real step of a WorkOrder: it takes some time, says how far it is, and then succeeds
// or fails exactly as its flags ask. Samples, demos and tests run it as the image workorders.dev/step:dev; it runs
// outside a Pod just as well.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// exitUsage is what a mistake in the flags or in the environment ends with, so that it cannot be taken for a failure
// that was asked for.
const exitUsage = 2

func main() {
	// Before all else: a process that is number 1 in its container ignores every signal that it has not asked for.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, signals))
}

// run is the whole life of one attempt; it returns the exit code.
func run(args []string, getenv func(string) string, out io.Writer, signals <-chan os.Signal) int {
	options, err := parseOptions(args, out)
	if err != nil {
		fmt.Fprintln(out, err)
		return exitUsage
	}
	if options.help {
		return 0
	}
	attempt, err := attemptFrom(getenv)
	if err != nil {
		fmt.Fprintln(out, err)
		return exitUsage
	}
	// The ledger comes before any other effect: it is the witness of a start, also of one that is killed at once.
	if options.ledger != "" {
		lock, err := appendStart(options.ledger, attempt)
		if err != nil {
			fmt.Fprintln(out, err)
			return exitUsage
		}
		defer lock.Close()
	}

	logger := log.New(out, "", log.LstdFlags|log.Lmsgprefix)
	logger.Printf("%s starts and will take %s", attempt, options.duration)
	message, code := work(options, attempt, logger, signals)
	if message != "" {
		if err := writeTermination(options.terminationLog, message); err != nil {
			logger.Print(err)
		}
	}
	// After all else: whoever reads of this end may rely on what was left behind.
	if options.ends != "" {
		if err := appendEnd(options.ends, attempt, code, message); err != nil {
			logger.Print(err)
		}
	}
	return code
}

// work waits out the duration, and says what to leave behind as the termination message and the exit code.
func work(options options, attempt attempt, logger *log.Logger, signals <-chan os.Signal) (string, int) {
	began := time.Now()
	if attempt.epoch <= options.hangEpochs {
		logger.Printf("goes on until stopped, as asked by --hang-epochs=%d", options.hangEpochs)
		return stopped(<-signals, began, logger)
	}
	for quarter := 1; quarter <= 4; quarter++ {
		select {
		case got := <-signals:
			return stopped(got, began, logger)
		case <-time.After(time.Until(began.Add(options.duration * time.Duration(quarter) / 4))):
			logger.Printf("%d %% done", quarter*25)
		}
	}
	if reason := failure(options, attempt); reason != "" {
		logger.Printf("failed: %s", reason)
		return reason, options.exitCode
	}
	logger.Print("succeeded")
	return options.output, 0
}

// stopped is what a signal leaves behind, and the exit code.
func stopped(by os.Signal, began time.Time, logger *log.Logger) (string, int) {
	name, code := signalExit(by)
	message := fmt.Sprintf("stopped by %s after %s", name, time.Since(began).Round(time.Millisecond))
	logger.Print(message)
	return message, code
}

// signalExit is the signal's name, and the exit code by which a shell would report it.
func signalExit(got os.Signal) (string, int) {
	if got == syscall.SIGINT {
		return "SIGINT", 130
	}
	return "SIGTERM", 143
}
