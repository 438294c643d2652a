package nn

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
)

// A step on a network large enough to be split has the same bits for any number
// of workers, and allocates nothing.
func TestSessionPool(t *testing.T) {
	m, err := NewSequential(Linear(300, 700), ReLU(), Linear(700, 520), Tanh(), Linear(520, 10))
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	const rows = 64
	x, labels := make([]float32, rows*300), make([]int, rows)
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	for i := range labels {
		labels[i] = random.IntN(10)
	}
	var want [][]float32
	for _, workers := range []int{0, 1, 2, 3, 16} {
		s, err := m.NewSession(rows)
		require.NoError(t, err)
		if workers > 0 {
			pool, err := kernels.NewPool(workers)
			require.NoError(t, err)
			defer pool.Close()
			s.SetPool(pool)
		}
		step := func() {
			_, err := s.Forward(x)
			require.NoError(t, err)
			_, err = s.SoftmaxCrossEntropy(labels)
			require.NoError(t, err)
			_, err = s.Backward()
			require.NoError(t, err)
		}
		step()
		for i, g := range s.gradients {
			if workers == 0 {
				want = append(want, append([]float32(nil), g.Data...))
			}
			require.Equal(t, want[i], g.Data, "%d workers: %s", workers, g.Param.Name)
		}
		require.Zero(t, testing.AllocsPerRun(3, step), "%d workers", workers)
	}
}
