package model

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// table gives equal values the same number, so that states of the world are compared by numbers. 0 stands for nothing.
type table[T any] struct {
	numbers map[string]int32
	values  []T
}

func newTable[T any]() *table[T] {
	return &table[T]{numbers: map[string]int32{}, values: make([]T, 1)}
}

func (t *table[T]) number(key string, value func() T) int32 {
	n, known := t.numbers[key]
	if !known {
		n = int32(len(t.values))
		t.values = append(t.values, value())
		t.numbers[key] = n
	}
	return n
}

// encode is a value as JSON; the model only encodes what always can be.
func encode(value any) []byte {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return encoded
}

// decode is the opposite; it cuts times to seconds, as every object that the API server stores is.
func decode[T any](encoded []byte) *T {
	value := new(T)
	if err := json.Unmarshal(encoded, value); err != nil {
		panic(err)
	}
	return value
}

// What a controller remembers is private to it. To set it back to an earlier state, and to tell whether two states are
// the same, it is copied and printed by reflection.

// memoryOf is the place where a reconciler keeps what it remembers.
func memoryOf(reconciler any) reflect.Value {
	return open(reflect.ValueOf(reconciler).Elem().FieldByName("memory"))
}

// open is the same value, without the ban on unexported fields.
func open(v reflect.Value) reflect.Value {
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}

// addressable is a value that stands in a place of its own, as map values do not.
func addressable(v reflect.Value) reflect.Value {
	place := reflect.New(v.Type()).Elem()
	place.Set(v)
	return place
}

var (
	mutexType = reflect.TypeFor[sync.Mutex]()
	timeType  = reflect.TypeFor[time.Time]()
)

// copyInto makes to, which is zero, a deep copy of from; mutexes are left unlocked.
func copyInto(to, from reflect.Value) {
	switch from.Kind() {
	case reflect.Struct:
		if from.Type() == timeType {
			to.Set(from)
			return
		}
		for i := range from.NumField() {
			if from.Type().Field(i).Type != mutexType {
				copyInto(open(to.Field(i)), open(from.Field(i)))
			}
		}
	case reflect.Map:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeMap(from.Type()))
		for entries := from.MapRange(); entries.Next(); {
			value := reflect.New(from.Type().Elem()).Elem()
			copyInto(value, addressable(entries.Value()))
			to.SetMapIndex(entries.Key(), value)
		}
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(from.Type().Elem()))
			copyInto(to.Elem(), from.Elem())
		}
	case reflect.Slice, reflect.Interface, reflect.Func, reflect.Chan:
		panic(fmt.Sprintf("what a controller remembers holds a %s now: teach the model to copy it", from.Type()))
	default:
		to.Set(from)
	}
}

// printed is a value as text that is the same for equal values.
func printed(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == timeType {
			return v.Interface().(time.Time).UTC().Format(time.RFC3339Nano)
		}
		var fields []string
		for i := range v.NumField() {
			if v.Type().Field(i).Type != mutexType {
				fields = append(fields, printed(open(v.Field(i))))
			}
		}
		return "{" + strings.Join(fields, " ") + "}"
	case reflect.Map:
		var entries []string
		for each := v.MapRange(); each.Next(); {
			entries = append(entries, printed(addressable(each.Key()))+":"+printed(addressable(each.Value())))
		}
		slices.Sort(entries)
		return "[" + strings.Join(entries, " ") + "]"
	case reflect.Pointer:
		if v.IsNil() {
			return "nil"
		}
		return printed(v.Elem())
	default:
		return fmt.Sprintf("%q", fmt.Sprint(v.Interface()))
	}
}
