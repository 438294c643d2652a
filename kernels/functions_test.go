package kernels

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// errorULP returns the error of got in units in the last place of the exact
// value, subnormal units below the normal range.
func errorULP(got float32, exact float64) float64 {
	_, e := math.Frexp(exact) // |exact| in [2^(e-1), 2^e)
	return math.Abs(float64(got)-exact) / math.Ldexp(1, max(e-24, -149))
}

// every calls f for float32 values from the bits first to last, inclusive: all
// of them with ADAFISHER_TEST_EXHAUSTIVE=1, else a sample with both ends.
func every(first, last uint32, f func(x float32)) {
	step := uint64(3989)
	if os.Getenv("ADAFISHER_TEST_EXHAUSTIVE") == "1" {
		step = 1
	}
	for u := uint64(first); u < uint64(last); u += step {
		f(math.Float32frombits(uint32(u)))
	}
	f(math.Float32frombits(last))
}

const (
	plusInf  = 0x7f800000
	minusInf = 0xff800000
)

func TestExpError(t *testing.T) {
	worst := 0.
	at := func(x float32) {
		got, exact := expNonPositive(x), math.Exp(float64(x))
		if e := errorULP(got, exact); e > worst {
			worst = e
			require.Less(t, e, 0.9, "exp(%s) = %s, want %g", show(x), show(got), exact)
		}
	}
	every(1<<31, minusInf, at)
	every(0xc2000000, 0xc2e00000, at) // -32 to -112: where results become subnormal and 0
	require.Equal(t, float32(1), expNonPositive(0))
	require.Equal(t, uint32(0), math.Float32bits(expNonPositive(float32(math.Inf(-1)))))
	require.True(t, math.IsNaN(float64(expNonPositive(float32(math.NaN())))))
	t.Logf("largest error %.4f ulp", worst)
}

func TestLogError(t *testing.T) {
	worst := 0.
	at := func(x float32) {
		got, exact := log32(x), math.Log(float64(x))
		if e := errorULP(got, exact); e > worst {
			worst = e
			require.Less(t, e, 0.92, "log(%s) = %s, want %g", show(x), show(got), exact)
		}
	}
	every(0x00800000, 0x7f7fffff, at)
	every(0x3f700000, 0x3f900000, at) // around 1, where the logarithm vanishes
	require.Equal(t, uint32(0), math.Float32bits(log32(1)))
	t.Logf("largest error %.4f ulp", worst)
}

func TestTanhError(t *testing.T) {
	worst := 0.
	at := func(x float32) {
		got, exact := tanh32(x), math.Tanh(float64(x))
		if e := errorULP(got, exact); e > worst {
			worst = e
			require.LessOrEqual(t, e, 1.94, "tanh(%s) = %s, want %g", show(x), show(got), exact)
		}
		if math.Float32bits(tanh32(-x)) != math.Float32bits(got)^1<<31 {
			require.Fail(t, "odd function", "tanh(%s) = %s, tanh of its negative %s", show(x), show(got), show(tanh32(-x)))
		}
	}
	every(0, plusInf, at)
	every(0x3d000000, 0x41200000, at) // 1/32 to 10: neither the identity nor 1
	require.Equal(t, float32(1), tanh32(float32(math.Inf(1))))
	require.Equal(t, uint32(1<<31), math.Float32bits(tanh32(float32(math.Copysign(0, -1)))))
	require.True(t, math.IsNaN(float64(tanh32(float32(math.NaN())))))
	t.Logf("largest error %.4f ulp", worst)
}

func TestSoftmaxError(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(16, 17))
	for n := 1; n <= 400; n++ {
		x := make([]float32, n)
		for i := range x {
			x[i] = normal(r) * float32(1+n%20)
		}
		y, dx := make([]float32, n), make([]float32, n)
		label, scale := n/3, float32(0.125)
		Softmax(y, x)
		loss := SoftmaxCrossEntropy(dx, x, label, scale)

		_, hi := MinMax(x)
		sum := 0.
		for _, v := range x {
			sum += math.Exp(float64(v) - float64(hi))
		}
		others, unsure := 0., 0. // gradient at the label, and its part of the bound
		for i, v := range x {
			exact := math.Exp(float64(v)-float64(hi)) / sum
			// The difference v-hi is rounded before the exponential.
			bound := 4*0x1p-23*exact + math.Abs(float64(v)-float64(hi))*0x1p-24*exact + 0x1p-149
			require.InDelta(t, exact, float64(y[i]), bound, "n=%d, element %d", n, i)
			if i != label {
				require.InDelta(t, float64(scale)*exact, float64(dx[i]), bound, "n=%d, element %d", n, i)
				others, unsure = others+exact, unsure+bound
			}
		}
		require.InDelta(t, -float64(scale)*others, float64(dx[label]), float64(scale)*(unsure+12*0x1p-24*others)+0x1p-149, "n=%d, label", n)
		at := dx[label]
		dx[label] = 0
		require.Equal(t, -Sum(dx), at, "n=%d, label", n)
		score := float64(x[label]) - float64(hi)
		require.InDelta(t, math.Log(sum)-score, float64(loss), 4*0x1p-23*(1+math.Log(sum)+math.Abs(score)), "n=%d", n)
	}
}
