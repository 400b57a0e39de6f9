package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"workorders.dev/operator/hack/cluster/internal/screen"
)

const lockFile = RunDir + ".lock"

// Lock keeps other runs of this program away from the node while one of them changes it. Any checkout's run
// counts; it is not what makes the node belong to a checkout (see Owner).
func Lock(ctx context.Context, show *screen.Screen) (unlock func(), err error) {
	var phase *screen.Phase
	for {
		file, err := tryLock()
		if err == nil {
			if phase != nil {
				phase.Done("it is our turn")
			}
			return func() {
				os.Remove(lockFile) // while still locked: nobody locks a file that has lost its name
				file.Close()
			}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("cannot lock %s: %w", lockFile, err)
		}
		if phase == nil {
			phase = show.Start("waiting for another run of this program to finish")
		}
		select {
		case <-ctx.Done():
			phase.Fail()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tryLock fails as if the lock were held when the file it has locked was removed by the one before.
func tryLock() (*os.File, error) {
	file, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, err
	}
	ours, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	if there, err := os.Stat(lockFile); err != nil || !os.SameFile(ours, there) {
		file.Close()
		return nil, unix.EWOULDBLOCK
	}
	return file, nil
}

// Owner is the checkout that the machine's node belongs to.
type Owner struct {
	State  string `json:"state"`  // its state folder
	Module string `json:"module"` // where this program's sources are
}

// ReadOwner returns nobody (and no error) if the node belongs to no one.
func ReadOwner() (*Owner, error) {
	content, err := os.ReadFile(ownerFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	owner := &Owner{}
	if err := json.Unmarshal(content, owner); err != nil {
		return nil, fmt.Errorf("%s is damaged; remove it if no cluster runs: %w", ownerFile(), err)
	}
	return owner, nil
}

// Has is whether the node belongs to the state folder. It may be asked of nobody.
func (o *Owner) Has(state string) bool { return o != nil && o.State == state }

// Write makes the node the owner's.
func (o Owner) Write() error {
	content, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(RunDir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(ownerFile(), content, 0o644)
}

// Release makes the node nobody's.
func Release() error {
	return os.RemoveAll(RunDir)
}

func ownerFile() string { return filepath.Join(RunDir, "owner.json") }
