package kernels

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// dropped returns which of n elements from first on are dropped, as bits.
func dropped(p float32, seed uint64, first, n int) []uint64 {
	x, mask := make([]float32, n), make([]uint64, (n+63)/64)
	Fill(x, 1)
	Dropout(x, x, p, seed, first)
	for i, v := range x {
		if v == 0 {
			mask[i/64] |= 1 << (i % 64)
		}
	}
	return mask
}

// TestDropoutIsFixed: the masks belong to the contract; a change of the hash
// would break runs that are resumed.
func TestDropoutIsFixed(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		require.Equal(t, []uint64{0x438d05ded5ca5f3f, 0xcf334914a66e0d58}, dropped(0.5, 1, 0, 128))
		require.Equal(t, []uint64{0x8060004000}, dropped(0.1, math.MaxUint64, -20, 64))
	})
}

func TestDropoutRules(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		const n = 3*chunkLen/2 + 5
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(i%100) - 50.5
		}
		whole := make([]float32, n)
		Dropout(whole, x, 0.25, 42, 1000)
		for i, v := range whole {
			if v != 0 {
				require.Equal(t, float32(float64(x[i])*float64(float32(1)/0.75)), v)
			} else {
				require.Zero(t, math.Float32bits(v))
			}
		}
		// Parts give what the whole gives.
		parts := make([]float32, n)
		for lo := 0; lo < n; {
			hi := min(n, lo+1+lo%4099)
			Dropout(parts[lo:hi], x[lo:hi], 0.25, 42, 1000+lo)
			lo = hi
		}
		require.Equal(t, whole, parts)
		// On a gradient, the same mask and scale.
		g := make([]float32, n)
		Fill(g, 3)
		Dropout(g, g, 0.25, 42, 1000)
		for i := range g {
			require.Equal(t, whole[i] != 0, g[i] != 0)
		}
		Dropout(parts, x, 0, 42, 0)
		require.Equal(t, x, parts)
		Fill(x, nan)
		x[0] = inf
		Dropout(parts, x, 1, 42, 0)
		require.Equal(t, make([]float32, n), parts)
	})
	for _, p := range []float32{-0x1p-149, 1 + 0x1p-23, inf, nan} {
		require.PanicsWithValue(t, "kernels: Dropout: probability p is not in [0,1]", func() { Dropout(nil, nil, p, 0, 0) })
	}
}

// TestDropoutIsRandom: the share that is dropped, pairs of near elements and the
// masks of related seeds look like those of independent draws, within five
// standard deviations.
func TestDropoutIsRandom(t *testing.T) {
	const n = 1 << 17
	agreement := func(a, b []uint64) (equal int) {
		for i := range a {
			equal += bits.OnesCount64(^(a[i] ^ b[i]))
		}
		return equal
	}
	sigma := 5 * math.Sqrt(n*0.25)
	masks := map[uint64][]uint64{}
	seeds := []uint64{0, 1, 2, 3, 1 << 31, 1 << 32, 1 << 63, math.MaxUint64, 0x9e3779b97f4a7c15}
	for _, seed := range seeds {
		masks[seed] = dropped(0.5, seed, 0, n)
		ones := agreement(masks[seed], make([]uint64, n/64))
		require.InDelta(t, n/2, ones, sigma, "seed %d", seed)
		for _, distance := range []int{1, 2, 3, 4, 8, 16, 28, 64, 512, 784, 4096, 65536} {
			shifted := dropped(0.5, seed, distance, n)
			require.InDelta(t, n/2, agreement(masks[seed], shifted), sigma, "seed %d, distance %d", seed, distance)
		}
	}
	for i, a := range seeds {
		for _, b := range seeds[:i] {
			require.InDelta(t, n/2, agreement(masks[a], masks[b]), sigma, "seeds %d and %d", a, b)
		}
	}
	for _, p := range []float32{0.001, 0.1, 0.3, 0.9} {
		count := 0
		for _, m := range dropped(p, 7, 0, n) {
			count += bits.OnesCount64(m)
		}
		q := float64(p)
		require.InDelta(t, q*n, count, 5*math.Sqrt(n*q*(1-q)), "p = %g", p)
	}
	// All patterns of eight neighbours, by the chi-squared test with 255 degrees
	// of freedom (mean 255, standard deviation 22.6).
	var counts [256]float64
	for _, m := range masks[3] {
		for ; m != 0; m >>= 8 {
			counts[m&255]++
		}
	}
	counts[0] = n / 8
	for _, c := range counts[1:] {
		counts[0] -= c
	}
	chi := 0.
	for _, c := range counts {
		e := float64(n) / 8 / 256
		chi += (c - e) * (c - e) / e
	}
	require.InDelta(t, 255, chi, 5*22.6)
}
