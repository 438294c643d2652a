package nn

import (
	"math"
	"math/bits"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestProduct(t *testing.T) {
	require.Equal(t, 0, product(0, math.MaxInt))
	require.Equal(t, 0, product(math.MaxInt, 0))
	require.Equal(t, 42, product(6, 7))
	require.Equal(t, maxFloats, product(maxFloats, 1))
	require.Equal(t, maxFloats, product(1, maxFloats))
	require.Equal(t, maxFloats, product(maxFloats/64, 64))
	for _, c := range [][2]int{
		{maxFloats/64 + 1, 64}, {math.MaxInt, 2}, {2, math.MaxInt}, {math.MaxInt, math.MaxInt},
		{1 << (bits.UintSize / 2), 1 << (bits.UintSize / 2)}, // wraps to 0
		{product(math.MaxInt, 2), math.MaxInt},
	} {
		require.Greater(t, product(c[0], c[1]), maxFloats, "%v", c)
	}
}

func TestCarve(t *testing.T) {
	lengths := []int{1, 0, 16, 17, 3, 100, 5}
	for range 20 { // allocations of several alignments
		slices, err := carve[float32](lengths...)
		require.NoError(t, err)
		require.Len(t, slices, len(lengths))
		for i, s := range slices {
			require.Len(t, s, lengths[i])
			require.Equal(t, lengths[i], cap(s), "an append must not reach the next slice")
			if len(s) > 0 {
				require.Zero(t, uintptr(unsafe.Pointer(&s[0]))%64, "slice %d", i)
			}
			for j := range s {
				require.Zero(t, s[j], "overlaps an earlier slice")
				s[j] = float32(i + 1)
			}
		}
	}
	for _, lengths := range [][]int{{maxFloats + 1}, {maxFloats}, {maxFloats / 2, maxFloats / 2}, {1, math.MaxInt, math.MaxInt}} {
		_, err := carve[float32](lengths...)
		require.ErrorIs(t, err, errTooLarge)
	}
}
