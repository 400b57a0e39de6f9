package expression

import (
	"fmt"
	"strings"
	"testing"
)

// largeFacts are as large as an order can make them.
func largeFacts() Facts {
	var numbers []any
	for i := range 300 {
		numbers = append(numbers, int64(i))
	}
	deep := map[string]any{}
	for range 100 {
		deep = map[string]any{"a": deep}
	}
	large := Step{Phase: "Succeeded", Output: strings.Repeat("a", 4096), Results: map[string]any{"numbers": numbers, "deep": deep}, Epoch: 1}
	return Facts{
		Params: map[string]string{"request": strings.Repeat("x", 8192), "git-ref": "main"},
		Steps:  map[string]Step{"find-plan": large, "review": large, "skipped": {}, "silent": {}},
	}
}

// everywhere is an expression that asks something for each number, for each number, for each number.
func everywhere(condition string) string {
	return fmt.Sprintf("steps.review.results.numbers.all(x, steps.review.results.numbers.all(y, steps.review.results.numbers.all(z, %s)))", condition)
}

// Each of these would take minutes, or all of the machine's memory, if only the calls were counted that it makes.
func TestWorkIsLimited(t *testing.T) {
	facts := largeFacts()
	for _, source := range []string{
		everywhere(`true`),
		everywhere(`x + y + z >= 0`),
		everywhere(`steps.review == steps["find-plan"]`),
		everywhere(`steps.review.results.deep == steps["find-plan"].results.deep`),
		everywhere(`steps.review.results.numbers + steps.review.results.numbers != []`),
		everywhere(`[1, 2, 3] != [x, y, z]`),
		everywhere(`999 in steps.review.results.numbers || true`),
		everywhere(`size(params.request) > 0`),
		everywhere(`params.request == params.request`),
		everywhere(`params.request.lowerAscii() != ""`),
		everywhere(`params.request.split("").size() > 0`),
		everywhere(`!params.request.contains("xy")`),
		everywhere(`!params.request.matches("(x|xx)*y")`),
		everywhere(`steps.review.output + params.request != ""`),
		everywhere(`string(bytes(params.request)) != ""`),
		everywhere(`steps.review.results.all(key, key != "")`),
		everywhere(`{"a": 1, "b": 2}.all(key, key != "")`),
		`!params.request.matches("((a|b|c|d|x)?){30}y")`,
		`["x"]` + strings.Repeat(`.map(s, s + s)`, 40) + `.exists(s, s == "")`,
		`["x"]` + strings.Repeat(`.map(s, s + "-" + s)`, 40) + `.exists(s, s == "")`,
		`[b"x"]` + strings.Repeat(`.map(s, s + s)`, 40) + `.exists(s, s == b"")`,
	} {
		const want = "when cannot be evaluated: it is too much work: ask for less, or let a step find out and say"
		if got, err := eval(source, facts); err == nil || err.Error() != want || got {
			t.Errorf("%s gives %v and says %v", source, got, err)
		}
	}
}

func TestWhatPeopleAskIsNotTooMuchWork(t *testing.T) {
	facts := largeFacts()
	lines := facts.Steps["review"]
	lines.Output = strings.Repeat("checked some file: ok\n", 4096/22)
	facts.Steps["review"] = lines
	for _, source := range []string{
		`steps.review.output.split("\n").all(line, line == "" || line.trim().endsWith(": ok"))`,
		`!steps.review.output.split("\n").exists(line, line.matches("^[a-z ]+: failed$"))`,
		`!steps.review.output.matches("(?m)^[a-z ]+: failed$")`,
		`steps.review.results.numbers.all(n, n >= 0 && n < 300 && n != 1000)`,
		`steps.review.results.numbers.filter(n, n >= 100).size() == 200`,
		`steps.review.results == steps["find-plan"].results`,
		`params.request != steps.review.output && !params.request.contains(steps["find-plan"].output)`,
	} {
		if got, err := eval(source, facts); err != nil || !got {
			t.Errorf("%s gives %v and says %v", source, got, err)
		}
	}
}

// In each of these a macro makes a value of two of the one before. It costs little to make them, and as they share
// their parts, little memory. Only who looks at all of it finds out that there are more parts than atoms.
func TestNoMacroMakesAListOfLists(t *testing.T) {
	const want = "a list or map made inside a macro can hold strings, numbers, bools, steps and what is looked up, but no other list or map"
	for _, source := range []string{
		`[1]` + strings.Repeat(`.map(x, [x, x])`, 30) + ` == []`,
		`[1]` + strings.Repeat(`.map(x, {"a": x, "b": x})`, 30) + ` == []`,
		`[1]` + strings.Repeat(`.map(x, dyn([x, x]))`, 30) + ` == []`,
		`[[1]].exists(a, [a + a].exists(b, [b + b].exists(c, c == c)))`,
		`[[1]].exists(a, [[a, a]].exists(b, [[b, b]].exists(c, c == c)))`,
		`[[1]].exists(a, [true ? a : a + a].exists(b, [b + b] == [b]))`,
		`[[1]].exists(a, [dyn([a, a])].exists(b, b == b))`,
		`[[1]].exists(a, [{"a": a, "b": a}].exists(b, b == b))`,
		`[[1]].exists(a, [{"a": {"b": a}}].exists(b, b == b))`,
		`[[1]].exists(a, [[a, a].filter(x, true)].exists(b, b == b))`,
		`steps.review.results.tags.exists(a, [dyn(a) + dyn(a)].exists(b, b == b))`,
	} {
		if _, err := Compile(source, testScope); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s says %v", source, err)
		}
	}
	for _, source := range []string{
		`[1, 2].map(x, x + 1).exists(y, [y, y + 1] == [2, 3])`,
		`[[1], [2]].all(x, [x[0], size(x)] == [x[0], 1])`,
		`steps.review.results.files.all(file, {"name": file.name, "lines": file.lines} == file)`,
		`steps.review.results.files.map(file, file.lines > 3 ? "long" : "short") == ["short", "long"]`,
	} {
		if got, err := eval(source, testFacts); err != nil || !got {
			t.Errorf("%s gives %v and says %v", source, got, err)
		}
	}
}

func TestFunctionsThatMakeMuchOutOfLittleAreRefused(t *testing.T) {
	for _, call := range []string{
		`"a".replace("a", "b") == ""`, `"a".replace("a", "b", 1) == ""`, `["a"].join() == ""`, `["a"].join(",") == ""`,
		`"%s".format([1]) == ""`, `strings.quote("a") == ""`, `"a".indexOf("a") == 0`, `"a".lastIndexOf("a", 0) == 0`,
	} {
		if _, err := Compile(call, testScope); err == nil || !strings.Contains(err.Error(), " cannot be used here: let a step work that out") {
			t.Errorf("%s says %v", call, err)
		}
	}
}

func TestMapsAreGoneThroughInTheOrderOfTheirKeys(t *testing.T) {
	facts := Facts{Steps: map[string]Step{"review": step("Succeeded", `{"e": 1, "b": {"z": 1, "y": 2, "x": 3}, "d": 1, "a": 1, "c": 1}`, 1)}}
	for range 50 { // Go shuffles its maps.
		for _, source := range []string{
			`steps.review.results.filter(key, true) == ["a", "b", "c", "d", "e"]`,
			`steps.review.results.b.map(key, key) == ["x", "y", "z"]`,
			`{"c": 1, "a": 2, "b": 3}.map(key, key) == ["a", "b", "c"]`,
			`{3: 1, 1: 2, -2: 3}.map(key, key) == [-2, 1, 3]`,
			`{true: 1, "a": 2, 3: 3, 4u: 4, "b": 5}.filter(key, true) == [dyn(true), 3, "a", "b", 4u]`,
			`{true: 1, false: 2}.map(key, key) == [false, true]`,
		} {
			if got, err := eval(source, facts); err != nil || !got {
				t.Fatalf("%s gives %v and says %v", source, got, err)
			}
		}
		_, err := eval(`steps.review.results.all(key, steps.review.results[key].nothing == 1)`, facts)
		if want := `when cannot be evaluated: there is no "nothing"`; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Fatalf("it says %v", err)
		}
		_, err = eval(`steps.review.results.all(key, int(key) == 1)`, facts)
		if want := "when cannot be evaluated: type conversion error from 'string' to 'int' (column 34)"; err == nil || err.Error() != want {
			t.Fatalf("it says %v", err)
		}
	}
}
