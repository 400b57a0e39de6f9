package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is what Linux promises to user space, whatever the kernel's own clock runs at.
const ticksPerSecond = 100

type stat struct {
	state string
	ticks uint64
}

func readStat(pid int) (stat, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(content))
}

// parseStat reads from behind the program's name, which stands in brackets and may hold anything.
func parseStat(line string) (stat, error) {
	_, rest, found := cutLast(line, ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return stat{}, fmt.Errorf("not a line of /proc/PID/stat: %q", line)
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	return stat{state: fields[0], ticks: ticks}, err
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}

func startTicks(pid int) (uint64, error) {
	stat, err := readStat(pid)
	return stat.ticks, err
}

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}

// Uptime is how long the process has been running.
func (r Record) Uptime() time.Duration {
	content, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	seconds, _, _ := strings.Cut(string(content), " ")
	up, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		return 0
	}
	return time.Duration((up - float64(r.Ticks)/ticksPerSecond) * float64(time.Second))
}

// Memory is how many bytes of the process are in memory.
func (r Record) Memory() uint64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kilobytes, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// Find returns the processes whose command line satisfies a condition.
func Find(name string, matches func(args []string) bool) []Record {
	var found []Record
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || len(content) == 0 {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		// Taken first: if the number changes hands after the look at the command line, the record is dead.
		record, err := Of(name, pid)
		if err == nil && matches(commandLine(pid)) {
			found = append(found, record)
		}
	}
	return found
}

func commandLine(pid int) []string {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.Split(strings.TrimSuffix(string(content), "\x00"), "\x00")
}
