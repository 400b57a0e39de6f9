package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReferencesAreThoseThatKubernetesExpands(t *testing.T) {
	for text, want := range map[string][]string{
		"":                             nil,
		"$(A)":                         {"A"},
		"x$(A)y$(B)$(A)":               {"A", "B"},
		"$$(A) $$$(B) $$$$(C)":         {"B"},
		"$A ${A} $( A":                 nil,
		"$(A":                          nil,
		"$":                            nil,
		"$(A.B-C) $(not a name) $$ $(": {"A.B-C", "not a name"},
	} {
		if diff := cmp.Diff(want, references(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func FuzzReferences(f *testing.F) {
	for _, seed := range []string{"$(A)", "$$(A)$", "$($(A))", "$(\x00)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range references(text) {
			if !strings.Contains(text, "$("+name+")") {
				t.Errorf("%q is no reference in %q", name, text)
			}
		}
		scriptIn(strings.Fields(text))
	})
}
