package roof

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPatterns(t *testing.T) {
	for _, n := range []int{0, 64, 128, 960} {
		for p := Read; p <= Update; p++ {
			all := make([]float32, 3*n+256) // dst and x between guards
			for i := range all {
				all[i] = 1 + float32(i%4)/4 + float32(i%16)/64 // one exponent: no bits give a NaN
			}
			before := slices.Clone(all)
			dst, x := all[64:][:n], all[n+128:][:n]
			p.Run(dst, x)
			want := slices.Clone(before)
			for i := range dst {
				d, v := &want[64+i], before[n+128+i]
				switch p {
				case Copy:
					*d = v
				case Update:
					*d = math.Float32frombits(math.Float32bits(*d) | math.Float32bits(v))
				}
			}
			require.Equal(t, want, all, "%v of %d", p, n)
		}
	}
}

func TestPatternBytes(t *testing.T) {
	for p, want := range map[Pattern]int{Read: 4, ReadBoth: 8, Copy: 8, Modify: 8, Update: 12} {
		require.Equal(t, want, p.Bytes(), p.String())
	}
}

func TestLengths(t *testing.T) {
	for _, n := range [][2]int{{64, 128}, {63, 63}, {0, 64}} {
		require.Panics(t, func() { Copy.Run(make([]float32, n[0]), make([]float32, n[1])) })
	}
}

func TestFMA(t *testing.T) {
	require.Equal(t, flopsPerPass, FMA(1))
	require.Equal(t, flopsPerPass, FMA(flopsPerPass))
	require.Equal(t, 3*flopsPerPass, FMA(2*flopsPerPass+1))
}
