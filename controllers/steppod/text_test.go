package steppod

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
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

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "plain", "<b>&\"\\", "\x1b[31m\x00\u202e", "\xff\xfe", "日本語", strings.Repeat("a", 300), strings.Repeat("<", 300), strings.Repeat("\xff", 90), "\u2028\u2029\ufeff"} {
		f.Add(seed, 256)
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(limit, len(ellipsis)) % 8192
		limit = max(limit, len(ellipsis))
		for what, got := range map[string]string{"Cut": Cut(text, limit), "Line": Line(text, limit), "Clean and Cut": Cut(Clean(text), limit)} {
			encoded, err := json.Marshal(got) // Escapes HTML, as the API server does.
			if err != nil {
				t.Fatal(err)
			}
			if len(encoded)-2 > limit {
				t.Errorf("%s of %q to %d takes %d bytes", what, text, limit, len(encoded)-2)
			}
			if !utf8.ValidString(got) {
				t.Errorf("%s of %q is no valid UTF-8: %q", what, text, got)
			}
		}
		if Clean(Clean(text)) != Clean(text) {
			t.Errorf("cleaning %q twice changes it", text)
		}
		if line := Line(text, limit); strings.ContainsFunc(line, unicode.IsControl) {
			t.Errorf("a line of %q is %q", text, line)
		}
	})
}
