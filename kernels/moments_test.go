package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// moments returns the mean and the biased variance in float64.
func moments(x []float32) (mean, variance float64) {
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += (float64(v) - mean) * (float64(v) - mean)
	}
	return mean, variance / float64(len(x))
}

// TestMomentsContract writes out the definitions with the sums of the contract.
func TestMomentsContract(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(30, 31))
	finish := func(shift, sum, n float32) (mean, lost float32) {
		q := sum / n
		mean = shift + q
		return mean, q - (mean - shift)
	}
	for _, s := range []shape{{m: 1, n: 1}, {m: 3, n: 7}, {m: 2, n: 64}, {m: 5, n: 130}, {m: 2, n: chunkLen + 70}, {m: 260, n: 3}, {m: 600, n: 2}, {m: 3, n: 1100}, {m: 1100, n: 3}, {m: 2100, n: 8}} {
		x := draws(r, s.m*s.n, func(r *rand.Rand) float32 { return 100 + normal(r) })
		sums, mean, variance := make([]float32, s.m), make([]float32, s.m), make([]float32, s.m)
		RowSums(sums, x)
		RowMeanVariance(mean, variance, x)
		for i := range s.m {
			row, n := x[i*s.n:][:s.n], float32(s.n)
			require.Equal(t, laneSum(s.n, func(a float32, j int) float32 { return a + row[j] }), sums[i])
			m, lost := finish(row[0], laneSum(s.n, func(a float32, j int) float32 { return a + (row[j] - row[0]) }), n)
			squares := laneSum(s.n, func(a float32, j int) float32 { return fma32(row[j]-m, row[j]-m, a) })
			require.Equal(t, m, mean[i], "%v, row %d", s, i)
			require.Equal(t, max(0, squares/n-float32(lost*lost)), variance[i], "%v, row %d", s, i)
		}
		mean, variance = make([]float32, s.n), make([]float32, s.n)
		ColMeanVariance(mean, variance, x)
		for j := range s.n {
			chains := func(term func(a, v float32) float32) (total float32) {
				for b, rows := range blocks(s.m) {
					sum := float32(0)
					for _, i := range rows {
						sum = term(sum, x[i*s.n+j])
					}
					if b == 0 {
						total = sum
					} else {
						total += sum
					}
				}
				return total
			}
			m, lost := finish(x[j], chains(func(a, v float32) float32 { return a + (v - x[j]) }), float32(s.m))
			squares := chains(func(a, v float32) float32 { return fma32(v-m, v-m, a) })
			require.Equal(t, m, mean[j], "%v, column %d", s, j)
			require.Equal(t, max(0, squares/float32(s.m)-float32(lost*lost)), variance[j], "%v, column %d", s, j)
		}
	}
}

// TestMomentsError: the variance stays accurate where the mean is large against
// the standard deviation, and where the first element is an outlier.
func TestMomentsError(t *testing.T) {
	r := rand.New(rand.NewPCG(32, 33))
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct{ mean, first, bound float64 }{
			{0, 0, 1e-6}, {14, 0, 1e-6}, {1400, 0, 1e-6}, {140000, 0, 1e-6},
			{0, 1000, 2e-6}, {14, -1000, 2e-6},
		} {
			const n = 1024
			x := draws(r, n, func(r *rand.Rand) float32 { return float32(c.mean + r.NormFloat64()) })
			if c.first != 0 {
				x[0] = float32(c.first)
			}
			exact, spread := moments(x)
			m, v := []float32{0}, []float32{0}
			for _, f := range []func(mean, variance, x []float32){RowMeanVariance, ColMeanVariance} {
				f(m, v, x)
				distance := math.Abs(float64(x[0])-exact) + math.Sqrt(spread) // of the elements to the shift
				require.InDelta(t, exact, float64(m[0]), 0x1p-24*math.Abs(exact)+8*0x1p-24*distance, "%v", c)
				require.InEpsilon(t, spread, float64(v[0]), c.bound, "%v", c)
			}
		}
	})
}

func TestMomentsRules(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		mean, variance := []float32{1}, []float32{1}
		for _, c := range []struct {
			x              []float32
			mean, variance float32
		}{
			{nil, nan, nan}, {[]float32{5}, 5, 0}, {[]float32{0.1, 0.1, 0.1}, 0.1, 0}, {[]float32{-1e30, -1e30}, -1e30, 0},
			{[]float32{1, 2, 3, 4}, 2.5, 1.25}, {[]float32{1, inf}, inf, nan}, {[]float32{-inf, 1}, nan, nan},
			{[]float32{1, nan, 2}, nan, nan},
		} {
			RowMeanVariance(mean, variance, c.x)
			require.True(t, sameFloat(mean[0], c.mean) && sameFloat(variance[0], c.variance), "rows, %v: %g, %g", c.x, mean[0], variance[0])
			ColMeanVariance(mean, variance, c.x)
			require.True(t, sameFloat(mean[0], c.mean) && sameFloat(variance[0], c.variance), "columns, %v: %g, %g", c.x, mean[0], variance[0])
		}
		// Elements one step apart: rounding must not make the variance negative.
		r := rand.New(rand.NewPCG(34, 35))
		for range 300 {
			x := draws(r, 1+r.IntN(100), func(r *rand.Rand) float32 { return math.Float32frombits(0x42c80000 + uint32(r.IntN(3))) })
			RowMeanVariance(mean, variance, x)
			require.GreaterOrEqual(t, variance[0], float32(0))
			ColMeanVariance(mean, variance, x)
			require.GreaterOrEqual(t, variance[0], float32(0))
		}
	})
}

// layerNorm64 is layer normalisation in float64.
func layerNorm64(x, gamma, beta []float64, eps float64) (y []float64) {
	mean, variance := 0., 0.
	n := float64(len(x))
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / n
	}
	for j, v := range x {
		y = append(y, (v-mean)/math.Sqrt(variance+eps)*gamma[j]+beta[j])
	}
	return y
}

// TestLayerNorm compares with float64: the outputs with the formula, the gradients
// with central differences of it.
func TestLayerNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(36, 37))
	wide := func(x []float32) (w []float64) {
		for _, v := range x {
			w = append(w, float64(v))
		}
		return w
	}
	eachLevel(t, func(t *testing.T) {
		for _, s := range []shape{{m: 1, n: 2}, {m: 4, n: 10}, {m: 3, n: 33}, {m: 300, n: 5}} {
			const eps = 1e-3
			x := draws(r, s.m*s.n, func(r *rand.Rand) float32 { return 3 + 2*normal(r) })
			dy, gamma, beta := draws(r, s.m*s.n, normal), draws(r, s.n, normal), draws(r, s.n, normal)
			y, mean, rstd := make([]float32, s.m*s.n), make([]float32, s.m), make([]float32, s.m)
			LayerNorm(y, mean, rstd, x, gamma, beta, eps)
			dx, dgamma, dbeta := make([]float32, s.m*s.n), make([]float32, s.n), make([]float32, s.n)
			LayerNormBackward(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)

			wantGamma, wantBeta, size := make([]float64, s.n), make([]float64, s.n), make([]float64, s.n)
			unit := slices.Repeat([]float64{1}, s.n)
			for i := range s.m {
				row, g, g0 := wide(x[i*s.n:][:s.n]), wide(gamma), wide(beta)
				d := wide(dy[i*s.n:][:s.n])
				want := layerNorm64(row, g, g0, eps)
				h := layerNorm64(row, unit, make([]float64, s.n), eps)
				m, v := moments(x[i*s.n:][:s.n])
				require.InEpsilon(t, 1/math.Sqrt(v+eps), float64(rstd[i]), 1e-6)
				require.InDelta(t, m, float64(mean[i]), 1e-6)
				loss := func() (l float64) {
					for j, v := range layerNorm64(row, g, g0, eps) {
						l += v * d[j]
					}
					return l
				}
				for j := range s.n {
					require.InDelta(t, want[j], float64(y[i*s.n+j]), 1e-5)
					wantGamma[j] += d[j] * h[j]
					wantBeta[j] += d[j]
					size[j] += math.Abs(d[j]) * (1 + math.Abs(h[j]))
					const step = 1e-4
					old := row[j]
					row[j] = old + step
					up := loss()
					row[j] = old - step
					down := loss()
					row[j] = old
					slope := (up - down) / (2 * step)
					require.InDelta(t, slope, float64(dx[i*s.n+j]), 2e-5*(1+float64(rstd[i])*10), "%v, row %d, element %d", s, i, j)
				}
			}
			for j := range s.n {
				require.InDelta(t, wantGamma[j], float64(dgamma[j]), 2e-6*size[j], "%v, column %d", s, j)
				require.InDelta(t, wantBeta[j], float64(dbeta[j]), 2e-6*size[j], "%v, column %d", s, j)
			}
			// dx may be dy, or x.
			for _, shared := range [][]float32{slices.Clone(dy), slices.Clone(x)} {
				ingredients := [][]float32{dy, x}
				for k, v := range ingredients {
					if slices.Equal(v, shared) {
						ingredients[k] = shared
					}
				}
				again := make([]float32, s.n)
				LayerNormBackward(shared, again, make([]float32, s.n), ingredients[0], ingredients[1], mean, rstd, gamma)
				require.Equal(t, dx, shared)
				require.Equal(t, dgamma, again)
			}
		}
	})
}

// TestLayerNormContract writes out the sums and roundings of the definition.
func TestLayerNormContract(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(38, 39))
	for _, s := range []shape{{m: 2, n: 5}, {m: 3, n: 100}, {m: 520, n: 3}, {m: 1, n: chunkLen + 3},
		{m: 20, n: 1500}, {m: 515, n: 150}, {m: 258, n: sumsCols + 1}} {
		x, dy := draws(r, s.m*s.n, normal), draws(r, s.m*s.n, normal)
		gamma, beta := draws(r, s.n, normal), draws(r, s.n, normal)
		mean, rstd := draws(r, s.m, normal), draws(r, s.m, normal)
		h := func(i, j int) float32 {
			return float32(float64(x[i*s.n+j]-mean[i]) * float64(rstd[i]))
		}
		dx, dgamma, dbeta := make([]float32, s.m*s.n), make([]float32, s.n), make([]float32, s.n)
		LayerNormBackward(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
		n := float32(s.n)
		for i := range s.m {
			d := dy[i*s.n:][:s.n]
			g := func(j int) float32 { return float32(float64(d[j]) * float64(gamma[j])) }
			a := laneSum(s.n, func(l float32, j int) float32 { return fmaExact(d[j], gamma[j], l) }) / n
			b := laneSum(s.n, func(l float32, j int) float32 { return fmaExact(g(j), h(i, j), l) }) / n
			for j := range s.n {
				want := float32(float64(rstd[i]) * float64(fmaExact(-h(i, j), b, g(j)-a)))
				require.Equal(t, want, dx[i*s.n+j], "%v, element %d,%d", s, i, j)
			}
		}
		for j := range min(s.n, 100) {
			want := float32(0)
			for block, rows := range blocks(s.m) {
				sum := float32(0)
				for _, i := range rows {
					sum = fmaExact(dy[i*s.n+j], h(i, j), sum)
				}
				if block == 0 {
					want = sum
				} else {
					want += sum
				}
			}
			require.Equal(t, want, dgamma[j], "%v, column %d", s, j)
		}
		ColSums(dx[:s.n], dy)
		require.Equal(t, dx[:s.n], dbeta)

		y := make([]float32, s.m*s.n)
		variance := make([]float32, s.m)
		LayerNorm(y, mean, rstd, x, gamma, beta, 0.25)
		wantMean := make([]float32, s.m)
		RowMeanVariance(wantMean, variance, x)
		require.Equal(t, wantMean, mean)
		for i, v := range variance {
			require.Equal(t, float32(1/float64(float32(math.Sqrt(float64(v+0.25))))), rstd[i])
			for j := range min(s.n, 100) {
				require.Equal(t, fmaExact(h(i, j), gamma[j], beta[j]), y[i*s.n+j], "%v, element %d,%d", s, i, j)
			}
		}
	}
}
