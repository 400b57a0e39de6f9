package hostile

import (
	"strings"
	"testing"
)

func TestEachHarmfulTextIsFoundWhereverItIs(t *testing.T) {
	type inner struct {
		List []string
		Map  map[string]string
		Any  any
	}
	type outer struct {
		Name, Skipped string
		In            *inner
		None          *inner
	}
	bad := "a\x1bb"
	for way, value := range map[string]outer{
		".Name":            {Name: bad},
		".In.List[1]":      {In: &inner{List: []string{"fine", bad}}},
		".In.Map{key}":     {In: &inner{Map: map[string]string{bad: ""}}},
		".In.Map[key]":     {In: &inner{Map: map[string]string{"key": bad}}},
		".In.Any[0][deep]": {In: &inner{Any: []any{map[string]any{"deep": bad}}}},
	} {
		if found := Find(value); len(found) != 1 || !strings.HasPrefix(found[0], way+": it has U+001B at byte 1") {
			t.Errorf("%s: found %q", way, found)
		}
	}
	if found := Find(&outer{Name: "fine\n\tfine", Skipped: bad, In: &inner{Any: map[string]any{"Skipped": bad}}}, "Skipped"); len(found) > 0 {
		t.Errorf("found %q", found)
	}
}

func TestHarmfulTextIsToldFromTheRest(t *testing.T) {
	var harmless []string
	for _, text := range Texts {
		if Flaw(text) == "" {
			harmless = append(harmless, text)
		}
	}
	// Only long text, line breaks, and what means something to a page or a shell, but not to a terminal.
	if len(harmless) != 7 {
		t.Errorf("%d of %d texts are taken for harmless: %.40q", len(harmless), len(Texts), harmless)
	}
	if LineFlaw("two\nlines") == "" || LineFlaw("one line") != "" || LineFlaw("a\x00") == "" {
		t.Error("lines are not told from other text")
	}
	if len(Valid()) == 0 || len(Valid()) == len(Texts) {
		t.Errorf("%d of %d texts are valid UTF-8", len(Valid()), len(Texts))
	}
}
