package expression

import "testing"

// FuzzCompile holds to any expression, on any output: there is an answer or one sentence, and always the same.
func FuzzCompile(f *testing.F) {
	for _, source := range []string{
		`steps["find-plan"].phase == "Succeeded"`,
		`steps.review.results.files.exists(file, file.lines > 10 && has(file.name))`,
		`{"b": 1, "a": steps.review.results}.map(key, key)[0] == "a"`,
		`[steps.review, steps.silent].all(step, step.output.matches("^a{2}b?$"))`,
	} {
		f.Add(source, `{"count": 3, "files": [{"name": "a.css", "lines": 3}]}`)
	}
	f.Fuzz(func(t *testing.T, source, output string) {
		facts := testFacts
		facts.Steps = map[string]Step{
			"review": step("Succeeded", output, 1), "find-plan": step("Failed", "x", 2), "skipped": {}, "silent": {},
		}
		got, err := eval(source, facts)
		if err != nil {
			checkSentence(t, err)
		}
		if again, errAgain := eval(source, facts); answer(again, errAgain) != answer(got, err) {
			t.Errorf("%q on %q gives %v, %v, and then %v, %v", source, output, got, err, again, errAgain)
		}
	})
}
