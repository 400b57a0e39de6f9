package expression

import (
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

const (
	// maxCost is how much work an evaluation may be. Each step of it costs 1, and a call what costs says.
	maxCost = 30_000
	// maxRegexp is how large a regular expression may be, as it is written and once it is compiled.
	maxRegexp = 250
)

// costs says what a call has cost: as much as what went into it and what came out of it. CEL's own costs count a
// comparison of two lists, the length of a string or the search for an element as 1, however large they are.
type costs struct {
	// regexps are the sizes of the regular expressions, which are all constants.
	regexps map[string]int
}

// sizes counts all parts of a value, and of a string or bytes each as one.
var sizes = types.NewSizeCalculator(
	types.SizeCalculatorMaxDepth(2*maxCost), types.SizeCalculatorMaxTraversal(2*maxCost), types.SizeCalculatorStringUnitLength(16))

// CallCost is what a call has cost.
func (c costs) CallCost(function, overload string, args []ref.Val, result ref.Val) *uint64 {
	total := uint64(1)
	switch {
	case function == operators.Add && isList(result):
		// It is a view on the two, or has been added in place by a macro.
		return &total
	case function == overloads.Matches && len(args) == 2:
		pattern, _ := args[1].(types.String)
		total = cost.SafeMultiply(uint64(sizes.AggregateSize(args[0])), uint64(c.regexps[string(pattern)]))
		return &total
	}
	for _, arg := range args {
		total = cost.SafeAdd(total, uint64(sizes.AggregateSize(arg)))
	}
	total = cost.SafeAdd(total, uint64(sizes.AggregateSize(result)))
	return &total
}

func isList(value ref.Val) bool {
	_, ok := value.(traits.Lister)
	return ok
}
