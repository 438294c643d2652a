package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInvalidIndex puts one element that is no index at every place, and checks each
// kind of number alone.
func TestInvalidIndex(t *testing.T) {
	inf, nan, zero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	bad := []float32{-1, -0x1p-149, 0.5, 99.5, 100, 1e9, inf, -inf, nan, 0x1p-149, 1 + 0x1p-23, 0x1p31, -0x1p31, 0x1p64, -100}
	r := rand.New(rand.NewPCG(70, 71))
	eachLevel(t, func(t *testing.T) {
		for _, n := range []int{1, 7, 8, 16, 33, 64, 150, chunkLen + 3} {
			x := draws(r, n, func(r *rand.Rand) float32 { return float32(r.IntN(100)) })
			require.Equal(t, -1, InvalidIndex(x, 100))
			for i := 0; i < n; i += 1 + n/150 {
				old := x[i]
				for _, v := range bad {
					x[i] = v
					require.Equal(t, i, InvalidIndex(x, 100), "%g at %d of %d", v, i, n)
				}
				x[n-1] = nan
				require.Equal(t, i, InvalidIndex(x, 100))
				x[i], x[n-1] = old, 0
			}
		}
		for _, c := range []struct {
			v    float32
			n    int
			want int
		}{
			{zero, 1, -1}, {0, 0, 0}, {0, -3, 0}, {1, 2, -1}, {2, 2, 0},
			{1<<22 + 0.5, 1 << 24, 0}, {1<<23 - 0.5, 1 << 24, 0}, {1<<23 - 1, 1 << 24, -1}, {1<<23 + 1, 1 << 24, -1}, {1<<24 - 1, 1 << 24, -1},
			{1 << 24, 1 << 24, 0}, {1<<24 - 1, math.MaxInt32, -1}, {1 << 24, math.MaxInt32, 0}, {1 << 25, math.MaxInt32, 0},
		} {
			require.Equal(t, c.want, InvalidIndex([]float32{c.v}, c.n), "%v", c)
		}
		require.Equal(t, -1, InvalidIndex(nil, 0))
	})
}

// TestEmbedding: rows go where the indices say, and those of one index are added in
// order: 2^24 + 1 + 1 is not 1 + 1 + 2^24.
func TestEmbedding(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		table := NewMatrix(3, 2, []float32{1, 2, 3, 4, 5, 6})
		x := NewMatrix(4, 2, make([]float32, 8))
		indices := []float32{2, 0, 2, 1}
		GatherRows(x, table, indices)
		require.Equal(t, []float32{5, 6, 1, 2, 5, 6, 3, 4}, x.Data)
		ScatterAddRows(table, x, indices)
		require.Equal(t, []float32{2, 4, 6, 8, 15, 18}, table.Data)

		column := NewMatrix(1, 1, []float32{0x1p24})
		ones := NewMatrix(2, 1, []float32{1, 1})
		ScatterAddRows(column, ones, []float32{0, 0})
		require.Equal(t, []float32{0x1p24}, column.Data)
		column.Data[0] = 1
		ScatterAddRows(column, NewMatrix(2, 1, []float32{1, 0x1p24}), []float32{0, 0})
		require.Equal(t, []float32{0x1p24 + 2}, column.Data)

		counts := []float32{0, 10, 0}
		CountIndices(counts, indices)
		require.Equal(t, []float32{1, 11, 2}, counts)

		// A bad index changes nothing.
		before := slices.Clone(table.Data)
		require.Panics(t, func() { ScatterAddRows(table, x, []float32{0, 1, 2, 3}) })
		require.Equal(t, before, table.Data)
	})
}

func TestLookupOfEmptyRows(t *testing.T) {
	for _, rows := range []int{0, 1, rowChunk + 1} {
		indices, empty := make([]float32, rows), Matrix{Rows: rows, Stride: 4}
		require.NotPanics(t, func() { GatherRows(empty, Matrix{Rows: 1, Stride: 4}, indices) })
		require.NotPanics(t, func() { ScatterAddRows(Matrix{Rows: 1, Stride: 4}, empty, indices) })
		require.NotPanics(t, func() { SoftmaxRowsBackward(empty, empty, empty, 1) })
	}
}
