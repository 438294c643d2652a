package kron_test

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

var variants = []kron.Variant{kron.Published, kron.Paper, kron.PaperEMA}

func inf() float32 { return float32(math.Inf(1)) }
func nan() float32 { return float32(math.NaN()) }

// newLayer returns a layer of zero weights.
func newLayer(in, out int, bias bool) *kron.Layer {
	l := &kron.Layer{
		Name:   "0",
		Weight: &kron.Param{Name: "0.weight", Shape: []int{in, out}, Value: make([]float32, in*out)},
	}
	if bias {
		l.Bias = &kron.Param{Name: "0.bias", Shape: []int{out}, Value: make([]float32, out)}
	}
	return l
}

func randoms(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func squares(rng *rand.Rand, n int) []float32 {
	x := randoms(rng, n)
	for i := range x {
		x[i] *= x[i]
	}
	return x
}

func TestLinearFactors(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, size := range [][2]int{{1, 1}, {3, 5}, {8, 17}, {300, 33}} {
		rows, in := size[0], size[1]
		x := randoms(rng, rows*in)
		want := make([]float64, in)
		for i, v := range x {
			want[i%in] += float64(v) * float64(v) / float64(rows)
		}
		s, h, hBias := make([]float32, in), make([]float32, in), make([]float32, in+1)
		require.NoError(t, kron.LinearOutputFactor(s, x, rows))
		require.NoError(t, kron.LinearInputFactor(h, x, rows))
		require.NoError(t, kron.LinearInputFactor(hBias, x, rows))
		for j := range want {
			require.InEpsilon(t, want[j], h[j], 1e-5)
		}
		require.Equal(t, h, s)
		require.Equal(t, append(h, 1), hBias)
	}
}

// TestOneOutput: min-max normalisation leaves nothing of a single entry, which moments
// keep.
func TestOneOutput(t *testing.T) {
	const gamma, lambda = 0.75, 1e-3
	rng := rand.New(rand.NewPCG(5, 1))
	l := newLayer(4, 1, true)
	st := kron.Statistics{Layer: l, H: squares(rng, 5), S: []float32{0.7}, Mean: make([]float32, 4)}
	for _, v := range variants {
		f, err := kron.NewFactors(l, v, gamma)
		require.NoError(t, err)
		keep, _ := v.Coefficients(gamma)
		want := float32(1)
		for range 60 {
			require.NoError(t, f.Stage(st))
			f.Commit()
			want = float32(want * keep)
			if v == kron.Paper || want < 0x1p-126 { // flushed
				want = 0
			}
			_, s := f.Used()
			require.Equal(t, []float32{want}, s, "%v", v)
		}
		r := f.Report(lambda)
		require.InDelta(t, 1, r.DampingShare, 1e-4, "%v", v)
	}

	m, err := kron.NewMoments(l, gamma, 0.03, false)
	require.NoError(t, err)
	require.NoError(t, m.Stage(st))
	m.Commit()
	r := m.Report()
	require.Greater(t, r.Spread(), 1.0)
}

func TestLinearFactorsRefuseWrongLengths(t *testing.T) {
	five := []float32{7, 7, 7, 7, 7}
	for _, c := range []struct{ factor, data, rows int }{
		{3, 5, 2}, // not whole rows
		{3, 4, 4}, // neither in nor in+1
		{1, 3, 1},
		{2, 0, 0},
		{2, 4, -2},
	} {
		err := kron.LinearInputFactor(five[:c.factor], five[:c.data], c.rows)
		require.ErrorContains(t, err, "kron: LinearInputFactor", "%+v", c)
		require.ErrorContains(t, kron.LinearOutputFactor(five[:c.factor], five[:c.data], c.rows), "kron: LinearOutputFactor", "%+v", c)
	}
	require.Equal(t, []float32{7, 7, 7, 7, 7}, five)
}

func TestMomentsRefuseWrongLengths(t *testing.T) {
	v := func(n int) []float32 { return make([]float32, n) }
	conv := kernels.Conv2d{H: 3, W: 3, C: 2, Out: 3, Kernel: [2]int{2, 2}}
	for _, c := range []struct {
		message string
		err     error
	}{
		{"LinearInputFactor: 5 inputs are not 2 rows", kron.LinearInputMoments(v(2), v(2), v(5), 2)},
		{"LinearInputMoments: length of mean is 3: want 2", kron.LinearInputMoments(v(3), v(3), v(4), 2)},
		{"Conv2dInputMoments: 0 images: want at least 1", kron.Conv2dInputMoments(v(8), v(8), conv, 0)},
		{"Conv2dInputMoments: length of mean is 9: want 8", kron.Conv2dInputMoments(v(9), v(9), conv, 1)},
		{"Conv2dInputMoments: length of h is 7: want 8, or 9 with a bias", kron.Conv2dInputMoments(v(7), v(8), conv, 1)},
		{"NormMoments: length of h is 3: want 2", kron.NormMoments(v(3), v(2), 4)},
		{"NormMoments: 0 positions: want at least 1", kron.NormMoments(v(2), v(2), 0)},
	} {
		require.ErrorContains(t, c.err, "kron: "+c.message)
	}
}

func TestVariantNames(t *testing.T) {
	for _, v := range variants {
		got, err := kron.ParseVariant(v.String())
		require.NoError(t, err)
		require.Equal(t, v, got)
	}
	_, err := kron.ParseVariant("adam")
	require.EqualError(t, err, `kron: unknown variant "adam": want one of published, paper, paper-ema`)
	require.Equal(t, "Variant(9)", kron.Variant(9).String())
}

// norm is min-max normalisation in float64.
func norm(x []float64) []float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v - lo) / (hi - lo + 1e-6)
	}
	return y
}

// TestVariants follows each variant for some batches in float64.
func TestVariants(t *testing.T) {
	const gamma = 0.7
	for _, v := range variants {
		rng := rand.New(rand.NewPCG(2, 2))
		l := newLayer(6, 4, true)
		f, err := kron.NewFactors(l, v, gamma)
		require.NoError(t, err)
		want := [2][]float64{{1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1}}
		for range 5 {
			st := kron.Statistics{Layer: l, H: squares(rng, 7), S: squares(rng, 4)}
			require.NoError(t, f.Stage(st))
			f.Commit()
			for k, raw := range [][]float32{st.H, st.S} {
				x := make([]float64, len(raw))
				for i := range raw {
					x[i] = float64(raw[i])
				}
				keep, add := gamma, 1-gamma
				if v == kron.Published {
					keep, add = 0.1*gamma, 0.01*gamma
				}
				if v != kron.Paper {
					x = norm(x)
				}
				for i := range x {
					want[k][i] = keep*want[k][i] + add*x[i]
				}
			}
			h, s := f.Averages()
			require.InDeltaSlice(t, want[0], h, 1e-6)
			require.InDeltaSlice(t, want[1], s, 1e-6)
			used := want
			if v == kron.Paper {
				used = [2][]float64{norm(want[0]), norm(want[1])}
			}
			h, s = f.Used()
			require.InDeltaSlice(t, used[0], h, 1e-6)
			require.InDeltaSlice(t, used[1], s, 1e-6)

			curvature := make([]float32, 7*4)
			require.NoError(t, f.Curvature(curvature, 0.01))
			for i, got := range curvature {
				require.InDelta(t, used[0][i/4]*used[1][i%4]+0.01, got, 1e-6)
			}
		}
	}
}

func TestStageRefuses(t *testing.T) {
	l := newLayer(2, 2, false)
	ok := []float32{1, 2}
	for _, c := range []struct {
		name     string
		variants []kron.Variant
		st       kron.Statistics
		message  string
	}{
		{"other layer", variants, kron.Statistics{Layer: newLayer(2, 2, false), H: ok, S: ok}, "another layer than 0"},
		{"short H", variants, kron.Statistics{Layer: l, H: ok[:1], S: ok}, "layer 0: raw factor H has 1 entries: want 2"},
		{"short S", variants, kron.Statistics{Layer: l, H: ok, S: ok[:1]}, "layer 0: raw factor S has 1 entries: want 2"},
		{"NaN in H", variants, kron.Statistics{Layer: l, H: []float32{1, nan()}, S: ok}, "layer 0: raw factor H: entry 1 is NaN: want finite numbers, 0 or more"},
		{"NaN in S", variants, kron.Statistics{Layer: l, H: ok, S: []float32{inf(), nan()}}, "layer 0: raw factor S: entry"},
		{"Inf in H", []kron.Variant{kron.Paper}, kron.Statistics{Layer: l, H: []float32{inf(), 1}, S: ok}, "raw factor H: entry 0 is +Inf"},
		{"negative H", variants, kron.Statistics{Layer: l, H: []float32{-5, 1}, S: ok}, "raw factor H: entry 0 is -5: want finite numbers, 0 or more"},
		{"negative S", variants, kron.Statistics{Layer: l, H: ok, S: []float32{1, -1e-40}}, "raw factor S: entry 1 is -1e-40"},
		{"-Inf in S", variants, kron.Statistics{Layer: l, H: ok, S: []float32{1, -inf()}}, "raw factor S: entry 1 is -Inf"},
	} {
		for _, v := range c.variants {
			f, err := kron.NewFactors(l, v, 0.8)
			require.NoError(t, err)
			// A good stage before a bad one must not be committed by mistake.
			require.NoError(t, f.Stage(kron.Statistics{Layer: l, H: ok, S: ok}))
			require.ErrorContains(t, f.Stage(c.st), c.message, "%s, %s", c.name, v)
			f.Commit()
			h, s := f.Averages()
			require.Equal(t, []float32{1, 1}, h)
			require.Equal(t, []float32{1, 1}, s)
		}
	}
}

// TestInfinityBeforeMinMax pins the substitution of the released code: +Inf
// counts as 1, so here it is not even the largest entry.
func TestInfinityBeforeMinMax(t *testing.T) {
	for _, v := range []kron.Variant{kron.Published, kron.PaperEMA} {
		l := newLayer(3, 2, false)
		f, err := kron.NewFactors(l, v, 0.5)
		require.NoError(t, err)
		require.NoError(t, f.Stage(kron.Statistics{Layer: l, H: []float32{inf(), 0, 4}, S: []float32{0, inf()}}))
		f.Commit()
		keep, add := v.Coefficients(0.5)
		h, s := f.Averages()
		require.InDeltaSlice(t, []float32{keep + add/4, keep, keep + add}, h, 1e-6)
		require.InDeltaSlice(t, []float32{keep, keep + add}, s, 1e-6)
	}
}

func TestNewFactorsRefuses(t *testing.T) {
	good := newLayer(2, 3, true)
	for _, gamma := range []float64{-0.1, 1, math.NaN(), math.Inf(1)} {
		_, err := kron.NewFactors(good, kron.Published, gamma)
		require.ErrorContains(t, err, "want a number in [0, 1)")
	}
	_, err := kron.NewFactors(good, 7, 0.8)
	require.ErrorContains(t, err, "unknown variant Variant(7)")
	_, err = kron.NewFactors(nil, kron.Published, 0.8)
	require.ErrorContains(t, err, "layer without a weight")

	spoil := map[string]func(*kron.Layer){
		"shape of the weight is []: want [in, out]": func(l *kron.Layer) { l.Weight.Shape = nil },
		"the weight has 5 entries: want as many":    func(l *kron.Layer) { l.Weight.Value = l.Weight.Value[:5] },
		"the weight has 0 entries: want as many": func(l *kron.Layer) {
			l.Weight.Shape, l.Weight.Value = []int{1 << (bits.UintSize / 2), 1 << (bits.UintSize / 2)}, nil // 0 modulo 2^64
		},
		"the bias has 2 entries: want 3": func(l *kron.Layer) { l.Bias.Value = l.Bias.Value[:2] },
	}
	for message, f := range spoil {
		l := newLayer(2, 3, true)
		f(l)
		_, err := kron.NewFactors(l, kron.Published, 0.8)
		require.ErrorContains(t, err, message)
	}
}

func TestStageAverages(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, v := range variants {
		l := newLayer(3, 2, true)
		a, err := kron.NewFactors(l, v, 0.8)
		require.NoError(t, err)
		require.NoError(t, a.Stage(kron.Statistics{Layer: l, H: squares(rng, 4), S: squares(rng, 2)}))
		a.Commit()
		b, err := kron.NewFactors(l, v, 0.8)
		require.NoError(t, err)
		h, s := a.Averages()
		require.NoError(t, b.StageAverages(h, s))
		b.Commit()
		wantH, wantS := a.Used()
		gotH, gotS := b.Used()
		require.Equal(t, wantH, gotH)
		require.Equal(t, wantS, gotS)

		for message, bad := range map[string][2][]float32{
			"average of factor H has 3 entries: want 4":                           {h[:3], s},
			"average of factor S: entry 1 is NaN: want finite numbers, 0 or more": {h, {0, nan()}},
			"layer 0: average of factor H: entry 3 is -1: want":                   {{1, 2, 3, -1}, s},
		} {
			require.ErrorContains(t, b.StageAverages(bad[0], bad[1]), message)
			b.Commit()
			gotH, gotS = b.Used()
			require.Equal(t, wantH, gotH)
			require.Equal(t, wantS, gotS)
		}
	}
}

// TestLargestFactors: what Stage has accepted no average of it leaves float32 for,
// nor does a state of it.
func TestLargestFactors(t *testing.T) {
	l := newLayer(2, 2, false)
	l.Extension = true // no means
	huge := []float32{math.MaxFloat32, math.MaxFloat32}
	for i := range 1000 {
		gamma := float64(i) / 1000
		for _, v := range variants {
			f, err := kron.NewFactors(l, v, gamma)
			require.NoError(t, err)
			require.NoError(t, f.StageAverages(huge, huge))
			f.Commit()
			require.NoError(t, f.Stage(kron.Statistics{Layer: l, H: huge, S: huge}))
			f.Commit()
			h, s := f.Averages()
			require.NoError(t, f.StageAverages(h, s))
			h, s = f.Used()
			require.True(t, kernels.AllFinite(h) && kernels.AllFinite(s))
		}
		m, err := kron.NewMoments(l, gamma, 0.03, true)
		require.NoError(t, err)
		require.NoError(t, m.StageAverages(huge, huge, nil, 1))
		m.Commit()
		require.NoError(t, m.Stage(kron.Statistics{Layer: l, H: huge, S: huge}))
		m.Commit()
		h, s, _, _ := m.Averages()
		require.NoError(t, m.StageAverages(h, s, nil, 2))
	}
}

// TestPublishedIsNearlyConstant checks what the package documentation says of
// the published constants: F within 8 % of lambda after three updates.
func TestPublishedIsNearlyConstant(t *testing.T) {
	const lambda = 1e-3
	rng := rand.New(rand.NewPCG(4, 4))
	l := newLayer(20, 10, true)
	f, err := kron.NewFactors(l, kron.Published, 0.8)
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, f.Stage(kron.Statistics{Layer: l, H: squares(rng, 21), S: squares(rng, 10)}))
		f.Commit()
	}
	r := f.Report(lambda)
	require.Equal(t, "0", r.Layer)
	require.GreaterOrEqual(t, r.Min, float32(lambda))
	require.Greater(t, r.Median, r.Min)
	require.Greater(t, r.Max, r.Median)
	require.Less(t, r.Max, float32(1.08*lambda))
	require.Greater(t, r.DampingShare, 0.92)
	require.Less(t, r.DampingShare, 1.0)

	require.ErrorContains(t, f.Curvature(make([]float32, 3), lambda), "length of dst is 3: want 210")
}

// TestTraces: reports have the sums of the averages, before min-max and without the
// bias of averages that started as zeros.
func TestTraces(t *testing.T) {
	const gamma = 0.75
	l := newLayer(2, 3, false)
	st := kron.Statistics{Layer: l, H: []float32{2, 6}, S: []float32{1, 2, 16}, Mean: make([]float32, 2)}
	for v, want := range map[kron.Variant][2]float64{
		kron.Published: {0.075*2 + 0.0075*1, 0.075*3 + 0.0075*(0+1./15+1)},
		kron.Paper:     {0.75*2 + 0.25*8, 0.75*3 + 0.25*19},
		kron.PaperEMA:  {0.75*2 + 0.25*1, 0.75*3 + 0.25*(0+1./15+1)},
	} {
		f, err := kron.NewFactors(l, v, gamma)
		require.NoError(t, err)
		require.NoError(t, f.Stage(st))
		f.Commit()
		r := f.Report(1e-3)
		require.InEpsilon(t, want[0], r.TraceH, 1e-6, "%v", v)
		require.InEpsilon(t, want[1], r.TraceS, 1e-6, "%v", v)
	}
	m, err := kron.NewMoments(l, gamma, 0.03, true)
	require.NoError(t, err)
	require.Zero(t, m.Report().TraceH)
	for range 2 {
		require.NoError(t, m.Stage(st))
		m.Commit()
		r := m.Report()
		require.InEpsilon(t, 8, r.TraceH, 1e-6)
		require.InEpsilon(t, 19, r.TraceS, 1e-6)
	}
}

func TestStageDoesNotAllocate(t *testing.T) {
	for _, v := range variants {
		l := newLayer(40, 30, true)
		f, err := kron.NewFactors(l, v, 0.8)
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(5, 5))
		st := kron.Statistics{Layer: l, H: squares(rng, 41), S: squares(rng, 30)}
		require.Zero(t, testing.AllocsPerRun(10, func() {
			if f.Stage(st) != nil {
				panic("refused")
			}
			f.Commit()
		}))
	}
}
