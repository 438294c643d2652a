package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Layers that say so compute the same whatever their output holds by then, and a
// residual keeps the output of others alone.
func TestIgnoredOutputs(t *testing.T) {
	image, tokens := Shape{4, 4, 2}, Shape{4, 3}
	conv := Conv2d(2, 2, Conv{Kernel: Square(3), Padding: Square(1)})
	for _, c := range []struct {
		name   string
		in     Shape
		layer  Layer
		ignore bool
	}{
		{"linear", tokens, Linear(3, 3), true},
		{"linear, ReLU", tokens, Sequential(Linear(3, 3), ReLU()), false},
		{"linear, tanh", tokens, Sequential(Linear(3, 3), Tanh()), false},
		{"linear, GELU", tokens, Sequential(Linear(3, 3), GELU()), true},
		{"sigmoid", tokens, Sigmoid(), false},
		{"SiLU", tokens, SiLU(), true},
		{"layer norm", tokens, LayerNorm(), true},
		{"attention", tokens, SelfAttention(Attention{}), true},
		{"dropout", tokens, Dropout(0.5), true},
		{"positions", tokens, Positions(), false},
		{"residual", tokens, Residual(ReLU()), true},
		{"residual of one", tokens, Residual(Residual(Linear(3, 3))), true},
		{"convolution", image, conv, true},
		{"batch norm", image, Sequential(conv, BatchNorm()), true},
		{"batch norm, ReLU", image, Sequential(conv, BatchNorm(), ReLU()), false},
		{"pool", image, MaxPool2d(Pooling{Kernel: Square(3), Stride: Square(1), Padding: Square(1)}), false},
		{"named and shared", tokens, Named("a", Shared(Unfactored(Linear(3, 3)))), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := New(c.in, c.layer)
			require.NoError(t, err)
			require.Equal(t, c.ignore, ignoresOutput(m.root))
			m.Init(1)
			s, err := m.NewSession(3)
			require.NoError(t, err)
			s.CollectStatistics(kron.CollectMoments)
			s.CollectInputGradient(true)
			r := rand.New(rand.NewPCG(41, 1))
			x, dy := make([]float32, 3*m.In()), make([]float32, 3*m.Out())
			for _, v := range [][]float32{x, dy} {
				for i := range v {
					v[i] = float32(r.NormFloat64())
				}
			}
			results := func(spoil bool) (all [][]float32) {
				s.SetRandom(1, 1)
				y, err := s.Forward(x)
				require.NoError(t, err)
				require.NoError(t, s.SetOutputGradient(dy))
				if spoil {
					kernels.Fill(y, float32(math.NaN()))
				}
				pass, err := s.Backward()
				require.NoError(t, err)
				dx, err := s.InputGradient()
				require.NoError(t, err)
				all = append(all, slices.Clone(dx))
				for _, g := range pass.Gradients {
					all = append(all, slices.Clone(g.Data))
				}
				for _, st := range pass.Statistics {
					all = append(all, slices.Clone(st.H), slices.Clone(st.S))
				}
				return all
			}
			want := results(false)
			if c.ignore {
				require.Equal(t, want, results(true))
			}

			shape := c.in
			inside, err := New(shape, Residual(c.layer))
			require.NoError(t, err)
			outside, err := New(shape, c.layer)
			require.NoError(t, err)
			_, in, err := inside.newSession(3)
			require.NoError(t, err)
			_, out, err := outside.newSession(3)
			require.NoError(t, err)
			kept := in.kept.total - out.kept.total
			if c.ignore {
				require.Zero(t, kept)
			} else {
				require.GreaterOrEqual(t, kept, 3*m.Out())
			}
		})
	}
}
