package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSoftmaxCrossEntropyRowsPlain: without smoothing and weights each row has the
// bits of SoftmaxCrossEntropy.
func TestSoftmaxCrossEntropyRowsPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(60, 61))
	eachLevel(t, func(t *testing.T) {
		for _, s := range []shape{{m: 1, n: 1}, {m: 3, n: 10}, {m: 130, n: 17}, {m: 70, n: 70}, {m: 1, n: chunkLen + 70}} {
			for _, mix := range mixes {
				x := draws(r, s.m*s.n, mix.draw)
				y := make([]int, s.m)
				for i := range y {
					y[i] = r.IntN(s.n)
				}
				losses, dx := make([]float32, s.m), make([]float32, s.m*s.n)
				SoftmaxCrossEntropyRows(losses, dx, x, y, CrossEntropyParams{Scale: 0.03})
				again, shared := make([]float32, s.m), slices.Clone(x)
				SoftmaxCrossEntropyRows(again, shared, shared, y, CrossEntropyParams{Scale: 0.03})
				for i := range s.m {
					want := make([]float32, s.n)
					loss := SoftmaxCrossEntropy(want, x[i*s.n:][:s.n], y[i], 0.03)
					require.True(t, sameFloat(loss, losses[i]) && sameFloat(loss, again[i]), "%v, %s, loss %d", s, mix.name, i)
					for j, v := range want {
						require.True(t, sameFloat(v, dx[i*s.n+j]) && sameFloat(v, shared[i*s.n+j]), "%v, %s, element %d,%d", s, mix.name, i, j)
					}
				}
			}
		}
	})
}

// crossEntropy64 is the loss of a row, as in the documentation of PyTorch, and its
// gradient.
func crossEntropy64(x []float64, label int, w, smoothing float64, classWeights []float64) (loss float64, dx []float64) {
	hi, sum := slices.Max(x), 0.
	for _, v := range x {
		sum += math.Exp(v - hi)
	}
	all := 0. // weights of the log-probabilities
	for j, c := range classWeights {
		weight := w * smoothing / float64(len(x)) * c
		if j == label {
			weight += w * (1 - smoothing) * c
		}
		loss -= weight * (x[j] - hi - math.Log(sum))
		all += weight
		dx = append(dx, -weight)
	}
	for j, v := range x {
		dx[j] += all * math.Exp(v-hi) / sum
	}
	return loss, dx
}

// TestSoftmaxCrossEntropyRows compares losses and gradients with float64, whose
// gradients are compared with central differences.
func TestSoftmaxCrossEntropyRows(t *testing.T) {
	r := rand.New(rand.NewPCG(62, 63))
	eachLevel(t, func(t *testing.T) {
		for variant := range 8 {
			for _, s := range []shape{{m: 1, n: 1}, {m: 3, n: 10}, {m: 66, n: 3}, {m: 2, n: 100}, {m: 1, n: chunkLen + 70}} {
				p := CrossEntropyParams{Scale: 0.25}
				one, class := slices.Repeat([]float64{1}, s.m), slices.Repeat([]float64{1}, s.n)
				if variant&1 != 0 {
					p.Weights = draws(r, s.m, func(r *rand.Rand) float32 { return r.Float32() })
					one = float64s(p.Weights)
				}
				if variant&2 != 0 {
					p.ClassWeights = draws(r, s.n, func(r *rand.Rand) float32 { return 3 * r.Float32() })
					class = float64s(p.ClassWeights)
				}
				if variant&4 != 0 {
					p.Smoothing = 0.1
				}
				x := draws(r, s.m*s.n, normal)
				losses, dx := make([]float32, s.m), make([]float32, s.m*s.n)
				SoftmaxCrossEntropyRows(losses, dx, x, labels(s.m, s.n), p)
				for i := range s.m {
					row, label := float64s(x[i*s.n:][:s.n]), i*7%s.n
					loss, grad := crossEntropy64(row, label, one[i], float64(p.Smoothing), class)
					require.InDelta(t, loss, float64(losses[i]), 1e-6*(1+loss), "variant %d, %v, row %d", variant, s, i)
					sum, size := 0., 0.
					for j, got := range dx[i*s.n:][:s.n] {
						sum += float64(got)
						size += math.Abs(float64(got))
						require.InDelta(t, 0.25*grad[j], float64(got), 1e-6, "variant %d, %v, element %d,%d", variant, s, i, j)
						if s.n > 10 {
							continue
						}
						const step = 1e-4
						old := row[j]
						row[j] = old + step
						up, _ := crossEntropy64(row, label, one[i], float64(p.Smoothing), class)
						row[j] = old - step
						down, _ := crossEntropy64(row, label, one[i], float64(p.Smoothing), class)
						row[j] = old
						require.InDelta(t, (up-down)/(2*step), grad[j], 1e-6)
					}
					require.InDelta(t, 0, sum, 1e-6*size)
				}
			}
		}
	})
}

func float64s(x []float32) (y []float64) {
	for _, v := range x {
		y = append(y, float64(v))
	}
	return y
}

// TestSoftmaxCrossEntropyRowsLeftOut: a row of weight 0 counts for nothing, whatever
// is in it.
func TestSoftmaxCrossEntropyRowsLeftOut(t *testing.T) {
	nan := float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		for _, n := range []int{2, chunkLen + 2} {
			x := slices.Repeat([]float32{1}, 3*n)
			Fill(x[n:2*n], nan)
			losses, dx := []float32{nan, nan, nan}, slices.Repeat([]float32{nan}, 3*n)
			p := CrossEntropyParams{Scale: 1, Smoothing: 0.2, Weights: []float32{1, 0, 2}}
			SoftmaxCrossEntropyRows(losses, dx, x, []int{0, -100, 1}, p)
			require.Zero(t, losses[1])
			for _, v := range dx[n : 2*n] {
				require.Zero(t, math.Float32bits(v))
			}
			require.InDelta(t, math.Log(float64(n)), float64(losses[0]), 2e-6)
			require.InDelta(t, 2*math.Log(float64(n)), float64(losses[2]), 4e-6)
		}
	})
	SoftmaxCrossEntropyRows(nil, nil, nil, nil, CrossEntropyParams{})
	SoftmaxCrossEntropyRows(nil, nil, nil, nil, CrossEntropyParams{ClassWeights: []float32{1, 2}}) // classes, but no rows
	losses := []float32{3}
	SoftmaxCrossEntropyRows(losses, nil, nil, []int{0}, CrossEntropyParams{Weights: []float32{0}})
	require.Zero(t, losses[0])
}

// TestSigmoidCrossEntropy compares with float64, also where the target is 0 or 1
// and the score nearly certain: the relative error is small there too.
func TestSigmoidCrossEntropy(t *testing.T) {
	r := rand.New(rand.NewPCG(64, 65))
	softplus64 := func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
	eachLevel(t, func(t *testing.T) {
		for variant := range 4 {
			for _, s := range []shape{{m: 1, n: 1}, {m: 5, n: 7}, {m: 90, n: 11}, {m: 3, n: 700}} {
				size := s.m * s.n
				x := draws(r, size, func(r *rand.Rand) float32 { return normal(r) * 30 })
				targets := draws(r, size, func(r *rand.Rand) float32 { return []float32{0, 1, 0.25, r.Float32()}[r.IntN(4)] })
				p := SigmoidCrossEntropyParams{Scale: 0.5}
				w, pos := func(int) float64 { return 1 }, func(int) float64 { return 1 }
				if variant&1 != 0 {
					p.Weights = draws(r, size, func(r *rand.Rand) float32 { return r.Float32() })
					w = func(i int) float64 { return float64(p.Weights[i]) }
				}
				if variant&2 != 0 {
					p.PosWeights = draws(r, s.n, func(r *rand.Rand) float32 { return 5 * r.Float32() })
					pos = func(i int) float64 { return float64(p.PosWeights[i%s.n]) }
				}
				dx := make([]float32, size)
				loss := SigmoidCrossEntropy(dx, x, targets, p)
				sum := 0.
				for i := range x {
					v, target := float64(x[i]), float64(targets[i])
					one := w(i) * ((1-target)*softplus64(v) + target*pos(i)*softplus64(-v))
					sum += one
					up, down := (1-target)*logistic(v), target*pos(i)*logistic(-v)
					require.InDelta(t, 0.5*w(i)*(up-down), float64(dx[i]), 4*0x1p-23*w(i)*(up+down)+0x1p-126, "variant %d, %v, element %d: score %g, target %g", variant, s, i, v, target)
					// The element alone.
					q := SigmoidCrossEntropyParams{Scale: 1}
					if variant&1 != 0 {
						q.Weights = p.Weights[i:][:1]
					}
					if variant&2 != 0 {
						q.PosWeights = p.PosWeights[i%s.n:][:1]
					}
					got := SigmoidCrossEntropy([]float32{0}, x[i:][:1], targets[i:][:1], q)
					require.InDelta(t, one, float64(got), 4*0x1p-23*one+0x1p-126, "variant %d, %v, element %d: score %g, target %g", variant, s, i, v, target)
				}
				require.InEpsilon(t, sum, float64(loss), 4e-6, "variant %d, %v", variant, s)
			}
		}
		require.Zero(t, SigmoidCrossEntropy(nil, nil, nil, SigmoidCrossEntropyParams{}))
	})
}

// TestSigmoidCrossEntropySum: the sum is that of Sum over the losses of the
// elements.
func TestSigmoidCrossEntropySum(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(66, 67))
	for _, n := range []int{1, 63, 64, 65, 511, 512, 513, 1100} {
		x, targets := draws(r, n, normal), draws(r, n, func(r *rand.Rand) float32 { return r.Float32() })
		terms := make([]float32, n)
		for i := range terms {
			terms[i] = SigmoidCrossEntropy([]float32{0}, x[i:][:1], targets[i:][:1], SigmoidCrossEntropyParams{})
		}
		dx := make([]float32, n)
		require.Equal(t, Sum(terms), SigmoidCrossEntropy(dx, x, targets, SigmoidCrossEntropyParams{}), "n=%d", n)
	}
}
