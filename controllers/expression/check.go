package expression

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// mentions are the names that an expression speaks of.
type mentions struct {
	params, steps []string
}

// lookUp makes CEL's variables of the facts. Only what the expression speaks of is taken.
func (m mentions) lookUp(facts Facts) (map[string]any, error) {
	params, steps := make(map[string]any, len(m.params)), make(map[string]any, len(m.steps))
	for _, name := range m.params {
		value, ok := facts.Params[name]
		if !ok {
			return nil, fmt.Errorf("there is no param %q any more", name)
		}
		params[name] = value
	}
	for _, name := range m.steps {
		step, ok := facts.Steps[name]
		if !ok {
			return nil, fmt.Errorf("nothing is known of step %q", name)
		}
		steps[name] = step
	}
	return map[string]any{paramsVariable: params, stepsVariable: steps}, nil
}

// checkNames says which names an expression speaks of, all of them in scope, or what is wrong with one.
func checkNames(ast *celast.AST, scope Scope) (mentions, error) {
	var found mentions
	root := celast.NavigateAST(ast)
	for _, e := range celast.MatchDescendants(root, celast.KindMatcher(celast.ComprehensionKind)) {
		if name := e.AsComprehension().IterVar(); isVariable(name) {
			return found, fmt.Errorf("%s is the name of something else: give what the macro goes through another name%s", name, where(ast, e.ID()))
		}
	}
	for _, e := range celast.MatchDescendants(root, celast.KindMatcher(celast.IdentKind)) {
		if !isVariable(e.AsIdent()) {
			continue
		}
		if err := found.add(e, scope); err != nil {
			return found, err
		}
	}
	return found, nil
}

// isVariable says whether an identifier is one of the two variables. A dot before it makes no difference.
func isVariable(ident string) bool {
	ident = strings.TrimPrefix(ident, ".")
	return ident == paramsVariable || ident == stepsVariable
}

// add looks at one use of params or steps.
func (m *mentions) add(variable celast.NavigableExpr, scope Scope) error {
	of := strings.TrimPrefix(variable.AsIdent(), ".")
	name, ok := nameAfter(variable)
	switch {
	case !ok:
		return fmt.Errorf(`%s cannot be used as a whole, nor with a name that is worked out: ask about one by its name, as in %s["NAME"]`, of, of)
	case of == paramsVariable && !slices.Contains(scope.Params, name):
		return unknown(of, name, scope.Params, "there is no param %q: add it to params")
	case of == stepsVariable && !slices.Contains(scope.Steps, name):
		return unknown(of, name, scope.Steps, "step %q does not come before this step: add it to dependsOn, or list it earlier in a Sequence")
	case of == paramsVariable:
		m.params = append(m.params, name)
	default:
		m.steps = append(m.steps, name)
	}
	return nil
}

// unknown says that a name is not among those that there are.
func unknown(of, name string, names []string, problem string) error {
	const most = 12
	names = slices.Sorted(slices.Values(names))
	for _, other := range names {
		if strings.HasPrefix(other, name+"-") {
			return fmt.Errorf(problem+", or if you mean %q, whose hyphen is a minus here, write %s[%q]", name, other, of, other)
		}
	}
	problem = fmt.Sprintf(problem, name)
	switch {
	case len(names) == 0:
		return errors.New(problem)
	case len(names) > most:
		return fmt.Errorf("%s, or ask about one of: %s and %d more", problem, strings.Join(names[:most], ", "), len(names)-most)
	default:
		return fmt.Errorf("%s, or ask about one of: %s", problem, strings.Join(names, ", "))
	}
}

// nameAfter is NAME of steps["NAME"] or steps.NAME.
func nameAfter(variable celast.NavigableExpr) (string, bool) {
	parent, ok := variable.Parent()
	switch {
	case !ok:
		return "", false
	case parent.Kind() == celast.SelectKind:
		return parent.AsSelect().FieldName(), true
	case parent.Kind() != celast.CallKind || parent.AsCall().FunctionName() != operators.Index:
		return "", false
	}
	args := parent.AsCall().Args()
	if args[0].ID() != variable.ID() {
		return "", false
	}
	return literal(args[1])
}

// unlimited are functions of which one call can make much out of little, or take long over little: the cost would be
// known too late.
var unlimited = map[string]bool{
	"replace": true, "join": true, "format": true, "strings.quote": true, "indexOf": true, "lastIndexOf": true,
}

// checkLimits refuses what the limit on cost would notice too late, or never. It returns the sizes of the regular
// expressions.
func checkLimits(ast *celast.AST) (map[string]int, error) {
	regexps := map[string]int{}
	for _, e := range celast.MatchDescendants(celast.NavigateAST(ast), celast.AllMatcher()) {
		var err error
		switch e.Kind() {
		case celast.CallKind:
			err = checkCall(e.AsCall(), regexps)
		case celast.ListKind:
			err = checkParts(ast, e.AsList().Elements())
		case celast.MapKind:
			err = checkEntries(ast, e.AsMap().Entries())
		default: // All others have no limits of their own.
		}
		if err != nil {
			return nil, fmt.Errorf("%w%s", err, where(ast, e.ID()))
		}
	}
	return regexps, nil
}

func checkCall(call celast.CallExpr, regexps map[string]int) error {
	name := call.FunctionName()
	if unlimited[name] {
		return fmt.Errorf("%s cannot be used here: let a step work that out, and ask for its results", name)
	}
	if name != overloads.Matches {
		return nil
	}
	args := call.Args()
	pattern, ok := literal(args[len(args)-1])
	if !ok {
		return errors.New("the pattern of matches must be a constant: write it out, or use contains, startsWith or endsWith")
	}
	size, err := regexpSize(pattern)
	if err != nil {
		return fmt.Errorf("the pattern of matches is no good: %w", err)
	}
	if size > maxRegexp {
		return errors.New("the pattern of matches is too large: shorten it, or what it repeats")
	}
	regexps[pattern] = size
	return nil
}

// regexpSize is how large a regular expression is once it is compiled, at least.
func regexpSize(pattern string) (int, error) {
	if len(pattern) > maxRegexp {
		return len(pattern), nil // To compile it only to refuse it could take long.
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

func checkEntries(ast *celast.AST, entries []celast.EntryExpr) error {
	values := make([]celast.Expr, 0, len(entries))
	for _, entry := range entries {
		switch key := entry.AsMapEntry().Key(); ast.GetType(key.ID()).Kind() {
		case types.StringKind, types.IntKind, types.UintKind, types.BoolKind:
		default:
			return errors.New("a key of a map must be a string, a whole number or a bool: convert it, as by string()")
		}
		values = append(values, entry.AsMapEntry().Value())
	}
	return checkParts(ast, values)
}

// checkParts looks at what a list or a map is made of. A part that is a list or a map itself, and that is made anew
// each time a macro goes round, could hold what was made the time before twice; a few dozen such macros in a row make
// what takes years to compare with anything. So only what is plain, or looked up as it is, can be a part there.
func checkParts(ast *celast.AST, parts []celast.Expr) error {
	for _, part := range parts {
		if !plain[ast.GetType(part.ID()).Kind()] && !lookedUp(part) && speaksOfMacro(ast, part) {
			return errors.New("a list or map made inside a macro can hold strings, numbers, bools, steps and what is looked up, " +
				"but no other list or map: ask in several expressions, joined by && or ||")
		}
	}
	return nil
}

// plain are the kinds of values that have no parts. A step has, but none that an expression made.
var plain = map[types.Kind]bool{
	types.BoolKind: true, types.BytesKind: true, types.DoubleKind: true, types.IntKind: true, types.NullTypeKind: true,
	types.StringKind: true, types.StructKind: true, types.TypeKind: true, types.UintKind: true,
}

// lookedUp says whether an expression is a variable, a field or an element, and so something that was there before.
func lookedUp(e celast.Expr) bool {
	return e.Kind() == celast.IdentKind || e.Kind() == celast.SelectKind ||
		e.Kind() == celast.CallKind && e.AsCall().FunctionName() == operators.Index
}

// speaksOfMacro says whether an expression uses the variable of a macro.
func speaksOfMacro(ast *celast.AST, e celast.Expr) bool {
	return slices.ContainsFunc(
		celast.MatchDescendants(celast.NavigateExpr(ast, e), celast.KindMatcher(celast.IdentKind)),
		func(ident celast.NavigableExpr) bool { return !isVariable(ident.AsIdent()) })
}

// literal is the string that an expression is, if it is written out.
func literal(e celast.Expr) (string, bool) {
	if e.Kind() != celast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}
