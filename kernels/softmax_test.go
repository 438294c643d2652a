package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// withStride returns a matrix of drawn elements, with NaN between its rows.
func withStride(r *rand.Rand, rows, cols, stride int, draw func(*rand.Rand) float32) Matrix {
	m := NewMatrix(rows, stride, make([]float32, rows*stride))
	Fill(m.Data, float32(math.NaN()))
	m.Cols = cols
	for i := range rows {
		copy(m.Row(i), draws(r, cols, draw))
	}
	return m
}

// softmax64 is the softmax of alpha*x in float64.
func softmax64(x []float32, alpha float32) (y []float64) {
	hi, sum := math.Inf(-1), 0.
	for _, v := range x {
		hi = max(hi, float64(v))
	}
	for _, v := range x {
		y = append(y, math.Exp(float64(alpha)*(float64(v)-hi)))
		sum += y[len(y)-1]
	}
	for i := range y {
		y[i] /= sum
	}
	return y
}

// TestSoftmaxRows compares with float64, by the stated error, and with the softmax of
// a vector.
func TestSoftmaxRows(t *testing.T) {
	r := rand.New(rand.NewPCG(50, 51))
	eachLevel(t, func(t *testing.T) {
		for turn, s := range []shape{{m: 3, n: 1}, {m: 5, n: 7, pad: 2}, {m: 4, n: 64}, {m: 9, n: 100, pad: 3}, {m: 2, n: chunkLen + 70}} {
			for _, alpha := range []float32{1, 0.125, 3.7} {
				spread, roundings := []float32{1, 4, 20}[turn%3], 2. // of the scores
				if alpha == 1 {
					roundings = 1
				}
				x := withStride(r, s.m, s.n, s.n+s.pad, func(r *rand.Rand) float32 { return spread * normal(r) })
				y := withStride(r, s.m, s.n, s.n+2*s.pad, normal)
				SoftmaxRows(y, x, alpha)
				for i := range s.m {
					exact := softmax64(x.Row(i), alpha)
					_, hi := MinMax(x.Row(i))
					for j, got := range y.Row(i) {
						score := math.Abs(float64(alpha) * float64(x.Row(i)[j]-hi))
						bound := (4*0x1p-23 + (roundings*score+float64(s.n/64))*0x1p-24) * exact[j]
						require.InDelta(t, exact[j], float64(got), bound+0x1p-149, "%v, alpha %g, element %d,%d", s, alpha, i, j)
					}
					if alpha == 1 {
						row := make([]float32, s.n)
						Softmax(row, x.Row(i))
						require.Equal(t, row, y.Row(i))
					}
				}
			}
		}
	})
}

// TestCausalSoftmaxRows: row i of a block is the softmax of i+1 elements, and
// nothing after them is read, not even a NaN.
func TestCausalSoftmaxRows(t *testing.T) {
	r := rand.New(rand.NewPCG(52, 53))
	eachLevel(t, func(t *testing.T) {
		for _, s := range []shape{{m: 3, n: 1}, {m: 14, n: 7, pad: 2}, {m: 64, n: 64}, {m: 300, n: 100, pad: 3}, {m: 700, n: 350}} {
			x := withStride(r, s.m, s.n, s.n+s.pad, normal)
			dy := withStride(r, s.m, s.n, s.n+3*s.pad, normal)
			for i := range s.m {
				Fill(x.Row(i)[i%s.n+1:], float32(math.NaN()))
				Fill(dy.Row(i)[i%s.n+1:], float32(math.NaN()))
			}
			y, dx := withStride(r, s.m, s.n, s.n+2*s.pad, normal), withStride(r, s.m, s.n, s.n, normal)
			CausalSoftmaxRows(y, x, 0.5)
			CausalSoftmaxRowsBackward(dx, dy, y, 0.5)
			for i := range s.m {
				n := i%s.n + 1
				row := func(m Matrix) Matrix { return NewMatrix(1, n, m.Row(i)[:n]) }
				want := NewMatrix(1, n, make([]float32, n))
				zeros := make([]float32, s.n-n)
				SoftmaxRows(want, row(x), 0.5)
				require.Equal(t, append(want.Data, zeros...), y.Row(i), "%v, row %d", s, i)
				SoftmaxRowsBackward(want, row(dy), row(y), 0.5)
				require.Equal(t, append(want.Data, zeros...), dx.Row(i), "%v, row %d", s, i)
				require.False(t, slices.ContainsFunc(zeros, func(v float32) bool { return math.Signbit(float64(v)) }))
			}
		}
	})
}

// TestSoftmaxRowsBackward writes out the definition, and compares with central
// differences in float64 of the loss sum(y*dy).
func TestSoftmaxRowsBackward(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(54, 55))
	for _, n := range []int{1, 5, 64, 100, chunkLen + 70} {
		const alpha = 0.7
		x, dy := draws(r, n, normal), draws(r, n, normal)
		y, dx := make([]float32, n), make([]float32, n)
		SoftmaxRows(NewMatrix(1, n, y), NewMatrix(1, n, x), alpha)
		SoftmaxRowsBackward(NewMatrix(1, n, dx), NewMatrix(1, n, dy), NewMatrix(1, n, y), alpha)
		s := laneSum(n, func(a float32, j int) float32 { return fmaExact(dy[j], y[j], a) })
		for j := range dx {
			product := float32(float64(y[j]) * float64(dy[j]-s))
			require.Equal(t, float32(float64(float32(alpha))*float64(product)), dx[j], "n=%d, element %d", n, j)
		}
		if n > 100 {
			continue
		}
		loss := func() (l float64) {
			for j, p := range softmax64(x, alpha) {
				l += p * float64(dy[j])
			}
			return l
		}
		for j := range x {
			const step = 0x1p-10
			old := x[j]
			x[j] = old + step
			up, above := loss(), float64(x[j])
			x[j] = old - step
			slope := (up - loss()) / (above - float64(x[j]))
			x[j] = old
			require.InDelta(t, slope, float64(dx[j]), 2e-6, "n=%d, element %d", n, j)
		}
	}
}

func TestSoftmaxRowsRules(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		y := make([]float32, 3)
		for _, c := range []struct {
			alpha   float32
			x, want []float32
		}{
			{2, []float32{-inf, 2, 2}, []float32{0, 0.5, 0.5}},
			{0, []float32{-1, 2, 1e30}, []float32{1. / 3, 1. / 3, 1. / 3}},
			{1, []float32{-inf, -inf, -inf}, []float32{nan, nan, nan}},
			{1, []float32{0, nan, 0}, []float32{nan, nan, nan}},
			{1, []float32{0, inf, 0}, []float32{nan, nan, nan}},
		} {
			SoftmaxRows(NewMatrix(1, 3, y), NewMatrix(1, 3, c.x), c.alpha)
			for j := range y {
				require.True(t, sameFloat(c.want[j], y[j]), "%v times %g: %v", c.x, c.alpha, y)
			}
		}
	})
}

// TestLogSoftmaxRows: each row is that of the vectors' kernels, for which there are
// tests against the definition.
func TestLogSoftmaxRows(t *testing.T) {
	r := rand.New(rand.NewPCG(56, 57))
	eachLevel(t, func(t *testing.T) {
		for _, s := range []shape{{m: 3, n: 1}, {m: 500, n: 10, pad: 2}, {m: 4, n: 64}, {m: 9, n: 100, pad: 3}, {m: 2, n: stepElements, pad: 1}, {m: 3, n: stepElements + 1}} {
			x, dy := withStride(r, s.m, s.n, s.n+s.pad, normal), withStride(r, s.m, s.n, s.n+3*s.pad, normal)
			y, dx := withStride(r, s.m, s.n, s.n+2*s.pad, normal), withStride(r, s.m, s.n, s.n, normal)
			LogSoftmaxRows(y, x)
			LogSoftmaxRowsBackward(dx, dy, y)
			want := make([]float32, s.n)
			for i := range s.m {
				LogSoftmax(want, x.Row(i))
				require.Equal(t, want, y.Row(i), "%v, row %d", s, i)
				LogSoftmaxBackward(want, dy.Row(i), y.Row(i))
				require.Equal(t, want, dx.Row(i), "%v, row %d", s, i)
			}
		}
	})
}
