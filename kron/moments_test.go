package kron_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
)

// momentsOf returns statistics of random inputs with means.
func momentsOf(rng *rand.Rand, l *kron.Layer) kron.Statistics {
	st := kron.Statistics{Layer: l, H: squares(rng, l.Inputs()), S: squares(rng, l.Outputs())}
	if len(l.Weight.Shape) > 1 && !l.Extension {
		st.Mean = randoms(rng, len(l.Weight.Value)/l.Outputs())
		for j, mu := range st.Mean {
			st.H[j] += mu * mu
		}
	}
	return st
}

// TestMoments follows averages and preconditioner for some batches in float64.
func TestMoments(t *testing.T) {
	const gamma, damping = 0.7, 0.03
	norm := &kron.Layer{Name: "norm", Weight: &kron.Param{Shape: []int{5}, Value: make([]float32, 5)}, Bias: &kron.Param{Value: make([]float32, 5)}}
	table := newLayer(9, 4, false)
	table.Extension = true
	for _, l := range []*kron.Layer{newLayer(7, 5, true), newLayer(1, 1, true), newLayer(6, 3, false), norm, table} {
		rng := rand.New(rand.NewPCG(3, 1))
		m, err := kron.NewMoments(l, gamma, damping, true)
		require.NoError(t, err)
		require.Equal(t, l, m.Layer())
		p := m.Preconditioner()
		for _, v := range append(p.Row, p.Col...) {
			require.Equal(t, float32(1), v, "before the first batch")
		}
		inputs := len(p.Row)
		h, s, mean := make([]float64, inputs), make([]float64, l.Outputs()), make([]float64, inputs)
		for k := 1; k <= 4; k++ {
			st := momentsOf(rng, l)
			old := m.Preconditioner()
			row, col := slices.Clone(old.Row), slices.Clone(old.Col)
			require.NoError(t, m.Stage(st))
			staged := m.Staged()
			m.Commit()
			p := m.Preconditioner()
			require.Equal(t, staged, p)
			require.Equal(t, [][]float32{row, col}, [][]float32{old.Row, old.Col}, "good after the Commit")
			for j := range h {
				h[j] = gamma*h[j] + (1-gamma)*float64(st.H[j])
				if st.Mean != nil {
					mean[j] = gamma*mean[j] + (1-gamma)*float64(st.Mean[j])
				}
			}
			for i := range s {
				s[i] = gamma*s[i] + (1-gamma)*float64(st.S[i])
			}
			correct := 1 - math.Pow(gamma, float64(k))
			d, meanD, meanS := make([]float64, inputs), 0.0, 0.0
			for j := range d {
				d[j] = max(0, h[j]/correct-math.Pow(mean[j]/correct, 2))
				meanD += d[j] / float64(inputs)
			}
			for _, v := range s {
				meanS += v / float64(len(s))
			}
			below := 1.0
			for j := range d {
				require.InEpsilon(t, (1+math.Sqrt(damping))/(d[j]/meanD+math.Sqrt(damping)), p.Row[j], 1e-4)
				below += math.Pow(mean[j]/correct, 2) / (d[j] + 0.01*meanD)
			}
			for i := range s {
				require.InEpsilon(t, (1+math.Sqrt(damping))/(s[i]/meanS+math.Sqrt(damping)), p.Col[i], 1e-5)
			}
			if st.Mean == nil {
				require.Empty(t, p.Mean)
				require.Empty(t, p.Projection)
				continue
			}
			for j := range d {
				require.InDelta(t, mean[j]/correct, p.Mean[j], 1e-6)
				require.InDelta(t, mean[j]/correct/(d[j]+0.01*meanD)/below, p.Projection[j], 1e-4)
			}
		}
	}
}

// TestProjection: it is what the gradient of a constant input's bias would be: the
// part of a gradient along the means vanishes where inputs don't vary, and nothing is
// projected where there are no means.
func TestProjection(t *testing.T) {
	l := newLayer(3, 2, false)
	m, err := kron.NewMoments(l, 0, 0.03, true)
	require.NoError(t, err)
	mu := []float32{1, -2, 0.5}
	require.NoError(t, m.Stage(kron.Statistics{Layer: l, H: []float32{1, 4, 0.25}, S: []float32{1, 1}, Mean: mu}))
	m.Commit()
	p := m.Preconditioner()
	for j := range mu {
		require.InDelta(t, mu[j]/5.25, p.Projection[j], 1e-6)
		require.InDelta(t, p.Row[0], p.Row[j], 1e-6, "no input varies")
	}
	require.NoError(t, m.Stage(kron.Statistics{Layer: l, H: make([]float32, 3), S: make([]float32, 2), Mean: make([]float32, 3)}))
	m.Commit()
	p = m.Preconditioner()
	require.Equal(t, make([]float32, 3), p.Projection)
	require.Equal(t, p.Row[0], p.Col[1], "all of them vanish")
}

// TestMomentsOfTinyMeans: a mean that is no normal number counts as none. Its inverse
// may leave float32.
func TestMomentsOfTinyMeans(t *testing.T) {
	const gamma, damping = 0.5, 0.25
	l := newLayer(4, 4, false)
	m, err := kron.NewMoments(l, gamma, damping, false)
	require.NoError(t, err)
	for first, want := range map[float32][]float32{
		3.9 * 0x1p-126: {1, 1, 1, 1},
		4 * 0x1p-126:   {1. / 3, 3, 3, 3}, // 1.5/(4+0.5), 1.5/0.5
	} {
		averages := []float32{first, 0, 0, 0}
		require.NoError(t, m.StageAverages(averages, averages, nil, 60))
		m.Commit()
		p := m.Preconditioner()
		require.InDeltaSlice(t, want, p.Row, 1e-6)
		require.InDeltaSlice(t, want, p.Col, 1e-6)
	}
}

func TestMomentsRefuse(t *testing.T) {
	l := newLayer(3, 2, true)
	for _, c := range []struct {
		layer          *kron.Layer
		gamma, damping float64
		message        string
	}{
		{nil, 0.9, 0.1, "layer without a weight"},
		{l, 1, 0.1, "gamma is 1: want a number in [0, 1)"},
		{l, math.NaN(), 0.1, "gamma is NaN"},
		{l, 0.9, 0, "damping is 0: want a number in [1e-12, 1e30]"},
		{l, 0.9, math.NaN(), "damping is NaN"},
		{l, 0.9, math.Inf(1), "damping is +Inf"},
	} {
		_, err := kron.NewMoments(c.layer, c.gamma, c.damping, true)
		require.ErrorContains(t, err, "kron: "+c.message)
	}

	m, err := kron.NewMoments(l, 0.9, 0.03, true)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(4, 1))
	require.NoError(t, m.Stage(momentsOf(rng, l)))
	m.Commit()
	h, s, mean, updates := m.Averages()
	require.EqualValues(t, 1, updates)
	for message, spoil := range map[string]func(st *kron.Statistics){
		"statistics of another layer than 0":                        func(st *kron.Statistics) { st.Layer = newLayer(3, 2, true) },
		"moment H has 3 entries: want 4":                            func(st *kron.Statistics) { st.H = st.H[1:] },
		"moment S has 3 entries: want 2":                            func(st *kron.Statistics) { st.S = append(st.S, 1) },
		"moment Mean has 0 entries: want 3":                         func(st *kron.Statistics) { st.Mean = nil },
		"moment Mean: entry 2 is NaN":                               func(st *kron.Statistics) { st.Mean[2] = nan() },
		"moment H: entry 0 is +Inf":                                 func(st *kron.Statistics) { st.H[0] = inf() },
		"moment H: entry 2 is -0.5: want finite numbers, 0 or more": func(st *kron.Statistics) { st.H[2] = -0.5 },
		"moment S: entry 0 is -1: want":                             func(st *kron.Statistics) { st.S[0] = -1 },
		"moment S: entry 1 is NaN":                                  func(st *kron.Statistics) { st.S[1] = nan() },
	} {
		st := momentsOf(rng, l)
		spoil(&st)
		require.ErrorContains(t, m.Stage(st), message)
		m.Commit()
		h2, s2, mean2, updates2 := m.Averages()
		require.Equal(t, []any{h, s, mean, updates}, []any{h2, s2, mean2, updates2}, message)
	}
	for message, err := range map[string]error{
		"have -1 updates: want a number from 0":    m.StageAverages(h, s, mean, -1),
		"have 9007199254740993 updates: want":      m.StageAverages(h, s, mean, 1<<53+1),
		"have 9223372036854775807 updates: want":   m.StageAverages(h, s, mean, math.MaxInt64),
		"average of moment H has 2":                m.StageAverages(h[:2], s, mean, 1),
		"average of moment Mean has 0":             m.StageAverages(h, s, nil, 1),
		"average of moment S: entry 0 is -1: want": m.StageAverages(h, []float32{-1, 1}, mean, 1),
		"average of moment Mean: entry 0 is NaN":   m.StageAverages(h, s, []float32{nan(), 1, 1}, 1),
	} {
		require.ErrorContains(t, err, message)
	}

	twin, err := kron.NewMoments(l, 0.9, 0.03, true)
	require.NoError(t, err)
	require.NoError(t, twin.StageAverages(h, s, mean, updates))
	twin.Commit()
	require.Equal(t, m.Preconditioner(), twin.Preconditioner())
	require.NoError(t, twin.StageAverages(h, s, mean, 0))
	twin.Commit()
	require.Equal(t, kron.Preconditioner{
		Row: []float32{1, 1, 1}, Col: []float32{1, 1}, Mean: make([]float32, 3), Projection: make([]float32, 3),
	}, twin.Preconditioner(), "no update yet")

	st := momentsOf(rng, l)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		err = m.Stage(st)
		m.Commit()
	}))
	require.NoError(t, err)
}
