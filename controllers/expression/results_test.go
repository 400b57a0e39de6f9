package expression

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResultsAreTheOutputIfAllOfItIsOneJSONObject(t *testing.T) {
	for _, test := range []struct {
		because, output string
		want            map[string]any
	}{
		{"an object", `{"a": "b"}`, map[string]any{"a": "b"}},
		{"with space around it", "\n\t {\"a\": true} \r\n", map[string]any{"a": true}},
		{"an empty object", `{}`, map[string]any{}},
		{"whole numbers are whole", `{"a": 3, "b": -0, "c": 3.0, "d": 1e3, "e": 9223372036854775807, "f": -9223372036854775808}`,
			map[string]any{"a": int64(3), "b": int64(0), "c": int64(3), "d": int64(1000), "e": int64(math.MaxInt64), "f": int64(math.MinInt64)}},
		{"other numbers are not", `{"a": 0.5, "b": 1e-400, "c": 9223372036854775808, "d": 1e300}`,
			map[string]any{"a": 0.5, "b": int64(0), "c": 9223372036854775808.0, "d": 1e300}},
		{"at any depth", `{"a": [1, {"b": [2.5, null]}]}`,
			map[string]any{"a": []any{int64(1), map[string]any{"b": []any{2.5, nil}}}}},
		{"the last of equal names counts", `{"a": 1, "a": 2}`, map[string]any{"a": int64(2)}},
		{"what is no text is shown as such", "{\"a\": \"\xff\"}", map[string]any{"a": "\uFFFD"}},
	} {
		got, ok := Results(test.output)
		if diff := cmp.Diff(test.want, got); !ok || diff != "" {
			t.Errorf("%s: %v, %s", test.because, ok, diff)
		}
	}
	for _, output := range []string{
		"", " ", "done", "null", "true", "3", `"a"`, `[{"a": 1}]`, `{"a": 1`, `{"a": 1}}`, `{"a": 1} done`, `{"a": 1}{"b": 2}`, `done {"a": 1}`,
		`{"a": 1e999}`, `{"a": [-1e999]}`, `{"a": NaN}`, `{a: 1}`, `{"a": 01}`, `{"a": 1,}`, strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000),
	} {
		if got, ok := Results(output); ok || got != nil {
			t.Errorf("%.40q is taken for results: %v", output, got)
		}
	}
}
