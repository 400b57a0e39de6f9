package commands

import (
	"io"
	"os"
	"slices"

	"github.com/charmbracelet/x/term"

	"workorders.dev/operator/cmd/kubectl-workorder/timeline"
)

// terminal is the terminal that a writer writes to; nil if that is no terminal, or nobody wants to see colors on it
// (https://no-color.org).
func terminal(out io.Writer) term.File {
	if checked, is := out.(*checkedWriter); is {
		out = checked.Writer
	}
	file, isFile := out.(term.File)
	if !isFile || !term.IsTerminal(file.Fd()) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return file
}

// style is how a picture is drawn once on what a writer writes to.
func style(out io.Writer) timeline.Style {
	screen := terminal(out)
	if screen == nil {
		return timeline.Style{}
	}
	width, _, err := term.GetSize(screen.Fd())
	if err != nil {
		width = 0
	}
	return timeline.Style{Color: true, Width: width}
}

// checkOutput checks the value of -o.
func checkOutput(output string, known ...string) error {
	if output != "" && !slices.Contains(known, output) {
		return usagef("-o %s is not known here: write -o %s, or leave it out", timeline.Safe(output), known[0])
	}
	return nil
}
