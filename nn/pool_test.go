package nn

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// A step on networks large enough to be split has the same bits for any number of
// workers, and allocates nothing.
func TestSessionPool(t *testing.T) {
	pooling := Pooling{Kernel: Square(2)}
	conv := func(in, out int) Layer { return Conv2d(in, out, Conv{Kernel: Square(3), Padding: Square(1)}) }
	for name, c := range map[string]struct {
		in     Shape
		rows   int
		layers []Layer
	}{
		"perceptron": {Shape{300}, 64, []Layer{Linear(300, 700), ReLU(), Linear(700, 520), SiLU(), Linear(520, 10)}},
		"convolutions": {Shape{20, 20, 3}, 33, []Layer{
			conv(3, 16), BatchNorm(), ReLU(), MaxPool2d(pooling), Residual(conv(16, 16), BatchNorm()), Tanh(), conv(16, 24), BatchNorm(), AvgPool2d(pooling), Flatten(), Linear(600, 10)}},
		"flat": {Shape{20, 20, 3}, 33, []Layer{Flatten(), Dropout(0.3), Linear(1200, 10)}},
		"transformer": {Shape{70, 24}, 23, []Layer{
			Positions(), Residual(LayerNorm(), SelfAttention(Attention{Heads: 3, Causal: true})), Residual(LayerNorm(), Linear(24, 96), GELU(), Linear(96, 24)), LayerNorm(), Dropout(0.1), Mean(), Linear(24, 10)}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := New(c.in, c.layers...)
			require.NoError(t, err)
			random := rand.New(rand.NewPCG(1, 2))
			x, labels := make([]float32, c.rows*m.In()), make([]int, c.rows)
			for i := range x {
				x[i] = float32(random.NormFloat64())
			}
			for i := range labels {
				labels[i] = random.IntN(10)
			}
			var want [][]float32
			for _, workers := range []int{0, 1, 2, 3, 16} {
				s, err := m.NewSession(c.rows)
				require.NoError(t, err)
				if workers > 0 {
					pool, err := kernels.NewPool(workers)
					require.NoError(t, err)
					defer pool.Close()
					s.SetPool(pool)
				}
				s.CollectInputGradient(true)
				s.CollectStatistics(kron.CollectFactors)
				step := func() []kron.Statistics {
					_, err := s.Forward(x)
					require.NoError(t, err)
					_, err = s.SoftmaxCrossEntropy(labels)
					require.NoError(t, err)
					pass, err := s.Backward()
					require.NoError(t, err)
					return pass.Statistics
				}
				statistics := step()
				dx, err := s.InputGradient()
				require.NoError(t, err)
				results := [][]float32{s.y, dx}
				for _, g := range s.gradients {
					results = append(results, g.Data)
				}
				for _, st := range statistics {
					results = append(results, st.H, st.S)
				}
				for i, r := range results {
					if workers == 0 {
						want = append(want, slices.Clone(r))
					}
					require.Equal(t, want[i], r, "%d workers: result %d", workers, i)
				}
				// The runtime allocates for goroutines that wait now and then, a step each time.
				allocs := testing.AllocsPerRun(3, func() { step() })
				for try := 0; try < 10 && allocs > 0; try++ {
					allocs = min(allocs, testing.AllocsPerRun(3, func() { step() }))
				}
				require.Zero(t, allocs, "%d workers", workers)
			}
		})
	}
}
