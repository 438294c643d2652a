package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBatchNormBackwardContract writes out the sums and roundings of the definition.
func TestBatchNormBackwardContract(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(40, 41))
	for _, s := range []shape{{m: 1, n: 4}, {m: 3, n: 7}, {m: 256, n: 2}, {m: 257, n: 3}, {m: 600, n: 5}, {m: 1100, n: 8}, {m: 2, n: 1100}, {m: 3, n: 2100}} {
		x, dy := draws(r, s.m*s.n, normal), draws(r, s.m*s.n, normal)
		mean, rstd, gamma := draws(r, s.n, normal), draws(r, s.n, normal), draws(r, s.n, normal)
		dx, dgamma, dbeta := make([]float32, s.m*s.n), make([]float32, s.n), make([]float32, s.n)
		BatchNormBackward(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
		product := func(a, b float32) float32 { return float32(float64(a) * float64(b)) }
		n := float32(s.m)
		for j := range s.n {
			var sum, dot float32
			for block, rows := range blocks(s.m) {
				var a, b float32
				for _, i := range rows {
					a += dy[i*s.n+j]
					b = fmaExact(dy[i*s.n+j], x[i*s.n+j]-mean[j], b)
				}
				if block == 0 {
					sum, dot = a, b
				} else {
					sum, dot = sum+a, dot+b
				}
			}
			require.Equal(t, sum, dbeta[j], "%v, column %d", s, j)
			require.Equal(t, product(rstd[j], dot), dgamma[j], "%v, column %d", s, j)
			a, b := dbeta[j]/n, product(dgamma[j]/n, rstd[j])
			for i := range s.m {
				want := product(product(gamma[j], rstd[j]), fmaExact(-(x[i*s.n+j]-mean[j]), b, dy[i*s.n+j]-a))
				require.Equal(t, want, dx[i*s.n+j], "%v, element %d,%d", s, i, j)
			}
		}
		// Without the gradient at the input the others are the same.
		againGamma, againBeta := make([]float32, s.n), make([]float32, s.n)
		BatchNormBackward(nil, againGamma, againBeta, dy, x, mean, rstd, gamma)
		require.Equal(t, dgamma, againGamma)
		require.Equal(t, dbeta, againBeta)
	}
	dgamma, dbeta := []float32{1, 2}, []float32{3, 4}
	BatchNormBackward(nil, dgamma, dbeta, nil, nil, dbeta, dbeta, dbeta)
	require.Equal(t, []float32{0, 0, 0, 0}, append(dgamma, dbeta...))
}

// TestBatchNormBackward compares with central differences in float64 of the loss
// sum(y*dy), where mean and variance depend on x.
func TestBatchNormBackward(t *testing.T) {
	r := rand.New(rand.NewPCG(42, 43))
	const eps = 1e-3
	eachLevel(t, func(t *testing.T) {
		for _, s := range []shape{{m: 2, n: 3}, {m: 9, n: 17}, {m: 300, n: 2}} {
			x := draws(r, s.m*s.n, func(r *rand.Rand) float32 { return 3 + 2*normal(r) })
			dy, gamma := draws(r, s.m*s.n, normal), draws(r, s.n, normal)
			mean, rstd := make([]float32, s.n), make([]float32, s.n)
			ColMeanVariance(mean, rstd, x)
			for j, v := range rstd {
				rstd[j] = float32(1 / math.Sqrt(float64(v)+eps))
			}
			dx, dgamma, dbeta := make([]float32, s.m*s.n), make([]float32, s.n), make([]float32, s.n)
			BatchNormBackward(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
			for j := range s.n {
				column := func(x []float32) (c []float64) {
					for i := range s.m {
						c = append(c, float64(x[i*s.n+j]))
					}
					return c
				}
				col, d := column(x), column(dy)
				one := []float64{1}
				normalized := func() []float64 {
					return layerNorm64(col, slices.Repeat(one, s.m), make([]float64, s.m), eps)
				}
				loss := func() (l float64) {
					for i, h := range normalized() {
						l += float64(gamma[j]) * h * d[i]
					}
					return l
				}
				wantGamma, wantBeta, size := 0., 0., 0.
				for i, h := range normalized() {
					wantGamma += d[i] * h
					wantBeta += d[i]
					size += math.Abs(d[i]) * (1 + math.Abs(h))
				}
				require.InDelta(t, wantGamma, float64(dgamma[j]), 2e-6*size, "%v, column %d", s, j)
				require.InDelta(t, wantBeta, float64(dbeta[j]), 2e-6*size, "%v, column %d", s, j)
				for i := range s.m {
					const step = 1e-4
					old := col[i]
					col[i] = old + step
					up := loss()
					col[i] = old - step
					down := loss()
					col[i] = old
					slope := (up - down) / (2 * step)
					require.InDelta(t, slope, float64(dx[i*s.n+j]), 2e-5*(1+float64(rstd[j])*10), "%v, element %d,%d", s, i, j)
				}
			}
		}
	})
}

// TestBatchNormBackwardOffset: a mean that is large against the standard deviation
// costs no accuracy beyond that of the mean itself.
func TestBatchNormBackwardOffset(t *testing.T) {
	r := rand.New(rand.NewPCG(44, 45))
	const rows = 2000
	eachLevel(t, func(t *testing.T) {
		for _, offset := range []float32{0, 100, 10000} {
			x := draws(r, rows, func(r *rand.Rand) float32 { return offset + normal(r) })
			dy := draws(r, rows, normal)
			mean, rstd := make([]float32, 1), make([]float32, 1)
			ColMeanVariance(mean, rstd, x)
			rstd[0] = 1 / sqrt32(rstd[0])
			dx, dgamma, dbeta := make([]float32, rows), make([]float32, 1), make([]float32, 1)
			BatchNormBackward(dx, dgamma, dbeta, dy, x, mean, rstd, []float32{1})
			m, s := float64(mean[0]), float64(rstd[0])
			sum, dot := 0., 0.
			for i, v := range dy {
				sum += float64(v)
				dot += float64(v) * (float64(x[i]) - m) * s
			}
			for i, v := range dy {
				exact := s * (float64(v) - sum/rows - (float64(x[i])-m)*s*dot/rows)
				require.InDelta(t, exact, float64(dx[i]), 3*0x1p-24*(1+math.Abs(exact)), "offset %g, row %d", offset, i)
			}
		}
	})
}

// TestBatchNormReLU: with the rectifier in the same pass the results are those of the
// separate kernels, for NaN and infinities too.
func TestBatchNormReLU(t *testing.T) {
	r := rand.New(rand.NewPCG(46, 47))
	eachLevel(t, func(t *testing.T) {
		for _, s := range []shape{{m: 0, n: 3}, {m: 1, n: 4}, {m: 3, n: 7}, {m: 257, n: 3}, {m: 1100, n: 8}, {m: 700, n: 16}, {m: 90, n: 33}, {m: 2, n: 1100}, {m: 3, n: 3100}} {
			for _, draw := range []func(*rand.Rand) float32{normal, special} {
				x, dy := draws(r, s.m*s.n, draw), draws(r, s.m*s.n, normal)
				mean, rstd, gamma := draws(r, s.n, normal), draws(r, s.n, normal), draws(r, s.n, normal)
				scale, shift := draws(r, s.n, normal), draws(r, s.n, normal)
				y, want := make([]float32, s.m*s.n), make([]float32, s.m*s.n)
				ColAffine(want, x, scale, shift)
				ReLU(want, want)
				ColAffineReLU(y, x, scale, shift)
				requireSame(t, want, y, "%v", s)

				type gradients struct{ dx, dgamma, dbeta []float32 }
				make3 := func() gradients {
					return gradients{make([]float32, s.m*s.n), make([]float32, s.n), make([]float32, s.n)}
				}
				a, b := make3(), make3()
				ReLUBackward(a.dx, dy, y)
				BatchNormBackward(a.dx, a.dgamma, a.dbeta, a.dx, x, mean, rstd, gamma)
				BatchNormReLUBackward(b.dx, b.dgamma, b.dbeta, dy, x, mean, rstd, gamma, scale, shift)
				requireSame(t, a.dx, b.dx, "%v", s)
				requireSame(t, a.dgamma, b.dgamma, "%v", s)
				requireSame(t, a.dbeta, b.dbeta, "%v", s)
				without := make3()
				BatchNormReLUBackward(nil, without.dgamma, without.dbeta, dy, x, mean, rstd, gamma, scale, shift)
				requireSame(t, b.dgamma, without.dgamma, "%v", s)
				requireSame(t, b.dbeta, without.dbeta, "%v", s)
			}
		}
	})
}
