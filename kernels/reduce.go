package kernels

import "math"

// lanes is the number of partial sums of a reduction: element i is added to
// lane i mod lanes, whatever the width of the machine's vectors.
const lanes = 64

// Reductions longer than a chunk keep their lanes between assembly calls: each
// call takes them from acc, puts them back, and returns their tree sum. A nil
// acc starts from +0 and keeps nothing.

// tree adds the lanes in halves, 32, 16, .. 1.
func tree(acc *[lanes]float32) float32 {
	t := *acc
	for h := lanes / 2; h > 0; h /= 2 {
		for i := range h {
			t[i] += t[i+h]
		}
	}
	return t[0]
}

// Dot returns the inner product of x and y: lane += fma(x[i], y[i]), then the
// tree of the package documentation. It panics if the lengths differ.
func Dot(x, y []float32) float32 {
	if len(x) != len(y) {
		panic("kernels: Dot: lengths of x and y differ")
	}
	return dot(nil, x, y)
}

func dotRef(acc *[lanes]float32, x, y []float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		acc[i%lanes] = fma32(v, y[i], acc[i%lanes])
	}
	return tree(acc)
}

// Sum returns the sum of x: lane += x[i], then the tree of the package
// documentation.
func Sum(x []float32) float32 {
	return sum(nil, x)
}

func sumRef(acc *[lanes]float32, x []float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		acc[i%lanes] += v
	}
	return tree(acc)
}

// SumSquares returns the sum of the squares of x: lane = fma(x[i], x[i], lane),
// then the tree of the package documentation.
func SumSquares(x []float32) float32 {
	return sumSquares(nil, x)
}

func sumSquaresRef(acc *[lanes]float32, x []float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		acc[i%lanes] = fma32(v, v, acc[i%lanes])
	}
	return tree(acc)
}

// MinMax returns the smallest and the largest element of x. A NaN is ignored
// (see [AllFinite]); a zero is returned as +0. With nothing to compare the
// result is +Inf, -Inf.
func MinMax(x []float32) (lo, hi float32) {
	lo, hi = float32(math.Inf(1)), float32(math.Inf(-1))
	for len(x) > chunkLen {
		l, h := minMax(x[:chunkLen])
		lo, hi = min(lo, l), max(hi, h)
		x = x[chunkLen:]
	}
	l, h := minMax(x)
	return min(lo, l) + 0, max(hi, h) + 0 // -0 + 0 is +0
}

func minMaxRef(x []float32) (lo, hi float32) {
	lo, hi = float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range x {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
	}
	return lo, hi
}

// AllFinite reports whether x holds no NaN and no infinity.
func AllFinite(x []float32) bool {
	for len(x) > chunkLen {
		if finiteSum(x[:chunkLen]) != 0 {
			return false
		}
		x = x[chunkLen:]
	}
	return finiteSum(x) == 0
}

// finiteSum returns the sum of 0*x[i]: 0 if all are finite, NaN otherwise.
func finiteSumRef(x []float32) float32 {
	s := float32(0)
	for _, v := range x {
		s += float32(v * 0)
	}
	return s
}
