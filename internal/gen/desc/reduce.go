package desc

import (
	"math"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// lane = fma(x, y, lane)
func dot(k *vec.Kernel) {
	x, y := k.In("x"), k.In("y")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		return k.FMA(k.Fill(k.Load(x), negativeZero(k)), k.Load(y), acc)
	}})
}

// negativeZero fills one factor of a product where the other is +0: adding
// their product leaves every lane as it is, also one that underflowed to -0.
func negativeZero(k *vec.Kernel) *vec.Value { return k.Bits(sign) }

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

// dst = exp(alpha*(x-m));  lane = lane + dst
func expSum(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	m, alpha := k.Scalar("m"), k.Scalar("alpha")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		e := expNonPositive(k, k.Mul(k.Sub(k.Load(x), m), alpha))
		k.Store(dst, e)
		return k.Add(acc, k.Fill(e, k.Const(0)))
	}})
}

// lane = lane + |x|
func sumMagnitudes(k *vec.Kernel) {
	x := k.In("x")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		return k.Add(acc, abs(k, k.Load(x)))
	}})
}

// lane = fma(v, v, lane) with v = alpha*x
func sumSquaresScaled(k *vec.Kernel) {
	x := k.In("x")
	alpha := k.Scalar("alpha")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		v := k.Mul(alpha, k.Load(x))
		return k.FMA(v, v, acc)
	}})
}

// hi = the larger of |x| and hi by their bits as integers: a NaN is the largest
func maxAbs(k *vec.Kernel) {
	x := k.In("x")
	k.Results = []string{"hi"}
	k.Reduce(0, vec.Accumulator{Fold: vec.IntMax, Next: func(hi *vec.Value) *vec.Value {
		return k.IntMax(abs(k, k.Load(x)), hi)
	}})
}

// hi = x > hi ? x : hi
func maximum(k *vec.Kernel) {
	x := k.In("x")
	k.Results = []string{"hi"}
	bottom := k.Const(float32(math.Inf(-1)))
	k.Reduce(0, vec.Accumulator{Start: bottom, Fold: vec.Greatest, Next: func(hi *vec.Value) *vec.Value {
		return k.Greatest(k.Fill(k.Load(x), bottom), hi)
	}})
}

// first = the least i with x[i] == value, as a float; +Inf without one
func firstEqual(k *vec.Kernel) {
	x := k.In("x")
	value := k.Scalar("value")
	k.Results = []string{"first"}
	none := k.Const(float32(math.Inf(1)))
	k.Reduce(0, vec.Accumulator{Start: none, Fold: vec.Least, Next: func(first *vec.Value) *vec.Value {
		i := k.Select(k.Equal(k.Fill(k.Load(x), k.Const(float32(math.NaN()))), value), k.ToFloat(k.Index(nil)), none)
		return k.Least(i, first)
	}})
}

// top = the largest of the bits of x+0 and, for an x that is not whole, a NaN's: as
// unsigned integers, in the order of signed ones, where that of a number below 0 is
// larger than that of any other
func largestIndex(k *vec.Kernel) {
	x := k.In("x")
	k.Results = []string{"top"}
	whole := k.Const(1 << 23) // from here on all are
	k.Reduce(0, vec.Accumulator{Start: k.Bits(sign), Fold: vec.IntMax, Next: func(top *vec.Value) *vec.Value {
		v := k.Load(x)
		y := k.Least(whole, v)
		y = k.Drop(k.Equal(k.Sub(k.Add(y, whole), whole), y), k.Bits(^uint32(sign)))
		return k.IntMax(k.Or(k.Xor(k.Add(v, k.Const(0)), k.Bits(sign)), y), top)
	}})
}

// lane = lane + (x-shift)
func sumShifted(k *vec.Kernel) {
	x := k.In("x")
	shift := k.Scalar("shift")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		return k.Add(acc, k.Fill(k.Sub(k.Load(x), shift), k.Const(0)))
	}})
}

// lane = fma(d, d, lane) with d = x-shift
func sumSquaresShifted(k *vec.Kernel) {
	x := k.In("x")
	shift := k.Scalar("shift")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		d := k.Fill(k.Sub(k.Load(x), shift), k.Const(0))
		return k.FMA(d, d, acc)
	}})
}

// lane = lane + exp(x-m)
func expTotal(k *vec.Kernel) {
	x := k.In("x")
	m := k.Scalar("m")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		e := expNonPositive(k, k.Sub(k.Load(x), m))
		return k.Add(acc, k.Fill(e, k.Const(0)))
	}})
}
