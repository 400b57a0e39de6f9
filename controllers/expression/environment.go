package expression

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// MaxLength is the longest expression, in characters.
const MaxLength = 1024

// maxDepth is how deep brackets, calls and operators may be nested.
const maxDepth = 64

// nowhere is no place in any expression.
const nowhere = -1

// The two things that an expression sees.
const (
	paramsVariable = "params"
	stepsVariable  = "steps"
)

// environment is what all expressions are compiled in. It is made once, as making it takes much longer than compiling
// an expression does.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	// CEL has one value for all errors of this kind, and puts on it, without a lock, where the first of them was.
	types.LabelErrNode(nowhere, types.NoSuchOverloadErr())
	return cel.NewCustomEnv(
		withSteps,
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{ExcludeFunctions: aboutTime()})),
		ext.Strings(ext.StringsVersion(5)),
		cel.Variable(paramsVariable, cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable(stepsVariable, cel.MapType(cel.StringType, stepType)),
		cel.CrossTypeNumericComparisons(true),
		cel.EagerlyValidateDeclarations(true),
		cel.ParserExpressionSizeLimit(MaxLength),
		cel.ParserRecursionLimit(maxDepth),
		// Only the first error is told.
		cel.ParserErrorRecoveryLimit(1),
	)
})

// aboutTime are the functions of CEL that are not pure, as they know time zones, and those that are of no use without.
func aboutTime() []*env.Function {
	var list []*env.Function
	for _, name := range []string{
		"timestamp", "duration", "getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek",
		"getHours", "getMinutes", "getSeconds", "getMilliseconds",
	} {
		list = append(list, env.NewFunction(name))
	}
	return list
}
