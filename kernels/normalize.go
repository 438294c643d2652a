package kernels

import "math"

// minMaxEpsilon keeps the range of a constant vector away from zero.
const minMaxEpsilon = 1e-6

// MinMaxNormalize maps x linearly to [0,1]; 1 itself is reached where the range of
// x is so large that 1e-6 rounds away.
//
//	v[i]   = 1 if x[i] = +Inf, 0 if x[i] = -Inf, else x[i]
//	dst[i] = (v[i]-min(v)) / ((max(v)-min(v)) + 1e-6)
//
// A constant vector gives zeros, a NaN anywhere makes every element NaN. A range
// beyond float32 divides by infinity: every element is 0, or NaN where its own
// distance overflows. It panics if the lengths differ.
func MinMaxNormalize(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: MinMaxNormalize: lengths of dst and x differ")
	}
	lo, hi := MinMax(x)
	if !(hi-lo <= math.MaxFloat32) || hi < lo { // infinities, a range beyond float32, or nothing but NaN
		lo, width := replacedRange(x)
		for i, v := range x {
			dst[i] = float32(float32(replaceInf(v)-lo) / width)
		}
		return
	}
	width := float32(hi-lo) + minMaxEpsilon
	inverse, exact := exactInverse(lo, width, len(x))
	finite := float32(0)
	for i := 0; i < len(x); i += chunkLen {
		e := min(i+chunkLen, len(x))
		if exact {
			finite += normalizeBounded(dst[i:e], x[i:e], lo, width, inverse)
		} else {
			finite += normalize(dst[i:e], x[i:e], lo, width)
		}
	}
	if finite != 0 {
		Fill(dst, float32(math.NaN()))
	}
}

// exactInverse returns the rounded 1/width, and reports whether n quotients
// (x-lo)/width with 0 <= x-lo <= width are those that come out rounded right by it, and
// whether they are so many that they pay for it:
//
//	d = x-lo;  q = d*inverse;  fma(fma(-width, q, d), inverse, q)
//
// Where |lo| is at least 2^-60 and width in [2^-30, 2^30], d is 0 or at least 2^-85: the
// remainder is exact, and the quotient normal. What is rounded last is then within
// 2*2^-24 of a unit in the last place of the quotient. Quotients that are so near to the
// midpoint of two numbers are few: TestExactInverse has them all.
func exactInverse(lo, width float32, n int) (inverse float32, exact bool) {
	if n < 256 || !(lo >= 0x1p-60 || lo <= -0x1p-60) || !(width >= 0x1p-30 && width <= 0x1p30) {
		return 0, false
	}
	return 1 / width, true
}

func normalizeBoundedRef(dst, x []float32, lo, width, _ float32) float32 {
	return normalizeRef(dst, x, lo, width)
}

// normalize returns 0 if all x are finite, else NaN.
func normalizeRef(dst, x []float32, lo, width float32) float32 {
	finite := finiteSumRef(x)
	for i, v := range x {
		dst[i] = float32(float32(v-lo) / width)
	}
	return finite
}

// MinMaxEMA moves the running average y towards the min-max normalised x, in
// one pass over y after the range of x is known.
//
//	y[i] = flush(fma(keep, y[i], add*norm[i]))    norm as in MinMaxNormalize
//
// It panics if the lengths differ.
func MinMaxEMA(y, x []float32, keep, add float32) {
	if len(x) != len(y) {
		panic("kernels: MinMaxEMA: lengths of y and x differ")
	}
	lo, hi := MinMax(x)
	if !(hi-lo <= math.MaxFloat32) || hi < lo {
		lo, width := replacedRange(x)
		for i, v := range x {
			n := float32(float32(replaceInf(v)-lo) / width)
			y[i] = flush(fma32(keep, y[i], float32(add*n)))
		}
		return
	}
	width := float32(hi-lo) + minMaxEpsilon
	finite := float32(0)
	for i := 0; i < len(x); i += chunkLen {
		e := min(i+chunkLen, len(x))
		finite += normalizeEMA(y[i:e], x[i:e], lo, width, keep, add)
	}
	if finite != 0 {
		Fill(y, float32(math.NaN()))
	}
}

// normalizeEMA returns what normalize does.
func normalizeEMARef(y, x []float32, lo, width, keep, add float32) float32 {
	finite := finiteSumRef(x)
	for i, v := range x {
		n := float32(float32(v-lo) / width)
		y[i] = flush(fma32(keep, y[i], float32(add*n)))
	}
	return finite
}

// replaceInf is the substitution that precedes min-max normalisation.
func replaceInf(v float32) float32 {
	switch {
	case v > math.MaxFloat32:
		return 1
	case v < -math.MaxFloat32:
		return 0
	}
	return v
}

// replacedRange returns the minimum and the divisor of the normalisation of a
// vector with infinities. Such vectors are rare and short: plain Go.
func replacedRange(x []float32) (lo, width float32) {
	lo, hi := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range x {
		v = replaceInf(v)
		lo, hi = min(lo, v), max(hi, v) // the built-ins keep a NaN
	}
	return lo, float32(hi-lo) + minMaxEpsilon
}
