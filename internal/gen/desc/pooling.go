package desc

import (
	"math"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// m = x > m or x is a NaN ? x : m
func windowMax(k *vec.Kernel) {
	y, x := k.InOut("y"), k.In("x")
	bottom := k.Const(float32(math.Inf(-1)))
	k.Windows(4, []*vec.Slice{x}, []vec.State{{Start: bottom, Dst: y}}, func(s []*vec.Value) []*vec.Value {
		v, m := k.Load(x), s[0]
		return []*vec.Value{k.Select(k.Equal(v, v), k.Greatest(v, m), v)}
	})
}

// i = x > m or x is a NaN ? tap : i;  m the same for x;  tap = tap + 1
func windowArgMax(k *vec.Kernel) {
	y, index, x := k.InOut("y"), k.InOut("index"), k.In("x")
	first := k.Word("first")
	states := []vec.State{{Start: first, Dst: index}, {Start: k.Const(float32(math.Inf(-1))), Dst: y}, {Start: first}}
	k.Windows(4, []*vec.Slice{x}, states, func(s []*vec.Value) []*vec.Value {
		v, i, m, tap := k.Load(x), s[0], s[1], s[2]
		i = k.Select(k.Less(m, v), tap, i)
		m = k.Greatest(v, m)
		number := k.Equal(v, v)
		return []*vec.Value{k.Select(number, i, tap), k.Select(number, m, v), k.IntAdd(tap, k.Bits(1))}
	})
}

// s = s + x
func windowSum(k *vec.Kernel) {
	dst, x := k.InOut("dst"), k.In("x")
	k.Windows(4, []*vec.Slice{x}, []vec.State{{Dst: dst}}, func(s []*vec.Value) []*vec.Value {
		return []*vec.Value{k.Add(s[0], k.Load(x))}
	})
}

// s = s + x/by
func windowShare(k *vec.Kernel) {
	dst, x := k.InOut("dst"), k.In("x")
	by := k.Scalar("by")
	k.Windows(4, []*vec.Slice{x}, []vec.State{{Dst: dst}}, func(s []*vec.Value) []*vec.Value {
		return []*vec.Value{k.Add(s[0], k.Div(k.Load(x), by))}
	})
}

// s = s + (index == place ? dy : +0)
func windowSelect(k *vec.Kernel) {
	dx, dy, index := k.InOut("dx"), k.In("dy"), k.In("index")
	place := k.Scalar("place")
	k.Windows(4, []*vec.Slice{dy, index}, []vec.State{{Dst: dx}}, func(s []*vec.Value) []*vec.Value {
		return []*vec.Value{k.Add(s[0], k.Keep(k.Equal(k.ToFloat(k.Load(index)), place), k.Load(dy)))}
	})
}
