// Package hostile is the text that users and Pods send to do harm, and the search for it in what the operator writes. It
// knows nothing of how the operator cleans text, so that neither can share a mistake with the other.
package hostile

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Texts are what must not reach an object, a terminal or a page as it is: commands to a terminal, characters that change
// the direction of writing, bytes that are no text. Each has something harmless in it too, by which it can be found again.
var Texts = []string{
	"\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "\x9b2Jclear", "\u009b2Jclear",
	"back\x08\x08\x08\x08", "one\rtwo", "nul\x00byte", "del\x7f", "next\u0085line",
	"user\u202egnp.exe", "\u2066isolate\u2069", "\u200emark\u200f\u061c", "\u202aembedded\u202c",
	"line\u2028para\u2029", "\ufeffmark", "half\xc3", "\xff\xfebytes", "\xed\xa0\x80surrogate", "over\xc0\xafslash",
	"two\nlines\tand a tab", strings.Repeat("long ", 2000), strings.Repeat("<", 5000), strings.Repeat("\x00", 300) + "many",
	"<script>alert('page')</script>", "%s%n%d format", "$(PARAM_X) ${HOME}", "日本語 עברית 👩‍💻",
}

// Valid are the texts that are valid UTF-8: an object of the API server holds no others.
func Valid() (valid []string) {
	for _, text := range Texts {
		if utf8.ValidString(text) {
			valid = append(valid, text)
		}
	}
	return valid
}

// Flaw is what is wrong with a text that somebody is to see; empty if nothing is. Line breaks and tabs are fine.
func Flaw(text string) string {
	if !utf8.ValidString(text) {
		return "it is not valid UTF-8"
	}
	for i, r := range text {
		if r == '\n' || r == '\t' {
			continue
		}
		if harmful(r) {
			return fmt.Sprintf("it has U+%04X at byte %d", r, i)
		}
	}
	return ""
}

// LineFlaw is what is wrong with a text that must stand on one line.
func LineFlaw(text string) string {
	if i := strings.IndexAny(text, "\n\t"); i >= 0 {
		return fmt.Sprintf("it has a line break or a tab at byte %d", i)
	}
	return Flaw(text)
}

func harmful(r rune) bool {
	switch {
	case r < 0x20, 0x7f <= r && r <= 0x9f: // C0, DEL, C1.
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069: // Direction of writing.
		return true
	case r == 0x2028, r == 0x2029, r == 0xfeff: // Line breaks of JavaScript, byte order mark.
		return true
	}
	return false
}

// Find is the flaws of every text inside a value, each with the way to it. Whoever reads objects as text sees the keys of
// maps as well, so they are looked at too. What is under a field of one of the names is passed over.
func Find(value any, except ...string) []string {
	s := search{except: map[string]bool{}}
	for _, name := range except {
		s.except[name] = true
	}
	s.visit("", reflect.ValueOf(value))
	return s.found
}

type search struct {
	except map[string]bool
	found  []string
}

func (s *search) visit(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if flaw := Flaw(v.String()); flaw != "" {
			s.found = append(s.found, fmt.Sprintf("%s: %s: %.80q", path, flaw, v.String()))
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			s.visit(path, v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			s.visit(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			s.visit(path+"{key}", key)
			if key.Kind() != reflect.String || !s.except[key.String()] {
				s.visit(fmt.Sprintf("%s[%v]", path, key), v.MapIndex(key))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && !s.except[field.Name] {
				s.visit(path+"."+field.Name, v.Field(i))
			}
		}
	default: // Nothing else holds a text.
	}
}
