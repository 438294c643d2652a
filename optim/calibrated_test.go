package optim_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// calibratedForms are the two forms of the rule.
func calibratedForms() map[string]optim.CalibratedConfig {
	return map[string]optim.CalibratedConfig{"scale": optim.CalibratedDefaults(), "rms": optim.CalibratedRMSDefaults()}
}

// TestCalibratedOnNetworks follows it for 20 steps in plain float64 on the passes of
// real networks, with each kind of layer, with and without bias.
func TestCalibratedOnNetworks(t *testing.T) {
	square := func(n, groups int, noBias bool) nn.Conv {
		return nn.Conv{Kernel: nn.Square(n), Padding: nn.Square(1), Groups: groups, NoBias: noBias}
	}
	for name, m := range map[string]struct {
		in     nn.Shape
		layers []nn.Layer
	}{
		"perceptron": {nn.Shape{70}, []nn.Layer{nn.Linear(70, 9), nn.Tanh(), nn.LinearNoBias(9, 8), nn.Tanh(), nn.Linear(8, 3)}},
		"images": {nn.Shape{6, 6, 2}, []nn.Layer{nn.Conv2d(2, 4, square(3, 1, false)), nn.BatchNorm(), nn.Tanh(),
			nn.Conv2d(4, 6, square(2, 2, true)), nn.Tanh(), nn.Flatten(), nn.Linear(7*7*6, 3)}},
		"tokens": {nn.Shape{5}, []nn.Layer{nn.Embedding(7, 6), nn.Positions(), nn.LayerNorm(),
			nn.SelfAttention(nn.Attention{Heads: 2}), nn.Flatten(), nn.Linear(30, 3)}},
	} {
		for form, c := range calibratedForms() {
			t.Run(name+"/"+form, func(t *testing.T) {
				c.WeightDecay = 0.01
				model, err := nn.New(m.in, m.layers...)
				require.NoError(t, err)
				session, err := model.NewSession(8)
				require.NoError(t, err)
				opt, err := optim.NewCalibrated(model, c)
				require.NoError(t, err)
				n := &network{model.Params(), model.Layers()}
				ref := newCalibratedReference(n, c)
				want := make(map[*kron.Param][]float64)
				for _, p := range n.params {
					want[p] = widen(p.Value)
				}
				rng := rand.New(rand.NewPCG(91, 1))
				for step := range 20 {
					x, labels := normals(rng, 8*model.In()), make([]int, 8)
					for i := range x {
						x[i] = x[i]*0.5 + 1
						if name == "tokens" {
							x[i] = float32(rng.IntN(7))
						}
					}
					for i := range labels {
						labels[i] = rng.IntN(3)
					}
					session.CollectStatistics(opt.NeedsStatistics())
					_, err := session.Forward(x)
					require.NoError(t, err)
					_, err = session.SoftmaxCrossEntropy(labels)
					require.NoError(t, err)
					pass, err := session.Backward()
					require.NoError(t, err)
					ref.begin(pass)
					for _, g := range pass.Gradients {
						want[g.Param] = ref.update(g.Param, want[g.Param], widen(g.Data))
					}
					require.NoError(t, opt.Step(pass))
					for _, p := range n.params {
						for i, w := range want[p] {
							if !(math.Abs(float64(p.Value[i])-w) <= 2e-5*(1+math.Abs(w))) {
								require.InDelta(t, w, p.Value[i], 2e-5, "step %d, %s, entry %d", step, p.Name, i)
							}
						}
					}
				}
			})
		}
	}
}

// TestCalibratedSeesNoUnits: shifting the inputs of a linear layer, where its bias
// takes that back, or scaling the loss doesn't change what a network learns. Without
// centring the shift does.
func TestCalibratedSeesNoUnits(t *testing.T) {
	const in, out, batch = 6, 3, 16
	outputs := func(c optim.CalibratedConfig, shift, loss float32) []float32 {
		model, err := nn.NewSequential(nn.Linear(in, 8), nn.Tanh(), nn.Linear(8, out))
		require.NoError(t, err)
		w, b := model.Params()[0].Value, model.Params()[1].Value
		for j := range in {
			for i := range 8 {
				b[i] -= shift * float32(j) * w[j*8+i]
			}
		}
		opt, err := optim.NewCalibrated(model, c)
		require.NoError(t, err)
		session, err := model.NewSession(batch)
		require.NoError(t, err)
		session.CollectStatistics(kron.CollectMoments)
		rng := rand.New(rand.NewPCG(92, 1))
		var y []float32
		for range 30 {
			x := normals(rng, batch*in)
			for i := range x {
				x[i] += shift * float32(i%in)
			}
			y, err = session.Forward(x)
			require.NoError(t, err)
			dy := make([]float32, len(y))
			for i := range dy {
				dy[i] = loss * (y[i] - float32(math.Sin(float64(x[i/out*in]))))
			}
			require.NoError(t, session.SetOutputGradient(dy))
			pass, err := session.Backward()
			require.NoError(t, err)
			require.NoError(t, opt.Step(pass))
		}
		return y
	}
	for form, c := range calibratedForms() {
		want := outputs(c, 0, 1)
		// Outputs are about 1. Scaled gradients round alike, or as much as they do; a
		// shift by 10 takes up to 4 bits of the inputs.
		require.InDeltaSlice(t, want, outputs(c, 0, 1e-4), 1e-6, form)
		require.InDeltaSlice(t, want, outputs(c, 0, 1e4), 1e-6, form)
		require.InDeltaSlice(t, want, outputs(c, 2, 1), 1e-5, form)
		c.Uncentred = true
		without, shifted := outputs(c, 0, 1), outputs(c, 2, 1)
		kernels.Sub(without, without, shifted)
		require.Greater(t, kernels.MaxAbs(without), float32(0.05), form)
	}
}

// TestCalibratedRefuses: moments of another kind, and steps that float32 can't hold.
// Nothing has changed after them.
func TestCalibratedRefuses(t *testing.T) {
	for form, c := range calibratedForms() {
		for message, spoil := range map[string]func(p *kron.Pass){
			"layer a: moment Mean has 0 entries: want 5": func(p *kron.Pass) { p.Statistics[0].Mean = nil },
			"layer b: moment Mean: entry 1 is ":          func(p *kron.Pass) { p.Statistics[1].Mean[1] = inf },
			"layer b: moment H: entry 0 is ":             func(p *kron.Pass) { p.Statistics[1].H[0] = inf },
			"gradient of a.weight: its step, measured with the inputs and gradients of its layer, leaves": func(p *kron.Pass) {
				kernels.Fill(p.Statistics[0].Mean, 1e35)
			},
			"gradient of a.weight: its step, measured": func(p *kron.Pass) { // which is small, but the bias can't make up for it
				clear(gradientOf(p, "a.bias").Data)
				kernels.Fill(p.Statistics[0].Mean, 1e38)
			},
		} {
			rng := rand.New(rand.NewPCG(93, 1))
			n := newNetwork(rng, 5, 7)
			opt, err := optim.NewCalibrated(n, c)
			require.NoError(t, err)
			require.NoError(t, opt.Step(n.pass(rng)))
			before, state := n.values(), opt.State()
			pass := n.pass(rng)
			spoil(pass)
			require.ErrorContains(t, opt.Step(pass), "optim: Calibrated: ", form)
			require.ErrorContains(t, opt.Step(pass), message, form)
			require.Equal(t, before, n.values(), message)
			require.Equal(t, state, opt.State(), message)
		}
	}
}

// TestCalibratedRestoresHugeMomentum: a step that float32 can't hold is refused, too,
// where all that is large is the momentum of a state.
func TestCalibratedRestoresHugeMomentum(t *testing.T) {
	for form, c := range calibratedForms() {
		rng := rand.New(rand.NewPCG(96, 1))
		n := newNetwork(rng, 5, 7)
		opt, err := optim.NewCalibrated(n, c)
		require.NoError(t, err)
		require.NoError(t, opt.Step(n.pass(rng)))
		state := opt.State()
		kernels.Fill(state.Vectors["scale/momentum"], 3e38)
		require.NoError(t, opt.Restore(state))
		before := n.values()
		require.ErrorContains(t, opt.Step(n.pass(rng)), "gradient of scale: its step, measured", form)
		require.Equal(t, before, n.values())
		require.Equal(t, state, opt.State())
	}
}

// TestCalibratedGradientsVanish: without a gradient nothing moves, and what momentum
// remains stays in bounds when the mean square vanishes.
func TestCalibratedGradientsVanish(t *testing.T) {
	for form, c := range calibratedForms() {
		rng := rand.New(rand.NewPCG(94, 1))
		n := newNetwork(rng, 5, 7)
		opt, err := optim.NewCalibrated(n, c)
		require.NoError(t, err)
		pass := n.pass(rng)
		for _, g := range pass.Gradients {
			clear(g.Data)
		}
		before := n.values()
		require.NoError(t, opt.Step(pass))
		require.Equal(t, before, n.values(), form)
		require.NoError(t, opt.Step(n.pass(rng)))
		require.NotEqual(t, before, n.values(), form)
		for range 2000 {
			require.NoError(t, opt.Step(pass))
		}
		for i, p := range n.params {
			difference := make([]float32, len(p.Value))
			kernels.Sub(difference, p.Value, before[i])
			require.Less(t, kernels.MaxAbs(difference), float32(2), form)
		}
	}
}

func TestCalibratedReports(t *testing.T) {
	rng := rand.New(rand.NewPCG(95, 1))
	n := newNetwork(rng, 5, 7)
	c := optim.CalibratedDefaults()
	c.Groups = []optim.Group{{Params: n.params[3:], LRScale: 2}}
	opt, err := optim.NewCalibrated(n, c)
	require.NoError(t, err)
	require.Zero(t, opt.Reports()[0].Step)
	require.NoError(t, opt.Step(n.pass(rng)))
	reports := opt.Reports()
	require.Len(t, reports, 2)
	require.Equal(t, "b", reports[1].Layer)
	require.Equal(t, 2*c.LR, reports[1].LR)
	for _, r := range reports {
		require.Positive(t, r.Step)
		require.Greater(t, r.Spread(), 1.0)
		root := math.Sqrt(c.Damping)
		require.GreaterOrEqual(t, float64(r.Min), math.Pow(root/(1+root), 2)*0.999)
		require.Greater(t, r.DampingShare, 0.0)
		require.Less(t, r.DampingShare, 1.0)
	}
	// Without curvature all of it is damping, and steps are as large.
	c.Damping = 1e30
	want := opt.Reports()[1].Step
	opt, err = optim.NewCalibrated(n, c)
	require.NoError(t, err)
	require.NoError(t, opt.Step(n.pass(rng)))
	for _, r := range opt.Reports() {
		require.InDelta(t, 1, r.DampingShare, 1e-6)
		require.InDelta(t, 1, r.Spread(), 1e-6)
	}
	require.InEpsilon(t, want, opt.Reports()[1].Step, 0.9)
}
