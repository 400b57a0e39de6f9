package expression

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

// Scope is what an expression may speak of.
type Scope struct {
	// Params are the names of the order's params.
	Params []string
	// Steps are the names of the steps that come before the one whose expression it is.
	Steps []string
}

// Facts is what an expression is evaluated on: at least the params and steps that it speaks of.
type Facts struct {
	Params map[string]string
	Steps  map[string]Step
}

// Step is what became of a step.
type Step struct {
	Phase, Output string
	// Results are as the function of that name has them, and nil if the output is no JSON object.
	Results map[string]any
	Epoch   int64
}

// Program is an expression that was compiled. It can be evaluated any number of times, also at the same time.
type Program struct {
	program cel.Program
	ast     *celast.AST
	speaks  mentions
}

// Compile checks an expression, and says in one sentence what is wrong with it.
func Compile(source string, scope Scope) (_ *Program, err error) {
	defer func() {
		// The compiler is given what anybody wrote. If it cannot cope with that, it is the expression that is refused.
		if p := recover(); p != nil {
			err = fmt.Errorf("the compiler cannot cope with it, write it otherwise: %v", p)
		}
		if err != nil {
			err = errors.New(sentence("when does not compile: " + err.Error()))
		}
	}()
	return compile(source, scope)
}

func compile(source string, scope Scope) (*Program, error) {
	switch {
	case source == "":
		return nil, errors.New("it is empty: leave it out, and the step always runs")
	case !utf8.ValidString(source):
		return nil, errors.New("it is no text: write it in UTF-8")
	case utf8.RuneCountInString(source) > MaxLength:
		return nil, fmt.Errorf("it is longer than %d characters: shorten it, or let a step find out and say", MaxLength)
	}
	language, err := environment()
	if err != nil {
		return nil, err
	}
	parsed, issues := language.Parse(source)
	if err := firstOf(issues); err != nil {
		return nil, err
	}
	// Before the types are looked at, as what is said about names is of more use.
	speaks, err := checkNames(parsed.NativeRep(), scope)
	if err != nil {
		return nil, err
	}
	checked, issues := language.Check(parsed)
	if err := firstOf(issues); err != nil {
		return nil, err
	}
	regexps, err := checkLimits(checked.NativeRep())
	if err != nil {
		return nil, err
	}
	if err := checkType(checked.OutputType()); err != nil {
		return nil, err
	}
	program, err := language.Program(checked,
		cel.OptimizeRegex(interpreter.MatchesRegexOptimization), cel.CustomDecoratorV2(orderLiterals),
		cel.CostTracking(costs{regexps}), cel.CostLimit(maxCost))
	if err != nil {
		return nil, err
	}
	return &Program{program: program, ast: checked.NativeRep(), speaks: speaks}, nil
}

// checkType says what to do if the expression gives something that is neither true nor false.
func checkType(output *cel.Type) error {
	switch output.Kind() {
	case types.BoolKind:
		return nil
	case types.DynKind:
		return errors.New("nobody knows beforehand whether this will be true or false: compare it, as in … == true")
	default:
		return fmt.Errorf("it must be true or false, but this is of type %s: compare it with something", output)
	}
}

// Eval evaluates the expression.
func (p *Program) Eval(facts Facts) (bool, error) {
	variables, err := p.speaks.lookUp(facts)
	if err != nil {
		return false, failed(err)
	}
	value, _, err := p.program.Eval(variables)
	if err != nil {
		return false, failed(p.explain(err))
	}
	return value == types.True, nil
}

func failed(err error) error {
	return errors.New(sentence("when cannot be evaluated: " + err.Error()))
}
