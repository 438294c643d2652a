package kernels

import "math"

// fma32 returns a*b+c rounded once to float32, subnormals included.
//
// The product is exact in float64. The sum is rounded to float64, and then to float32,
// which is the same as rounding once unless the first rounding falls between two
// neighbouring normal float32, or the result is below them: see roundOnce.
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	const between, bits = 1 << 28, 1<<29 - 1 // of what float32 doesn't have
	if e := math.Float64bits(s); e&bits == between || e<<1 < minNormal64 {
		return roundOnce(s, p, float64(c))
	}
	return float32(s)
}

// minNormal64 has the bits of 2^-126 in float64, without the sign's.
const minNormal64 = (1023 - 126) << 53

// roundOnce returns p+c rounded once to float32, where s is the sum in float64. If it is
// inexact it is rounded to odd (truncated, then its last bit set), which makes the
// conversion to float32 round as if from the exact value.
func roundOnce(s, p, c float64) float32 {
	if s != s {
		return float32(s)
	}
	bb := s - p
	err := (p - (s - bb)) + (c - bb) // exact: TwoSum
	e, d := math.Float64bits(s), math.Float64bits(err)
	lost := (d<<1 | -(d << 1)) >> 63 // 1 if err != 0
	e = (e - lost&((d^e)>>63)) | lost
	return float32(math.Float64frombits(e))
}

// fnma32 returns c-a*b rounded once.
func fnma32(a, b, c float32) float32 { return fma32(-a, b, c) }

// minNormal is the smallest normal float32, 2^-126.
const minNormal = 0x1p-126

// flush returns +0 where |x| < 2^-126 and x elsewhere; NaN stays.
func flush(x float32) float32 {
	if -minNormal < x && x < minNormal {
		return 0
	}
	return x
}

// flushSquare returns +0 where x < 2^-126 and x elsewhere, for what is never negative;
// NaN stays.
func flushSquare(x float32) float32 {
	if x < minNormal {
		return 0
	}
	return x
}

// sqrt32 is the correctly rounded square root: rounding the float64 root again
// is innocuous for 24-bit operands.
func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }
