package optim_test

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/optim"
)

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

// refusal is a way to spoil a pass, and what the error must say.
type refusal struct {
	name    string
	message string
	factors bool // only AdaFisher looks there
	spoil   func(n *network, p *kron.Pass) *kron.Pass
}

// gradientOf returns the gradient of the parameter with the given name.
func gradientOf(p *kron.Pass, name string) *kron.Gradient {
	i := slices.IndexFunc(p.Gradients, func(g kron.Gradient) bool { return g.Param.Name == name })
	return &p.Gradients[i]
}

var refusals = []refusal{
	{"no pass", "there is no pass", false, func(*network, *kron.Pass) *kron.Pass { return nil }},
	{"NaN in gradient", "gradient of b.weight: entry 2 is NaN: want finite numbers", false, func(_ *network, p *kron.Pass) *kron.Pass {
		gradientOf(p, "b.weight").Data[2] = nan
		return p
	}},
	{"Inf in gradient", "gradient of scale: entry 0 is +Inf", false, func(_ *network, p *kron.Pass) *kron.Pass {
		gradientOf(p, "scale").Data[0] = inf
		return p
	}},
	{"short gradient", "gradient of a.bias: length is 6: want 7", false, func(_ *network, p *kron.Pass) *kron.Pass {
		g := gradientOf(p, "a.bias")
		g.Data = g.Data[1:]
		return p
	}},
	{"gradient twice", "gradient of a.weight: the pass has it twice", false, func(_ *network, p *kron.Pass) *kron.Pass {
		p.Gradients = append(p.Gradients, *gradientOf(p, "a.weight"))
		return p
	}},
	{"unknown parameter", "gradient of a.weight: the parameter is not one of the model", false, func(n *network, p *kron.Pass) *kron.Pass {
		// Name and shape are right: identity is what counts.
		p.Gradients = append(p.Gradients, kron.Gradient{Param: n.clone().params[0], Data: gradientOf(p, "a.weight").Data})
		return p
	}},
	{"no parameter", "gradient 0 of the pass has no parameter", false, func(_ *network, p *kron.Pass) *kron.Pass {
		p.Gradients[0].Param = nil
		return p
	}},
	{"missing statistics", "statistics of layer b are missing: step 3 updates their averages", true, func(_ *network, p *kron.Pass) *kron.Pass {
		p.Statistics = p.Statistics[:1]
		return p
	}},
	{"NaN in H", "layer b: raw factor H: entry 1 is NaN", true, func(_ *network, p *kron.Pass) *kron.Pass {
		p.Statistics[1].H[1] = nan
		return p
	}},
	{"NaN in S", "layer a: raw factor S: entry 0 is NaN", true, func(_ *network, p *kron.Pass) *kron.Pass {
		p.Statistics[0].S[0] = nan
		return p
	}},
	{"short H", "layer a: raw factor H has 5 entries: want 6", true, func(_ *network, p *kron.Pass) *kron.Pass {
		p.Statistics[0].H = p.Statistics[0].H[1:]
		return p
	}},
	{"statistics twice", "statistics of layer a: the pass has them twice", true, func(_ *network, p *kron.Pass) *kron.Pass {
		p.Statistics[1] = p.Statistics[0]
		return p
	}},
	{"unknown layer", "statistics of layer a: it is not one of the model", true, func(n *network, p *kron.Pass) *kron.Pass {
		p.Statistics = append(p.Statistics, kron.Statistics{Layer: n.clone().layers[0]})
		return p
	}},
	{"no layer", "statistics 1 of the pass have no layer", true, func(_ *network, p *kron.Pass) *kron.Pass {
		p.Statistics[1].Layer = nil
		return p
	}},
}

// TestAllOrNothing refuses each spoiled pass in the middle of a run, and goes on
// with the same bits as a run that never saw it.
func TestAllOrNothing(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		for _, c := range refusals {
			rng := rand.New(rand.NewPCG(8, 2))
			n := newNetwork(rng, 5, 7)
			twin := n.clone()
			opt, calm := r.on(t, n), r.on(t, twin)
			if c.factors && opt.NeedsStatistics() == kron.CollectNone {
				continue
			}
			message := c.message
			if opt.NeedsStatistics() == kron.CollectMoments {
				message = strings.ReplaceAll(message, "raw factor", "moment")
			}
			for step := range 8 {
				if step == 3 {
					before, state, needs := n.values(), opt.State(), opt.NeedsStatistics()
					err := opt.Step(c.spoil(n, n.pass(rng)))
					require.ErrorContains(t, err, "optim: "+opt.Name()+": ", c.name)
					require.ErrorContains(t, err, message, c.name)
					require.Equal(t, before, n.values(), c.name)
					require.Equal(t, state, opt.State(), c.name)
					require.Equal(t, needs, opt.NeedsStatistics(), c.name)
				}
				pass := n.pass(rng)
				require.NoError(t, calm.Step(n.transfer(pass, twin)))
				require.NoError(t, opt.Step(pass))
			}
			require.Equal(t, twin.values(), n.values(), c.name)
			require.Equal(t, calm.State(), opt.State(), c.name)
		}
	})
}

// TestInfiniteFactor: a square beyond float32 is an error where raw factors are
// averaged, and replaced by 1 where min-max comes first.
func TestInfiniteFactor(t *testing.T) {
	for _, v := range []kron.Variant{kron.Published, kron.Paper, kron.PaperEMA} {
		rng := rand.New(rand.NewPCG(9, 3))
		n := newNetwork(rng, 5, 7)
		c := optim.AdaFisherDefaults()
		c.Variant = v
		opt, err := optim.NewAdaFisher(n, c)
		require.NoError(t, err)
		pass := n.pass(rng)
		pass.Statistics[0].H[2] = inf
		if v == kron.Paper {
			require.ErrorContains(t, opt.Step(pass), "layer a: raw factor H: entry 2 is +Inf")
			continue
		}
		same := n.clone()
		twin, err := optim.NewAdaFisher(same, c)
		require.NoError(t, err)
		require.NoError(t, opt.Step(pass))
		pass.Statistics[0].H[2] = 1
		require.NoError(t, twin.Step(n.transfer(pass, same)))
		require.Equal(t, same.values(), n.values())
	}
}

func TestParameterShrunkAfterConstruction(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(10, 4))
		n := newNetwork(rng, 5, 7)
		opt := r.on(t, n)
		pass := n.pass(rng)
		n.params[2].Value = n.params[2].Value[:4]
		require.ErrorContains(t, opt.Step(pass), "gradient of scale: the parameter has 4 entries now: it had 5")
	})
}

// TestFrozenAndAbsent: a frozen parameter stays whatever its gradient holds; an
// absent one stays and later takes its own first step.
func TestFrozenAndAbsent(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(11, 5))
		n := newNetwork(rng, 5, 7)
		frozen, absent := n.params[0], n.params[3]
		opt := r.on(t, n)
		before := n.values()
		frozen.Frozen = true
		for range 4 {
			pass := n.pass(rng)
			gradientOf(pass, frozen.Name).Data[0] = nan
			pass.Gradients = slices.DeleteFunc(pass.Gradients, func(g kron.Gradient) bool { return g.Param == absent })
			require.NoError(t, opt.Step(pass))
		}
		require.Equal(t, before[0], frozen.Value)
		require.NotEqual(t, before[1], n.params[1].Value)
		require.Equal(t, before[3], absent.Value)
		counters := opt.State().Counters
		maps.DeleteFunc(counters, func(key string, _ int64) bool { return strings.HasSuffix(key, "/updates") })
		require.Equal(t, map[string]int64{"steps": 4, "a.weight/steps": 0, "a.bias/steps": 4, "scale/steps": 4, "b.weight/steps": 0}, counters)

		frozen.Frozen = false
		require.NoError(t, opt.Step(n.pass(rng)))
		require.NotEqual(t, before[0], frozen.Value)
		require.NotEqual(t, before[3], absent.Value)
		require.EqualValues(t, 1, opt.State().Counters["a.weight/steps"])
		require.EqualValues(t, 1, opt.State().Counters["b.weight/steps"])
	})
}

// TestUnreachedLayerNeedsNoStatistics: statistics are wanted where a parameter
// moves, and nowhere else.
func TestUnreachedLayerNeedsNoStatistics(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 6))
	n := newNetwork(rng, 5, 7)
	opt, err := optim.NewAdaFisher(n, optim.AdaFisherDefaults())
	require.NoError(t, err)
	pass := n.pass(rng)
	n.layers[1].Weight.Frozen = true
	pass.Statistics = pass.Statistics[:1]
	require.NoError(t, opt.Step(pass))
	require.Equal(t, []float32{1, 1, 1}, opt.State().Vectors["b/S"])
	require.NotEqual(t, float32(1), opt.State().Vectors["a/S"][0])
}

// TestOrderDoesNotMatter: two parameters of one shape keep their own state
// however a pass orders them.
func TestOrderDoesNotMatter(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(13, 7))
		n := newNetwork(rng, 3, 3) // a.weight and b.weight are both 3 x 3
		twin := n.clone()
		a, b := r.on(t, n), r.on(t, twin)
		for range 6 {
			pass := n.pass(rng)
			turned := n.transfer(pass, twin) // a copy: clipping writes to a pass
			slices.Reverse(turned.Gradients)
			slices.Reverse(turned.Statistics)
			require.NoError(t, a.Step(pass))
			require.NoError(t, b.Step(turned))
		}
		require.Equal(t, n.values(), twin.values())
	})
}

func TestNeedsStatistics(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(14, 8))
		n := newNetwork(rng, 4, 4)
		opt := r.on(t, n)
		first := opt.NeedsStatistics()
		for step := range 7 {
			needs := kron.CollectNone
			if step%3 == 0 { // as configured in rules
				needs = first
			}
			require.Equal(t, needs, opt.NeedsStatistics())
			pass := n.pass(rng)
			if needs == kron.CollectNone { // ignored then
				pass.Statistics = []kron.Statistics{{H: []float32{nan}}}
			}
			require.NoError(t, opt.Step(pass))
		}
	})
}

func TestLevelsAgree(t *testing.T) {
	was := kernels.CurrentLevel()
	t.Cleanup(func() { require.NoError(t, kernels.SetLevel(was)) })
	eachRule(t, func(t *testing.T, r rule) {
		var first [][]float32
		for _, level := range kernels.Levels() {
			require.NoError(t, kernels.SetLevel(level))
			rng := rand.New(rand.NewPCG(15, 9))
			n := newNetwork(rng, 19, 37)
			opt := r.on(t, n)
			for range 5 {
				require.NoError(t, opt.Step(n.pass(rng)))
			}
			if first == nil {
				first = n.values()
			}
			require.Equal(t, first, n.values(), "%v", level)
		}
	})
}

// TestBitsEverywhere hashes what every rule makes of the same passes. The constant
// holds on every machine and at every level.
func TestBitsEverywhere(t *testing.T) {
	h := fnv.New64a()
	all := rules()
	slices.SortFunc(all, func(a, b rule) int { return cmp.Compare(a.name, b.name) })
	for _, r := range all {
		rng, exact := rand.New(rand.NewPCG(58, 1)), rand.New(rand.NewPCG(58, 2))
		means := rand.New(rand.NewPCG(58, 3))
		drawFrom := func(rng *rand.Rand, x []float32) { // normal numbers come from package math
			for i := range x {
				x[i] = float32(rng.Int32N(1<<20)-1<<19) / (1 << 18)
			}
		}
		draw := func(x []float32) { drawFrom(exact, x) }
		n := newNetwork(rng, 19, 37)
		for _, p := range n.params {
			draw(p.Value)
		}
		opt := r.on(t, n)
		for range 7 {
			pass := n.pass(rng)
			slices.SortFunc(pass.Gradients, func(a, b kron.Gradient) int { return cmp.Compare(a.Param.Name, b.Param.Name) })
			for _, g := range pass.Gradients {
				draw(g.Data)
			}
			for _, st := range pass.Statistics {
				for _, raw := range [][]float32{st.H, st.S} {
					draw(raw)
					kernels.Mul(raw, raw, raw)
				}
				drawFrom(means, st.Mean)
			}
			require.NoError(t, opt.Step(pass))
		}
		for _, p := range n.params {
			require.NoError(t, binary.Write(h, binary.LittleEndian, p.Value))
		}
	}
	require.Equal(t, uint64(0xc1e993510ef9663b), h.Sum64())
}

func TestStepDoesNotAllocate(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(16, 10))
		n := newNetwork(rng, 20, 30)
		opt := r.on(t, n)
		pass := n.pass(rng)
		require.Zero(t, testing.AllocsPerRun(12, func() {
			if err := opt.Step(pass); err != nil {
				panic(err)
			}
		}))
	})
}

// TestCurvatureOfParameters checks F, and what the reports say of it.
func TestCurvatureOfParameters(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 11))
	n := newNetwork(rng, 5, 7)
	c := optim.AdaFisherDefaults()
	c.UnownedCurvature = 3
	c.Groups = []optim.Group{{Params: n.params[:1], LRScale: 2}}
	opt, err := optim.NewAdaFisher(n, c)
	require.NoError(t, err)
	require.NoError(t, opt.Step(n.pass(rng)))

	state := opt.State()
	h, s := state.Vectors["a/H"], state.Vectors["a/S"]
	f := make([]float32, 35)
	require.NoError(t, opt.Curvature(f, n.params[0]))
	bias := make([]float32, 7)
	require.NoError(t, opt.Curvature(bias, n.params[1]))
	for j := range s {
		for i := range 5 {
			require.InDelta(t, h[i]*s[j]+1e-3, f[i*7+j], 1e-8)
		}
		require.InDelta(t, h[5]*s[j]+1e-3, bias[j], 1e-8)
	}
	unowned := make([]float32, 5)
	require.NoError(t, opt.Curvature(unowned, n.params[2]))
	require.Equal(t, []float32{3, 3, 3, 3, 3}, unowned)

	require.ErrorContains(t, opt.Curvature(f, n.params[1]), "Curvature of a.bias: length of dst is 35: want 7")
	require.ErrorContains(t, opt.Curvature(f, n.clone().params[0]), "not one of the model")

	reports := opt.Reports()
	require.Len(t, reports, 2)
	require.Equal(t, "a", reports[0].Layer)
	all := append(f, bias...)
	require.Equal(t, slices.Min(all), reports[0].Min)
	require.Equal(t, slices.Max(all), reports[0].Max)
	require.InDelta(t, 1/7.5, reports[0].DampingShare, 0.01) // the first update, as documented
	require.InEpsilon(t, float64(slices.Max(all))/float64(slices.Min(all)), reports[0].Spread(), 1e-12)

	inverse, traceH, traceS := 0.0, 0.0, 0.0
	for _, v := range all {
		inverse += 1 / float64(v) / float64(len(all))
	}
	for _, v := range h {
		traceH += float64(v)
	}
	for _, v := range s {
		traceS += float64(v)
	}
	require.InEpsilon(t, traceH, reports[0].TraceH, 1e-12)
	require.InEpsilon(t, traceS, reports[0].TraceS, 1e-12)
	require.InEpsilon(t, 2e-3, reports[0].LR, 1e-12, "of its group")
	require.InEpsilon(t, 2e-3*inverse, reports[0].Step, 1e-6)
	require.InEpsilon(t, 1e-3, reports[1].LR, 1e-12)
}

// TestRefusedStatisticsAreForgotten: those of layer a, which a refused pass had, too,
// have no part in the next one, which says nothing of a.
func TestRefusedStatisticsAreForgotten(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(25, 1))
		n := newNetwork(rng, 5, 7)
		twin := n.clone()
		opt, calm := r.on(t, n), r.on(t, twin)
		if opt.NeedsStatistics() == kron.CollectNone {
			return
		}
		refused := n.pass(rng)
		refused.Statistics[1].H[0] = nan
		require.ErrorContains(t, opt.Step(refused), "layer b: ")
		pass := n.pass(rng)
		pass.Gradients = slices.DeleteFunc(pass.Gradients, func(g kron.Gradient) bool { return g.Param != n.layers[1].Weight })
		pass.Statistics = pass.Statistics[1:]
		require.NoError(t, calm.Step(n.transfer(pass, twin)))
		require.NoError(t, opt.Step(pass))
		require.Equal(t, calm.State(), opt.State())
	})
}
