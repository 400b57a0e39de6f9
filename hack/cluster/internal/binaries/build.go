package binaries

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"workorders.dev/operator/hack/cluster/internal/screen"
)

// needed is what a build from nothing takes: the modules, the compiled packages, the binary and its parts.
const needed = 6 << 30

// build compiles the multi-call binary, counting packages on the screen while it does.
func build(ctx context.Context, show *screen.Screen, moduleDir, out, version string) error {
	phase := show.Start("finding the sources of Kubernetes %s", version)
	total, err := countPackages(ctx, moduleDir)
	if err != nil {
		phase.Fail()
		return err
	}
	command := goCommand(ctx, moduleDir, "build", "-v", "-trimpath", "-buildvcs=false",
		"-ldflags", linkerFlags(version), "-o", out, "./"+multiCall)
	progress, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		phase.Fail()
		return fmt.Errorf("cannot run the go command; put it on the PATH: %w", err)
	}
	complaints := follow(progress, phase, total, version)
	if err := command.Wait(); err != nil {
		phase.Fail()
		return fmt.Errorf("building Kubernetes %s failed: %w\n%s", version, err, complaints)
	}
	phase.Done("Kubernetes %s built", version)
	return nil
}

// follow counts the packages that the compiler names, and returns what else it says.
func follow(progress io.Reader, phase *screen.Phase, total int, version string) string {
	var complaints []string
	built := 0
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			phase.Say("downloading %s", strings.TrimPrefix(line, "go: downloading "))
		case line != "" && !strings.ContainsAny(line, " \t:"):
			built++
			phase.Say("building Kubernetes %s: %d of %d packages", version, built, total)
		default:
			complaints = append(complaints, line)
		}
	}
	if len(complaints) > 20 {
		complaints = complaints[:20]
	}
	return strings.Join(complaints, "\n")
}

// countPackages also downloads what is missing, so that it cannot be said to be quick.
func countPackages(ctx context.Context, moduleDir string) (int, error) {
	command := goCommand(ctx, moduleDir, "list", "-deps", "./"+multiCall)
	var complaints strings.Builder
	command.Stderr = &complaints
	packages, err := command.Output()
	if err != nil {
		return 0, fmt.Errorf("cannot find the sources of Kubernetes; is the Go module proxy within reach? %w\n%s", err, complaints.String())
	}
	return strings.Count(string(packages), "\n"), nil
}

// goCommand runs in the module as it is, whatever workspace the user has around it.
func goCommand(ctx context.Context, moduleDir string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = moduleDir
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS=linux")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	return command
}

func enoughSpace(dir string) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return err
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < needed {
		return fmt.Errorf("building Kubernetes takes about %d GiB of disk, and %s has %.1f GiB left; free some space, or move the cache with XDG_CACHE_HOME and GOCACHE",
			needed>>30, dir, float64(free)/(1<<30))
	}
	return nil
}
