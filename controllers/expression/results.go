package expression

import (
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
)

// Results is the output of a step as a map, if all of it is one JSON object. Numbers that are whole are of type int64,
// as long as they fit, and all others float64, so that an expression can compare them with 3 and with 0.5.
func Results(output string) (map[string]any, bool) {
	decoder := json.NewDecoder(strings.NewReader(output))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, false
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, false
	}
	if !numbers(object) {
		return nil, false
	}
	return object, true
}

// numbers replaces the numbers in an object by those of Go, and says whether all of them are within its range.
func numbers(object map[string]any) bool {
	for key, value := range object {
		value, ok := number(value)
		if !ok {
			return false
		}
		object[key] = value
	}
	return true
}

func number(value any) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		return v, numbers(v)
	case []any:
		for i, element := range v {
			element, ok := number(element)
			if !ok {
				return nil, false
			}
			v[i] = element
		}
		return v, true
	case json.Number:
		return numberOf(string(v))
	default:
		return v, true
	}
}

func numberOf(text string) (any, bool) {
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		return whole, true
	}
	double, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, false
	}
	if double == math.Trunc(double) && double >= math.MinInt64 && double < math.MaxInt64 {
		return int64(double), true
	}
	return double, true
}
