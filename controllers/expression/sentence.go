package expression

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// maxSentence is the longest error, in bytes: as much as an event keeps.
const maxSentence = 512

// sentence is a text on one line of at most maxSentence bytes, without anything that a terminal would act on: there may
// be parts of an expression or of an output in it.
func sentence(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool {
		return !unicode.IsPrint(r) || r == ' '
	}), " ")
	if len(text) <= maxSentence {
		return text
	}
	const ellipsis = "…"
	end := maxSentence - len(ellipsis)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

// firstOf is what CEL says first about an expression, in a few words.
func firstOf(issues *cel.Issues) error {
	if issues.Err() == nil {
		return nil
	}
	first := issues.Errors()[0]
	for _, issue := range issues.Errors() {
		if issue.Location.Line() > 0 { // Those without a place only say that the parser gave up after the others.
			first = issue
			break
		}
	}
	return errors.New(plainly(first.Message) + column(first.Location.Line(), first.Location.Column()))
}

// plainly says in words what CEL says in those of its grammar.
func plainly(message string) string {
	message, _, _ = strings.Cut(message, " (in container")
	if field, ok := strings.CutPrefix(message, "undefined field "); ok {
		return "there is no field " + field + ": a step has " + strings.Join(stepFields, ", ")
	}
	if call, ok := strings.CutPrefix(message, "found no matching overload for "); ok {
		return mismatch(strings.ReplaceAll(call, "'", ""))
	}
	if strings.Contains(message, "recursion") {
		return fmt.Sprintf("it is nested more than %d deep: take it apart", maxDepth)
	}
	message, ok := strings.CutPrefix(message, "Syntax error: ")
	if !ok {
		return message
	}
	message, _, _ = strings.Cut(message, " expecting ")
	for _, grammar := range []string{"mismatched input ", "extraneous input ", "token recognition error at: ", "no viable alternative at input "} {
		if text, ok := strings.CutPrefix(message, grammar); ok {
			message = "unexpected " + text
		}
	}
	return strings.ReplaceAll(message, "unexpected '<EOF>'", "it ends too early")
}

// mismatch says that a function or an operator does not go with its arguments.
func mismatch(call string) string {
	name, args, _ := strings.Cut(call, " applied to ")
	if name == operators.Conditional {
		name = "?:"
	}
	symbol, isOperator := operators.FindReverse(name)
	if !isOperator || symbol == "" {
		return fmt.Sprintf("%s cannot be applied to %s", name, args)
	}
	return fmt.Sprintf("%s cannot be applied to %s: convert one, as by int(), double() or string()", symbol, args)
}

// where says where in an expression something is.
func where(ast *celast.AST, id int64) string {
	at := ast.SourceInfo().GetStartLocation(id)
	return column(at.Line(), at.Column())
}

func column(line, column int) string {
	switch {
	case line < 1 || column < 0:
		return ""
	case line == 1:
		return fmt.Sprintf(" (column %d)", column+1)
	default:
		return fmt.Sprintf(" (line %d, column %d)", line, column+1)
	}
}

// explain says what to do about an error of an evaluation.
func (p *Program) explain(err error) error {
	var id int64
	if e := (*types.Err)(nil); errors.As(err, &e) {
		id = e.NodeID()
	}
	message := err.Error()
	switch {
	case strings.HasPrefix(message, "no such key: "), strings.HasPrefix(message, "index out of bounds: "):
		return p.missing(id, message)
	case strings.Contains(message, "cost limit"):
		return errors.New("it is too much work: ask for less, or let a step find out and say")
	case strings.HasPrefix(message, "no such overload"):
		return fmt.Errorf("values of types that do not go together meet%s: convert one, as by int(), double() or string()", where(p.ast, id))
	case strings.HasSuffix(message, "expected iterable type"):
		return errors.New("only a list or a map can be gone through: ask about its type first, as in type(…) == list")
	}
	return errors.New(message + where(p.ast, id))
}

// missing says how to ask whether something is there.
func (p *Program) missing(id int64, message string) error {
	_, key, _ := strings.Cut(message, ": ")
	e := find(p.ast, id)
	// CEL tells which chain of names it was, but not where in the chain.
	for inner := e; inner != nil; inner = before(inner) {
		if name, ok := nameIn(inner); ok && name == key {
			e = inner
		}
	}
	switch of := chain(before(e)); {
	case of == "":
		return fmt.Errorf("there is no %q in what it looks at%s: ask first whether there is, by has() or in", key, where(p.ast, id))
	case e.Kind() == celast.SelectKind:
		return fmt.Errorf("there is no %q in %s: ask has(%s.%s) first", key, of, of, key)
	case strings.HasPrefix(message, "index"):
		return fmt.Errorf("there is no element %s in %s: ask size(%s) first", key, of, of)
	default:
		return fmt.Errorf("there is no %q in %s: ask %q in %s first", key, of, key, of)
	}
}

// find is the part of an expression that has a number, or nil.
func find(ast *celast.AST, id int64) celast.Expr {
	for _, e := range celast.MatchDescendants(celast.NavigateAST(ast), celast.AllMatcher()) {
		if e.ID() == id {
			return e
		}
	}
	return nil
}

// before is what a field or an element is looked up in; nil for everything else.
func before(e celast.Expr) celast.Expr {
	switch {
	case e == nil:
		return nil
	case e.Kind() == celast.SelectKind:
		return e.AsSelect().Operand()
	case e.Kind() == celast.CallKind && e.AsCall().FunctionName() == operators.Index:
		return e.AsCall().Args()[0]
	}
	return nil
}

// nameIn is the field or the element that is looked up, if it is written out.
func nameIn(e celast.Expr) (string, bool) {
	switch {
	case before(e) == nil:
		return "", false
	case e.Kind() == celast.SelectKind:
		return e.AsSelect().FieldName(), true
	default:
		return literal(e.AsCall().Args()[1])
	}
}

// chain is a chain of names as it can be written; empty if there is more to it.
func chain(e celast.Expr) string {
	if e == nil {
		return ""
	}
	if e.Kind() == celast.IdentKind {
		return e.AsIdent()
	}
	of, name, ok := chain(before(e)), "", false
	if of != "" {
		name, ok = nameIn(e)
	}
	switch {
	case !ok:
		return ""
	case e.Kind() == celast.SelectKind:
		return of + "." + name
	default:
		return fmt.Sprintf("%s[%q]", of, name)
	}
}
