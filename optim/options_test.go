package optim_test

import (
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

func globalNorm(p *kron.Pass) float64 {
	square := 0.0
	for _, g := range p.Gradients {
		if g.Param.Frozen {
			continue
		}
		for _, x := range g.Data {
			square += float64(x) * float64(x)
		}
	}
	return math.Sqrt(square)
}

// TestClipNorm: a step scales the gradients above the limit to it, in the pass, and
// leaves others alone; what is frozen doesn't count.
func TestClipNorm(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 1))
	n := newNetwork(rng, 5, 7)
	n.params[1].Frozen = true
	c := optim.SGDConfig{LR: 1, Options: optim.Options{ClipNorm: 2}}
	opt, err := optim.NewSGD(n, c)
	require.NoError(t, err)
	require.Zero(t, opt.GradientNorm(), "before the first step")
	for _, size := range []float32{0.01, 1, 1e20, 1e36} {
		pass := n.pass(rng)
		for _, g := range pass.Gradients {
			kernels.Scale(g.Data, g.Data, size)
			if g.Param.Frozen {
				kernels.Fill(g.Data, inf)
			}
		}
		before, values := n.transfer(pass, n), n.values()
		require.NoError(t, opt.Step(pass))
		norm := globalNorm(before)
		require.InEpsilon(t, norm, opt.GradientNorm(), 1e-6)
		share := min(1, 2/norm)
		require.InEpsilon(t, norm*share, globalNorm(pass), 1e-6)
		for i, g := range pass.Gradients {
			for k, x := range g.Data {
				if g.Param.Frozen {
					require.Equal(t, inf, x)
					continue
				}
				require.InEpsilon(t, float64(before.Gradients[i].Data[k])*share, float64(x), 1e-6)
				w := values[slices.Index(n.params, g.Param)][k]
				require.InDelta(t, float64(w)-float64(x), g.Param.Value[k], 1e-6)
			}
		}
	}
}

// TestClippingIsAllOrNothing: a step that is refused has not scaled the pass
// either.
func TestClippingIsAllOrNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(52, 1))
	n := newNetwork(rng, 5, 7)
	c := optim.AdaFisherDefaults()
	c.ClipNorm, c.TCov = 1e-3, 1
	opt, err := optim.NewAdaFisher(n, c)
	require.NoError(t, err)
	require.NoError(t, opt.Step(n.pass(rng)))
	require.NoError(t, opt.Restore(opt.State()))
	norm := opt.GradientNorm()
	require.Positive(t, norm)
	for message, spoil := range map[string]func(*kron.Pass){
		"gradient of scale: entry 2 is NaN: want finite numbers": func(p *kron.Pass) { gradientOf(p, "scale").Data[2] = nan },
		"gradient of a.bias: entry 0 is -Inf: want finite":       func(p *kron.Pass) { gradientOf(p, "a.bias").Data[0] = -inf },
		"the norm of the gradients is beyond float32":            func(p *kron.Pass) { kernels.Fill(gradientOf(p, "a.weight").Data, 3e38) },
		"layer b: raw factor H: entry 1 is NaN":                  func(p *kron.Pass) { p.Statistics[1].H[1] = nan },
		"statistics of layer a are missing":                      func(p *kron.Pass) { p.Statistics = p.Statistics[1:] },
	} {
		pass := n.pass(rng)
		spoil(pass)
		before, state, values := n.transfer(pass, n), opt.State(), n.values()
		require.ErrorContains(t, opt.Step(pass), message)
		for i, g := range pass.Gradients {
			for k := range g.Data {
				require.Equal(t, math.Float32bits(before.Gradients[i].Data[k]), math.Float32bits(g.Data[k]), message)
			}
		}
		require.Equal(t, values, n.values(), message)
		require.Equal(t, state, opt.State(), message)
		require.Equal(t, norm, opt.GradientNorm(), message)
	}

	// Without a limit no norm is computed.
	c.ClipNorm = 0
	opt, err = optim.NewAdaFisher(n, c)
	require.NoError(t, err)
	require.NoError(t, opt.Step(n.pass(rng)))
	require.Zero(t, opt.GradientNorm())
}

// TestNothingOverflows drives every rule at the ends of what it takes: the largest
// learning rate, gradients and weights. Nothing becomes infinite or NaN, and what
// is beyond is refused.
func TestNothingOverflows(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(53, 1))
		n := newNetwork(rng, 3, 4)
		opt := r.on(t, n)
		largest := float32(0x1p50)
		switch opt.Name() {
		case "AdaFisher", "AdaFisherW", "SGD", "Lion":
			largest = 0x1p80
		}
		fill := func(x []float32) {
			for i := range x {
				x[i] = []float32{largest, -largest, 0, 1, -0x1p-140}[rng.IntN(5)]
			}
		}
		lo, hi := 0.0, 1e300 // the largest learning rate lies between
		for range 200 {
			if mid := math.Sqrt(max(lo, 1e-300) * hi); opt.SetLR(mid) == nil {
				lo = mid
			} else {
				hi = mid
			}
		}
		require.NoError(t, opt.SetLR(lo))
		require.Greater(t, lo, 1e6)
		for step := range 100 {
			pass := n.pass(rng)
			for i, p := range n.params {
				fill(p.Value)
				fill(pass.Gradients[i].Data)
			}
			require.NoError(t, opt.Step(pass))
			for _, p := range n.params {
				require.True(t, kernels.AllFinite(p.Value), "step %d: %s", step, p.Name)
			}
			for key, v := range opt.State().Vectors {
				require.True(t, kernels.AllFinite(v), "step %d: %s", step, key)
			}
		}
		pass := n.pass(rng)
		gradientOf(pass, "scale").Data[1] = -math.Nextafter32(largest, inf)
		before, state := n.values(), opt.State()
		err := opt.Step(pass)
		if strings.HasSuffix(r.name, "/clipped") {
			require.NoError(t, err)
			return
		}
		require.ErrorContains(t, err, "gradient of scale: entry 1 is -1.")
		require.ErrorContains(t, err, "want magnitudes up to 1.")
		require.Equal(t, before, n.values())
		require.Equal(t, state, opt.State())
	})
}

// skipLarge leaves out of short runs, which may be emulated, what is slow on large
// models: matrix products, and further forms of a rule.
func skipLarge(t *testing.T, r rule) {
	if testing.Short() && (r.name == "Muon" || strings.Contains(r.name, "/") && r.name != "AdaFisher/published") {
		t.Skip("short run")
	}
}

// TestPoolsDoNotChangeBits takes steps large enough to be split, with up to 6
// workers: among them some that share a matrix, and some that share a bias.
func TestPoolsDoNotChangeBits(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		skipLarge(t, r)
		poolsDoNotChangeBits(t, r, 269, 247, 2, 3, 5) // more than 65536 weights
		poolsDoNotChangeBits(t, r, 3, 12000, 2, 6)    // half of the work ends within a bias
	})
}

func poolsDoNotChangeBits(t *testing.T, r rule, in, out int, counts ...int) {
	rng := rand.New(rand.NewPCG(54, 1))
	n := newNetwork(rng, in, out)
	opt := r.on(t, n)
	var twins []*network
	var others []optim.Optimizer
	for _, workers := range counts {
		pool, err := kernels.NewPool(workers)
		require.NoError(t, err)
		defer pool.Close()
		twins = append(twins, n.clone())
		other := r.on(t, twins[len(twins)-1])
		other.(interface{ SetPool(*kernels.Pool) }).SetPool(pool)
		others = append(others, other)
	}
	for range 2 {
		pass := n.pass(rng)
		for i, other := range others {
			require.NoError(t, other.Step(n.transfer(pass, twins[i])))
		}
		require.NoError(t, opt.Step(pass))
	}
	for i, twin := range twins {
		require.Equal(t, n.values(), twin.values(), "%d workers", counts[i])
		require.Equal(t, opt.State(), others[i].State(), "%d workers", counts[i])
	}
	pass := n.pass(rng)
	pass.Gradients[2].Data[len(pass.Gradients[2].Data)-1] = nan
	for i, other := range others {
		before := other.State()
		require.EqualError(t, other.Step(n.transfer(pass, twins[i])), opt.Step(pass).Error())
		require.Equal(t, before, other.State())
	}
}

// TestPooledStepDoesNotAllocate: nor does one that is split.
func TestPooledStepDoesNotAllocate(t *testing.T) {
	pool, err := kernels.NewPool(2)
	require.NoError(t, err)
	defer pool.Close()
	eachRule(t, func(t *testing.T, r rule) {
		skipLarge(t, r)
		rng := rand.New(rand.NewPCG(55, 1))
		n := newNetwork(rng, 269, 247)
		opt := r.on(t, n)
		opt.(interface{ SetPool(*kernels.Pool) }).SetPool(pool)
		pass := n.pass(rng)
		require.Zero(t, testing.AllocsPerRun(3, func() {
			if err := opt.Step(pass); err != nil {
				panic(err)
			}
		}))
	})
}

// TestSetMomentum: it takes what the configuration would.
func TestSetMomentum(t *testing.T) {
	n := newNetwork(rand.New(rand.NewPCG(56, 1)), 3, 4)
	type setter interface {
		optim.Optimizer
		SetMomentum(float64) error
	}
	build := func(o setter, err error) setter {
		require.NoError(t, err)
		return o
	}
	adam := optim.AdamDefaults()
	fisher := optim.AdaFisherDefaults()
	muon := optim.MuonDefaults()
	for _, opt := range []setter{
		build(optim.NewSGD(n, optim.SGDConfig{LR: 1, Momentum: 0.9})),
		build(optim.NewAdam(n, adam)),
		build(optim.NewAdaFisher(n, fisher)),
		build(optim.NewCalibrated(n, optim.CalibratedDefaults())),
		build(optim.NewMuon(n, muon)),
		build(optim.NewRMSProp(n, optim.RMSPropConfig{LR: 1, Alpha: 0.9, Epsilon: 1e-8, Momentum: 0.5})),
	} {
		for _, bad := range []float64{-0.1, 1, math.NaN(), math.Inf(1)} {
			require.ErrorContains(t, opt.SetMomentum(bad), "optim: "+opt.Name()+": ")
			require.ErrorContains(t, opt.SetMomentum(bad), "want a number in [0, 1)")
		}
		require.NoError(t, opt.SetMomentum(0.95))
	}
	for _, opt := range []setter{
		build(optim.NewSGD(n, optim.SGDConfig{LR: 1})),
		build(optim.NewRMSProp(n, optim.RMSPropDefaults())),
	} {
		require.ErrorContains(t, opt.SetMomentum(0.9), "SetMomentum from 0 to 0.9: want both above 0")
	}

	// A momentum with which the learning rate would be too large changes nothing.
	sgd := build(optim.NewSGD(n, optim.SGDConfig{LR: 1e10, Momentum: 0.9}))
	require.ErrorContains(t, sgd.SetMomentum(0.9999), "LR is 1e+10: want a number in [0, ")
	require.NoError(t, sgd.SetLR(2e10))

	// The largest learning rate follows.
	sgd = build(optim.NewSGD(n, optim.SGDConfig{LR: 1, Momentum: 0.9}))
	require.NoError(t, sgd.SetLR(1e10))
	require.NoError(t, sgd.SetLR(1))
	require.NoError(t, sgd.SetMomentum(0.9999))
	require.ErrorContains(t, sgd.SetLR(1e10), "LR is 1e+10: want a number in [0, ")
	require.NoError(t, sgd.SetMomentum(0.9))
	require.NoError(t, sgd.SetLR(1e10))

	// With it, a step is that of an optimizer of this momentum.
	rng := rand.New(rand.NewPCG(57, 1))
	twin := n.clone()
	fisher.Beta, fisher.LR = 0.7, 0.01
	want := build(optim.NewAdaFisher(twin, fisher))
	fisher.Beta = 0.2
	got := build(optim.NewAdaFisher(n, fisher))
	require.NoError(t, got.SetMomentum(0.7))
	for range 4 {
		pass := n.pass(rng)
		require.NoError(t, want.Step(n.transfer(pass, twin)))
		require.NoError(t, got.Step(pass))
	}
	require.Equal(t, twin.values(), n.values())
}
