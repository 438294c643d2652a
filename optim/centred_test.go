package optim_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/optim"
)

func newCentred(t testing.TB, n *network) *optim.Centred {
	c := optim.AdamDefaults()
	c.LR = 0.01
	adam, err := optim.NewAdam(n, c)
	require.NoError(t, err)
	opt, err := optim.NewCentred(n, adam, 0.8)
	require.NoError(t, err)
	return opt
}

// TestCentredAgainstFloat64 follows Adam on centred gradients for 20 steps, with
// parameters that rest now and then.
func TestCentredAgainstFloat64(t *testing.T) {
	rng := rand.New(rand.NewPCG(101, 1))
	for range 3 {
		n := newNetwork(rng, 1+rng.IntN(30), 1+rng.IntN(30))
		opt := newCentred(t, n)
		require.Equal(t, "Adam centred", opt.Name())
		config := optim.AdamDefaults()
		config.LR = 0.01
		ref := newAdamReference(n, config, false)
		want, means := make(map[*kron.Param][]float64), make(map[*kron.Layer][]float64)
		h := make(map[*kron.Layer][]float64)
		for _, p := range n.params {
			want[p] = widen(p.Value)
		}
		for _, l := range n.layers {
			means[l], h[l] = make([]float64, len(l.Weight.Value)/l.Outputs()), make([]float64, l.Inputs())
		}
		for step := range 20 {
			pass := n.pass(rng)
			if step%3 == 1 {
				pass.Gradients = pass.Gradients[1:]
			}
			require.Equal(t, kron.CollectMoments, opt.NeedsStatistics())
			correct := 1 - math.Pow(0.8, float64(step+1))
			before := make(map[*kron.Param][]float64)
			for p, w := range want {
				before[p] = slices.Clone(w)
			}
			g := make(map[*kron.Param][]float64)
			for _, x := range pass.Gradients {
				g[x.Param] = widen(x.Data)
			}
			mu := make(map[*kron.Layer][]float64)
			for _, st := range pass.Statistics {
				l, out := st.Layer, st.Layer.Outputs()
				average := 0.0
				d := make([]float64, len(st.Mean))
				mu[l] = make([]float64, len(d))
				for j, v := range st.Mean {
					means[l][j] = 0.8*means[l][j] + 0.2*float64(v)
					h[l][j] = 0.8*h[l][j] + 0.2*float64(st.H[j])
					mu[l][j] = means[l][j] / correct
					d[j] = max(0, h[l][j]/correct-mu[l][j]*mu[l][j])
					average += d[j] / float64(len(d))
				}
				w := g[l.Weight]
				if w == nil {
					continue
				}
				var b []float64
				if l.Bias != nil {
					b = g[l.Bias]
				}
				if b == nil {
					b = make([]float64, out)
					below := 1.0
					for j := range d {
						if v := d[j] + 0.01*average; v > 0 {
							below += mu[l][j] * mu[l][j] / v
							for i := range b {
								b[i] += w[j*out+i] * mu[l][j] / v
							}
						}
					}
					for i := range b {
						b[i] /= below
					}
				}
				for e := range w {
					w[e] -= mu[l][e/out] * b[e%out]
				}
			}
			for _, x := range pass.Gradients {
				want[x.Param] = ref.update(x.Param, want[x.Param], g[x.Param])
			}
			for _, l := range n.layers {
				if l.Bias != nil && g[l.Bias] != nil && g[l.Weight] != nil {
					for e, w := range want[l.Weight] {
						want[l.Bias][e%l.Outputs()] -= mu[l][e/l.Outputs()] * (w - before[l.Weight][e])
					}
				}
			}
			require.NoError(t, opt.Step(pass))
			for _, p := range n.params {
				for i, w := range want[p] {
					if !(math.Abs(float64(p.Value[i])-w) <= 5e-6) {
						require.InDelta(t, w, p.Value[i], 5e-6, "step %d, %s, entry %d", step, p.Name, i)
					}
				}
			}
		}
	}
}

// TestCentredAllOrNothing: what the optimizer or the moments refuse changes nothing,
// and a resumed run has the bits of one that was not interrupted.
func TestCentredAllOrNothing(t *testing.T) {
	for _, c := range refusals {
		c.message = strings.ReplaceAll(c.message, "raw factor", "moment")
		rng := rand.New(rand.NewPCG(102, 2))
		n := newNetwork(rng, 5, 7)
		twin := n.clone()
		opt, other := newCentred(t, n), newCentred(t, twin)
		for step := range 8 {
			if step == 3 {
				before, state := n.values(), opt.State()
				require.ErrorContains(t, opt.Step(c.spoil(n, n.pass(rng))), c.message, c.name)
				require.Equal(t, before, n.values(), c.name)
				require.Equal(t, state, opt.State(), c.name)

				other = newCentred(t, twin)
				require.NoError(t, other.Restore(state))
				require.Equal(t, state, other.State())
			}
			pass := n.pass(rng)
			require.NoError(t, other.Step(n.transfer(pass, twin)))
			require.NoError(t, opt.Step(pass))
		}
		require.Equal(t, n.values(), twin.values(), c.name)
		require.Equal(t, opt.State(), other.State(), c.name)
	}
}

func TestCentredState(t *testing.T) {
	rng := rand.New(rand.NewPCG(103, 1))
	n := newNetwork(rng, 5, 7)
	opt := newCentred(t, n)
	require.NoError(t, opt.Step(n.pass(rng)))
	before := opt.State()
	require.Equal(t, "Adam centred", before.Rule)
	saved := new(optim.State)
	opt.SaveState(saved)
	require.Equal(t, before, saved)
	require.Zero(t, testing.AllocsPerRun(5, func() { opt.SaveState(saved) }))
	for message, spoil := range map[string]func(*optim.State){
		`it is of "Adam": want "Adam centred"`: func(s *optim.State) { s.Rule = "Adam" },
		`counter "a/updates" is missing`:       func(s *optim.State) { delete(s.Counters, "a/updates") },
		`vector "b/mean" is missing`:           func(s *optim.State) { delete(s.Vectors, "b/mean") },
		`vector "b.weight/first_moment"`:       func(s *optim.State) { s.Vectors["b.weight/first_moment"][0] = nan },
		`counter "more" is unknown`:            func(s *optim.State) { s.Counters["more"] = 1 },
	} {
		state := opt.State()
		spoil(state)
		require.ErrorContains(t, opt.Restore(state), message)
		require.Equal(t, before, opt.State(), message)
	}
	require.ErrorContains(t, opt.Restore(nil), "optim: Adam centred: state: there is none")

	pass := n.pass(rng)
	require.Zero(t, testing.AllocsPerRun(5, func() {
		if err := opt.Step(pass); err != nil {
			panic(err)
		}
	}))
}

// TestCentredClipped: the pass stays as it is, whatever the optimizer does to the
// gradients, and the norm that counts is that of the centred ones.
func TestCentredClipped(t *testing.T) {
	const clip = 0.5
	rng := rand.New(rand.NewPCG(106, 1))
	n := newNetwork(rng, 5, 7)
	twin := n.clone()
	sgd, err := optim.NewSGD(n, optim.SGDConfig{LR: 1, Options: optim.Options{ClipNorm: clip}})
	require.NoError(t, err)
	opt, err := optim.NewCentred(n, sgd, 0.8)
	require.NoError(t, err)
	pass := n.pass(rng)
	kept, before := n.transfer(pass, n), n.values()
	require.NoError(t, opt.Step(pass))
	require.Equal(t, kept, pass)

	plain, err := optim.NewSGD(twin, optim.SGDConfig{LR: 1})
	require.NoError(t, err)
	unclipped, err := optim.NewCentred(twin, plain, 0.8)
	require.NoError(t, err)
	require.NoError(t, unclipped.Step(n.transfer(pass, twin)))
	// A step of SGD with rate 1 is the gradient; only the bias has more to make up for.
	norm := func(of *network) float64 {
		sum := 0.0
		for i, p := range of.params {
			step := widen(p.Value)
			for k := range step {
				step[k] -= float64(before[i][k])
			}
			if p.Name == "a.bias" {
				step = widen(gradientOf(pass, p.Name).Data)
			}
			for _, v := range step {
				sum += v * v
			}
		}
		return math.Sqrt(sum)
	}
	scale := clip / norm(twin)
	for i, p := range n.params {
		for k := range p.Value {
			step := float64(twin.params[i].Value[k]) - float64(before[i][k])
			require.InDelta(t, float64(before[i][k])+scale*step, p.Value[k], 1e-6, p.Name)
		}
	}
}

// TestCentredFrozen: a frozen bias stays, and a frozen weight.
func TestCentredFrozen(t *testing.T) {
	for frozen := range 2 {
		rng := rand.New(rand.NewPCG(104, 1))
		n := newNetwork(rng, 5, 7)
		n.params[frozen].Frozen = true
		opt := newCentred(t, n)
		before := n.values()
		for range 3 {
			pass := n.pass(rng)
			pass.Gradients = slices.DeleteFunc(pass.Gradients, func(g kron.Gradient) bool { return g.Param == n.params[2] })
			require.NoError(t, opt.Step(pass))
		}
		require.Equal(t, before[frozen], n.params[frozen].Value)
		require.NotEqual(t, before[1-frozen], n.params[1-frozen].Value)
		require.Equal(t, before[2], n.params[2].Value)
	}
}

func TestCentredRefuses(t *testing.T) {
	n := newNetwork(rand.New(rand.NewPCG(105, 1)), 5, 7)
	adam, err := optim.NewAdam(n, optim.AdamDefaults())
	require.NoError(t, err)
	fisher, err := optim.NewAdaFisher(n, optim.AdaFisherDefaults())
	require.NoError(t, err)
	twice := &network{n.params, append(slices.Clone(n.layers), n.layers[0])}
	namesake := *n.layers[1]
	namesake.Name, namesake.Weight = "c", n.layers[0].Weight
	shared := &network{n.params, []*kron.Layer{n.layers[0], &namesake}}
	part := &network{n.params[:3], n.layers[:1]}
	centred, err := optim.NewCentred(n, adam, 0.9)
	require.NoError(t, err)
	for message, construct := range map[string]func() (*optim.Centred, error){
		"there is no optimizer":                       func() (*optim.Centred, error) { return optim.NewCentred(n, nil, 0.9) },
		"Adam is for another model":                   func() (*optim.Centred, error) { return optim.NewCentred(n.clone(), adam, 0.9) },
		"Adam centred is for another model":           func() (*optim.Centred, error) { return optim.NewCentred(part, centred, 0.9) },
		"there is no model":                           func() (*optim.Centred, error) { return optim.NewCentred(nil, adam, 0.9) },
		"AdaFisher takes statistics of its own":       func() (*optim.Centred, error) { return optim.NewCentred(n, fisher, 0.9) },
		"kron: gamma is 1: want a number in [0, 1)":   func() (*optim.Centred, error) { return optim.NewCentred(n, adam, 1) },
		`two layers of the model are named "a"`:       func() (*optim.Centred, error) { return optim.NewCentred(twice, adam, 0.9) },
		"layers a and c share the parameter a.weight": func() (*optim.Centred, error) { return optim.NewCentred(shared, adam, 0.9) },
	} {
		_, err := construct()
		require.ErrorContains(t, err, "optim: Centred: "+message)
	}
	_, err = optim.NewCentred(n, (*optim.Adam)(nil), 0.9)
	require.EqualError(t, err, "optim: Centred: there is no optimizer")
}
