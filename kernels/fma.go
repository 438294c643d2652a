package kernels

import "math"

// fma32 returns a*b+c rounded once to float32, subnormals included.
//
// The product is exact in float64. An inexact sum is rounded to odd (truncated,
// then its last bit set), which makes the conversion to float32 round as if from
// the exact value; float32(math.FMA(..)) would round twice.
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s)
	}
	bb := s - p
	err := (p - (s - bb)) + (float64(c) - bb) // exact: TwoSum
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

// sqrt32 is the correctly rounded square root: rounding the float64 root again
// is innocuous for 24-bit operands.
func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }
