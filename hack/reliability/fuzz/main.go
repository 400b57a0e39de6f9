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
	line := report.Line{Row: "S1", Harness: "unit", Unit: "new inputs", Full: report.Full(), Notes: []string{fmt.Sprintf("%d fuzz targets, %s each", len(found), each)}}
	var failed []string
	for _, target := range found {
		fmt.Printf("== %s in %s\n", target.name, target.folder)
		inputs, err := target.fuzz(ctx, each, os.Stdout)
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

// moreTime is how much longer a target gets whose known inputs have taken all its time.
const moreTime = 8

// fuzz fuzzes the target, for longer if it must be, and says how many new inputs it was given.
func (t *target) fuzz(ctx context.Context, each time.Duration, out io.Writer) (inputs int, err error) {
	for _, length := range []time.Duration{each, moreTime * each} {
		if inputs, err = t.run(ctx, length, out); inputs > 0 || err != nil {
			return inputs, err
		}
	}
	return 0, fmt.Errorf("there was no time for any input but those that are known: give it more with -time")
}

func (t *target) run(ctx context.Context, length time.Duration, out io.Writer) (inputs int, err error) {
	ctx, cancel := context.WithTimeout(ctx, length+patience)
	defer cancel()
	command := exec.CommandContext(ctx, "go", "test", "./"+filepath.ToSlash(t.folder), "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+length.String(), "-fuzzminimizetime=1s")
	output, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	command.Stderr = out
	if err := command.Start(); err != nil {
		return 0, err
	}
	var c count
	for lines := bufio.NewScanner(output); lines.Scan(); {
		fmt.Fprintln(out, lines.Text())
		c.read(lines.Text())
	}
	return c.fresh(), command.Wait()
}

// count is how many inputs there were: those that are known from earlier runs, which come first, and all together.
type count struct{ known, all int }

var (
	baseline = regexp.MustCompile(`^fuzz: elapsed: .*, gathering baseline coverage: \d+/(\d+) completed`)
	progress = regexp.MustCompile(`^fuzz: elapsed: .*, execs: (\d+) `)
)

// read reads a line in which go test tells of its progress.
func (c *count) read(line string) {
	number := func(of *regexp.Regexp, into *int) {
		if match := of.FindStringSubmatch(line); match != nil {
			if n, err := strconv.Atoi(match[1]); err == nil {
				*into = max(*into, n)
			}
		}
	}
	number(baseline, &c.known)
	number(progress, &c.all)
}

// fresh is how many of them nobody had seen before.
func (c *count) fresh() int { return max(0, c.all-c.known) }
