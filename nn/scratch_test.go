package nn

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// spoil fills all scratch with NaN.
func (p *plan) spoil() {
	nan := float32(math.NaN())
	for _, place := range p.shared.places {
		kernels.Fill(*place, nan)
	}
	if p.session != nil {
		kernels.Fill(p.session.workers.scratch, nan)
	}
}

// overlaps reports whether two of the places share memory.
func (l *layout) overlaps() bool {
	for i, o := range l.offsets {
		for j := range i {
			if o < l.offsets[j]+l.lengths[j] && l.offsets[j] < o+l.lengths[i] {
				return true
			}
		}
	}
	return false
}

// Nothing that counts lies in scratch between the calls of a layer, what layers keep
// lies apart, and layers beside each other do share scratch.
func TestScratch(t *testing.T) {
	block := func() Layer {
		return ResidualVia(Residual(LayerNorm(), Linear(4, 4)),
			LayerNorm(), Residual(SelfAttention(Attention{Heads: 2})), ResidualVia(Sequential(Linear(4, 4), Tanh()), Linear(4, 6), GELU(), Linear(6, 4)))
	}
	conv := Conv2d(3, 4, Conv{Kernel: Square(3), Padding: Square(1)})
	m, err := New(Shape{4, 5, 3}, conv, BatchNorm(), ReLU(), MaxPool2d(Pooling{Kernel: Square(2)}), Tokens(), block(), Dropout(0.5), block(), Mean(), Linear(4, 3))
	require.NoError(t, err)
	const rows = 3
	s, p, err := m.newSession(rows)
	require.NoError(t, err)
	require.False(t, p.kept.overlaps())
	require.True(t, p.shared.overlaps())
	predictor, pp, err := m.newPredictor(rows, false)
	require.NoError(t, err)
	require.False(t, pp.kept.overlaps())

	s.CollectStatistics(kron.CollectFactors)
	s.CollectInputGradient(true)
	x, dy := normals(rows*m.In(), 40), normals(rows*m.Out(), 41)
	results := func(spoil bool) (all [][]float32) {
		keep := func(v []float32) { all = append(all, slices.Clone(v)) }
		between := func() {
			if spoil {
				p.spoil()
				pp.spoil()
			}
		}
		s.SetRandom(1, 1)
		m.Init(1)
		between()
		y, err := s.Forward(x)
		require.NoError(t, err)
		keep(y)
		for range 2 {
			require.NoError(t, s.SetOutputGradient(dy))
			between()
			pass, err := s.Backward()
			require.NoError(t, err)
			dx, err := s.InputGradient()
			require.NoError(t, err)
			between()
			keep(dx)
			for _, g := range pass.Gradients {
				keep(g.Data)
			}
			for _, st := range pass.Statistics {
				keep(st.H)
				keep(st.S)
			}
		}
		between()
		y, err = predictor.Predict(x)
		require.NoError(t, err)
		keep(y)
		for _, v := range all {
			require.True(t, kernels.AllFinite(v))
		}
		return all
	}
	require.Equal(t, results(false), results(true))
}
