package commands

import (
	"strings"
	"time"
)

// copier copies the lines of a log that came after a time.
type copier struct {
	*streams
	attempt
	after, last time.Time
	// known says that the line was copied before, and continued that what comes is more of it.
	known, continued bool
}

// piece copies a line, or as much of a long one as there was room for.
func (c *copier) piece(text string, long bool) {
	if text == "" {
		return
	}
	if !c.continued {
		var at time.Time
		at, text = stamped(text)
		c.known = !c.after.IsZero() && !at.After(c.after) // One asks by the second, and so is told of some lines twice.
		if at.After(c.last) {
			c.last = at
		}
	}
	if c.continued = long; !c.known {
		c.line(c.attempt, text)
	}
}

// stamped is a line of a log less the time that stands before it.
func stamped(line string) (time.Time, string) {
	stamp, text, _ := strings.Cut(line, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return time.Time{}, line
	}
	return at, text
}

// mostOfLine is how much of a line is printed at once: the rest of a longer one comes as a line of its own.
const mostOfLine = 64 << 10
