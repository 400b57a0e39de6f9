package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProcess turns the test binary into the step itself, for what only a process of its own can show.
const asProcess = "STEP_TEST_AS_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) != "" {
		main()
	}
	os.Exit(m.Run())
}

// environment is what the operator gives a container.
func environment(epoch string) func(string) string {
	return func(name string) string {
		return map[string]string{
			"WORKORDER_NAME":            "add-dark-mode",
			"WORKORDER_UID":             "uid-1",
			"WORKORDER_STEP":            "implement",
			"WORKORDER_EPOCH":           epoch,
			"WORKORDER_ATTEMPT":         "2",
			"WORKORDER_IDEMPOTENCY_KEY": "key-1",
		}[name]
	}
}

// result is what one run leaves behind.
type result struct {
	code             int
	log, termination string
}

func runStep(t *testing.T, epoch string, args ...string) result {
	t.Helper()
	termination := filepath.Join(t.TempDir(), "termination-log")
	var out strings.Builder
	args = append([]string{"--duration=0s", "--termination-log=" + termination}, args...)
	code := run(args, environment(epoch), &out, nil)
	message, err := os.ReadFile(termination)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return result{code, out.String(), string(message)}
}

func TestSuccessLeavesItsOutputAndSaysWhoItIs(t *testing.T) {
	got := runStep(t, "3", "--output=/feature")
	if got.code != 0 || got.termination != "/feature" {
		t.Errorf("exit code %d, termination message %q", got.code, got.termination)
	}
	for _, want := range []string{"add-dark-mode", "uid-1", "implement", "epoch 3", "attempt 2", "key-1", "25 % done", "50 % done", "100 % done", "succeeded"} {
		if !strings.Contains(got.log, want) {
			t.Errorf("the log does not say %q:\n%s", want, got.log)
		}
	}
}

func TestFailEpochsFailsUpToThatEpochOnly(t *testing.T) {
	for epoch, want := range map[string]int{"1": 7, "2": 7, "3": 0} {
		got := runStep(t, epoch, "--fail-epochs=2", "--exit-code=7")
		if got.code != want {
			t.Errorf("epoch %s: exit code %d, want %d", epoch, got.code, want)
		}
		if says := strings.Contains(got.termination, "--fail-epochs=2"); says != (want != 0) {
			t.Errorf("epoch %s: termination message %q", epoch, got.termination)
		}
	}
}

func TestHangEpochsGoesOnUntilStoppedUpToThatEpochOnly(t *testing.T) {
	signals := make(chan os.Signal)
	time.AfterFunc(50*time.Millisecond, func() { signals <- syscall.SIGTERM }) // Work that takes no time has ended by then.
	var out strings.Builder
	termination := filepath.Join(t.TempDir(), "termination-log")
	if code := run([]string{"--duration=0s", "--hang-epochs=2", "--termination-log=" + termination}, environment("2"), &out, signals); code != 143 {
		t.Errorf("exit code %d:\n%s", code, &out)
	}
	if got := runStep(t, "3", "--hang-epochs=2", "--output=done"); got.code != 0 || got.termination != "done" {
		t.Errorf("in the epoch after: %+v", got)
	}
}

func TestFailProbabilityIsRepeatableInSeedAndEpoch(t *testing.T) {
	failures := 0
	for epoch := 1; epoch <= 200; epoch++ {
		flags := []string{"--fail-probability=0.25", "--seed=42"}
		first, again := runStep(t, fmt.Sprint(epoch), flags...), runStep(t, fmt.Sprint(epoch), flags...)
		if first.code != again.code || first.termination != again.termination {
			t.Fatalf("epoch %d ended once as %+v and once as %+v", epoch, first, again)
		}
		failures += first.code
	}
	if failures < 25 || failures > 75 {
		t.Errorf("%d of 200 epochs failed at a probability of 0.25", failures)
	}
}

func TestFailProbabilityAtItsEnds(t *testing.T) {
	for epoch := 1; epoch <= 50; epoch++ {
		if got := runStep(t, fmt.Sprint(epoch), "--fail-probability=0"); got.code != 0 {
			t.Errorf("probability 0, epoch %d: exit code %d", epoch, got.code)
		}
		if got := runStep(t, fmt.Sprint(epoch), "--fail-probability=1"); got.code != 1 {
			t.Errorf("probability 1, epoch %d: exit code %d", epoch, got.code)
		}
	}
}

func TestWithoutASeedEachStepHasItsOwn(t *testing.T) {
	seeds := map[uint64]bool{}
	for _, step := range []string{"classify", "plan"} {
		for _, uid := range []string{"uid-1", "uid-2"} {
			first, again := attempt{uid: uid, step: step, epoch: 1}.seed(), attempt{uid: uid, step: step, epoch: 2}.seed()
			if first != again {
				t.Errorf("%s/%s has another seed in its next epoch", uid, step)
			}
			seeds[first] = true
		}
	}
	if len(seeds) != 4 {
		t.Errorf("4 steps share %d seeds", len(seeds))
	}
}

func TestLedgersGetOneLineAStartAndOneAnEnd(t *testing.T) {
	began := time.Now()
	starts, ends := filepath.Join(t.TempDir(), "starts"), filepath.Join(t.TempDir(), "ends")
	runStep(t, "1", "--start-ledger="+starts, "--end-ledger="+ends, "--fail-epochs=1", "--exit-code=3")
	runStep(t, "2", "--start-ledger="+starts, "--end-ledger="+ends, "--output=a \"b\"\nc")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for ledger, want := range map[string][]string{
		starts: {"uid-1/implement/1 " + host + " TIME alone", "uid-1/implement/2 " + host + " TIME alone"},
		ends: {
			"uid-1/implement/1 " + host + ` TIME 3 "asked to fail by --fail-epochs=1"`,
			"uid-1/implement/2 " + host + ` TIME 0 "a \"b\"\nc"`,
		},
	} {
		content, err := os.ReadFile(ledger)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
		for i, line := range got {
			words := strings.SplitN(line, " ", 4)
			at, err := time.Parse(time.RFC3339Nano, words[2])
			if err != nil || at.Before(began) || at.After(time.Now()) {
				t.Errorf("%q does not say when: %v", line, err)
			}
			words[2] = "TIME"
			got[i] = strings.Join(words, " ")
		}
		if !slices.Equal(got, want) {
			t.Errorf("the ledger holds %q; want %q", got, want)
		}
	}
}

func TestLedgerTellsWhenTwoAttemptsRunAtTheSameTime(t *testing.T) {
	ledger := filepath.Join(t.TempDir(), "ledger")
	start := func(step string, epoch int64, want string) *os.File {
		lock, err := appendStart(ledger, attempt{uid: "uid-1", step: step, epoch: epoch})
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(ledger)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(string(content))
		if got := words[len(words)-1]; got != want {
			t.Errorf("%s in epoch %d starts %s, want %s", step, epoch, got, want)
		}
		return lock
	}
	first := start("plan", 1, "alone")
	start("commit", 1, "alone").Close()
	start("plan", 2, "beside").Close()
	first.Close()
	start("plan", 3, "alone").Close()
}

func TestLedgerThatCannotBeWrittenStopsTheStep(t *testing.T) {
	got := runStep(t, "1", "--start-ledger="+filepath.Join(t.TempDir(), "missing", "ledger"))
	if got.code != exitUsage || !strings.Contains(got.log, "--start-ledger") {
		t.Errorf("%+v", got)
	}
}

func TestBadFlagsAreOneSentenceAndExitTwo(t *testing.T) {
	for _, flag := range []string{
		"--no-such-flag", "--duration=soon", "--duration=-1s", "--fail-probability=2", "--fail-probability=NaN",
		"--fail-probability=-0.1", "--seed=x", "--fail-epochs=-1", "--hang-epochs=-1", "--exit-code=0", "--exit-code=256", "classify",
	} {
		got := runStep(t, "1", flag)
		if got.code != exitUsage || strings.Count(got.log, "\n") != 1 || got.termination != "" {
			t.Errorf("%s: %+v", flag, got)
		}
	}
	for _, epoch := range []string{"soon", "0", "-1"} {
		if got := runStep(t, epoch); got.code != exitUsage || !strings.Contains(got.log, "WORKORDER_EPOCH") {
			t.Errorf("epoch %s: %+v", epoch, got)
		}
	}
}

func TestHelpNamesEveryFlagAndExitsZero(t *testing.T) {
	got := runStep(t, "1", "--help")
	for _, flag := range []string{"duration", "fail-probability", "seed", "fail-epochs", "hang-epochs", "exit-code", "output", "termination-log", "start-ledger", "end-ledger"} {
		if !strings.Contains(got.log, "-"+flag) {
			t.Errorf("no word of --%s:\n%s", flag, got.log)
		}
	}
	if got.code != 0 {
		t.Errorf("exit code %d", got.code)
	}
}

func TestOutsideAPodThereIsNothingMissing(t *testing.T) {
	var out strings.Builder
	nothing := func(string) string { return "" }
	termination := filepath.Join(t.TempDir(), "termination-log")
	if code := run([]string{"--duration=0s", "--output=x", "--termination-log=" + termination}, nothing, &out, nil); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &out)
	}
	if _, err := os.Stat(defaultTerminationLog); os.IsNotExist(err) {
		out.Reset()
		if code := run([]string{"--duration=0s", "--output=x"}, nothing, &out, nil); code != 0 || !strings.Contains(out.String(), "not in a Pod") {
			t.Errorf("exit code %d:\n%s", code, &out)
		}
		if _, err := os.Stat(defaultTerminationLog); !os.IsNotExist(err) {
			t.Errorf("%s was created", defaultTerminationLog)
		}
	}
}

func TestTermEndsAProcessPromptlyWith143(t *testing.T) {
	dir := t.TempDir()
	ledger, termination := filepath.Join(dir, "ledger"), filepath.Join(dir, "termination-log")
	step := exec.Command(os.Args[0], "--duration=1h", "--start-ledger="+ledger, "--termination-log="+termination)
	step.Env = append(os.Environ(), asProcess+"=1")
	var out strings.Builder
	step.Stdout = &out
	if err := step.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = step.Process.Kill() }()
	// The line in the ledger is the proof that it has started.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if line, _ := os.ReadFile(ledger); len(line) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it never started")
		}
	}
	signalled := time.Now()
	if err := step.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = step.Wait()
	if code := step.ProcessState.ExitCode(); code != 143 {
		t.Errorf("exit code %d", code)
	}
	message, err := os.ReadFile(termination)
	if err != nil || !strings.Contains(string(message), "stopped by SIGTERM") || !strings.Contains(out.String(), "stopped by SIGTERM") {
		t.Errorf("termination message %q, %v; log:\n%s", message, err, &out)
	}
	if took := time.Since(signalled); took > 2*time.Second {
		t.Errorf("it took %s to stop", took)
	}
}
