package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// attempt is who this process is, as the operator told it through the environment.
type attempt struct {
	order, uid, step, number, key string
	epoch                         int64
}

// attemptFrom reads the environment. Outside a Pod nothing is set, and it is the first epoch of a step without a name.
func attemptFrom(getenv func(string) string) (attempt, error) {
	value := func(name, otherwise string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return otherwise
	}
	epoch, err := strconv.ParseInt(value("WORKORDER_EPOCH", "1"), 10, 64)
	if err != nil || epoch < 1 {
		return attempt{}, fmt.Errorf("WORKORDER_EPOCH=%q is no epoch: set it to a whole number from 1, or unset it", getenv("WORKORDER_EPOCH"))
	}
	return attempt{
		order:  value("WORKORDER_NAME", "none"),
		uid:    value("WORKORDER_UID", "none"),
		step:   value("WORKORDER_STEP", "none"),
		number: value("WORKORDER_ATTEMPT", "1"),
		key:    value("WORKORDER_IDEMPOTENCY_KEY", "none"),
		epoch:  epoch,
	}, nil
}

func (a attempt) String() string {
	return fmt.Sprintf("order %s (%s), step %s, epoch %d, attempt %s, idempotency key %s",
		a.order, a.uid, a.step, a.epoch, a.number, a.key)
}

// failure says in one sentence why this attempt fails, or nothing if it does not.
func failure(o options, a attempt) string {
	if a.epoch <= o.failEpochs {
		return fmt.Sprintf("asked to fail by --fail-epochs=%d", o.failEpochs)
	}
	seed := a.seed()
	if o.seed != nil {
		seed = *o.seed
	}
	// The epoch is the other half of the generator's state, so each epoch is a new draw and a repeated one is not.
	if rand.New(rand.NewPCG(seed, uint64(a.epoch))).Float64() < o.failProbability {
		return fmt.Sprintf("failed by chance (--fail-probability=%v, seed %d)", o.failProbability, seed)
	}
	return ""
}

// seed differs between the steps of all orders and is the same whenever one of them is run again; without an order
// it is drawn by lot.
func (a attempt) seed() uint64 {
	if a.uid == "none" {
		return rand.Uint64()
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(a.uid + "/" + a.step))
	return hash.Sum64()
}

// appendStart adds the line by which a test counts starts, and knows whether two attempts of a step ran at the same time.
// The lock that it returns goes with the process, however that ends: it is to be kept until then.
func appendStart(path string, a attempt) (lock *os.File, err error) {
	lock, err = os.OpenFile(fmt.Sprintf("%s-%s-%s", path, a.uid, a.step), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("there is no lock beside the start ledger: give --start-ledger a folder that can be written (%w)", err)
	}
	company := "alone"
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		company = "beside"
	}
	return lock, appendLine("start", path, a, company)
}

// appendEnd adds the line by which a test knows what ran beside what, and what was said of it to the kubelet.
func appendEnd(path string, a attempt, code int, message string) error {
	return appendLine("end", path, a, strconv.Itoa(code), strconv.Quote(message))
}

// appendLine says who is there and when. One write with O_APPEND, so that lines of several Pods on one volume never
// mix; synced, so that it outlives the node.
func appendLine(which, path string, a attempt, more ...string) (err error) {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("the host has no name for the %s ledger: set one (%w)", which, err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("the %s ledger cannot be opened: give --%s-ledger a file that can be written (%w)", which, which, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	words := append([]string{fmt.Sprintf("%s/%s/%d", a.uid, a.step, a.epoch), host, time.Now().UTC().Format(time.RFC3339Nano)}, more...)
	if _, err := fmt.Fprintln(file, strings.Join(words, " ")); err != nil {
		return fmt.Errorf("the %s ledger cannot be written: make room on its volume (%w)", which, err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("the %s ledger cannot be synced: put it on a volume that can (%w)", which, err)
	}
	return nil
}

// writeTermination leaves the message where the kubelet picks it up. The default file is only ever written to, never
// created: outside a Pod it does not exist, and nothing is missing there.
func writeTermination(path, message string) error {
	mode := os.O_WRONLY | os.O_TRUNC
	if path != defaultTerminationLog {
		mode |= os.O_CREATE
	}
	file, err := os.OpenFile(path, mode, 0o644)
	if errors.Is(err, fs.ErrNotExist) && path == defaultTerminationLog {
		return fmt.Errorf("not in a Pod, so the termination message is only said here: %s", message)
	}
	if err != nil {
		return fmt.Errorf("the termination message cannot be written: give --termination-log a file that can be (%w)", err)
	}
	_, err = file.WriteString(message)
	return errors.Join(err, file.Close())
}
