package steppod

import (
	"testing"

	"workorders.dev/operator/hack/reliability/hostile"
)

func TestTextIsMadeSafeToShow(t *testing.T) {
	for _, test := range []struct{ because, text, want string }{
		{"plain text stays", "fine\n\tindented", "fine\n\tindented"},
		{"space around it goes", "\n  fine \n", "fine"},
		{"a terminal gets no commands", "\x1b[31mred\x1b[0m\x07\x08", "[31mred[0m"},
		{"nor C1 controls, nor DEL", "a\u009bb\u0085c\x7fd", "abcd"},
		{"NUL goes", "a\x00b", "ab"},
		{"Windows' line breaks are line breaks", "a\r\nb\rc", "a\nbc"},
		{"the direction of writing stays", "user\u202egnp.exe\u2066\u200f\u061c", "usergnp.exe"},
		{"line separators of JavaScript go", "a\u2028b\u2029c", "abc"},
		{"a byte order mark goes", "\ufeffa", "a"},
		{"what is no text is shown as such", "a\xffb\xc3", "a\uFFFDb\uFFFD"},
		{"all languages stay", "日本語 עברית 👩‍💻", "日本語 עברית 👩‍💻"},
	} {
		if got := Clean(test.text); got != test.want {
			t.Errorf("%s: %q becomes %q, want %q", test.because, test.text, got, test.want)
		}
	}
	if got := Line(" a\n b\t\tc \x1b", 100); got != "a b c" {
		t.Errorf("a line is %q", got)
	}
}

func TestTextIsCutBetweenCharactersAndSaysSo(t *testing.T) {
	for _, test := range []struct {
		because, text string
		max           int
		want          string
	}{
		{"what fits stays", "12345678", 8, "12345678"},
		{"what does not is cut", "123456789", 8, "12345…"},
		{"not inside a character", "1234日日", 9, "1234…"},
		{"quotes cost two bytes", `""""""`, 8, `""…`},
		{"HTML costs six", "<<<<", 18, "<<…"},
		{"what is no text costs three, as it is replaced", "\xffa\xffa\xffa", 9, "\uFFFDa…"},
		{"nothing stays nothing", "", 8, ""},
	} {
		if got := Cut(test.text, test.max); got != test.want {
			t.Errorf("%s: got %q, want %q", test.because, got, test.want)
		}
	}
}

func TestNothingHarmfulIsLeftOfAnyText(t *testing.T) {
	for _, text := range hostile.Texts {
		if flaw := hostile.Flaw(Clean(text)); flaw != "" {
			t.Errorf("%.40q, cleaned: %s", text, flaw)
		}
		if flaw := hostile.LineFlaw(Line(text, MaxMessage)); flaw != "" {
			t.Errorf("%.40q, as a line: %s", text, flaw)
		}
		if Clean(text) == "" {
			t.Errorf("%.40q: nothing is left of it, though some of it is harmless", text)
		}
	}
}
