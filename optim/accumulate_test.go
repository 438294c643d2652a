package optim_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// TestAccumulatorEqualsWholeBatch trains twins, one on whole batches and one on
// their thirds.
func TestAccumulatorEqualsWholeBatch(t *testing.T) {
	for _, calibrated := range []bool{false, true} {
		accumulatorEqualsWholeBatch(t, calibrated)
	}
}

func accumulatorEqualsWholeBatch(t *testing.T, calibrated bool) {
	const parts, rows, in, out = 3, 4, 6, 3
	build := func() (*nn.Model, *nn.Session, optim.Optimizer) {
		m, err := nn.NewSequential(nn.Linear(in, 9), nn.Tanh(), nn.Linear(9, out))
		require.NoError(t, err)
		s, err := m.NewSession(parts * rows)
		require.NoError(t, err)
		if calibrated {
			c := optim.CalibratedDefaults()
			c.TCov = 2
			opt, err := optim.NewCalibrated(m, c)
			require.NoError(t, err)
			return m, s, opt
		}
		c := optim.AdaFisherDefaults()
		c.Variant, c.TCov, c.LR, c.Lambda = kron.Paper, 2, 1e-2, 0.1
		opt, err := optim.NewAdaFisher(m, c)
		require.NoError(t, err)
		return m, s, opt
	}
	m, session, opt := build()
	other, split, inner := build()
	acc, err := optim.NewAccumulator(other, inner, parts)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(61, 1))
	for step := range 7 {
		x := normals(rng, parts*rows*in)
		labels := make([]int, parts*rows)
		for i := range labels {
			labels[i] = rng.IntN(out)
		}
		whole, err := session.TrainSoftmaxCrossEntropy(opt, x, labels)
		require.NoError(t, err)
		mean := float32(0)
		for part := range parts {
			require.Equal(t, part, acc.Pending())
			require.Equal(t, step%2 == 0, acc.NeedsStatistics() != kron.CollectNone)
			loss, err := split.TrainSoftmaxCrossEntropy(acc, x[part*rows*in:][:rows*in], labels[part*rows:][:rows])
			require.NoError(t, err)
			mean += loss / parts
		}
		require.InDelta(t, whole, mean, 1e-6)
		require.EqualValues(t, step+1, acc.Steps())
		for i, p := range m.Params() {
			require.InDeltaSlice(t, p.Value, other.Params()[i].Value, 5e-6, "step %d, %s", step, p.Name)
		}
		want, got := opt.State(), acc.State()
		for key, v := range want.Vectors {
			require.InDeltaSlice(t, v, got.Vectors[key], 5e-6, "step %d, %s", step, key)
		}
	}
}

// TestAccumulatorBits: the step is that with the sum of the gradients, rounded, and
// scaled; one pass alone is taken as it is. So it is when fewer passes than planned
// are flushed.
func TestAccumulatorBits(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		for _, c := range []struct{ passes, planned int }{{1, 1}, {2, 2}, {3, 3}, {1, 3}, {2, 3}} {
			passes := c.passes
			rng := rand.New(rand.NewPCG(62, 1))
			n := newNetwork(rng, 5, 7)
			twin := n.clone()
			opt := r.on(t, n)
			acc, err := optim.NewAccumulator(twin, r.on(t, twin), c.planned)
			require.NoError(t, err)
			for range 5 {
				var sum *kron.Pass
				for range passes {
					pass := n.pass(rng)
					require.NoError(t, acc.Step(n.transfer(pass, twin)))
					if sum == nil {
						sum = pass
						continue
					}
					for _, g := range sum.Gradients {
						kernels.Add(g.Data, g.Data, gradientOf(pass, g.Param.Name).Data)
					}
					for i, st := range sum.Statistics {
						kernels.Add(st.H, st.H, pass.Statistics[i].H)
						kernels.Add(st.S, st.S, pass.Statistics[i].S)
						kernels.Add(st.Mean, st.Mean, pass.Statistics[i].Mean)
					}
				}
				k := float64(passes)
				for _, g := range sum.Gradients {
					kernels.Scale(g.Data, g.Data, float32(1/k))
				}
				for _, st := range sum.Statistics {
					kernels.Scale(st.H, st.H, float32(1/k))
					kernels.Scale(st.S, st.S, float32(1/(k*k*k)))
					kernels.Scale(st.Mean, st.Mean, float32(1/k))
				}
				require.NoError(t, acc.Flush())
				require.NoError(t, opt.Step(sum))
			}
			require.Equal(t, n.values(), twin.values(), "%+v", c)
			require.Equal(t, opt.State(), acc.State())
		}
	})
}

// TestAccumulatorRefuses: a refused pass is not added, and nothing moves.
func TestAccumulatorRefuses(t *testing.T) {
	more := []refusal{
		{"negative H", "statistics of layer b: an entry is NaN, or negative in H or S", true, func(_ *network, p *kron.Pass) *kron.Pass {
			p.Statistics[1].H[1] = -1
			return p
		}},
		{"NaN in H", "statistics of layer b: an entry is NaN", true, func(_ *network, p *kron.Pass) *kron.Pass {
			p.Statistics[1].H[1] = nan
			return p
		}},
		{"NaN in S", "statistics of layer a: an entry is NaN", true, func(_ *network, p *kron.Pass) *kron.Pass {
			p.Statistics[0].S[3] = nan
			return p
		}},
		{"NaN in Mean", "statistics of layer a: an entry is NaN", true, func(_ *network, p *kron.Pass) *kron.Pass {
			p.Statistics[0].Mean[2] = nan
			return p
		}},
		{"short H", "statistics of layer a: lengths are 5 and 7: want 6 and 7", true, func(_ *network, p *kron.Pass) *kron.Pass {
			p.Statistics[0].H = p.Statistics[0].H[1:]
			return p
		}},
	}
	for _, c := range append(slices.Clone(refusals), more...) {
		message := c.message
		switch c.name {
		case "missing statistics": // only the optimizer can tell
			continue
		case "NaN in gradient":
			message = "gradient of b.weight: an entry is not finite"
		case "Inf in gradient":
			message = "gradient of scale: an entry is not finite"
		case "NaN in H", "NaN in S", "short H":
			if slices.ContainsFunc(refusals, func(r refusal) bool { return r.name == c.name && r.message == c.message }) {
				continue // these have another message here
			}
		}
		rng := rand.New(rand.NewPCG(63, 1))
		n := newNetwork(rng, 5, 7)
		twin := n.clone()
		config := optim.AdaFisherDefaults()
		config.TCov = 1
		inner, err := optim.NewAdaFisher(n, config)
		require.NoError(t, err)
		acc, err := optim.NewAccumulator(n, inner, 2)
		require.NoError(t, err)
		calm, err := optim.NewAdaFisher(twin, config)
		require.NoError(t, err)
		undisturbed, err := optim.NewAccumulator(twin, calm, 2)
		require.NoError(t, err)
		for i := range 6 {
			before, values := acc.State(), n.values()
			require.ErrorContains(t, acc.Step(c.spoil(n, n.pass(rng))), "optim: Accumulator: "+message, c.name)
			require.Equal(t, i%2, acc.Pending())
			require.Equal(t, before, acc.State())
			require.Equal(t, values, n.values())
			pass := n.pass(rng)
			require.NoError(t, undisturbed.Step(n.transfer(pass, twin)))
			require.NoError(t, acc.Step(pass))
		}
		require.Equal(t, twin.values(), n.values(), c.name)
	}
}

// TestAccumulatorDrops: what the optimizer refuses is dropped, and so is what is
// pending when a state is restored.
func TestAccumulatorDrops(t *testing.T) {
	rng := rand.New(rand.NewPCG(64, 1))
	n := newNetwork(rng, 5, 7)
	inner, err := optim.NewAdam(n, optim.AdamDefaults())
	require.NoError(t, err)
	acc, err := optim.NewAccumulator(n, inner, 2)
	require.NoError(t, err)
	twin := n.clone()
	plain, err := optim.NewAdam(twin, optim.AdamDefaults())
	require.NoError(t, err)

	huge := n.pass(rng)
	gradientOf(huge, "scale").Data[0] = 1e20
	before, values := acc.State(), n.values()
	require.NoError(t, acc.Step(n.transfer(huge, n)))
	require.ErrorContains(t, acc.Step(n.pass(rng)), "optim: Adam: gradient of scale: entry 0 is 5e+19")
	require.Zero(t, acc.Pending())
	require.Equal(t, before, acc.State())
	require.Equal(t, values, n.values())

	require.NoError(t, acc.Step(n.pass(rng)))
	acc.Drop()
	require.NoError(t, acc.Step(n.pass(rng)))
	require.NoError(t, acc.Restore(before))
	require.Zero(t, acc.Pending())
	require.NoError(t, acc.Step(n.pass(rng)))
	require.Error(t, acc.Restore(nil))
	require.Equal(t, 1, acc.Pending(), "a refused state drops nothing")
	acc.Drop()

	require.NoError(t, acc.Flush()) // of nothing
	require.Zero(t, acc.Steps())
	pass := n.pass(rng)
	require.NoError(t, plain.Step(n.transfer(pass, twin)))
	require.NoError(t, acc.Step(pass))
	require.NoError(t, acc.Flush())
	require.EqualValues(t, 1, acc.Steps())
	require.Equal(t, twin.values(), n.values())
}

// TestAccumulatorOfSomeParameters: one that no pass has stays, one that some have
// gets the mean over all passes, and a frozen one may hold anything.
func TestAccumulatorOfSomeParameters(t *testing.T) {
	rng := rand.New(rand.NewPCG(65, 1))
	n := newNetwork(rng, 5, 7)
	inner, err := optim.NewSGD(n, optim.SGDConfig{LR: 1})
	require.NoError(t, err)
	acc, err := optim.NewAccumulator(n, inner, 2)
	require.NoError(t, err)
	frozen, absent, rare := n.params[0], n.params[1], n.params[2]
	frozen.Frozen = true
	values := n.values()
	without := func(p *kron.Pass, params ...*kron.Param) *kron.Pass {
		p.Gradients = slices.DeleteFunc(p.Gradients, func(g kron.Gradient) bool { return slices.Contains(params, g.Param) })
		return p
	}
	first, second := without(n.pass(rng), absent), without(n.pass(rng), absent, rare)
	gradientOf(first, frozen.Name).Data[3] = nan
	require.NoError(t, acc.Step(first))
	require.NoError(t, acc.Step(second))
	require.Equal(t, values[0], frozen.Value)
	require.Equal(t, values[1], absent.Value)
	for i, g := range gradientOf(first, rare.Name).Data {
		require.InDelta(t, values[2][i]-g/2, rare.Value[i], 1e-6)
	}
	require.Zero(t, acc.State().Counters["a.bias/steps"])
}

// TestAccumulatorOfSomeLayers: three passes, in two of which a layer has rows, are
// as one pass over the rows of all.
func TestAccumulatorOfSomeLayers(t *testing.T) {
	const passes, rows, in, out = 3, 4, 2, 3
	rng := rand.New(rand.NewPCG(67, 1))
	build := func() (*network, *optim.Calibrated) {
		n := newNetwork(rand.New(rand.NewPCG(67, 2)), in, out)
		c := optim.CalibratedDefaults()
		opt, err := optim.NewCalibrated(n, c)
		require.NoError(t, err)
		return n, opt
	}
	whole, want := build()
	n, inner := build()
	acc, err := optim.NewAccumulator(n, inner, passes)
	require.NoError(t, err)

	// of returns the pass of rows of layer a, whose gradients dy at its outputs are
	// those of the loss.
	of := func(n *network, x, dy []float32) *kron.Pass {
		p := new(kron.Pass)
		h, s, mean := make([]float32, in+1), make([]float32, out), make([]float32, in)
		weight, bias := make([]float32, in*out), make([]float32, out)
		for r := range len(x) / in {
			for i, v := range dy[r*out:][:out] {
				s[i] += v * v / float32(len(x)/in)
				bias[i] += v
				for j, u := range x[r*in:][:in] {
					weight[j*out+i] += u * v
				}
			}
			for j, u := range x[r*in:][:in] {
				h[j] += u * u / float32(len(x)/in)
				mean[j] += u / float32(len(x)/in)
			}
		}
		h[in] = 1
		p.Gradients = []kron.Gradient{{Param: n.params[0], Data: weight}, {Param: n.params[1], Data: bias}}
		p.Statistics = []kron.Statistics{{Layer: n.layers[0], H: h, S: s, Mean: mean}}
		return p
	}
	x, dy := normals(rng, 2*rows*in), normals(rng, 2*rows*out)
	for i := range 2 {
		require.NoError(t, acc.Step(of(n, x[i*rows*in:][:rows*in], dy[i*rows*out:][:rows*out])))
	}
	require.NoError(t, acc.Step(new(kron.Pass)))

	for i := range dy { // the mean over three parts
		dy[i] /= passes
	}
	require.NoError(t, want.Step(of(whole, x, dy)))
	require.EqualValues(t, 1, acc.Steps())
	for i, p := range whole.params {
		require.InDeltaSlice(t, p.Value, n.params[i].Value, 1e-6, p.Name)
	}
	for key, v := range want.State().Vectors {
		for i, x := range v {
			require.InDelta(t, x, acc.State().Vectors[key][i], 1e-9+1e-5*math.Abs(float64(x)), key)
		}
	}
}

func TestAccumulatorConfig(t *testing.T) {
	n := newNetwork(rand.New(rand.NewPCG(66, 1)), 3, 4)
	opt, err := optim.NewSGD(n, optim.SGDDefaults())
	require.NoError(t, err)
	refuse := func(m optim.Model, o optim.Optimizer, passes int, message string) {
		_, err := optim.NewAccumulator(m, o, passes)
		require.EqualError(t, err, message)
	}
	refuse(n, nil, 2, "optim: Accumulator: there is no optimizer")
	refuse(n, (*optim.Adam)(nil), 2, "optim: Accumulator: there is no optimizer")
	refuse((*nn.Model)(nil), opt, 2, "optim: Accumulator: there is no model")
	refuse(n, opt, 0, "optim: Accumulator: the number of passes is 0: want 1 or more")
	refuse(nil, opt, 2, "optim: Accumulator: there is no model")
	refuse(n.clone(), opt, 2, "optim: Accumulator: SGD is for another model")
	acc, err := optim.NewAccumulator(n, opt, 2)
	require.NoError(t, err)
	refuse(n.clone(), acc, 2, "optim: Accumulator: SGD is for another model")
	n.layers[1] = nil
	refuse(n, opt, 2, "optim: Accumulator: kron: layer without a weight")
}

func TestAccumulatorDoesNotAllocate(t *testing.T) {
	rng := rand.New(rand.NewPCG(67, 1))
	n := newNetwork(rng, 20, 30)
	c := optim.AdaFisherDefaults()
	c.TCov = 1
	opt, err := optim.NewAdaFisher(n, c)
	require.NoError(t, err)
	acc, err := optim.NewAccumulator(n, opt, 2)
	require.NoError(t, err)
	pass := n.pass(rng)
	require.Zero(t, testing.AllocsPerRun(11, func() {
		if err := acc.Step(pass); err != nil {
			panic(err)
		}
	}))
}
