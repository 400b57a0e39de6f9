package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"workorders.dev/operator/hack/cluster/internal/host"
	"workorders.dev/operator/hack/cluster/internal/screen"
)

// standing is whose the machine's node is, seen from a state folder.
type standing int

const (
	free      standing = iota // nobody's
	ours                      // this state folder's
	taken                     // that of another one, which uses it
	abandoned                 // that of one that was deleted, or whose processes have all gone
)

// standingOf judges by whether the owner's state folder is still whole, and whether any of its processes run.
func standingOf(owner *host.Owner, state string, whole, running bool) standing {
	switch {
	case owner == nil:
		return free
	case whole && owner.Has(state):
		return ours
	case whole && running:
		return taken
	default:
		return abandoned
	}
}

// claim makes sure that the machine's node is nobody's or this state folder's, or says whose it is. It returns
// which of the two it is.
func claim(ctx context.Context, show *screen.Screen, l Layout) (standing, error) {
	owner, err := host.ReadOwner()
	if err != nil {
		return taken, err
	}
	running := len(deadComponents()) < len(components)
	whole, err := isWhole(owner)
	if err != nil {
		return taken, err
	}
	switch found := standingOf(owner, l.State, whole, running); found {
	case taken:
		return taken, fmt.Errorf("the cluster of another checkout, with its state in %s, has this machine's node: free it with `%s`", owner.State, downCommand(owner))
	case abandoned:
		show.Note("clearing away what is left of the cluster in %s", owner.State)
		return free, tearDown(ctx, Layout{State: owner.State})
	default:
		return found, nil
	}
}

// isWhole is whether the owner's state folder still has what its cluster proves itself with.
func isWhole(owner *host.Owner) (bool, error) {
	if owner == nil {
		return false, nil
	}
	_, err := os.Stat(Layout{State: owner.State}.pki("done"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// downCommand is how to take an owner's cluster down.
func downCommand(owner *host.Owner) string {
	return fmt.Sprintf("go -C %s run . down --state %s", owner.Module, owner.State)
}
