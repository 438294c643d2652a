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

// normals draws n numbers from the normal distribution.
func normals(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// Layers that say so compute the same whatever their output holds by then, others than
// those that say so leave the gradient there alone, and a residual keeps what it must.
func TestOutputs(t *testing.T) {
	image, tokens := Shape{4, 4, 2}, Shape{4, 3}
	conv := Conv2d(2, 2, Conv{Kernel: Square(3), Padding: Square(1)})
	for _, c := range []struct {
		name              string
		in                Shape
		layer             Layer
		ignore, overwrite bool
	}{
		{"linear", tokens, Linear(3, 3), true, false},
		{"linear, ReLU", tokens, Sequential(Linear(3, 3), ReLU()), false, true},
		{"linear, tanh", tokens, Sequential(Linear(3, 3), Tanh()), false, true},
		{"linear, GELU", tokens, Sequential(Linear(3, 3), GELU()), true, true},
		{"sigmoid", tokens, Sigmoid(), false, false},
		{"SiLU", tokens, SiLU(), true, false},
		{"layer norm", tokens, LayerNorm(), true, false},
		{"attention", tokens, SelfAttention(Attention{}), true, false},
		{"dropout", tokens, Dropout(0.5), true, false},
		{"positions", tokens, Positions(), false, false},
		{"residual", tokens, Residual(ReLU()), true, false},
		{"residual of one", tokens, Residual(Residual(Linear(3, 3))), true, false},
		{"residual of two", tokens, Residual(Linear(3, 3), ReLU()), true, false},
		{"residual, shortcut", tokens, ResidualVia(Sequential(Linear(3, 3), GELU()), Linear(3, 3), Tanh()), true, true},
		{"convolution", image, conv, true, false},
		{"batch norm", image, Sequential(conv, BatchNorm()), true, false},
		{"batch norm, ReLU", image, Sequential(conv, BatchNorm(), ReLU()), false, false},
		{"pool", image, MaxPool2d(Pooling{Kernel: Square(3), Stride: Square(1), Padding: Square(1)}), false, false},
		{"named and shared", tokens, Named("a", Shared(Unfactored(Linear(3, 3)))), true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := New(c.in, c.layer)
			require.NoError(t, err)
			require.Equal(t, c.ignore, ignoresOutput(m.root))
			require.Equal(t, c.overwrite, overwritesGradient(m.root))
			m.Init(1)
			s, err := m.NewSession(3)
			require.NoError(t, err)
			s.CollectStatistics(kron.CollectMoments)
			s.CollectInputGradient(true)
			x, dy := normals(3*m.In(), 41), normals(3*m.Out(), 42)
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
				require.Equal(t, c.overwrite, !slices.Equal(dy, s.dy))
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

			inside, err := New(c.in, Residual(c.layer))
			require.NoError(t, err)
			outside, err := New(c.in, c.layer)
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

// Layers in a residual give the bits that they give one by one, though together they
// overwrite the gradient that the shortcut needs.
func TestResidualGradient(t *testing.T) {
	layers := map[string][2]Layer{
		"identity": {Residual(Linear(3, 3), ReLU()), Residual(Sequential(Linear(3, 3)), ReLU())},
		"shortcut": {
			ResidualVia(Sequential(Linear(3, 3), Tanh()), Linear(3, 3), GELU()),
			ResidualVia(Sequential(Sequential(Linear(3, 3)), Tanh()), Sequential(Linear(3, 3)), GELU()),
		},
		"nested": {
			Residual(LayerNorm(), ResidualVia(Sequential(Linear(3, 3), SiLU()), Linear(3, 3), Sigmoid())),
			Residual(LayerNorm(), ResidualVia(Sequential(Sequential(Linear(3, 3)), SiLU()), Sequential(Linear(3, 3)), Sigmoid())),
		},
	}
	for name, both := range layers {
		t.Run(name, func(t *testing.T) {
			var results [2][][]float32
			for i, l := range both {
				m, err := New(Shape{2, 3}, l)
				require.NoError(t, err)
				m.Init(2)
				s, err := m.NewSession(5)
				require.NoError(t, err)
				s.CollectInputGradient(true)
				x, dy := normals(5*m.In(), 43), normals(5*m.Out(), 44)
				y, err := s.Forward(x)
				require.NoError(t, err)
				results[i] = append(results[i], slices.Clone(y))
				require.NoError(t, s.SetOutputGradient(dy))
				pass, err := s.Backward()
				require.NoError(t, err)
				dx, err := s.InputGradient()
				require.NoError(t, err)
				results[i] = append(results[i], dx)
				for _, g := range pass.Gradients {
					results[i] = append(results[i], g.Data)
				}
			}
			require.Equal(t, results[1], results[0])
		})
	}
}
