package timeline

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"workorders.dev/operator/hack/reliability/report"
)

func TestNothingReachesATerminalThatItWouldHeed(t *testing.T) {
	texts := map[string]string{
		"12 files":                         "12 files",
		"größer → 日本 😀":                    "größer → 日本 😀",
		"\x1b[2Jgone":                      `\x1b[2Jgone`,
		"\u009b31m":                        `\u009b31m`,
		"safe\u202egnp.exe":                `safe\u202egnp.exe`,
		"a\u200bb\ufeff":                   `a\u200bb\ufeff`,
		"\x00\x07\x7f":                     `\x00\x07\x7f`,
		"one\ntwo\tthree\rfour":            `one\ntwo\tthree\x0dfour`,
		"\xff\xfe":                         `\xff\xfe`,
		"\ufffd is a character of its own": "\ufffd is a character of its own",
		"\U000e0041":                       `\U000e0041`,
	}
	for text, want := range texts {
		if got := Safe(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := Text("a\tb\x1b"); got != "a\tb\\x1b" {
		t.Errorf("got %q", got)
	}
	if got := Line(" one\r\n\ttwo\x1b "); got != `one two\x1b` {
		t.Errorf("got %q", got)
	}
	line := report.Line{Row: "S3", Harness: "unit", Cases: len(texts) + 2, Unit: "texts on a terminal", Full: report.Full()}
	if t.Failed() {
		line.Violations = 1
	}
	if err := line.Add(); err != nil {
		t.Error(err)
	}
}

func TestJSONStaysWhatItIs(t *testing.T) {
	text := "\x1b[2J\u009b\u202e\U000e0041\x7fgrößer\n"
	encoded, err := json.MarshalIndent(map[string]string{"text": text}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	safe := JSON(encoded)
	if strings.IndexFunc(safe, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) >= 0 || !strings.Contains(safe, "größer") {
		t.Errorf("got %q", safe)
	}
	back := map[string]string{}
	if err := json.Unmarshal([]byte(safe), &back); err != nil || back["text"] != text {
		t.Errorf("got %q, %v", back["text"], err)
	}
}

func FuzzSafe(f *testing.F) {
	f.Add("\x1b]0;title\x07\u202e\xff\ufffd")
	f.Fuzz(func(t *testing.T, text string) {
		safe := Safe(text)
		if !utf8.ValidString(safe) || strings.IndexFunc(safe, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
			t.Errorf("%q is shown as %q", text, safe)
		}
	})
}
