package nn_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// perSample says of each specimen whether its samples don't see each other in
// training.
var perSample = map[string]bool{"mlp": false, "residual": true, "tokens": true, "images": true, "convnet": false, "flat": true}

func eachSpecimen(t *testing.T, f func(t *testing.T, name string, s specimen)) {
	for name, s := range specimens(t) {
		require.Contains(t, perSample, name)
		t.Run(name, func(t *testing.T) { f(t, name, s) })
	}
}

// result is everything that a pass gives.
type result struct {
	Output, InputGradient      []uint32
	Gradients, Inputs, Outputs [][]uint32
	Buffers                    []uint32
}

// resultOf does a pass, of SetOutputGradient.
func resultOf(t testing.TB, m *nn.Model, s *nn.Session, x, dy []float32) result {
	t.Helper()
	s.CollectStatistics(kron.CollectFactors)
	s.CollectInputGradient(true)
	y, err := s.Forward(x)
	require.NoError(t, err)
	r := result{Output: bits(y)}
	pass := backward(t, s, dy)
	dx, err := s.InputGradient()
	require.NoError(t, err)
	r.InputGradient, r.Gradients = bits(dx), copyGradients(pass)
	for _, st := range pass.Statistics {
		r.Inputs, r.Outputs = append(r.Inputs, bits(st.H)), append(r.Outputs, bits(st.S))
	}
	for _, b := range m.Buffers() {
		r.Buffers = append(r.Buffers, bits(b.Value)...)
	}
	return r
}

func backward(t testing.TB, s *nn.Session, dy []float32) *kron.Pass {
	t.Helper()
	require.NoError(t, s.SetOutputGradient(dy))
	pass, err := s.Backward()
	require.NoError(t, err)
	return pass
}

// A sample's output and input gradient have the same bits in every batch, and a
// predictor gives a session's output.
func TestSplitBatches(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		eachSpecimen(t, func(t *testing.T, name string, s specimen) {
			m, in, out := s.model, s.model.In(), s.model.Out()
			dy := uniform(rand.New(rand.NewPCG(50, 1)), 5*out)
			predictor, err := m.NewPredictor(5)
			require.NoError(t, err)
			y, err := predictor.Predict(s.x)
			require.NoError(t, err)
			predicted := bits(y)
			eachPart := func(size int, f func(lo, hi int)) {
				for lo := 0; lo < 5; lo += size {
					f(lo, min(lo+size, 5))
				}
			}
			for size := 1; size <= 4; size++ {
				var joined []uint32
				eachPart(size, func(lo, hi int) {
					y, err := predictor.Predict(s.x[lo*in : hi*in])
					require.NoError(t, err)
					joined = append(joined, bits(y)...)
				})
				require.Equal(t, predicted, joined, "predictions of %d samples", size)
			}
			if !perSample[name] {
				return
			}
			all := resultOf(t, m, session(t, m, 5), s.x, dy)
			require.Equal(t, predicted, all.Output)
			for size := 1; size <= 4; size++ {
				part := session(t, m, 4)
				var joined result
				eachPart(size, func(lo, hi int) {
					r := resultOf(t, m, part, s.x[lo*in:hi*in], dy[lo*out:hi*out])
					joined.Output = append(joined.Output, r.Output...)
					joined.InputGradient = append(joined.InputGradient, r.InputGradient...)
				})
				require.Equal(t, all.Output, joined.Output, "outputs of %d samples", size)
				require.Equal(t, all.InputGradient, joined.InputGradient, "input gradients of %d samples", size)
			}
		})
	})
}

// A pass has the same bits at every level, and leaves no trace in the next one.
func TestPassesRepeat(t *testing.T) {
	want := make(map[string]result)
	eachLevel(t, func(t *testing.T) {
		eachSpecimen(t, func(t *testing.T, name string, s specimen) {
			m, in := s.model, s.model.In()
			dy := uniform(rand.New(rand.NewPCG(51, 1)), 5*m.Out())
			fresh := resultOf(t, m, session(t, m, 2), s.x[:2*in], dy[:2*m.Out()])
			if _, ok := want[name]; !ok {
				want[name] = fresh
			}
			require.Equal(t, want[name], fresh, "level")

			m.Init(0)
			used := session(t, m, 5)
			resultOf(t, m, used, s.x, dy)
			m.Init(0)
			used.SetRandom(0, 0)
			require.Equal(t, fresh, resultOf(t, m, used, s.x[:2*in], dy[:2*m.Out()]), "after a larger batch")
			if perSample[name] {
				require.Equal(t, fresh, resultOf(t, m, used, s.x[:2*in], dy[:2*m.Out()]), "again")
			}
		})
	})
}

// Sessions of one model don't know of each other, and predictors not of sessions.
func TestSessionsAreIndependent(t *testing.T) {
	eachSpecimen(t, func(t *testing.T, name string, s specimen) {
		m, in, out := s.model, s.model.In(), s.model.Out()
		dy := uniform(rand.New(rand.NewPCG(52, 1)), 5*out)
		alone := resultOf(t, m, session(t, m, 3), s.x[:3*in], dy[:3*out])
		m.Init(0)

		a, b := session(t, m, 3), session(t, m, 5)
		a.CollectStatistics(kron.CollectFactors)
		a.CollectInputGradient(true)
		predictor, err := m.NewPredictor(5)
		require.NoError(t, err)
		other := func() {
			_, err := b.Forward(s.x[in:])
			require.NoError(t, err)
			_, err = predictor.Predict(s.x[in:])
			require.NoError(t, err)
		}
		y, err := a.Forward(s.x[:3*in])
		require.NoError(t, err)
		other()
		require.Equal(t, alone.Output, bits(y))
		require.NoError(t, a.SetOutputGradient(dy[:3*out]))
		other()
		pass, err := a.Backward()
		require.NoError(t, err)
		other()
		require.NoError(t, b.SetOutputGradient(dy[:4*out]))
		_, err = b.Backward()
		require.NoError(t, err)
		dx, err := a.InputGradient()
		require.NoError(t, err)
		require.Equal(t, alone.InputGradient, bits(dx))
		require.Equal(t, alone.Gradients, copyGradients(pass))
		for i, st := range pass.Statistics {
			require.Equal(t, alone.Inputs[i], bits(st.H))
			require.Equal(t, alone.Outputs[i], bits(st.S))
		}
	})
}

func TestNoLayerAllocates(t *testing.T) {
	eachSpecimen(t, func(t *testing.T, _ string, s specimen) {
		m := s.model
		train := session(t, m, 5)
		predictor, err := m.NewPredictor(5)
		require.NoError(t, err)
		train.CollectInputGradient(true)
		opt := &plainSGD{lr: 1e-3, statistics: kron.CollectFactors}
		target := uniform(rand.New(rand.NewPCG(53, 1)), 5*m.Out())
		labels, classes := make([]int, 5*m.OutputShape().Positions()), make([]int, 5*m.OutputShape().Positions())
		labels[0] = nn.Ignore
		for name, f := range map[string]func() error{
			"mse":           func() error { _, err := train.TrainMSE(opt, s.x, target); return err },
			"cross entropy": func() error { _, err := train.TrainSoftmaxCrossEntropy(opt, s.x, labels); return err },
			"predict":       func() error { _, err := predictor.Predict(s.x); return err },
			"classify":      func() error { return predictor.Classify(classes, s.x) },
		} {
			var errs error
			require.Zero(t, testing.AllocsPerRun(5, func() { errs = errors.Join(errs, f()) }), name)
			require.NoError(t, errs, name)
		}
	})
}

// Work that is split among workers gives the same bits for any number of them, and
// allocates nothing.
func TestPools(t *testing.T) {
	models := map[string]specimen{
		// 4*8*24^2 probabilities are more than attention computes in one part.
		"transformer": {model(t, nn.Shape{24}, nn.Embedding(50, 16), nn.Positions(),
			nn.Residual(nn.LayerNorm(), nn.SelfAttention(nn.Attention{Heads: 8, Causal: true})),
			nn.Residual(nn.LayerNorm(), nn.Linear(16, 300), nn.GELU(), nn.Linear(300, 16)), nn.Linear(16, 50)), nil},
		"convnet": {model(t, nn.Shape{16, 16, 8},
			nn.Conv2d(8, 32, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1)}), nn.BatchNorm(), nn.ReLU(),
			nn.Conv2d(32, 32, nn.Conv{Kernel: nn.Square(3), Stride: nn.Square(2), Groups: 32}), nn.MaxPool2d(nn.Pooling{Kernel: nn.Square(2)}),
			nn.Flatten(), nn.Linear(288, 300), nn.Tanh(), nn.Linear(300, 10)), nil},
	}
	const rows = 4
	for name, s := range models {
		t.Run(name, func(t *testing.T) {
			m, r := s.model, randomFor(name)
			x, dy := uniform(r, rows*m.In()), uniform(r, rows*m.Out())
			if name == "transformer" {
				for i := range x {
					x[i] = float32(r.IntN(50))
				}
			}
			want := resultOf(t, m, session(t, m, rows), x, dy)
			for _, workers := range []int{1, 2, 3, 16} {
				m.Init(0)
				pool, err := kernels.NewPool(workers)
				require.NoError(t, err)
				defer pool.Close()
				train := session(t, m, rows)
				train.SetPool(pool)
				require.Equal(t, want, resultOf(t, m, train, x, dy), "%d workers", workers)
				opt := &plainSGD{statistics: kron.CollectFactors}
				var errs error
				require.Zero(t, testing.AllocsPerRun(3, func() {
					_, err := train.TrainMSE(opt, x, dy)
					errs = errors.Join(errs, err)
				}), "%d workers", workers)
				require.NoError(t, errs)
			}
		})
	}
}

// A run that stops and goes on draws the same random numbers as one that doesn't.
func TestResumedDropout(t *testing.T) {
	train := func(stops int) []uint32 {
		m := model(t, nn.Shape{6}, nn.Linear(6, 20), nn.Dropout(0.5), nn.ReLU(), nn.Residual(nn.Linear(20, 20), nn.Dropout(0.2)), nn.Linear(20, 3))
		r, opt := rand.New(rand.NewPCG(55, 1)), &plainSGD{lr: 0.1}
		s := session(t, m, 4)
		s.SetRandom(7, 0)
		for step := range 6 {
			if step > 0 && step <= stops {
				seed, forwards := s.Random()
				s = session(t, m, 4)
				s.SetRandom(seed, forwards)
			}
			_, err := s.TrainMSE(opt, uniform(r, 4*6), uniform(r, 4*3))
			require.NoError(t, err)
		}
		return bits(weights(m))
	}
	want := train(0)
	for stops := 1; stops < 6; stops++ {
		require.Equal(t, want, train(stops))
	}
}

// A shared layer is several layers with equal weights: its gradient is the sum of
// theirs, its factors are the mean.
func TestSharedIsItsTwins(t *testing.T) {
	for _, which := range []kron.Collect{kron.CollectFactors, kron.CollectMoments} {
		sharedIsItsTwins(t, which)
	}
}

func sharedIsItsTwins(t *testing.T, which kron.Collect) {
	r := rand.New(rand.NewPCG(56, 1))
	part := nn.Sequential(nn.LayerNorm(), nn.Linear(4, 4))
	shared := nn.Shared(part)
	of := func(l nn.Layer) *nn.Model {
		return model(t, nn.Shape{3, 4}, l, nn.Tanh(), nn.Residual(l, nn.Sigmoid()), l)
	}
	one, three := of(shared), of(part)
	require.Equal(t, []string{"0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias"}, paramNames(one))
	require.Len(t, one.Layers(), 2)
	require.Len(t, three.Layers(), 6)
	drawParams(r, one)
	for i, p := range three.Params() {
		copy(p.Value, one.Params()[i%4].Value)
	}
	const rows = 2
	x, dy := uniform(r, rows*one.In()), uniform(r, rows*one.Out())
	a, b := session(t, one, rows), session(t, three, rows)
	var passes []*kron.Pass
	var outputs, inputs [][]uint32
	for _, s := range []*nn.Session{a, b} {
		s.CollectStatistics(which)
		s.CollectInputGradient(true)
		y, err := s.Forward(x)
		require.NoError(t, err)
		outputs = append(outputs, bits(y))
		passes = append(passes, backward(t, s, dy))
		dx, err := s.InputGradient()
		require.NoError(t, err)
		inputs = append(inputs, bits(dx))
	}
	require.Equal(t, outputs[0], outputs[1])
	require.Equal(t, inputs[0], inputs[1])
	sum := func(get func(part int) []float32, scale float64) []float64 {
		total := make([]float64, len(get(0)))
		for part := range 3 {
			for i, v := range get(part) {
				total[i] += scale * float64(v)
			}
		}
		return total
	}
	for i, g := range passes[0].Gradients {
		requireNear(t, sum(func(part int) []float32 { return passes[1].Gradients[4*part+i].Data }, 1), g.Data, 0, g.Param.Name)
	}
	for i, st := range passes[0].Statistics {
		requireNear(t, sum(func(part int) []float32 { return passes[1].Statistics[2*part+i].H }, 1.0/3), st.H, 0, st.Layer.Name)
		requireNear(t, sum(func(part int) []float32 { return passes[1].Statistics[2*part+i].S }, 1.0/3), st.S, 0, st.Layer.Name)
		requireNear(t, sum(func(part int) []float32 { return passes[1].Statistics[2*part+i].Mean }, 1.0/3), st.Mean, 0, st.Layer.Name)
	}
}

func TestUnfactored(t *testing.T) {
	m := model(t, nn.Shape{4, 4, 2},
		nn.Unfactored(nn.Sequential(nn.Conv2d(2, 3, nn.Conv{Kernel: nn.Square(1)}), nn.BatchNorm(), nn.Tokens(), nn.SelfAttention(nn.Attention{}))),
		nn.LayerNorm(), nn.Unfactored(nn.Linear(3, 3)), nn.Linear(3, 2))
	var names []string
	for _, l := range m.Layers() {
		names = append(names, l.Name)
	}
	require.Equal(t, []string{"1", "3"}, names)
	s := session(t, m, 2)
	s.CollectStatistics(kron.CollectFactors)
	r := rand.New(rand.NewPCG(57, 1))
	_, err := s.Forward(uniform(r, 2*m.In()))
	require.NoError(t, err)
	pass := backward(t, s, uniform(r, 2*m.Out()))
	require.Len(t, pass.Statistics, 2)
	require.Len(t, pass.Gradients, len(m.Params()))
	for _, g := range pass.Gradients {
		require.NotEqual(t, make([]float32, len(g.Data)), g.Data, g.Param.Name)
	}

	// An embedding's factors are an extension; batch normalisation has some on images.
	m = model(t, nn.Shape{4}, nn.Embedding(3, 2), nn.BatchNorm(), nn.Linear(2, 2))
	require.Len(t, m.Layers(), 2)
	require.True(t, m.Layers()[0].Extension)
	require.False(t, m.Layers()[1].Extension)
	require.Equal(t, "2", m.Layers()[1].Name)
}

// A layer that works in the passes of the one before gives what it gives by itself.
func TestFusedLayers(t *testing.T) {
	image := nn.Shape{5, 4, 3}
	conv := func(in int) nn.Layer {
		return nn.Conv2d(in, 8, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1)})
	}
	alone := func(l nn.Layer) nn.Layer { return nn.Sequential(l) }
	for name, layers := range map[string]func(with func(nn.Layer) nn.Layer) []nn.Layer{
		"batch norm first": func(with func(nn.Layer) nn.Layer) []nn.Layer {
			return []nn.Layer{nn.BatchNorm(), with(nn.ReLU()), conv(3)}
		},
		"batch norm, twice rectified": func(with func(nn.Layer) nn.Layer) []nn.Layer {
			return []nn.Layer{conv(3), nn.BatchNorm(), with(nn.ReLU()), with(nn.ReLU()), conv(8), nn.BatchNorm(), with(nn.ReLU())}
		},
		"batch norm inside": func(with func(nn.Layer) nn.Layer) []nn.Layer {
			return []nn.Layer{nn.Residual(conv(3), nn.BatchNorm(), with(nn.ReLU()), conv(8), nn.Conv2d(8, 3, nn.Conv{Kernel: nn.Square(1)})), with(nn.ReLU())}
		},
	} {
		t.Run(name, func(t *testing.T) {
			const rows = 15 // more positions than a block of a column sum has
			var want result
			var wantMoments [][]uint32
			for i, with := range []func(nn.Layer) nn.Layer{alone, func(l nn.Layer) nn.Layer { return l }} {
				m, err := nn.New(image, layers(with)...)
				require.NoError(t, err)
				r := rand.New(rand.NewPCG(60, 1))
				for _, p := range m.Params() {
					copy(p.Value, uniform(r, len(p.Value)))
				}
				x, dy := uniform(r, rows*m.In()), uniform(r, rows*m.Out())
				s, err := m.NewSession(rows)
				require.NoError(t, err)
				got := resultOf(t, m, s, x, dy)
				predictor, err := m.NewPredictor(rows)
				require.NoError(t, err)
				y, err := predictor.Predict(x)
				require.NoError(t, err)
				got.Buffers = append(got.Buffers, bits(y)...)
				if i == 0 {
					want = got
				}
				require.Equal(t, want, got)

				s.CollectStatistics(kron.CollectMoments)
				_, err = s.Forward(x)
				require.NoError(t, err)
				var moments [][]uint32
				for _, st := range backward(t, s, dy).Statistics {
					moments = append(moments, bits(st.H), bits(st.S), bits(st.Mean))
				}
				if i == 0 {
					wantMoments = moments
				}
				require.Equal(t, wantMoments, moments)

				// Without statistics and the gradient at the input.
				s.CollectStatistics(kron.CollectNone)
				s.CollectInputGradient(false)
				_, err = s.Forward(x)
				require.NoError(t, err)
				require.Equal(t, want.Gradients, copyGradients(backward(t, s, dy)))
			}
		})
	}
}

// TestMoments compares the moments of each kind of layer with means over what the
// layer saw.
func TestMoments(t *testing.T) {
	r := rand.New(rand.NewPCG(58, 1))
	const rows = 3
	for name, c := range map[string]struct {
		in    nn.Shape
		layer nn.Layer
	}{
		"linear":  {nn.Shape{5}, nn.Linear(5, 4)},
		"no bias": {nn.Shape{2, 5}, nn.LinearNoBias(5, 4)},
		"conv":    {nn.Shape{5, 4, 3}, nn.Conv2d(3, 4, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1), Stride: [2]int{2, 1}})},
		"groups":  {nn.Shape{4, 4, 6}, nn.Conv2d(6, 4, nn.Conv{Kernel: nn.Square(2), Groups: 2, NoBias: true})},
		"norm":    {nn.Shape{4, 3}, nn.LayerNorm()},
		"batch":   {nn.Shape{2, 2, 3}, nn.BatchNorm()},
	} {
		t.Run(name, func(t *testing.T) {
			m := model(t, c.in, c.layer)
			s := session(t, m, rows)
			var seen []nn.Observation
			s.SetObserver(func(o nn.Observation) { seen = append(seen, o) })
			x, dy := uniform(r, rows*m.In()), uniform(r, rows*m.Out())
			s.CollectStatistics(kron.CollectMoments)
			_, err := s.Forward(x)
			require.NoError(t, err)
			st := backward(t, s, dy).Statistics[0]
			out := st.Layer.Outputs()
			s2 := make([]float64, out)
			for i, v := range dy {
				s2[i%out] += float64(v) * float64(v) * float64(out) / float64(len(dy))
			}
			requireNear(t, s2, st.S, 1e-6, "S")
			if len(seen) == 0 { // a normalisation
				require.Equal(t, []float32{1, 1}, st.H)
				require.Nil(t, st.Mean)
				return
			}
			var patches [][]float32
			if k := seen[0].Conv; k != nil {
				patches = patchesOf(*k, x)
			} else {
				patches = slices.Collect(slices.Chunk(x, 5))
			}
			n := len(patches[0])
			h, mean := make([]float64, n), make([]float64, n)
			for _, p := range patches {
				for i, v := range p {
					h[i] += float64(v) * float64(v) / float64(len(patches))
					mean[i] += float64(v) / float64(len(patches))
				}
			}
			if st.Layer.Bias != nil {
				h = append(h, 1)
			}
			requireNear(t, h, st.H, 1e-6, "H")
			requireNear(t, mean, st.Mean, 1e-6, "mean")

			s.CollectStatistics(kron.CollectFactors)
			_, err = s.Forward(x)
			require.NoError(t, err)
			require.Nil(t, backward(t, s, dy).Statistics[0].Mean, "not asked for")
		})
	}
}

// patchesOf returns what each output of each group of a convolution sees.
func patchesOf(c kernels.Conv2d, x []float32) (all [][]float32) {
	groups := max(c.Groups, 1)
	for image := range slices.Chunk(x, c.InLen()) {
		for place := range c.OutH() * c.OutW() * groups {
			g, oh, ow := place%groups, place/groups/c.OutW(), place/groups%c.OutW()
			var patch []float32
			for i := range c.Kernel[0] {
				for j := range c.Kernel[1] {
					h, w := oh*max(c.Stride[0], 1)+i-c.Padding[0], ow*max(c.Stride[1], 1)+j-c.Padding[1]
					for k := range c.C / groups {
						v := float32(0)
						if h >= 0 && h < c.H && w >= 0 && w < c.W {
							v = image[(h*c.W+w)*c.C+g*c.C/groups+k]
						}
						patch = append(patch, v)
					}
				}
			}
			all = append(all, patch)
		}
	}
	return all
}
