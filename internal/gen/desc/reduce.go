package desc

import (
	"math"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// lane = fma(x, y, lane)
func dot(k *vec.Kernel) {
	x, y := k.In("x"), k.In("y")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		return k.FMA(k.Load(x), k.Load(y), acc)
	}})
}

// lane = lane + x
func sum(k *vec.Kernel) {
	x := k.In("x")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		return k.Add(acc, k.Load(x))
	}})
}

// lane = fma(x, x, lane)
func sumSquares(k *vec.Kernel) {
	x := k.In("x")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		v := k.Load(x)
		return k.FMA(v, v, acc)
	}})
}

// lo = x < lo ? x : lo;  hi = x > hi ? x : hi
func minMax(k *vec.Kernel) {
	x := k.In("x")
	k.Results = []string{"lo", "hi"}
	top, bottom := k.Const(float32(math.Inf(1))), k.Const(float32(math.Inf(-1)))
	var v *vec.Value
	k.Reduce(0,
		vec.Accumulator{Start: top, Fold: vec.Least, Next: func(lo *vec.Value) *vec.Value {
			v = k.Load(x)
			return k.Least(k.Fill(v, top), lo)
		}},
		vec.Accumulator{Start: bottom, Fold: vec.Greatest, Next: func(hi *vec.Value) *vec.Value {
			return k.Greatest(k.Fill(v, bottom), hi)
		}})
}

// lane = fma(x, 0, lane): stays 0, or becomes NaN for good
func finiteSum(k *vec.Kernel) {
	x := k.In("x")
	zero := k.Const(0)
	k.Reduce(0, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		return k.FMA(k.Load(x), zero, acc)
	}})
}

// dst = exp(x-m);  lane = lane + dst
func expSum(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	m := k.Scalar("m")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		e := expNonPositive(k, k.Sub(k.Load(x), m))
		k.Store(dst, e)
		return k.Add(acc, k.Fill(e, k.Const(0)))
	}})
}
