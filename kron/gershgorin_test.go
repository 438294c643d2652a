package kron_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
)

// TestFullFactor compares with the sums in float64; the diagonal is the raw factor.
func TestFullFactor(t *testing.T) {
	rng := rand.New(rand.NewPCG(91, 1))
	for _, size := range [][2]int{{1, 1}, {3, 5}, {300, 17}} {
		rows, n := size[0], size[1]
		x := randoms(rng, rows*n)
		full, diagonal := make([]float32, n*n), make([]float32, n)
		require.NoError(t, kron.FullFactor(full, x, rows))
		require.NoError(t, kron.LinearOutputFactor(diagonal, x, rows))
		for i := range n {
			for j := range n {
				want := 0.0
				for r := range rows {
					want += float64(x[r*n+i]) * float64(x[r*n+j]) / float64(rows)
				}
				require.InDelta(t, want, full[i*n+j], 1e-5)
				require.Equal(t, full[i*n+j], full[j*n+i])
			}
			require.InEpsilon(t, diagonal[i], full[i*n+i], 1e-6)
		}
	}
	require.EqualError(t, kron.FullFactor(make([]float32, 4), make([]float32, 5), 2), "kron: FullFactor: 5 numbers are not 2 rows, at least 1")
	require.EqualError(t, kron.FullFactor(make([]float32, 4), nil, 0), "kron: FullFactor: 0 numbers are not 0 rows, at least 1")
	require.EqualError(t, kron.FullFactor(make([]float32, 4), make([]float32, 6), 2), "kron: FullFactor: length of dst is 4: want 9")
}

func TestGershgorin(t *testing.T) {
	discs, err := kron.Gershgorin([]float32{4, -1, 0.5, 1, -2, 3, 0, 0, 7})
	require.NoError(t, err)
	require.Equal(t, []kron.Disc{{4, 1.5}, {-2, 4}, {7, 0}}, discs)
	discs, err = kron.Gershgorin(nil)
	require.NoError(t, err)
	require.Empty(t, discs)
	_, err = kron.Gershgorin(make([]float32, 8))
	require.EqualError(t, err, "kron: Gershgorin: 8 numbers are no square matrix")

	// Both eigenvalues of a factor of two inputs lie in a disc.
	rng := rand.New(rand.NewPCG(92, 1))
	for range 100 {
		m := make([]float32, 4)
		require.NoError(t, kron.FullFactor(m, randoms(rng, 2*5), 5))
		discs, err := kron.Gershgorin(m)
		require.NoError(t, err)
		a, b, d := float64(m[0]), float64(m[1]), float64(m[3])
		root := math.Sqrt((a-d)*(a-d)/4 + b*b)
		for _, eigenvalue := range []float64{(a+d)/2 - root, (a+d)/2 + root} {
			inside := false
			for _, disc := range discs {
				inside = inside || math.Abs(eigenvalue-disc.Centre) <= disc.Radius+1e-6
			}
			require.True(t, inside)
		}
	}
}
