package kernels

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The generic level defines every result. Here it is held against definitions
// written another way: exact arithmetic, the contract spelled out, float64
// formulas.

// fmaExact rounds the exact a*b+c once. 700 bits hold any sum of a product and
// a float32.
func fmaExact(a, b, c float32) float32 {
	x, y, z := float64(a), float64(b), float64(c)
	if f := x*y + z; math.IsNaN(f) || math.IsInf(f, 0) {
		return float32(f)
	}
	s := new(big.Float).SetPrec(700).Mul(big.NewFloat(x), big.NewFloat(y))
	s.Add(s, big.NewFloat(z))
	if s.Sign() == 0 {
		return float32(x*y + z) // exact in float64; IEEE gives the sign of zero
	}
	f, _ := s.Float32()
	return f
}

func TestFMAExact(t *testing.T) {
	const max = math.MaxFloat32
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	zero := float32(math.Copysign(0, -1))
	for _, c := range [][4]float32{
		{2, 3, 4, 10},
		{1 + 0x1p-23, 1 - 0x1p-23, -1, -0x1p-46},                   // all bits of the product
		{0x1p-12, 0x1p-12, 1 + 0x1p-23, 1 + 0x1p-22},               // a tie, to even
		{0x1p-24 + 0x1p-47, 1 - 0x1p-23, 1 + 0x1p-23, 1 + 0x1p-23}, // 2^-70 below it, which float64 drops
		{4097, 4097, 0, 4096*4096 + 8192},                          // a tie of the product
		{4097, 4097, 0x1p-40, 4096*4096 + 8194},
		{4097, 4097, -0x1p-40, 4096*4096 + 8192},
		{1.5, 0x1p-149, 0, 0x1p-148}, // ties of subnormals
		{0.5, 0x1p-149, 0, 0},
		{0.5, 0x1p-149, 0x1p-149, 0x1p-148},
		{0x1p-126, 1 - 0x1p-24, 0, 0x1p-126},
		{0.5, -0x1p-149, 0, zero}, // underflow keeps its sign
		{0x1p-100, -0x1p-100, 0, zero},
		{0x1p-100, 0x1p-100, 1, 1},
		{max, 1, 0x1p103, inf}, // half an ulp above the largest is infinity
		{max, 1, 0x1p102, max},
		{max, 2, -max, max}, // no overflow on the way
		{max, max, -inf, -inf},
		{inf, 0, 1, nan}, {inf, 1, -inf, nan}, {nan, 0, 0, nan}, {1, 1, nan, nan},
		{1, 1, -1, 0}, {zero, 1, zero, zero}, {zero, 1, 0, 0}, {zero, zero, zero, 0},
	} {
		a, b, x := c[0], c[1], c[2]
		want := fmaExact(a, b, x)
		got := fma32(a, b, x)
		require.True(t, sameFloat(got, want), "fma(%g, %g, %g): got %s, want %s", a, b, x, show(got), show(want))
		require.True(t, sameFloat(fmaExact(a, b, x), c[3]), "fma(%g, %g, %g) = %g, not %g", a, b, x, want, c[3])
	}
}

// TestFMARounding draws products that lie half way between two floats and terms
// that decide the tie, down to subnormals and up to overflow; rounding such a
// sum to float64 on the way, as float32(math.FMA) does, is often wrong.
func TestFMARounding(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	twice := 0
	for i := range 40000 {
		a := float32(4097+2*r.IntN(2048)) * sign(r.Uint32())
		b := float32(4097 + 2*r.IntN(2048))
		ea, eb := r.IntN(150)-75, r.IntN(150)-75
		if ea+eb > 104 {
			ea -= 50
		}
		a, b = a*pow2(ea), b*pow2(eb)
		c := math.Float32frombits(r.Uint32()&(1<<31|1<<23-1) | uint32(1+r.IntN(254))<<23)
		switch i % 4 {
		case 0: // far below the product
			c = sign(r.Uint32()) * pow2(max(ea+eb-30-r.IntN(40), -126))
		case 1: // the product is near half an ulp of c
			c = math.Float32frombits(r.Uint32()&(1<<31|1<<23-1)|127<<23) * pow2(max(min(ea+eb+47+r.IntN(3), 127), -126))
		case 2: // any bits, subnormals among them
			a, b = math.Float32frombits(r.Uint32()), math.Float32frombits(r.Uint32())
			c = math.Float32frombits(r.Uint32())
		}
		want, got := fmaExact(a, b, c), fma32(a, b, c)
		require.True(t, sameFloat(got, want), "fma(%s, %s, %s): got %s, want %s", show(a), show(b), show(c), show(got), show(want))
		require.True(t, sameFloat(fnma32(a, b, c), fmaExact(-a, b, c)), "fnma(%s, %s, %s)", show(a), show(b), show(c))
		if !sameFloat(float32(math.FMA(float64(a), float64(b), float64(c))), want) {
			twice++
		}
	}
	require.Greater(t, twice, 1000, "the triples are meant to be hard")
}

func TestFlush(t *testing.T) {
	for bits, want := range map[uint32]uint32{
		0: 0, 1 << 31: 0, 1: 0, 0x807fffff: 0, 0x7fffff: 0,
		0x800000: 0x800000, 0x80800000: 0x80800000, 0x7f800000: 0x7f800000, 0x3f800000: 0x3f800000,
	} {
		require.Equal(t, want, math.Float32bits(flush(math.Float32frombits(bits))))
	}
	nan := float32(math.NaN())
	require.True(t, sameFloat(flush(nan), nan))
}

func TestSquareRoot(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	for range 10000 {
		x := math.Float32frombits(r.Uint32() &^ (1 << 31))
		if x != x || x > math.MaxFloat32 {
			continue
		}
		want, _ := new(big.Float).SetPrec(200).Sqrt(big.NewFloat(float64(x))).Float32()
		require.Equal(t, want, sqrt32(x), "%s", show(x))
	}
}

// onGeneric runs the rest of the test on the generic level.
func onGeneric(t *testing.T) {
	keepLevel(t)
	require.NoError(t, SetLevel(Generic))
}

// lane returns the sum of lane l after the lanes of distance below width were
// added: the tree from its root.
func lane(all []float32, l, width int) float32 {
	if width == 64 {
		return all[l]
	}
	return lane(all, l, 2*width) + lane(all, l+width, 2*width)
}

// laneSum adds terms by the contract of reductions: lane l takes every 64th.
func laneSum(n int, term func(s float32, i int) float32) float32 {
	all := make([]float32, 64)
	for l := range all {
		for i := l; i < n; i += 64 {
			all[l] = term(all[l], i)
		}
	}
	return lane(all, 0, 1)
}

func TestReductions(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(6, 7))
	for n := range 301 {
		x, y := make([]float32, n), make([]float32, n)
		draw := mixes[n%3].draw // finite ones
		var dot, sum, squares, dotSize, sumSize float64
		for i := range x {
			x[i], y[i] = draw(r), draw(r)
			a, b := float64(x[i]), float64(y[i])
			dot, dotSize = dot+a*b, dotSize+math.Abs(a*b)
			sum, sumSize = sum+a, sumSize+math.Abs(a)
			squares += a * a
		}
		require.Equal(t, laneSum(n, func(s float32, i int) float32 { return fmaExact(x[i], y[i], s) }), Dot(x, y), "n=%d", n)
		require.Equal(t, laneSum(n, func(s float32, i int) float32 { return s + x[i] }), Sum(x), "n=%d", n)
		require.Equal(t, laneSum(n, func(s float32, i int) float32 { return fmaExact(x[i], x[i], s) }), SumSquares(x), "n=%d", n)

		// One rounding for each of a lane's terms and each step of the tree.
		bound := float64((n+63)/64+6) * 0x1p-24
		const least = 64 * 0x1p-149 // roundings below the normal range
		require.InDelta(t, dot, float64(Dot(x, y)), bound*dotSize+least)
		require.InDelta(t, sum, float64(Sum(x)), bound*sumSize+least)
		require.InDelta(t, squares, float64(SumSquares(x)), bound*squares+least)
	}
}

// TestLongReductions crosses the chunks: small integers have exact sums, and a
// lane's order shows where one large element absorbs the later ones.
func TestLongReductions(t *testing.T) {
	onGeneric(t)
	for _, n := range []int{chunkLen - 1, chunkLen + 1, 2*chunkLen + 65} {
		x := make([]float32, n)
		sum := 0
		for i := range x {
			x[i] = float32(i%7 - 3)
			sum += i%7 - 3
		}
		require.Equal(t, float32(sum), Sum(x))
		require.Equal(t, Dot(x, x), SumSquares(x))
		for i := range x {
			x[i] = 1 + float32(i%3)
		}
		x[5] = 0x1p25
		term := func(s float32, i int) float32 { return s + x[i] }
		require.Equal(t, laneSum(n, term), Sum(x))
		x[5] = 0x1p12
		require.Equal(t, laneSum(n, func(s float32, i int) float32 { return fma32(x[i], x[i], s) }), SumSquares(x))
	}
}

// blocks returns 0..n-1 cut into blocks of 256.
func blocks(n int) [][]int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return slices.Collect(slices.Chunk(all, 256))
}

func TestColumnSums(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(8, 9))
	for _, s := range []shape{{m: 0, n: 3}, {m: 1, n: 1}, {m: 7, n: 5}, {m: 256, n: 2}, {m: 257, n: 3}, {m: 600, n: 2}, {m: 2, n: 1100}, {m: 1100, n: 3}, {m: 2100, n: 8}} {
		x, y := draws(r, s.m*s.n, normal), draws(r, s.m*s.n, normal)
		sums, squares, dots := make([]float32, s.n), make([]float32, s.n), make([]float32, s.n)
		ColSums(sums, x)
		ColSumSquares(squares, x)
		ColDots(dots, x, y)
		for j := range s.n {
			var sum, square, dot float32
			for b, block := range blocks(s.m) {
				var s1, s2, s3 float32
				for _, i := range block {
					v, w := x[i*s.n+j], y[i*s.n+j]
					s1, s2, s3 = s1+v, fmaExact(v, v, s2), fmaExact(v, w, s3)
				}
				if b == 0 {
					sum, square, dot = s1, s2, s3
				} else {
					sum, square, dot = sum+s1, square+s2, dot+s3
				}
			}
			require.Equal(t, sum, sums[j], "%v, column %d", s, j)
			require.Equal(t, square, squares[j], "%v, column %d", s, j)
			require.Equal(t, dot, dots[j], "%v, column %d", s, j)
		}
	}
}

// randomMatrix returns a matrix with a stride of its own and any values between
// its rows.
func randomMatrix(r *rand.Rand, rows, cols int, draw func(*rand.Rand) float32) Matrix {
	m := Matrix{Rows: rows, Cols: cols, Stride: cols + r.IntN(4)}
	m.Data = make([]float32, rows*m.Stride)
	for i := range m.Data {
		m.Data[i] = draw(r)
	}
	return m
}

func (m Matrix) transposed() Matrix {
	t := NewMatrix(m.Cols, m.Rows, make([]float32, m.Rows*m.Cols))
	for i := range m.Rows {
		for j, x := range m.Row(i) {
			t.Row(j)[i] = x
		}
	}
	return t
}

// TestProducts compares all forms with the contract, block by block, on dense
// copies of op(A) and op(B); entries that are small integers also with exact
// integer products.
func TestProducts(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(10, 11))
	for i, s := range []shape{
		{m: 1, n: 1, k: 1}, {m: 3, n: 4, k: 5}, {m: 7, n: 2, k: 0}, {m: 0, n: 2, k: 3}, {m: 2, n: 0, k: 3},
		{m: 2, n: 3, k: 256}, {m: 3, n: 2, k: 257}, {m: 1, n: 3, k: 513}, {m: 11, n: 9, k: 7}, {m: 2, n: 2, k: 700},
	} {
		for form := range 16 {
			g := Gemm{TransA: form&1 != 0, TransB: form&2 != 0, Accumulate: form&4 != 0, Scratch: make([]float32, GemmScratch)}
			for _, integers := range []bool{false, true} {
				draw := normal
				if integers {
					draw = func(r *rand.Rand) float32 { return float32(r.IntN(9) - 4) }
				}
				a, b := randomMatrix(r, s.m, s.k, draw), randomMatrix(r, s.k, s.n, draw)
				c := randomMatrix(r, s.m, s.n, draw)
				if form&8 != 0 {
					g.Bias = randomMatrix(r, 1, s.n, draw).Row(0)
				}
				old := c.transposed().transposed()
				opA, opB := a, b
				if g.TransA {
					a = a.transposed()
				}
				if g.TransB {
					b = b.transposed()
				}
				g.Multiply(c, a, b)
				for i := range s.m {
					for j := range s.n {
						want, exact := float32(0), 0
						if g.Accumulate {
							want, exact = old.Row(i)[j], int(old.Row(i)[j])
						}
						for block, ks := range blocks(s.k) {
							sum := float32(0)
							for _, k := range ks {
								sum = fmaExact(opA.Row(i)[k], opB.Row(k)[j], sum)
								exact += int(opA.Row(i)[k]) * int(opB.Row(k)[j])
							}
							if block == 0 && !g.Accumulate {
								want = sum
							} else {
								want += sum
							}
						}
						if g.Bias != nil {
							want, exact = want+g.Bias[j], exact+int(g.Bias[j])
						}
						require.Equal(t, want, c.Row(i)[j], "%v, form %d, element %d,%d", s, form, i, j)
						if integers {
							require.Equal(t, float32(exact), c.Row(i)[j], "%v, form %d, element %d,%d", s, form, i, j)
						}
					}
				}
			}
		}
		x, y := randomMatrix(r, s.k, s.m, normal), randomMatrix(r, s.k, s.n, normal)
		a := randomMatrix(r, s.m, s.n, normal)
		old, alpha := a.transposed().transposed(), float32(0.1)*float32(i)
		OuterProducts(a, x, y, alpha)
		for i := range s.m {
			for j := range s.n {
				want := old.Row(i)[j]
				for _, rows := range blocks(s.k) {
					sum := float32(0)
					for _, r := range rows {
						sum = fmaExact(x.Row(r)[i], y.Row(r)[j], sum)
					}
					want = fmaExact(alpha, sum, want)
				}
				require.Equal(t, want, a.Row(i)[j], "%v, element %d,%d", s, i, j)
			}
		}
	}
}

// close32 requires got to be within ulps roundings of want, where size is the
// sum of the magnitudes that were added up.
func close32(t *testing.T, want float64, got float32, ulps, size float64, format string, args ...any) {
	t.Helper()
	require.LessOrEqual(t, math.Abs(float64(got)-want), ulps*0x1p-24*size, "want %g, got %g: %s", want, got, fmt.Sprintf(format, args...))
}

// TestSteps compares the optimizers with their formulas in float64.
func TestSteps(t *testing.T) {
	onGeneric(t)
	const m, n = 9, 23
	r := rand.New(rand.NewPCG(12, 13))
	vector := func(n int, draw func() float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(draw())
		}
		return x
	}
	w, m1, g := vector(m*n, r.NormFloat64), vector(m*n, r.NormFloat64), vector(m*n, r.NormFloat64)
	m2, row, col := vector(m*n, r.Float64), vector(m, r.Float64), vector(n, r.Float64)
	abs := math.Abs

	for i, decay := range []float64{0, 0.01} {
		beta, step, lambda, keep := 0.9, 0.03, 0.1, 1-0.002*float64(i)
		w1, m := slices.Clone(w), slices.Clone(m1)
		AdaFisherStep(w1, m, g, row, col, AdaFisherParams{Beta: 0.9, Add: 0.1, Step: 0.03, Lambda: 0.1,
			WeightDecay: float32(decay), Keep: float32(keep)})
		for i := range w {
			d := decay*float64(w[i]) + float64(g[i])
			mean := beta*float64(m1[i]) + 0.1*d
			size := abs(beta*float64(m1[i])) + 0.1*(abs(decay*float64(w[i]))+abs(float64(g[i])))
			f := float64(row[i/n])*float64(col[i%n]) + lambda
			close32(t, mean, m[i], 4, size, "momentum of AdaFisher, element %d", i)
			close32(t, keep*float64(w[i])-step*mean/f, w1[i], 9, abs(float64(w[i]))+step*size/f, "weight of AdaFisher, element %d", i)
		}

		mean, shift, moved := vector(len(row), r.NormFloat64), vector(n, r.NormFloat64), make([]float32, n)
		w1, m, dst := slices.Clone(w), slices.Clone(m1), make([]float32, len(row))
		params := CalibratedParams{Beta: 0.9, Add: 0.1, Share: 1.5, Step: 0.03, Keep: float32(keep)}
		CalibratedSquares(dst, m, g, row, col, mean, shift, params)
		CalibratedStep(w1, m, g, row, col, mean, shift, moved, params)
		outputs, outputSizes := make([]float64, n), make([]float64, n)
		for i := range len(row) {
			squares := 0.0
			for j := range n {
				e := i*n + j
				d := float64(g[e]) - float64(mean[i])*float64(shift[j])
				dSize := abs(float64(g[e])) + abs(float64(mean[i])*float64(shift[j]))
				moment, size := 0.9*float64(m1[e])+0.1*d, abs(0.9*float64(m1[e]))+0.1*dSize
				close32(t, moment, m[e], 4, size, "momentum of Calibrated, element %d", e)
				p := float64(row[i]) * float64(col[j])
				u, uSize := 0.03*p*(1.5*moment+0.1*d), 0.03*p*(1.5*size+0.1*dSize)
				close32(t, keep*float64(w[e])-u, w1[e], 12, abs(float64(w[e]))+uSize, "weight of Calibrated, element %d", e)
				outputs[j] += float64(mean[i]) * u
				outputSizes[j] += abs(float64(mean[i])) * uSize
				squares += u * u / 0.03 / 0.03
			}
			require.InEpsilon(t, 1+squares, 1+dst[i], 1e-5, "squares of Calibrated, row %d", i)
		}
		for j := range n {
			close32(t, outputs[j], moved[j], 12+float64(len(row)), outputSizes[j], "outputs of Calibrated, column %d", j)
		}

		momentum, gradPart, velPart, lr := 0.9, 1.0, 0.9, 0.05
		w1, v := slices.Clone(w), slices.Clone(m1)
		SGDStep(w1, v, g, SGDParams{Momentum: 0.9, Add: 0.5, GradPart: 1, VelPart: 0.9, LR: 0.05, WeightDecay: float32(decay)})
		for i := range w {
			d := decay*float64(w[i]) + float64(g[i])
			dSize := abs(decay*float64(w[i])) + abs(float64(g[i]))
			vel := momentum*float64(m1[i]) + 0.5*d
			size := abs(momentum*float64(m1[i])) + 0.5*dSize
			close32(t, vel, v[i], 4, size, "velocity of SGD, element %d", i)
			close32(t, float64(w[i])-lr*(gradPart*d+velPart*vel), w1[i], 9,
				abs(float64(w[i]))+lr*(gradPart*dSize+velPart*size), "weight of SGD, element %d", i)
		}

		const epsilon, correct2 = 1e-3, 5.0
		w1, m, v = slices.Clone(w), slices.Clone(m1), slices.Clone(m2)
		AdamStep(w1, m, v, g, AdamParams{Beta1: 0.9, Add1: 0.1, Beta2: 0.8, Add2: 0.2, Step: 0.03, Correct2: correct2,
			Epsilon: epsilon, WeightDecay: float32(decay), Keep: float32(keep)})
		for i := range w {
			d := decay*float64(w[i]) + float64(g[i])
			mean := 0.9*float64(m1[i]) + 0.1*d
			size := abs(0.9*float64(m1[i])) + 0.1*(abs(decay*float64(w[i]))+abs(float64(g[i])))
			second := 0.8*float64(m2[i]) + 0.2*d*d
			root := math.Sqrt(second*correct2) + epsilon
			close32(t, mean, m[i], 4, size, "first moment of Adam, element %d", i)
			close32(t, second, v[i], 12, 0.8*float64(m2[i])+0.2*d*d+0.4*abs(d)*abs(decay*float64(w[i])), "second moment of Adam, element %d", i)
			close32(t, keep*float64(w[i])-step*mean/root, w1[i], 16, abs(float64(w[i]))+step*size/root, "weight of Adam, element %d", i)
		}

		// Its second moment is Adam's, so that the first one and the root remain.
		second, top := slices.Clone(m2), vector(len(w), r.Float64)
		before := slices.Clone(top)
		w1, m = slices.Clone(w), slices.Clone(m1)
		AMSGradStep(w1, m, second, top, g, AdamParams{Beta1: 0.9, Add1: 0.1, Beta2: 0.8, Add2: 0.2, Step: 0.03, Correct2: correct2,
			Epsilon: epsilon, WeightDecay: float32(decay), Keep: float32(keep)})
		require.Equal(t, v, second)
		for i := range w {
			require.Equal(t, max(v[i], before[i]), top[i])
			root := math.Sqrt(float64(top[i])*correct2) + epsilon
			close32(t, keep*float64(w[i])-step*float64(m[i])/root, w1[i], 9,
				abs(float64(w[i]))+step*abs(float64(m[i]))/root, "weight of AMSGrad, element %d", i)
		}

		w1, v = slices.Clone(w), slices.Clone(m2)
		AdagradStep(w1, v, g, AdagradParams{Step: 0.03, Epsilon: epsilon, WeightDecay: float32(decay)})
		for i := range w {
			d := decay*float64(w[i]) + float64(g[i])
			dSize := abs(decay*float64(w[i])) + abs(float64(g[i]))
			sum := float64(m2[i]) + d*d
			close32(t, sum, v[i], 6, float64(m2[i])+dSize*dSize, "sum of Adagrad, element %d", i)
			root := math.Sqrt(sum) + epsilon
			close32(t, float64(w[i])-step*d/root, w1[i], 16, abs(float64(w[i]))+step*dSize/root, "weight of Adagrad, element %d", i)
		}

		for _, form := range []struct{ centered, momentum bool }{{}, {true, false}, {false, true}, {true, true}} {
			w1, v := slices.Clone(w), slices.Clone(m2)
			var a, b []float32
			if form.centered {
				for i := range w {
					a = append(a, row[i%len(row)]/8)
				}
				a[0] = 1e9 // no variance is left
			}
			if form.momentum {
				b = slices.Clone(m1)
			}
			a0 := slices.Clone(a)
			RMSPropStep(w1, v, a, b, g, RMSPropParams{Alpha: 0.8, Add: 0.2, Epsilon: epsilon, Momentum: 0.9, LR: 0.03, WeightDecay: float32(decay)})
			for i := range w {
				d := decay*float64(w[i]) + float64(g[i])
				dSize := abs(decay*float64(w[i])) + abs(float64(g[i]))
				second := 0.8*float64(m2[i]) + 0.2*d*d
				close32(t, second, v[i], 12, 0.8*float64(m2[i])+0.4*dSize*dSize, "second moment of RMSprop, element %d", i)
				variance := float64(v[i])
				if form.centered {
					close32(t, 0.8*float64(a0[i])+0.2*d, a[i], 4, 0.8*abs(float64(a0[i]))+0.2*dSize, "mean of RMSprop, element %d", i)
					variance = max(0, variance-float64(a[i])*float64(a[i]))
				}
				root := math.Sqrt(variance) + epsilon
				size := dSize / root
				update := d / root
				if form.momentum {
					update += 0.9 * float64(m1[i])
					size += 0.9 * abs(float64(m1[i]))
					close32(t, update, b[i], 12, size, "velocity of RMSprop, element %d", i)
				}
				close32(t, float64(w[i])-step*update, w1[i], 16, abs(float64(w[i]))+step*size, "weight of RMSprop %+v, element %d", form, i)
			}
		}

		w1, m = slices.Clone(w), slices.Clone(m1)
		g1 := slices.Clone(g)
		m[3], g1[3] = 0, 0
		m[4], g1[4] = 1, -9.25 // a sign that the next momentum doesn't have
		start := slices.Clone(m)
		LionStep(w1, m, g1, LionParams{Beta1: 0.9, Add1: 0.1, Beta2: 0.99, Add2: 0.01, Step: 0.03, Keep: float32(keep)})
		for i := range w {
			c, sign := 0.9*float64(start[i])+0.1*float64(g1[i]), 0.0
			if c != 0 {
				sign = math.Copysign(1, c)
			}
			close32(t, 0.99*float64(start[i])+0.01*float64(g1[i]), m[i], 4,
				0.99*abs(float64(start[i]))+0.01*abs(float64(g1[i])), "momentum of Lion, element %d", i)
			close32(t, keep*float64(w[i])-step*sign, w1[i], 4, abs(float64(w[i]))+step, "weight of Lion, element %d", i)
		}
		require.Positive(t, m[4])
		require.Equal(t, float32(keep)*w[3], w1[3])
	}
}

// TestElementwise spells out the remaining element-wise kernels, with every
// operation rounded from float64 or exact arithmetic.
func TestElementwise(t *testing.T) {
	onGeneric(t)
	const m, n = 6, 50
	r := rand.New(rand.NewPCG(14, 15))
	for _, mix := range mixes {
		draw := func(n int) []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = mix.draw(r)
			}
			return x
		}
		x, y, row, col := draw(m*n), draw(m*n), draw(m), draw(n)
		alpha, beta := float32(-1.3), float32(0.7)
		mul := func(a, b float32) float32 { return float32(float64(a) * float64(b)) }
		check := func(name string, got []float32, want func(i int) float32) {
			for i := range got {
				require.True(t, sameFloat(got[i], want(i)), "%s, %s, element %d: want %s, got %s",
					name, mix.name, i, show(want(i)), show(got[i]))
			}
		}
		dst := slices.Clone(y)
		Axpy(dst, x, alpha)
		check("Axpy", dst, func(i int) float32 { return fmaExact(alpha, x[i], y[i]) })
		Scale(dst, x, alpha)
		check("Scale", dst, func(i int) float32 { return mul(alpha, x[i]) })
		copy(dst, y)
		EMA(dst, x, alpha, beta)
		check("EMA", dst, func(i int) float32 {
			if s := fmaExact(alpha, y[i], mul(beta, x[i])); !(math.Abs(float64(s)) < 0x1p-126) {
				return s
			}
			return 0
		})
		copy(dst, y)
		Ger(dst, row, col, alpha)
		check("Ger", dst, func(i int) float32 { return fmaExact(mul(alpha, row[i/n]), col[i%n], y[i]) })
		Precondition(dst, x, row, col, beta)
		check("Precondition", dst, func(i int) float32 {
			return float32(float64(x[i]) / float64(fmaExact(row[i/n], col[i%n], beta)))
		})
		TanhBackward(dst, x, y)
		check("TanhBackward", dst, func(i int) float32 { return mul(x[i], fmaExact(-y[i], y[i], 1)) })
		SigmoidBackward(dst, x, y)
		check("SigmoidBackward", dst, func(i int) float32 { return mul(x[i], fmaExact(-y[i], y[i], y[i])) })
		ReLU(dst, x)
		check("ReLU", dst, func(i int) float32 {
			if math.Signbit(float64(x[i])) && x[i] != 0 && x[i] == x[i] {
				return 0
			}
			return x[i]
		})
		ReLUBackward(dst, x, y)
		check("ReLUBackward", dst, func(i int) float32 {
			if y[i] == 0 || y[i] != y[i] || math.Signbit(float64(y[i])) {
				return 0
			}
			return x[i]
		})
	}
}
