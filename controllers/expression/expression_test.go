package expression

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"
)

// The order that the tests are about: a step that looked for a plan, one that was skipped, and one that says nothing.
var (
	testScope = Scope{
		Params: []string{"request", "git-ref"},
		Steps:  []string{"find-plan", "review", "skipped", "silent"},
	}
	testFacts = Facts{
		Params: map[string]string{"request": "Add dark mode", "git-ref": "main"},
		Steps: map[string]Step{
			"find-plan": step("Succeeded", "specs/dark-mode.md\nspecs/light-mode.md", 2),
			"review": step("Succeeded", `{"count": 3, "score": 0.5, "big": 1e300, "approved": true, "none": null,
				"who": {"name": "Ada", "mail-address": "ada@example.com"}, "tags": ["ui", "css"], "sizes": [1, 2.0, 30],
				"files": [{"name": "a.css", "lines": 3}, {"name": "b.js", "lines": 40}]}`, 1),
			"skipped": step("Skipped", "", 0),
			"silent":  step("Succeeded", "", 1),
		},
	}
)

func step(phase, output string, epoch int64) Step {
	results, _ := Results(output)
	return Step{Phase: phase, Output: output, Results: results, Epoch: epoch}
}

type question struct {
	source string
	want   bool
}

func ask(t *testing.T, questions []question) {
	t.Helper()
	for _, q := range questions {
		if got, err := eval(q.source, testFacts); err != nil || got != q.want {
			t.Errorf("%s: got %v, %v", q.source, got, err)
		}
	}
}

func eval(source string, facts Facts) (bool, error) {
	program, err := Compile(source, testScope)
	if err != nil {
		return false, err
	}
	return program.Eval(facts)
}

func TestAnExpressionIsTrueOrFalse(t *testing.T) {
	ask(t, []question{
		{`true`, true},
		{`params.request == "Add dark mode"`, true},
		{`params["git-ref"] == "main"`, true},
		{`params["git-ref"].startsWith("release-")`, false},
		{`steps["find-plan"].phase == "Succeeded"`, true},
		{"steps.`find-plan`.phase == 'Succeeded'", true},
		{`.steps["find-plan"].epoch > 1`, true},
		{`steps.skipped.phase == "Skipped" && steps.skipped.output == ""`, true},
		{`steps["find-plan"].output.split("\n").exists(line, line.endsWith("/light-mode.md"))`, true},
		{`steps["find-plan"].output.matches("^specs/[a-z-]{1,20}[.]md")`, true},
		{`steps["find-plan"].output.lowerAscii().trim().contains("DARK".lowerAscii())`, true},
		{`steps["find-plan"].output.substring(0, 5) == "specs"`, true},
	})
}

func TestResultsHaveTheTypesThatTheirJSONSuggests(t *testing.T) {
	ask(t, []question{
		{`steps.review.results.count == 3`, true},
		{`steps.review.results.count == 3.0`, true},
		{`steps.review.results.count > 2.5`, true},
		{`steps.review.results.score < 1`, true},
		{`steps.review.results.big > 9007199254740993`, true},
		{`double(steps.review.results.count) * 0.5 == 1.5`, true},
		{`steps.review.results.approved == true`, true},
		{`steps.review.results.none == null`, true},
		{`steps.review.results.who.name == "Ada"`, true},
		{`steps.review.results.who["mail-address"].endsWith("@example.com")`, true},
		{`"ui" in steps.review.results.tags`, true},
		{`steps.review.results.tags == ["ui", "css"]`, true},
		{`steps.review.results.sizes[2] == 30`, true},
		{`steps.review.results.sizes.all(size, size >= 1)`, true},
		{`steps.review.results.sizes.exists_one(size, size > 10)`, true},
		{`steps.review.results.sizes.map(size, size + 1) == [2, 3, 31]`, true},
		{`steps.review.results.files.filter(file, file.lines > 10).size() == 1`, true},
		{`steps.review.results.files.map(file, file.name) == ["a.css", "b.js"]`, true},
		{`steps.review.results.who == {"name": "Ada", "mail-address": "ada@example.com"}`, true},
		{`steps.review.results.sizes + [4] == [1, 2, 30, 4]`, true},
		{`[[1, 2], [3]] == [[1, 2], [3]]`, true},
	})
}

func TestItCanBeAskedWhetherSomethingIsThere(t *testing.T) {
	ask(t, []question{
		{`has(steps.review.results.count)`, true},
		{`has(steps.review.results.mistakes)`, false},
		{`has(steps.review.results.mistakes) && steps.review.results.mistakes > 0`, false},
		{`"mail-address" in steps.review.results.who`, true},
		{`size(steps["find-plan"].results) == 0`, true},
		{`has(steps.review.results) && !has(steps.silent.results)`, true},
		{`has(steps["find-plan"].output) && !has(steps.silent.output)`, true},
		{`has(steps.review.epoch) && !has(steps.skipped.epoch)`, true},
		// As in all of CEL, what is certain without it makes an error of no account.
		{`steps.review.results.mistakes > 0 || true`, true},
	})
}

func TestStepsCanBePutIntoListsAndCompared(t *testing.T) {
	ask(t, []question{
		{`[steps["find-plan"], steps.review].all(step, step.phase == "Succeeded")`, true},
		{`[steps.review.results, steps.silent.results].exists(results, has(results.score) && results.score > 0.4)`, true},
		{`steps.review == steps.review`, true},
		{`steps.review == steps.silent`, false},
		{`steps.review != dyn("review")`, true},
		{`dyn(steps.review) in [dyn(steps.silent), steps.review]`, true},
		{`dyn(steps.review).output == steps.review.output`, true},
		{`has(dyn(steps.review).output) && !has(dyn(steps.silent).output)`, true},
		{`has(dyn(steps.review).colour)`, false},
		{`type(steps.review) == type(steps.silent) && type(steps.review) != int`, true},
	})
}

func TestAnExpressionThatDoesNotCompileSaysWhatToDo(t *testing.T) {
	const prefix = "when does not compile: "
	for _, test := range []struct{ source, want string }{
		{"", "it is empty: leave it out, and the step always runs"},
		{"\xff == 1", "it is no text: write it in UTF-8"},
		{strings.Repeat(" ", MaxLength) + "1", "it is longer than 1024 characters: shorten it, or let a step find out and say"},

		{`stpes["review"].output == "x"`, "undeclared reference to 'stpes' (column 1)"},
		{"true &&\n  other", "undeclared reference to 'other' (line 2, column 3)"},
		{`steps.review.outptu == "x"`, "there is no field 'outptu': a step has phase, output, results, epoch (column 13)"},
		{`steps.review.output == `, "it ends too early (column 24)"},
		{`steps.review.output = "x"`, "unexpected '= ' (column 21)"},
		{strings.Repeat("}", 300), "unexpected '}' (column 1)"},
		{`true true`, "unexpected 'true' (column 6)"},
		{`"abc`, `unexpected '"abc' (column 1)`},
		{"a\x1b[31m", "unexpected ' ' (column 2)"},
		{`while`, "reserved identifier: while (column 1)"},
		{strings.Repeat("(", 65) + "true" + strings.Repeat(")", 65), "it is nested more than 64 deep: take it apart"},
		{`true` + strings.Repeat(" == true", 65), "it is nested more than 64 deep: take it apart"},

		{`steps.review.epoch == "1"`, "== cannot be applied to (int, string): convert one, as by int(), double() or string() (column 20)"},
		{`steps.review.phase ? true : false`, "?: cannot be applied to (string, bool, bool) (column 20)"},
		{`size(1) == 1`, "size cannot be applied to (int) (column 5)"},
		{`steps.review == 1`, "== cannot be applied to (a step, int): convert one, as by int(), double() or string() (column 14)"},
		{`steps.review.epoch`, "it must be true or false, but this is of type int: compare it with something"},
		{`steps.review.results.approved`, "nobody knows beforehand whether this will be true or false: compare it, as in … == true"},

		{`params.colour == "red"`, `there is no param "colour": add it to params, or ask about one of: git-ref, request`},
		{`params.git-ref == "main"`, `there is no param "git": add it to params, or if you mean "git-ref", whose hyphen is a minus here, write params["git-ref"]`},
		{`steps["build"].phase == "Succeeded"`, `step "build" does not come before this step: add it to dependsOn, or list it earlier in a Sequence, or ask about one of: find-plan, review, silent, skipped`},
		{`has(steps.build)`, `step "build" does not come before this step: add it to dependsOn, or list it earlier in a Sequence, or ask about one of: find-plan, review, silent, skipped`},
		{`steps.find-plan.phase == "Succeeded"`, `step "find" does not come before this step: add it to dependsOn, or list it earlier in a Sequence, or if you mean "find-plan", whose hyphen is a minus here, write steps["find-plan"]`},
		{`[1].all(steps, steps > 0)`, `steps is the name of something else: give what the macro goes through another name (column 8)`},
		{`[1].exists(params, params > 0)`, `params is the name of something else: give what the macro goes through another name (column 11)`},

		{`timestamp("2026-01-01T00:00:00Z") == timestamp("2026-01-01T00:00:00Z")`, "undeclared reference to 'timestamp' (column 10)"},
		{`google.protobuf.Struct{} == {}`, "undeclared reference to 'google.protobuf.Struct' (column 23)"},
		{`params.request.replace("a", "b") == "b"`, "replace cannot be used here: let a step work that out, and ask for its results (column 23)"},
		{`params.request.matches(params["git-ref"])`, "the pattern of matches must be a constant: write it out, or use contains, startsWith or endsWith (column 23)"},
		{`matches(params.request, "(")`, "the pattern of matches is no good: error parsing regexp: missing closing ): `(` (column 8)"},
		{`params.request.matches("a{1000}")`, "the pattern of matches is too large: shorten it, or what it repeats (column 23)"},
		{`params.request.matches("` + strings.Repeat("a", 251) + `")`, "the pattern of matches is too large: shorten it, or what it repeats (column 23)"},
		{`{b"a": 1} == {b"a": 1}`, "a key of a map must be a string, a whole number or a bool: convert it, as by string() (column 1)"},
	} {
		_, err := Compile(test.source, testScope)
		if err == nil || err.Error() != prefix+test.want {
			t.Errorf("%q says\n%v, want\n%s", test.source, err, prefix+test.want)
		}
	}
}

func TestStepsAndParamsAreAskedForByNameAndNotAsAWhole(t *testing.T) {
	for _, source := range []string{
		`steps`, `.steps == {}`, `steps == steps`, `{"a": steps} == {}`, `[steps] == []`, `dyn(steps) == 1`, `size(steps) == 4`,
		`"review" in steps`, `steps.all(name, true)`, `steps.exists(name, steps[name].phase == "Failed")`,
		`steps[params.request].phase == ""`, `steps["re" + "view"].phase == ""`, `steps[true ? "review" : "silent"].phase == ""`,
		`(true ? steps : steps).review.phase == ""`, `{"a": 1}[steps] == 1`, `[1].map(x, steps) == []`,
	} {
		for _, source := range []string{source, strings.ReplaceAll(source, "steps", "params")} {
			of := "steps"
			if strings.Contains(source, "params") && !strings.Contains(source, "steps") {
				of = "params"
			}
			want := fmt.Sprintf(`when does not compile: %s cannot be used as a whole, nor with a name that is worked out: ask about one by its name, as in %s["NAME"]`, of, of)
			if _, err := Compile(source, testScope); err == nil || err.Error() != want {
				t.Errorf("%s says\n%v, want\n%s", source, err, want)
			}
		}
	}
}

func TestAChoiceOfNamesIsShort(t *testing.T) {
	var many Scope
	for i := range 256 {
		many.Steps = append(many.Steps, fmt.Sprintf("step-%03d", 255-i))
	}
	for _, test := range []struct {
		because string
		scope   Scope
		want    string
	}{
		{"there is nothing to choose", Scope{}, `step "build" does not come before this step: add it to dependsOn, or list it earlier in a Sequence`},
		{"there is one", Scope{Steps: []string{"test"}}, `step "build" does not come before this step: add it to dependsOn, or list it earlier in a Sequence, or ask about one of: test`},
		{"the names do not fit", Scope{Steps: []string{strings.Repeat("é", 300)}}, `step "build" does not come before this step: add it to dependsOn, or list it earlier in a Sequence, or ask about one of: ` + strings.Repeat("é", 182) + "…"},
		{"there are many", many, `step "build" does not come before this step: add it to dependsOn, or list it earlier in a Sequence, or ask about one of: step-000, step-001, step-002, step-003, step-004, step-005, step-006, step-007, step-008, step-009, step-010, step-011 and 244 more`},
	} {
		_, err := Compile(`steps.build.phase == ""`, test.scope)
		if want := "when does not compile: " + test.want; err == nil || err.Error() != want {
			t.Errorf("%s: it says\n%v, want\n%s", test.because, err, want)
		}
	}
}

func TestAnEvaluationThatFailsSaysWhatToDo(t *testing.T) {
	const prefix = "when cannot be evaluated: "
	const types = "convert one, as by int(), double() or string()"
	for _, test := range []struct{ source, want string }{
		{`steps.review.results.mistakes == 0`, `there is no "mistakes" in steps.review.results: ask has(steps.review.results.mistakes) first`},
		{`steps["find-plan"].results.mistakes == 0`, `there is no "mistakes" in steps["find-plan"].results: ask has(steps["find-plan"].results.mistakes) first`},
		{`steps.review.results.who.where.town == "Ulm"`, `there is no "where" in steps.review.results.who: ask has(steps.review.results.who.where) first`},
		{`steps.review.results.who.name.first == "Ada"`, `there is no "first" in steps.review.results.who.name: ask has(steps.review.results.who.name.first) first`},
		{`steps.review.results["who"]["where"]["town"] == "Ulm"`, `there is no "where" in steps.review.results["who"]: ask "where" in steps.review.results["who"] first`},
		{`steps.review.results[params.request] == 1`, `there is no "Add dark mode" in steps.review.results: ask "Add dark mode" in steps.review.results first`},
		{`steps.review.results.files.exists(file, file.size > 3)`, `there is no "size" in file: ask has(file.size) first`},
		{`(true ? steps.review.results : {}).mistakes == 0`, `there is no "mistakes" in what it looks at (column 35): ask first whether there is, by has() or in`},
		{`dyn(steps.review).colour == "red"`, `there is no "colour" in what it looks at (column 18): ask first whether there is, by has() or in`},
		{`steps.review.results.sizes[7] == 1`, `there is no element 7 in steps.review.results.sizes: ask size(steps.review.results.sizes) first`},
		{`1 / (steps.review.results.count - 3) == 1`, "division by zero (column 3)"},
		{`int(params.request) == 1`, "type conversion error from 'string' to 'int' (column 4)"},
		{`steps.review.epoch + 9223372036854775807 > 0`, "integer overflow (column 20)"},
		{`steps.review.results.who.name + 1 == 2`, "values of types that do not go together meet (column 31): " + types},
		{`steps.review.results.score + 1 == 2`, "values of types that do not go together meet (column 28): " + types},
		{`steps.review.results.who.name % 2 == 1`, "values of types that do not go together meet: " + types},
		{`steps.review.results.count && true`, "values of types that do not go together meet (column 28): " + types},
		{`steps.review.results.count.all(x, x > 0)`, "only a list or a map can be gone through: ask about its type first, as in type(…) == list"},
		{`dyn(steps.review) == 1 || int(dyn(steps.review)) == 1`, "values of types that do not go together meet (column 30): " + types},
	} {
		got, err := eval(test.source, testFacts)
		if err == nil || err.Error() != prefix+test.want || got {
			t.Errorf("%s gives %v and says\n%v, want\n%s", test.source, got, err, prefix+test.want)
		}
	}
}

func TestFactsThatAreMissingAreAnErrorAndNotAnAnswer(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		{`steps.review.phase != "Failed"`, `when cannot be evaluated: nothing is known of step "review"`},
		{`params.request != ""`, `when cannot be evaluated: there is no param "request" any more`},
	} {
		if got, err := eval(test.source, Facts{}); err == nil || err.Error() != test.want || got {
			t.Errorf("%s gives %v and says %v", test.source, got, err)
		}
	}
	if got, err := eval("1 == 1", Facts{}); err != nil || !got {
		t.Errorf("what asks for no facts needs none, but says %v", err)
	}
}

func TestErrorsAreOneShortLineWhateverWasWritten(t *testing.T) {
	for _, source := range []string{
		"\x00", "\x1b[31m", "a\nb\nc == \u202e", "\u2028 == 1", strings.Repeat("a", MaxLength), strings.Repeat("日", MaxLength),
		`"` + strings.Repeat("\x07", 1000), `steps["` + strings.Repeat(`\n`, 500) + `"].phase == ""`,
		`params["\x1b[31m\u202e"] == ""`, `steps.review.results["` + strings.Repeat("\u202e日", 300) + `"] == 1`,
		strings.Repeat("[", 500), strings.Repeat("-", 1000) + "1",
	} {
		_, err := eval(source, testFacts)
		if err == nil {
			t.Errorf("%q gives no error", source)
			continue
		}
		checkSentence(t, err)
	}
}

func checkSentence(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if len(text) > 512 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q is not one short line of text", text)
	}
	if !strings.HasPrefix(text, "when does not compile: ") && !strings.HasPrefix(text, "when cannot be evaluated: ") {
		t.Errorf("%q does not say what it is about", text)
	}
}

func TestAnExpressionMayBeAsLongAsTheAPIAllows(t *testing.T) {
	// Characters, not bytes: that is what maxLength counts.
	source := `params.request != "` + strings.Repeat("日", MaxLength-len(`params.request != ""`)) + `"`
	if got, err := eval(source, testFacts); err != nil || !got {
		t.Errorf("the longest expression gives %v, %v", got, err)
	}
	if _, err := Compile(source+" ", testScope); err == nil {
		t.Error("one character more is accepted")
	}
}

func TestProgramsAreEvaluatedSideBySide(t *testing.T) {
	sources := []string{
		`steps.review.results.who.name % 2 == 1`, `steps.review.results.mistakes == 0`, `steps["find-plan"].output.matches("^specs/")`,
		`steps.review.results.files.all(file, file.lines > 0)`, `{"b": 1, "a": 2}.exists(key, key == "b")`,
	}
	var programs []*Program
	var want []string
	for _, source := range sources {
		program, err := Compile(source, testScope)
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, program)
		want = append(want, answer(program.Eval(testFacts)))
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i, program := range programs {
				if got := answer(program.Eval(testFacts)); got != want[i] {
					t.Errorf("%s: %s, but before %s", sources[i], got, want[i])
				}
				if again, err := Compile(sources[i], testScope); err != nil {
					t.Errorf("%s: %v", sources[i], err)
				} else if got := answer(again.Eval(testFacts)); got != want[i] {
					t.Errorf("%s: %s, but before %s", sources[i], got, want[i])
				}
			}
		})
	}
	all.Wait()
}

func answer(value bool, err error) string { return fmt.Sprint(value, err) }
