package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func draws(r *rand.Rand, n int, draw func(*rand.Rand) float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = draw(r)
	}
	return x
}

// TestArithmetic spells out the element-wise arithmetic: sums, products and
// quotients of floats are rounded the same by way of float64.
func TestArithmetic(t *testing.T) {
	onGeneric(t)
	const m, n = 5, 60
	r := rand.New(rand.NewPCG(20, 21))
	for _, mix := range mixes {
		x, y, z := draws(r, m*n, mix.draw), draws(r, m*n, mix.draw), draws(r, m*n, mix.draw)
		scale, shift := y[:n], z[:n]
		dst := make([]float32, m*n)
		f := func(i int) (float64, float64) { return float64(x[i]), float64(y[i]) }
		check := func(name string, want func(i int) float32) {
			for i := range dst {
				require.True(t, sameFloat(dst[i], want(i)), "%s, %s, element %d: want %s, got %s",
					name, mix.name, i, show(want(i)), show(dst[i]))
			}
		}
		Add(dst, x, y)
		check("Add", func(i int) float32 { a, b := f(i); return float32(a + b) })
		Sub(dst, x, y)
		check("Sub", func(i int) float32 { a, b := f(i); return float32(a - b) })
		Mul(dst, x, y)
		check("Mul", func(i int) float32 { a, b := f(i); return float32(a * b) })
		Div(dst, x, y)
		check("Div", func(i int) float32 { a, b := f(i); return float32(a / b) })
		MulAdd(dst, x, y, z)
		check("MulAdd", func(i int) float32 { return fmaExact(x[i], y[i], z[i]) })
		ScaleAdd(dst, x, y, -1.3, 0.7)
		check("ScaleAdd", func(i int) float32 {
			return fmaExact(-1.3, x[i], float32(float64(float32(0.7))*float64(y[i])))
		})
		Copy(dst, x)
		check("Copy", func(i int) float32 { return x[i] })
		Fill(dst, 7)
		check("Fill", func(i int) float32 { return 7 })
		Abs(dst, x)
		check("Abs", func(i int) float32 { return float32(math.Abs(float64(x[i]))) })
		Clamp(dst, x, -0.5, 1.5)
		check("Clamp", func(i int) float32 { return float32(math.Min(math.Max(float64(x[i]), -0.5), 1.5)) })
		ColAffine(dst, x, scale, shift)
		check("ColAffine", func(i int) float32 { return fmaExact(x[i], scale[i%n], shift[i%n]) })
		ColMul(dst, x, scale)
		check("ColMul", func(i int) float32 { return float32(float64(x[i]) * float64(scale[i%n])) })

		sum, act := make([]float32, m*n), make([]float32, m*n)
		for i := range sum {
			sum[i] = float32(float64(x[i]) + float64(shift[i%n]))
		}
		BiasReLU(dst, x, shift)
		ReLU(act, sum)
		check("BiasReLU", func(i int) float32 { return act[i] })
		BiasTanh(dst, x, shift)
		Tanh(act, sum)
		check("BiasTanh", func(i int) float32 { return act[i] })
	}
}

func TestClampRules(t *testing.T) {
	inf, nan, zero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct{ x, lo, hi, want float32 }{
			{nan, 0, 1, nan}, {2, nan, nan, 2}, {2, nan, 1, 1}, {-2, 0, nan, 0}, {inf, -1, 1, 1}, {-inf, -1, 1, -1},
			{zero, 0, 1, zero}, {0, zero, 1, 0}, {5, 3, 2, 2}, {2.5, 3, 2, 2}, {0, 3, 2, 2}, {nan, 3, 2, nan},
		} {
			x := []float32{c.x}
			Clamp(x, x, c.lo, c.hi)
			require.True(t, sameFloat(c.want, x[0]), "clamp(%g, %g, %g) = %s", c.x, c.lo, c.hi, show(x[0]))
		}
	})
}

// TestNegativeZeroLanes: products that underflow to -0 in every lane have a sum
// of -0, also where the last vector is partial.
func TestNegativeZeroLanes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for n := 64; n < 200; n++ {
			x, y := make([]float32, n), make([]float32, n)
			for i := range x {
				x[i], y[i] = 0x1p-100, -0x1p-100
			}
			require.Equal(t, uint32(1<<31), math.Float32bits(Dot(x, y)), "n=%d", n)
			ones := make([]float32, n)
			Fill(ones, 1)
			require.Equal(t, uint32(1<<31), math.Float32bits(rowDotNormalized(x, y, ones, 0, 1)), "n=%d", n)
		}
	})
}

func TestNorms(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(22, 23))
	for n := range 301 {
		x := draws(r, n, mixes[n%3].draw)
		l1, l2, hi := 0., 0., 0.
		for _, v := range x {
			a := math.Abs(float64(v))
			l1, l2, hi = l1+a, l2+a*a, max(hi, a)
		}
		require.Equal(t, laneSum(n, func(s float32, i int) float32 { return s + float32(math.Abs(float64(x[i]))) }), L1Norm(x))
		require.Equal(t, float32(hi), MaxAbs(x))
		const least = 64 * 0x1p-149
		bound := float64((n+63)/64+6) * 0x1p-24
		require.InDelta(t, l1, float64(L1Norm(x)), bound*l1+least)
		require.InDelta(t, math.Sqrt(l2), float64(L2Norm(x)), bound*math.Sqrt(l2)+0x1p-149)
		if s := SumSquares(x); s >= 0x1p-96 {
			require.Equal(t, sqrt32(s), L2Norm(x))
		}
	}
}

// TestL2NormRange scales a vector through all magnitudes: its norm scales with it.
func TestL2NormRange(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 25))
	shape := draws(r, 500, normal)
	eachLevel(t, func(t *testing.T) {
		for e := -149; e < 122; e++ {
			x, exact := make([]float32, len(shape)), 0.
			for i, v := range shape {
				x[i] = float32(math.Ldexp(float64(v), e))
				exact += float64(x[i]) * float64(x[i])
			}
			exact = math.Sqrt(exact)
			require.InDelta(t, exact, float64(L2Norm(x)), 14*0x1p-24*exact+0x1p-149, "scaled by 2^%d", e)
		}
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		const most = math.MaxFloat32
		for _, c := range []struct{ x, want []float32 }{
			{nil, []float32{0, 0, 0}},
			{[]float32{0, float32(math.Copysign(0, -1))}, []float32{0, 0, 0}},
			{[]float32{-3, 4}, []float32{7, 5, 4}},
			{[]float32{-0x1p-149}, []float32{0x1p-149, 0x1p-149, 0x1p-149}},
			{[]float32{-most}, []float32{most, most, most}},
			{[]float32{most, -most}, []float32{inf, inf, most}},
			{[]float32{1, -inf}, []float32{inf, inf, inf}},
			{[]float32{inf, nan, 1}, []float32{nan, nan, nan}},
			{[]float32{0, -nan}, []float32{nan, nan, nan}},
			{[]float32{1e30, nan}, []float32{nan, nan, nan}},
		} {
			for i, got := range []float32{L1Norm(c.x), L2Norm(c.x), MaxAbs(c.x)} {
				require.True(t, sameFloat(c.want[i], got), "norm %d of %v: %s", i, c.x, show(got))
			}
		}
	})
}

func TestArgMax(t *testing.T) {
	inf, nan, zero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	naive := func(x []float32) int {
		at := -1
		for i, v := range x {
			if v == v && (at < 0 || v > x[at]) {
				at = i
			}
		}
		return at
	}
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct {
			x    []float32
			want int
		}{
			{nil, -1}, {[]float32{nan, nan}, -1}, {[]float32{nan, -inf, -inf}, 1}, {[]float32{nan, 2, nan, 5, 5}, 3},
			{[]float32{zero, 0}, 0}, {[]float32{-1, 0, zero}, 1}, {[]float32{1, inf, inf}, 1},
		} {
			require.Equal(t, c.want, ArgMax(c.x), "%v", c.x)
		}
		r := rand.New(rand.NewPCG(26, 27))
		for range 400 {
			n := 1 + r.IntN(300)
			if r.IntN(20) == 0 {
				n += argMaxBlock * r.IntN(4)
			}
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(r.IntN(12) - 20) // with ties
				if r.IntN(9) == 0 {
					x[i] = special(r)
				}
			}
			require.Equal(t, naive(x), ArgMax(x))
			Fill(x, -inf)
			for i := range r.IntN(n) {
				x[i] = nan
			}
			require.Equal(t, naive(x), ArgMax(x))
		}
	})
}

func TestClipGlobalNorm(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		a, b := []float32{3, 0}, []float32{-4}
		require.Equal(t, float32(5), GlobalNorm([][]float32{a, nil, b}))
		require.Equal(t, float32(5), ClipGlobalNorm([][]float32{a, nil, b}, 5))
		require.Equal(t, []float32{3, 0, -4}, append(a, b...))
		require.Equal(t, float32(5), ClipGlobalNorm([][]float32{a, b}, 2.5))
		require.Equal(t, []float32{1.5, 0, -2}, append(a, b...))
		require.Equal(t, float32(2.5), ClipGlobalNorm([][]float32{a, b}, 0))
		require.Equal(t, []float32{0, 0, 0}, []float32{a[0], a[1], -b[0]})
		require.Zero(t, ClipGlobalNorm(nil, 0))

		huge := []float32{-3e30, 4e30}
		require.InEpsilon(t, 5e30, float64(ClipGlobalNorm([][]float32{huge}, 1)), 1e-6)
		require.InDeltaSlice(t, []float32{-0.6, 0.8}, huge, 1e-6)

		for _, bad := range []float32{nan, inf, -inf} {
			x := []float32{1e20, bad}
			norm := ClipGlobalNorm([][]float32{{7}, x}, 1)
			require.True(t, sameFloat(norm, abs32(bad)), "%s", show(norm))
			require.Equal(t, float32(1e20), x[0])
		}
	})
}
