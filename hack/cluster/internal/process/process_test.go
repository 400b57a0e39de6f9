package process

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestStatIsReadBehindAnyName(t *testing.T) {
	const fields = "S 1 2 2 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0"
	for _, name := range []string{"(etcd)", "(a) b)", "(S 1 2 3)", "()"} {
		got, err := parseStat("42 " + name + " " + fields)
		if err != nil || got.state != "S" || got.ticks != 4711 {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	if _, err := parseStat("42 (etcd) S"); err == nil {
		t.Error("half a line is read as if it were whole")
	}
}

func TestAStrangerWithTheSameNumberIsNotAlive(t *testing.T) {
	self, err := Of("self", os.Getpid())
	if err != nil || !self.Alive() {
		t.Fatalf("this very process is not alive: %v", err)
	}
	later, elsewhere := self, self
	later.Ticks++
	elsewhere.Boot = "another"
	for name, record := range map[string]Record{"started at another time": later, "of another boot": elsewhere, "none": {Name: "none"}} {
		if record.Alive() {
			t.Errorf("a process %s is alive", name)
		}
		// Would end the test if it hit.
		if err := record.Stop(context.Background(), time.Second); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLifeOfAProcess(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	child, err := Start(Spec{Name: "shell", Path: "/bin/sh", Args: []string{"-c", "echo begun; exec sleep 60"}}, log)
	if err != nil {
		t.Fatal(err)
	}
	awaitLog(t, log, "begun\n")
	if err := child.Save(dir); err != nil {
		t.Fatal(err)
	}
	record, err := Load(dir, "shell")
	if err != nil || record != child.Record || !record.Alive() {
		t.Fatalf("got %+v, %v, want %+v", record, err, child.Record)
	}
	if session, err := getSession(record.PID); err != nil || session != record.PID {
		t.Errorf("it is in session %d (%v), which may end before it", session, err)
	}
	if err := record.Stop(context.Background(), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	<-child.Ended()
	if record.Alive() {
		t.Error("it is alive after its end")
	}
	if err := Forget(dir, "shell"); err != nil {
		t.Error(err)
	}
	if record, err := Load(dir, "shell"); err != nil || record.Alive() {
		t.Errorf("forgotten, it is %+v, %v", record, err)
	}
	awaitLog(t, log, "begun\n")
}

// awaitLog waits until a process has written that, and nothing else: on a busy machine it starts late.
func awaitLog(t *testing.T, log, want string) {
	t.Helper()
	var content []byte
	for range 1000 {
		content, _ = os.ReadFile(log)
		if string(content) == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("its log is %q", content)
}

func TestOneThatDoesNotListenIsKilled(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	child, err := Start(Spec{Name: "deaf", Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"}}, log)
	if err != nil {
		t.Fatal(err)
	}
	awaitLog(t, log, "deaf\n") // Only then has it stopped listening.
	if err := child.Stop(context.Background(), 100*time.Millisecond); err != nil {
		t.Error(err)
	}
	<-child.Ended()
}

func getSession(pid int) (int, error) {
	session, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(pid), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(session), nil
}
