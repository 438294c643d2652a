package kernels

import "math"

// L1Norm returns the sum of the magnitudes of x: lane += |x[i]|, then the tree
// of the package documentation.
func L1Norm(x []float32) float32 {
	return sumMagnitudes(nil, x)
}

func sumMagnitudesRef(acc *[lanes]float32, x []float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		acc[i%lanes] += abs32(v)
	}
	return tree(acc)
}

// L2Norm returns the Euclidean norm of x.
//
//	sqrt(SumSquares(x))
//
// Where that sum is below 2^-96 or overflows, x is first scaled by 2^100 or
// 2^-100, and the root back: the norm is accurate for all finite x and overflows
// only if it is itself too large.
func L2Norm(x []float32) float32 { return float32(math.Sqrt(squaredNorm(x))) }

// squaredNorm returns the square of the norm, a float32 times a power of two.
func squaredNorm(x []float32) float64 {
	switch s := SumSquares(x); {
	case s < 0x1p-96: // squares may have underflowed
		return float64(scaledSquares(x, 0x1p100)) * 0x1p-200
	case s > math.MaxFloat32:
		return float64(scaledSquares(x, 0x1p-100)) * 0x1p200
	default:
		return float64(s)
	}
}

// scaledSquares returns the sum of the squares of alpha*x.
func scaledSquares(x []float32, alpha float32) float32 {
	return sumSquaresScaled(nil, x, alpha)
}

func sumSquaresScaledRef(acc *[lanes]float32, x []float32, alpha float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		v = float32(alpha * v)
		acc[i%lanes] = fma32(v, v, acc[i%lanes])
	}
	return tree(acc)
}

// MaxAbs returns the largest magnitude in x, its maximum norm: +0 for an empty
// x, a NaN if x holds one.
func MaxAbs(x []float32) float32 {
	hi := float32(0)
	for len(x) > chunkLen {
		hi = largerBits(hi, maxAbs(x[:chunkLen]))
		x = x[chunkLen:]
	}
	return largerBits(hi, maxAbs(x))
}

func maxAbsRef(x []float32) float32 {
	hi := float32(0)
	for _, v := range x {
		hi = largerBits(hi, abs32(v))
	}
	return hi
}

// largerBits returns the larger of two numbers without a sign; the bits of a NaN
// are larger than those of any number.
func largerBits(x, y float32) float32 {
	return math.Float32frombits(max(math.Float32bits(x), math.Float32bits(y)))
}

// The maximum is found in blocks, and where it lies in shorter ones, from the first block
// that has it on.
const (
	argMaxBlock    = 1 << 10
	argMaxSearched = 1 << 8
)

// ArgMax returns the first index of the largest element of x, or -1 if x holds
// no number. A NaN is ignored, as in [MinMax]; zeros of both signs are equal.
func ArgMax(x []float32) int {
	best, from := float32(math.Inf(-1)), 0
	for lo := 0; lo < len(x); lo += argMaxBlock {
		if hi := maximum(x[lo:min(lo+argMaxBlock, len(x))]); hi > best {
			best, from = hi, lo
		}
	}
	for lo := from; lo < len(x); lo += argMaxSearched {
		if i := firstEqual(x[lo:min(lo+argMaxSearched, len(x))], best); i < argMaxSearched {
			return lo + int(i)
		}
	}
	return -1
}

func maximumRef(x []float32) float32 {
	hi := float32(math.Inf(-1))
	for _, v := range x {
		if v > hi {
			hi = v
		}
	}
	return hi
}

// firstEqualRef returns the first i with x[i] == value, +Inf without one. The
// index is exact in a float32: x has at most argMaxSearched elements.
func firstEqualRef(x []float32, value float32) float32 {
	for i, v := range x {
		if v == value {
			return float32(i)
		}
	}
	return float32(math.Inf(1))
}

// GlobalNorm returns the Euclidean norm of all elements of several slices, such
// as the gradients of a network: with the norms of [L2Norm],
//
//	sqrt(norm(xs[0])^2 + norm(xs[1])^2 + ..)
//
// added in this order in float64, and rounded to float32 at the end.
func GlobalNorm(xs [][]float32) float32 {
	s := 0.
	for _, x := range xs {
		s += squaredNorm(x)
	}
	return float32(math.Sqrt(s))
}

// ClipGlobalNorm scales several slices together so that their [GlobalNorm] is, but
// for rounding, at most limit, and returns the norm before (Pascanu et al. 2013, "On the
// difficulty of training recurrent neural networks", algorithm 1).
//
//	if norm > limit: xs[k][i] *= limit/norm
//
// With a norm that is infinite or NaN nothing is changed: the caller decides. It
// panics if limit is negative or NaN.
func ClipGlobalNorm(xs [][]float32, limit float32) (norm float32) {
	if !(limit >= 0) {
		panic("kernels: ClipGlobalNorm: limit is negative or NaN")
	}
	norm = GlobalNorm(xs)
	if norm > limit && norm <= math.MaxFloat32 {
		for _, x := range xs {
			Scale(x, x, limit/norm)
		}
	}
	return norm
}
