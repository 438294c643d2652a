// Package float has the floating-point numbers and functions that several packages
// need, with the same bits on every architecture.
package float

// MinNormal is the smallest normal float32, 2^-126. What is smaller has fewer bits,
// or is 0 where it is flushed.
const MinNormal = 0x1p-126

// Power returns b^k for k >= 0, by repeated squaring, each product rounded.
func Power(b float64, k int64) float64 {
	p := 1.0
	for ; k > 0; k >>= 1 {
		if k&1 == 1 {
			p = float64(p * b)
		}
		b = float64(b * b)
	}
	return p
}
