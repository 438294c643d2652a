package kernels

import (
	"math"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// errorULP returns the error of got in units in the last place of the exact
// value, subnormal units below the normal range.
func errorULP(got float32, exact float64) float64 {
	const exponent = 0x7ff << 52
	power := max(math.Float64bits(exact)&exponent, math.Float64bits(0x1p-126))
	return math.Abs(float64(got)-exact) / math.Float64frombits(power-23<<52)
}

// magnitudes divides results by size: errors in ulp grow where a factor of the
// result is subnormal.
var magnitudes = [...]struct {
	name  string
	least float64
}{{"from 2^-5", 0x1p-5}, {"from 2^-100", 0x1p-100}, {"from 2^-126", 0x1p-126}, {"subnormal", 0}}

// sweep is a function of one argument with the largest error that its
// documentation states, in ulp for each of the magnitudes.
type sweep struct {
	name  string
	f     func(dst, x []float32)
	exact func(x float64) float64
	bound [len(magnitudes)]float64
}

func normalDistribution(x float64) float64 { return 0.5 * math.Erfc(x*-math.Sqrt2/2) }

func logistic(x float64) float64 { return math.Exp(min(x, 0)) / (1 + math.Exp(-math.Abs(x))) }

func geluTanhArgument(x float64) float64 {
	return 2 * math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x)
}

var sweeps = []sweep{
	{"Exp", Exp, math.Exp, [...]float64{0.892, 0.892, 0.87, 0.86}},
	{"Log", Log, math.Log, [...]float64{0.93, 0.55, 0, 0}},
	{"Sqrt", Sqrt, math.Sqrt, [...]float64{0.5, 0.5, 0, 0}},
	{"RSqrt", RSqrt, func(x float64) float64 { return 1 / math.Sqrt(x) }, [...]float64{0.5, 0.5, 0, 0}},
	{"Erf", Erf, math.Erf, [...]float64{1.117, 0.845, 0.74, 0.62}},
	{"Softplus", Softplus, func(x float64) float64 {
		return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
	}, [...]float64{1.861, 1.493, 0.87, 0.86}},
	{"Tanh", Tanh, math.Tanh, [...]float64{1.933, 1.545, 0, 0}},
	{"Sigmoid", Sigmoid, logistic, [...]float64{2.333, 2.403, 0.87, 0.86}},
	{"SiLU", SiLU, func(x float64) float64 { return x * logistic(x) }, [...]float64{3.24, 3.35, 47, 52.1}},
	{"GELU", GELU, func(x float64) float64 { return x * normalDistribution(x) }, [...]float64{4, 5, 9.2, 8.1}},
	{"GELUTanh", GELUTanh, func(x float64) float64 { return x * logistic(geluTanhArgument(x)) }, [...]float64{3.2, 3.18, 6.6, 6.1}},
}

// slope is the derivative that a backward kernel multiplies by, with the
// largest absolute error in units of 2^-24.
type slope struct {
	name  string
	f     func(dx, dy, x []float32)
	exact func(x float64) float64
	bound float64
}

var slopes = []slope{
	{"SiLUBackward", SiLUBackward, func(x float64) float64 {
		s := logistic(x)
		return s + x*s*logistic(-x)
	}, 5},
	{"GELUBackward", GELUBackward, func(x float64) float64 {
		return normalDistribution(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}, 5},
	{"GELUTanhBackward", GELUTanhBackward, func(x float64) float64 {
		z := geluTanhArgument(x)
		s := logistic(z)
		return s + x*s*logistic(-z)*2*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
	}, 5},
}

// eachFloat calls f with slices of x that go through the finite values of both
// signs: all of them with ADAFISHER_TEST_EXHAUSTIVE=1, else a sample.
func eachFloat(f func(x []float32)) {
	step := uint64(1021)
	switch {
	case os.Getenv("ADAFISHER_TEST_EXHAUSTIVE") == "1":
		step = 1
	case testing.Short():
		step = 16381
	}
	x := make([]float32, 0, 1<<14)
	for u := uint64(0); u < 1<<32; u += step {
		if v := math.Float32frombits(uint32(u)); v-v == 0 {
			x = append(x, v)
		}
		if len(x) == cap(x) {
			f(x)
			x = x[:0]
		}
	}
	f(x)
}

// TestErrors measures the error of each function on the level in use; the other
// levels have the same bits.
func TestErrors(t *testing.T) {
	for _, s := range sweeps {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var worst [len(magnitudes)]float64
			var at [len(magnitudes)]float32
			least := 0. // of the worst
			y := make([]float32, 1<<14)
			eachFloat(func(x []float32) {
				y = y[:len(x)]
				s.f(y, x)
				for i, got := range y {
					exact := s.exact(float64(x[i]))
					want := float32(exact)
					if want-want != 0 || want == 0 { // NaN, overflow, underflow
						if !sameFloat(got, want) && errorULP(got, exact) > 1 {
							require.Fail(t, "special result", "%s(%s): want %s, got %s", s.name, show(x[i]), show(want), show(got))
						}
						continue
					}
					e := errorULP(got, exact)
					if e <= least {
						continue
					}
					size := 0
					for math.Abs(exact) < magnitudes[size].least {
						size++
					}
					if !(e <= worst[size]) {
						worst[size], at[size] = e, x[i]
						least = slices.Min(worst[:])
					}
				}
			})
			for i, m := range magnitudes {
				t.Logf("%s: largest error %.4f ulp at %s", m.name, worst[i], show(at[i]))
				require.LessOrEqual(t, worst[i], s.bound[i], "%s, at %s", m.name, show(at[i]))
			}
		})
	}
	for _, s := range slopes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			worst, at := 0., float32(0)
			dx := make([]float32, 1<<14)
			eachFloat(func(x []float32) {
				dx = dx[:len(x)]
				derivative(s.f)(dx, x)
				for i, got := range dx {
					exact := s.exact(float64(x[i]))
					if math.Abs(float64(x[i])) > 1e6 { // the products overflow, the limits are 0 and 1
						exact = max(0, math.Copysign(1, float64(x[i])))
					}
					if e := math.Abs(float64(got)-exact) * 0x1p24; !(e <= worst) {
						worst, at = e, x[i]
					}
				}
			})
			t.Logf("largest error %.4f * 2^-24 at %s", worst, show(at))
			require.LessOrEqual(t, worst, s.bound, "at %s", show(at))
		})
	}
}
