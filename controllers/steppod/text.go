package steppod

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on text that comes from users and Pods, in bytes of its JSON encoding, as that is what an object's size is
// made of.
const (
	// MaxOutput is how much of a step's output the log keeps: as much as Kubernetes keeps of a termination message.
	MaxOutput = 4096
	// MaxOutputInStatus is how much of a step's output the status keeps.
	MaxOutputInStatus = 1024
	// MaxErrorMessage is the longest message of an error.
	MaxErrorMessage = 512
	// MaxMessage is the longest message of an event, an order or a step.
	MaxMessage = 256
)

const ellipsis = "…"

// Clean makes text from a user or a Pod safe to keep and to show: control characters other than line breaks and tabs,
// characters that change the direction of writing, and bytes that are no text are taken out.
func Clean(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\uFEFF':
			return -1
		}
		return r
	}, text))
}

// Line is the text, cleaned, on one line of at most max bytes.
func Line(text string, max int) string {
	return Cut(strings.Join(strings.Fields(Clean(text)), " "), max)
}

// Cut is the beginning of a text whose JSON encoding has at most max bytes, quotes aside. It is cut between
// characters, and an ellipsis shows that it was.
func Cut(text string, max int) string {
	size, fits := 0, 0
	text = strings.ToValidUTF8(text, "\uFFFD") // What is no text would be written as an escape of six bytes.
	for i, r := range text {
		if size <= max-len(ellipsis) {
			fits = i
		}
		if size += encodedSize(r); size > max {
			return text[:fits] + ellipsis
		}
	}
	return text
}

// encodedSize is the number of bytes of a character in JSON as the API server writes it: HTML's special characters are
// escaped as well.
func encodedSize(r rune) int {
	switch r {
	case '"', '\\', '\n', '\t', '\r', '\b', '\f':
		return 2
	case '<', '>', '&', '\u2028', '\u2029':
		return 6
	}
	if r < ' ' {
		return 6
	}
	return utf8.RuneLen(r)
}
