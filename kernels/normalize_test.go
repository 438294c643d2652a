package kernels

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExactInverse: quotients by the rounded inverse of a divisor are rounded right
// where they lie nearest to a midpoint of two numbers, by which one could go wrong; by
// the number after the inverse some are wrong.
//
// With numbers of 24 bits a and b, and m of 25 and odd, a/b is near the midpoint m/2^k if
// a*2^k = b*m + r with a small r. For each b and r that gives m modulo a power of two.
func TestExactInverse(t *testing.T) {
	step := uint64(1)
	if testing.Short() {
		step = 61
	}
	near, wrong := 0, false
	for b := uint64(1 << 23); b < 1<<24; b += step {
		inverse, exact := exactInverse(1, float32(b), chunkLen)
		require.True(t, exact)
		next := math.Nextafter32(inverse, 1)
		even := bits.TrailingZeros64(b)
		odd := b >> even
		unit := odd // its inverse modulo 2^64, by Newton's method
		for range 5 {
			unit *= 2 - odd*unit
		}
		for r := int64(-8); r <= 8; r++ {
			if r == 0 || r&(1<<even-1) != 0 {
				continue
			}
			for _, k := range []int{24, 25} { // a/b from 1 on, and below
				modulus := uint64(1) << (k - even)
				m := -uint64(r>>even) * unit & (modulus - 1)
				for m += (1<<24 - m + modulus - 1) / modulus * modulus; m < 1<<25; m += modulus {
					a := (b*m + uint64(r)) >> k
					if m&1 == 0 || a < 1<<23 || a >= 1<<24 || (k == 24) != (a >= b) {
						continue
					}
					near++
					x, y := float32(a), float32(b)
					quotient := func(inverse float32) float32 {
						q := float32(x * inverse)
						return fma32(fma32(-y, q, x), inverse, q)
					}
					want := float32(x / y)
					if got := quotient(inverse); got != want {
						require.Equal(t, want, got, "%d / %d", a, b)
					}
					wrong = wrong || quotient(next) != want
				}
			}
		}
	}
	require.Greater(t, near, int(1<<23/step))
	require.True(t, wrong)
	t.Log(near, "quotients")
}

// TestNormalizeBounded compares the quotients that need no divider with divisions, also
// next to the bounds of what is allowed.
func TestNormalizeBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(80, 81))
	x, got, want := make([]float32, 300), make([]float32, 300), make([]float32, 300)
	eachLevel(t, func(t *testing.T) {
		for range 2000 {
			lo := float32(math.Ldexp(1+r.Float64(), r.IntN(90)-60))
			if r.IntN(2) == 0 {
				lo = -lo
			}
			width := float32(math.Ldexp(1+r.Float64(), r.IntN(60)-30))
			inverse, exact := exactInverse(lo, width, len(x))
			require.True(t, exact)
			for i := range x {
				x[i] = lo
				if i%4 > 0 { // from lo to lo + width, many near lo
					x[i] = max(lo, lo+float32(width*float32(math.Ldexp(r.Float64(), -r.IntN(1+60*(i%2))))))
				}
				if x[i]-lo > width {
					x[i] = lo
				}
			}
			require.Zero(t, normalizeBounded(got, x, lo, width, inverse))
			normalizeRef(want, x, lo, width)
			require.True(t, equalFloats(want, got), "lo %g, width %g", lo, width)
		}
	})
	for _, c := range []struct {
		lo, width float32
		n         int
		exact     bool
	}{
		{0x1p-60, 1, 256, true}, {-0x1p-60, 0x1p30, 1 << 20, true}, {1, 0x1p-30, 256, true},
		{0x1p-61, 1, 256, false}, {0, 1, 256, false}, {-0x1p-61, 1, 256, false}, {1, 0x1p31, 256, false}, {1, 0x1p-31, 256, false}, {1, 1, 255, false},
	} {
		_, exact := exactInverse(c.lo, c.width, c.n)
		require.Equal(t, c.exact, exact, "%v", c)
	}
}
