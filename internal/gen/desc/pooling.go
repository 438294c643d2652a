package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// m = x > m or x is a NaN ? x : m
func windowMax(k *vec.Kernel) {
	y, x := k.InOut("y"), k.In("x")
	first := func() []*vec.Value { return []*vec.Value{k.Load(x)} }
	k.Gather(8, x, []*vec.Slice{y}, first, func(s []*vec.Value) []*vec.Value {
		v := k.Load(x)
		return []*vec.Value{k.Select(k.Exceeds(v, s[0]), v, s[0])}
	}, nil)
}

// i = x > m or x is a NaN ? place : i;  m the same for x
func windowArgMax(k *vec.Kernel) {
	y, index, x := k.InOut("y"), k.InOut("index"), k.In("x")
	place := k.Place(k.Word("first"))
	first := func() []*vec.Value { return []*vec.Value{k.Load(x), place} }
	k.Gather(4, x, []*vec.Slice{y, index}, first, func(s []*vec.Value) []*vec.Value {
		v := k.Load(x)
		larger := k.Exceeds(v, s[0])
		return []*vec.Value{k.Select(larger, v, s[0]), k.Select(larger, place, s[1])}
	}, nil)
}

// s = s + x;  y = s / by
func windowMean(k *vec.Kernel) {
	y, x := k.InOut("y"), k.In("x")
	by := k.Scalar("by")
	first := func() []*vec.Value { return []*vec.Value{k.Add(k.Load(x), k.Const(0))} }
	next := func(s []*vec.Value) []*vec.Value { return []*vec.Value{k.Add(s[0], k.Load(x))} }
	last := func(s []*vec.Value) []*vec.Value { return []*vec.Value{k.Div(s[0], by)} }
	k.Gather(8, x, []*vec.Slice{y}, first, next, last)
}

// dx = v with v = dy/by, or dx + v
func windowShare(add bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		dx, dy := k.InOut("dx"), k.In("dy")
		by := k.Scalar("by")
		once := func() []*vec.Value { return []*vec.Value{k.Add(k.Div(k.Load(dy), by), k.Const(0))} }
		k.Scatter(4, dx, []*vec.Slice{dy}, once, func(s []*vec.Value) { k.Store(dx, plus(k, add, dx, s[0])) })
	}
}

// dx = v with v = index == place ? dy : +0, or dx + v
func windowSelect(add bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		dx, dy, index := k.InOut("dx"), k.In("dy"), k.In("index")
		place := k.Place(k.Word("first"))
		once := func() []*vec.Value { return []*vec.Value{k.Add(k.Load(dy), k.Const(0)), k.Load(index)} }
		k.Scatter(4, dx, []*vec.Slice{dy, index}, once, func(s []*vec.Value) {
			k.Store(dx, plus(k, add, dx, k.Keep(k.IntEqual(s[1], place), s[0])))
		})
	}
}

// plus returns v, or dst + v.
func plus(k *vec.Kernel, add bool, dst *vec.Slice, v *vec.Value) *vec.Value {
	if !add {
		return v
	}
	return k.Add(k.Load(dst), v)
}
