package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The steps that avoid the divider (see AdaFisherStep, AdamStep, AMSGradStep) against those
// that use it, with and without decays, on operands where an estimate is hardest to correct: significands
// at both ends of the binade, powers of two, every magnitude.
func TestBoundedSteps(t *testing.T) {
	keepLevel(t)
	const n = 1 << 14
	rounds := 20
	if testing.Short() {
		rounds = 2
	}
	random := rand.New(rand.NewPCG(12, 34))
	// hard returns a number in [2^lo, 2^hi) with a significand near an end.
	hard := func(lo, hi int) float32 {
		m := uint32(random.Uint32() >> 9)
		switch random.IntN(4) {
		case 0:
			m = uint32(random.IntN(4))
		case 1:
			m = 1<<23 - 1 - uint32(random.IntN(4))
		}
		e := uint32(127 + lo + random.IntN(hi-lo))
		return math.Float32frombits(e<<23 | m)
	}
	signed := func(x float32) float32 {
		if random.IntN(2) == 0 {
			return -x
		}
		return x
	}
	w, m, v, g := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	col := make([]float32, n)
	for round := range rounds {
		for i := range n {
			w[i], g[i] = signed(hard(-12, 4)), 0
			m[i], v[i] = signed(hard(-126, 20)), hard(-126, 40)
			col[i] = hard(-20, -1)
			if random.IntN(200) == 0 { // beyond what the estimate is used for
				col[i] = signed(hard(-126, 127))
			}
			switch random.IntN(64) {
			case 0:
				m[i], v[i] = 0, 0
			case 1:
				m[i], v[i] = float32(math.Inf(1)), float32(math.Inf(1))
			case 2:
				m[i], v[i] = float32(math.NaN()), signed(hard(100, 127))
			case 3:
				m[i] = signed(hard(100, 127))
			}
		}
		row := []float32{1} // the divisor is col + lambda
		lambda := hard(-19, -1) / 2
		scale := float32(1 + float64(round))
		type state struct{ w, m, v []float32 }
		var want []state
		for _, l := range Levels() {
			if l == Generic && round > 0 {
				continue // one round of it is enough: the levels agree with each other
			}
			require.NoError(t, SetLevel(l))
			var got []state
			for _, decay := range []struct{ coupled, keep float32 }{{0, 1}, {0, 0.99}, {1e-3, 0.99}} {
				a := state{w: slices.Clone(w), m: slices.Clone(m)}
				AdaFisherStep(a.w, a.m, g, row, col, AdaFisherParams{
					Beta: 1, Add: 1, Step: hardStep * scale, Lambda: lambda, WeightDecay: decay.coupled, Keep: decay.keep})
				p := AdamParams{Beta1: 1, Add1: 1, Beta2: 1, Add2: 1,
					Step: hardStep * scale, Correct2: scale, Epsilon: 1e-8, WeightDecay: decay.coupled, Keep: decay.keep}
				b := state{w: slices.Clone(w), m: slices.Clone(m), v: slices.Clone(v)}
				AdamStep(b.w, b.m, b.v, g, p)
				// Its largest moments are those of b, at another place, and v is below them.
				c := state{w: slices.Clone(w), m: slices.Clone(m), v: slices.Clone(v)}
				AMSGradStep(c.w, c.m, make([]float32, n), c.v, g, p)
				got = append(got, a, b, c)
			}
			if want == nil {
				want = got
				continue
			}
			for k, got := range got {
				for j := range n {
					if !sameFloat(got.w[j], want[k].w[j]) || !sameFloat(got.m[j], want[k].m[j]) {
						t.Fatalf("round %d, level %v, step %d, element %d: w %x m %x, want w %x m %x; from w %x m %x v %x col %x lambda %x",
							round, l, k, j, got.w[j], got.m[j], want[k].w[j], want[k].m[j], w[j], m[j], v[j], col[j], lambda)
					}
				}
			}
		}
	}
}

const hardStep = 0x1.8p-10
