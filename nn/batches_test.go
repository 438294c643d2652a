package nn_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

func epoch(t *testing.T, b *nn.Batches, number int) (order []int, sizes []int) {
	t.Helper()
	for batch := range b.Epoch(number) {
		order = append(order, batch...)
		sizes = append(sizes, len(batch))
	}
	return order, sizes
}

func batches(t *testing.T, n, size int, seed uint64) *nn.Batches {
	t.Helper()
	b, err := nn.NewBatches(n, size, seed)
	require.NoError(t, err)
	return b
}

func TestBatches(t *testing.T) {
	for n := 1; n <= 20; n++ {
		for size := 1; size <= 22; size++ {
			order, sizes := epoch(t, batches(t, n, size, 5), 3)
			for i, s := range sizes {
				if i < len(sizes)-1 {
					require.Equal(t, size, s)
				} else {
					require.Equal(t, (n-1)%size+1, s)
				}
			}
			whole, _ := epoch(t, batches(t, n, n, 5), 3)
			require.Equal(t, whole, order, "the order is that of all samples, cut")
			slices.Sort(order)
			for i, v := range order {
				require.Equal(t, i, v)
			}
			require.Len(t, order, n)
		}
	}
}

func TestBatchesDropLast(t *testing.T) {
	for n := 1; n <= 20; n++ {
		for size := 1; size <= 22; size++ {
			b := batches(t, n, size, 5)
			whole, _ := epoch(t, b, 3)
			b.DropLast(true)
			order, sizes := epoch(t, b, 3)
			full := min(size, n)
			require.Equal(t, slices.Repeat([]int{full}, n/full), sizes)
			require.Equal(t, whole[:n/full*full], order, "what stays is in its place")
			b.DropLast(false)
			again, _ := epoch(t, b, 3)
			require.Equal(t, whole, again)
		}
	}
}

func TestBatchesRepeat(t *testing.T) {
	b := batches(t, 100, 32, 1)
	first, _ := epoch(t, b, 0)
	second, _ := epoch(t, b, 1)
	require.NotEqual(t, first, second)
	for range b.Epoch(2) {
		break // an epoch that is left early
	}
	again, _ := epoch(t, b, 0)
	require.Equal(t, first, again)
	resumed, _ := epoch(t, batches(t, 100, 10, 1), 1)
	require.Equal(t, second, resumed)
	other, _ := epoch(t, batches(t, 100, 32, 2), 0)
	require.NotEqual(t, first, other)

	order, _ := epoch(t, batches(t, 10, 3, 1), 0)
	require.Equal(t, []int{7, 6, 1, 3, 2, 4, 8, 9, 0, 5}, order)
}

// Every sample comes to every place equally often.
func TestBatchesAreUniform(t *testing.T) {
	const n, epochs = 5, 5000
	var count [n][n]float64
	b := batches(t, n, n, 1)
	for e := range epochs {
		order, _ := epoch(t, b, e)
		for place, sample := range order {
			count[place][sample]++
		}
	}
	chi2 := 0.0 // times n/(n-1), as rows and columns have fixed sums
	for _, row := range count {
		for _, c := range row {
			chi2 += (c - epochs/n) * (c - epochs/n) / (epochs / n)
		}
	}
	require.Less(t, chi2*(n-1)/n, 39.3, "chi squared with 16 degrees of freedom exceeds it once in 1000")
}

func TestBatchesDontAllocate(t *testing.T) {
	b := batches(t, 100, 32, 1)
	n, e := 0, 0
	require.Zero(t, testing.AllocsPerRun(10, func() {
		for batch := range b.Epoch(e) {
			n += len(batch)
		}
		e++
	}))
	require.Equal(t, 1100, n)
}

func TestBatchesErrors(t *testing.T) {
	for _, c := range [][2]int{{0, 1}, {1, 0}, {-1, 1}, {1, -1}, {math.MaxInt, 1}} {
		_, err := nn.NewBatches(c[0], c[1], 1)
		require.ErrorContains(t, err, "nn: NewBatches: batches of ")
	}
}
