// Package unmade tests what happens to values that no constructor has made.
package unmade

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
)

// Check calls each method of v that returns an error, and requires one that speaks of
// its package, and no panic. Arguments are those of args that fit, else zero values.
func Check(t *testing.T, v any, args ...any) {
	t.Helper()
	errorType := reflect.TypeFor[error]()
	value, name := reflect.ValueOf(v), fmt.Sprintf("%T", v)
	if value.Kind() == reflect.Pointer && value.IsNil() {
		name += "(nil)"
	}
	calls := 0
	for i := range value.NumMethod() {
		m := value.Type().Method(i)
		if n := m.Type.NumOut(); n == 0 || m.Type.Out(n-1) != errorType {
			continue
		}
		calls++
		var in []reflect.Value
		for k := 1; k < m.Type.NumIn(); k++ {
			in = append(in, argument(m.Type.In(k), args))
		}
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%s.%s: panic: %v\n%s", name, m.Name, r, debug.Stack())
				}
			}()
			call := value.Method(i).Call
			if m.Type.IsVariadic() {
				call = value.Method(i).CallSlice
			}
			out := call(in)
			err, _ := out[len(out)-1].Interface().(error)
			pkg, _, _ := strings.Cut(strings.TrimPrefix(name, "*"), ".")
			if err == nil || !strings.HasPrefix(err.Error(), pkg+": ") {
				t.Errorf("%s.%s: the error is %v", name, m.Name, err)
			}
		}()
	}
	if calls == 0 {
		t.Errorf("%s: no method returns an error", name)
	}
}

func argument(t reflect.Type, args []any) reflect.Value {
	for _, a := range args {
		if v := reflect.ValueOf(a); v.Type().AssignableTo(t) {
			return v
		}
	}
	return reflect.Zero(t)
}
