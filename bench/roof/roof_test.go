package roof

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// or returns the bitwise or of all x, element by element.
func or(xs ...[]float32) []float32 {
	all := make([]float32, len(xs[0]))
	for i := range all {
		bits := uint32(0)
		for _, x := range xs {
			bits |= math.Float32bits(x[i])
		}
		all[i] = math.Float32frombits(bits)
	}
	return all
}

// meaning returns the streams after a run.
func meaning(p Pattern, s [][]float32) [][]float32 {
	s = slices.Clone(s)
	switch p {
	case Write:
		s[0] = make([]float32, len(s[0]))
	case Copy:
		s[0] = s[1]
	case Combine:
		s[0] = or(s[1], s[2])
	case Update:
		s[0] = or(s[0], s[1])
	case Accumulate:
		s[0] = or(s[0], s[1], s[2])
	case Update2:
		s[0], s[1] = or(s[0], s[2]), or(s[1], s[2])
	case Update3:
		s[0], s[1], s[2] = or(s[0], s[3]), or(s[1], s[3]), or(s[2], s[3])
	}
	return s
}

func TestPatterns(t *testing.T) {
	const guard = 64
	for i, p := range slices.Concat(Patterns(), Patterns()) {
		vectors := Vectors[i/len(Patterns())%len(Vectors)]
		for _, n := range []int{0, 128, 256, 896} {
			all := make([]float32, p.Streams()*(n+guard)+guard)
			for i := range all {
				all[i] = 1 + float32(i*i%63)/64 // one exponent: no bits give a NaN
			}
			streams := make([][]float32, p.Streams())
			before := slices.Clone(all)
			for i := range streams {
				streams[i] = all[guard+i*(n+guard):][:n]
			}
			values := make([][]float32, len(streams))
			for i := range values {
				values[i] = slices.Clone(streams[i])
			}
			p.Run(vectors, 1+n/128%2, streams...)
			for i, x := range meaning(p, values) {
				copy(before[guard+i*(n+guard):], x)
			}
			require.Equal(t, before, all, "%v of %d with %s", p, n, vectors)
		}
	}
}

func TestBytes(t *testing.T) {
	for p, want := range map[Pattern]int{Read: 4, Write: 4, Copy: 8, Modify: 8, Update: 12, Update2: 20, Update3: 28} {
		require.Equal(t, want, p.Bytes(), p.String())
	}
}

func TestMisuse(t *testing.T) {
	for _, n := range [][2]int{{128, 256}, {64, 64}, {0, 128}} {
		require.Panics(t, func() { Copy.Run(Vectors[0], 1, make([]float32, n[0]), make([]float32, n[1])) })
	}
	require.Panics(t, func() { Copy.Run(Vectors[0], 1, make([]float32, 128)) })
	require.Panics(t, func() { Read.Run("MMX", 1, nil) })
	for _, f := range arithmetic {
		require.Panics(t, func() { f("MMX", 1) })
		require.Panics(t, func() { f(Vectors[0], 0) })
	}
}

// arithmetic is what loops in registers do.
var arithmetic = []func(vectors string, passes int) int{FMA, Mixed, Divide, Root}

func TestArithmetic(t *testing.T) {
	for _, v := range Vectors {
		for _, f := range arithmetic {
			require.Positive(t, f(v, 1))
			require.Equal(t, 3*f(v, 1), f(v, 3))
		}
	}
}

func TestNoAllocations(t *testing.T) {
	x := make([]float32, 128)
	require.Zero(t, testing.AllocsPerRun(10, func() { Update3.Run(Vectors[0], 2, x, x, x, x) }))
}
