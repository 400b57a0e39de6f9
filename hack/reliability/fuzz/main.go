// Command fuzz runs every fuzz target of this module for a while, one after the other, and adds to the report how many
// inputs each has had. It finds the targets itself, so that none is forgotten.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"workorders.dev/operator/hack/reliability/report"
)

func main() {
	each := flag.Duration("time", 25*time.Second, "How long each target runs.")
	flag.Parse()
	if err := run(context.Background(), *each); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// patience is how long a target may take to be compiled: the first one brings all its dependencies along, instrumented.
const patience = 15 * time.Minute

func run(ctx context.Context, each time.Duration) error {
	began := time.Now()
	found, err := targets(".")
	if err != nil {
		return err
	}
	line := report.Line{Row: "S1", Harness: "unit", Unit: "fuzzed inputs", Full: report.Full(), Notes: []string{fmt.Sprintf("%d fuzz targets, %s each", len(found), each)}}
	var failed []string
	for _, target := range found {
		fmt.Printf("== %s in %s\n", target.name, target.folder)
		inputs, err := target.run(ctx, each, os.Stdout)
		line.Cases += inputs
		line.Notes = append(line.Notes, fmt.Sprintf("%s %d", target.name, inputs))
		if err != nil {
			line.Violations++
			failed = append(failed, fmt.Sprintf("%s: %v", target.name, err))
		}
	}
	if err := line.Since(began).Add(); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s", strings.Join(failed, "\n"))
	}
	return nil
}

// target is a fuzz target.
type target struct{ folder, name string }

var declaration = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\) \{`)

// targets are all fuzz targets below a folder, other modules excepted.
func targets(root string) (found []target, err error) {
	err = filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root:
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil || strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" {
				return filepath.SkipDir
			}
		case strings.HasSuffix(path, "_test.go"):
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, match := range declaration.FindAllSubmatch(content, -1) {
				found = append(found, target{filepath.Dir(path), string(match[1])})
			}
		}
		return nil
	})
	slices.SortFunc(found, func(a, b target) int { return strings.Compare(a.folder+"/"+a.name, b.folder+"/"+b.name) })
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("there are no fuzz targets below %s", root)
	}
	return found, err
}

// run fuzzes the target, and says how many inputs it was given.
func (t *target) run(ctx context.Context, each time.Duration, out io.Writer) (inputs int, err error) {
	ctx, cancel := context.WithTimeout(ctx, each+patience)
	defer cancel()
	command := exec.CommandContext(ctx, "go", "test", "./"+filepath.ToSlash(t.folder), "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+each.String(), "-fuzzminimizetime=1s")
	output, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	command.Stderr = out
	if err := command.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		fmt.Fprintln(out, lines.Text())
		inputs = max(inputs, executions(lines.Text()))
	}
	if err := command.Wait(); err != nil {
		return inputs, err
	}
	if inputs == 0 {
		return 0, fmt.Errorf("it ran, and had no inputs")
	}
	return inputs, nil
}

var progress = regexp.MustCompile(`^fuzz: elapsed: .*, (?:execs: (\d+) |gathering baseline coverage: (\d+)/)`)

// executions is how many inputs there were so far, by a line in which go test tells of its progress. It begins with those
// that it knows from earlier runs, which may take all the time there is.
func executions(line string) int {
	match := progress.FindStringSubmatch(line)
	if match == nil {
		return 0
	}
	n, err := strconv.Atoi(match[1] + match[2]) // One of them is empty.
	if err != nil {
		return 0
	}
	return n
}
