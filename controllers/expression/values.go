package expression

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// stepType is the type of what is known about a step. As its name has a space in it, no expression can make one.
var stepType = types.NewObjectType("a step", traits.IndexerType|traits.FieldTesterType)

// stepFields are the fields of a step.
var stepFields = []string{"phase", "output", "results", "epoch"}

// fieldTypes are their types.
var fieldTypes = map[string]*types.Type{
	"phase": types.StringType, "output": types.StringType, "epoch": types.IntType,
	"results": types.NewMapType(types.StringType, types.DynType),
}

// field is the value of a field of a step.
func (s Step) field(name string) any {
	switch name {
	case "phase":
		return s.Phase
	case "output":
		return s.Output
	case "results":
		return s.Results
	default:
		return s.Epoch
	}
}

// isSet says whether a step has something in a field, for has().
func (s Step) isSet(name string) bool {
	return !reflect.ValueOf(s.field(name)).IsZero()
}

// withSteps makes the type of a step known, and values as adapter has them.
func withSteps(e *cel.Env) (*cel.Env, error) {
	e, err := cel.CustomTypeProvider(provider{e.CELTypeProvider()})(e)
	if err != nil {
		return nil, err
	}
	return cel.CustomTypeAdapter(adapter{})(e)
}

// provider knows one type besides those of CEL itself. Those of Protocol Buffers are not for work orders.
type provider struct{ types.Provider }

func (provider) FindStructType(name string) (*types.Type, bool) {
	if name != stepType.TypeName() {
		return nil, false
	}
	return types.NewTypeTypeWithParam(stepType), true
}

func (provider) FindStructFieldNames(name string) ([]string, bool) {
	return stepFields, name == stepType.TypeName()
}

func (provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	fieldType, ok := fieldTypes[field]
	if name != stepType.TypeName() || !ok {
		return nil, false
	}
	return &types.FieldType{
		Type:  fieldType,
		IsSet: func(of any) bool { step, ok := of.(Step); return ok && step.isSet(field) },
		GetFrom: func(of any) (any, error) {
			step, ok := of.(Step)
			if !ok {
				return nil, fmt.Errorf("no such field: %s", field)
			}
			return step.field(field), nil
		},
	}, true
}

func (provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("unknown type: %s", name)
}

// stepValue is a step as a value of CEL.
type stepValue struct{ Step }

var (
	_ traits.Indexer     = &stepValue{}
	_ traits.FieldTester = &stepValue{}
)

// Type is the type of a step.
func (v *stepValue) Type() ref.Type { return stepType }

// Value is the step.
func (v *stepValue) Value() any { return v.Step }

func (v *stepValue) String() string { return stepType.TypeName() }

// ConvertToNative is for what embeds CEL, and nothing here asks for it.
func (v *stepValue) ConvertToNative(to reflect.Type) (any, error) {
	return nil, fmt.Errorf("a step cannot become %v", to)
}

// ConvertToType is what type() and the conversions call.
func (v *stepValue) ConvertToType(to ref.Type) ref.Val {
	if to == types.TypeType {
		return stepType
	}
	return types.NewErr("type conversion error from '%s' to '%s'", stepType, to)
}

// Equal compares all fields.
func (v *stepValue) Equal(other ref.Val) ref.Val {
	that, ok := other.(*stepValue)
	if !ok {
		return types.False
	}
	for _, name := range stepFields {
		if types.Equal(v.Get(types.String(name)), that.Get(types.String(name))) != types.True {
			return types.False
		}
	}
	return types.True
}

// AggregateSize is the size of the fields that can be large.
func (v *stepValue) AggregateSize(sizer types.AggregateSizer) uint32 {
	output, results := types.String(v.Output), adapter{}.NativeToValue(v.Results)
	return sizer.AggregateSize(output) + sizer.AggregateSize(results)
}

// Get is a field, for where the type of the value was not known beforehand.
func (v *stepValue) Get(index ref.Val) ref.Val {
	name, ok := index.(types.String)
	if !ok || !slices.Contains(stepFields, string(name)) {
		return types.NewErr("no such key: %v", index)
	}
	return adapter{}.NativeToValue(v.field(string(name)))
}

// IsSet is has() for where the type of the value was not known beforehand.
func (v *stepValue) IsSet(index ref.Val) ref.Val {
	name, ok := index.(types.String)
	return types.Bool(ok && slices.Contains(stepFields, string(name)) && v.isSet(string(name)))
}

// adapter turns what Go has into what CEL has.
type adapter struct{}

// NativeToValue is a value of CEL.
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case Step:
		return &stepValue{v}
	case map[string]any:
		return ordered(types.NewStringInterfaceMap(a, v))
	case []any:
		return types.NewDynamicList(a, v)
	default:
		return ordered(types.DefaultTypeAdapter.NativeToValue(v))
	}
}

// orderedMap is a map whose keys are always gone through in the same order, which those of Go are not. It shows in what
// macros give: a list of the keys, the first of several errors, and whether the work is too much.
type orderedMap struct{ traits.Mapper }

func ordered(value ref.Val) ref.Val {
	if m, ok := value.(traits.Mapper); ok {
		return orderedMap{m}
	}
	return value
}

// Iterator goes through the keys.
func (m orderedMap) Iterator() traits.Iterator {
	var keys []ref.Val
	for i := m.Mapper.Iterator(); i.HasNext() == types.True; {
		keys = append(keys, i.Next())
	}
	slices.SortFunc(keys, compareKeys)
	return types.NewRefValList(adapter{}, keys).Iterator()
}

// AggregateSize is the size of the map with all that is in it.
func (m orderedMap) AggregateSize(sizer types.AggregateSizer) uint32 {
	return sizer.AggregateSize(m.Mapper)
}

func (m orderedMap) String() string { return "a map" }

// compareKeys orders keys by their type, and those of one type by their value.
func compareKeys(a, b ref.Val) int {
	if c := strings.Compare(a.Type().TypeName(), b.Type().TypeName()); c != 0 {
		return c
	}
	comparer, ok := a.(traits.Comparer)
	if !ok {
		return 0
	}
	c, _ := comparer.Compare(b).(types.Int)
	return int(c)
}

// orderedLiteral is a map that is written out in an expression. The interpreter makes it without asking the adapter.
type orderedLiteral struct {
	interpreter.InterpretableConstructor
}

// orderLiterals has all maps that are written out be ordered.
func orderLiterals(node interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	if literal, ok := node.(interpreter.InterpretableConstructor); ok && literal.Type() == types.MapType {
		return orderedLiteral{literal}, nil
	}
	return node, nil
}

// Exec makes the map.
func (l orderedLiteral) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return ordered(l.InterpretableConstructor.Exec(frame))
}

// Eval makes the map.
func (l orderedLiteral) Eval(variables interpreter.Activation) ref.Val {
	return l.Exec(interpreter.AsFrame(variables))
}
