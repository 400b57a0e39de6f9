package timeline

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Safe is text that harms no terminal: what is not printed as a character of its own (control characters, escape
// sequences, overrides of the direction of writing, bytes that are no text) is shown as Go would write it: \x1b, \u202e.
func Safe(text string) string {
	if strings.IndexFunc(text, unsafe) < 0 && utf8.ValidString(text) {
		return text
	}
	var safe strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && strings.HasPrefix(text[i:], string(utf8.RuneError)), !unsafe(r) && r != utf8.RuneError:
			safe.WriteRune(r)
		case r == utf8.RuneError:
			fmt.Fprintf(&safe, `\x%02x`, text[i])
		case r == '\n':
			safe.WriteString(`\n`)
		case r == '\t':
			safe.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&safe, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&safe, `\u%04x`, r)
		default:
			fmt.Fprintf(&safe, `\U%08x`, r)
		}
	}
	return safe.String()
}

func unsafe(r rune) bool { return !unicode.IsPrint(r) }

// Line is text that harms no terminal, on one line: what breaks lines is a space.
func Line(text string) string { return Safe(strings.Join(strings.Fields(text), " ")) }

// Text is text that harms no terminal, with its tabs.
func Text(text string) string {
	parts := strings.Split(text, "\t")
	for i := range parts {
		parts[i] = Safe(parts[i])
	}
	return strings.Join(parts, "\t")
}

// JSON is encoded JSON that harms no terminal either: it means the same, with whatever is not printed as a character of its own
// written as an escape. Line breaks between its parts stay.
func JSON(encoded []byte) string {
	var safe strings.Builder
	for _, r := range string(encoded) {
		switch {
		case r == '\n' || !unsafe(r):
			safe.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&safe, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&safe, `\u%04x`, r)
		}
	}
	return safe.String()
}
