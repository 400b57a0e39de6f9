// Package usage reads what a process uses of the machine, by the word of a Linux kernel.
package usage

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Usage is what a process has used of the machine.
type Usage struct {
	// CPU is in seconds, of all its threads.
	CPU float64
	// RSS is how many bytes of memory it has, and Peak the most that it ever had.
	RSS, Peak float64
}

// ticks is the unit of /proc's times; USER_HZ is 100 on every architecture that Go knows.
const ticks = 100

// Of is what a process has used since it began.
func Of(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	// The name, in parentheses, may hold anything; utime and stime are the 12th and 13th field after it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var used Usage
	for _, field := range fields[11:13] {
		n, err := strconv.ParseFloat(string(field), 64)
		if err != nil {
			return Usage{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
		}
		used.CPU += n / ticks
	}
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, err
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		kilobytes, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		switch name {
		case "VmRSS":
			used.RSS, err = strconv.ParseFloat(kilobytes, 64)
		case "VmHWM":
			used.Peak, err = strconv.ParseFloat(kilobytes, 64)
		}
		if err != nil {
			return Usage{}, fmt.Errorf("read /proc/%d/status: %w", pid, err)
		}
	}
	used.RSS *= 1 << 10
	used.Peak *= 1 << 10
	return used, nil
}
