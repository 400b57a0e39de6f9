package host

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// UnmountBelow unmounts whatever is mounted at or below the folders, last mounted first. It fails if anything
// stays mounted: who removes the folders would remove what is in there, which may be somebody's own.
func UnmountBelow(folders ...string) error {
	points, err := mountPointsBelow(folders)
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range slices.Backward(points) {
		if err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			errs = append(errs, fmt.Errorf("cannot unmount %s: %w", point, err))
		}
	}
	left, err := mountPointsBelow(folders)
	if err != nil || len(left) > 0 {
		return errors.Join(append(errs, err, fmt.Errorf("unmount by hand, and try again: %s", strings.Join(left, " ")))...)
	}
	return nil // a mount that went by itself could not be unmounted, and need not be
}

func mountPointsBelow(folders []string) ([]string, error) {
	points, err := mountPoints()
	return slices.DeleteFunc(points, func(point string) bool {
		return !slices.ContainsFunc(folders, func(folder string) bool { return within(point, folder) })
	}), err
}

// Mounted is whether something is mounted at the path.
func Mounted(path string) bool {
	points, err := mountPoints()
	return err == nil && slices.Contains(points, path)
}

// MountVolumes makes the provisioner's folder a view of one in the state folder, so that all there is in it
// belongs to this cluster and goes with it.
func MountVolumes(inState string) error {
	if Mounted(Volumes) {
		return nil
	}
	for _, folder := range []string{inState, Volumes} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount(inState, Volumes, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cannot mount %s at %s: %w", inState, Volumes, err)
	}
	return nil
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

func mountPoints() ([]string, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 4 {
			points = append(points, unescape(fields[4]))
		}
	}
	return points, nil
}

// unescape turns \040 and the like back into what they stand for.
func unescape(path string) string {
	var plain strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' && i+3 < len(path) {
			if code, err := strconv.ParseUint(path[i+1:i+4], 8, 8); err == nil {
				plain.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		plain.WriteByte(path[i])
	}
	return plain.String()
}
