package optim_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/optim"
)

// network is a model made by hand: factored layers, and parameters that no
// layer owns.
type network struct {
	params []*kron.Param
	layers []*kron.Layer
}

func (n *network) Params() []*kron.Param { return n.params }
func (n *network) Layers() []*kron.Layer { return n.layers }

func newParam(rng *rand.Rand, name string, shape ...int) *kron.Param {
	size := 1
	for _, d := range shape {
		size *= d
	}
	return &kron.Param{Name: name, Shape: shape, Value: normals(rng, size)}
}

// newNetwork returns a layer in x out with bias, one without, and a vector that
// no layer owns.
func newNetwork(rng *rand.Rand, in, out int) *network {
	a := &kron.Layer{Name: "a", Weight: newParam(rng, "a.weight", in, out), Bias: newParam(rng, "a.bias", out)}
	b := &kron.Layer{Name: "b", Weight: newParam(rng, "b.weight", out, 3)}
	scale := newParam(rng, "scale", in)
	return &network{[]*kron.Param{a.Weight, a.Bias, scale, b.Weight}, []*kron.Layer{a, b}}
}

// pass returns random gradients and statistics for all of the network, the
// gradients in no order that matters.
func (n *network) pass(rng *rand.Rand) *kron.Pass {
	p := new(kron.Pass)
	for _, i := range rng.Perm(len(n.params)) {
		p.Gradients = append(p.Gradients, kron.Gradient{Param: n.params[i], Data: normals(rng, len(n.params[i].Value))})
	}
	for _, l := range n.layers {
		st := kron.Statistics{Layer: l, H: normals(rng, l.Inputs()), S: normals(rng, l.Outputs()), Mean: normals(rng, len(l.Weight.Value)/l.Outputs())}
		kernels.Scale(st.Mean, st.Mean, 0.5)
		for _, raw := range [][]float32{st.H, st.S} {
			for i := range raw {
				raw[i] *= raw[i]
			}
		}
		p.Statistics = append(p.Statistics, st)
	}
	return p
}

// clone returns a network of equal parameters.
func (n *network) clone() *network {
	c := new(network)
	twin := make(map[*kron.Param]*kron.Param)
	for _, p := range n.params {
		q := *p
		q.Value = slices.Clone(p.Value)
		twin[p] = &q
		c.params = append(c.params, &q)
	}
	for _, l := range n.layers {
		c.layers = append(c.layers, &kron.Layer{Name: l.Name, Weight: twin[l.Weight], Bias: twin[l.Bias]})
	}
	return c
}

// transfer returns a copy of p as a pass of the network to, n or a clone of it.
func (n *network) transfer(p *kron.Pass, to *network) *kron.Pass {
	q := new(kron.Pass)
	for _, g := range p.Gradients {
		q.Gradients = append(q.Gradients, kron.Gradient{Param: to.params[slices.Index(n.params, g.Param)], Data: slices.Clone(g.Data)})
	}
	for _, st := range p.Statistics {
		q.Statistics = append(q.Statistics, kron.Statistics{Layer: to.layers[slices.Index(n.layers, st.Layer)], H: slices.Clone(st.H), S: slices.Clone(st.S), Mean: slices.Clone(st.Mean)})
	}
	return q
}

func (n *network) values() [][]float32 {
	var v [][]float32
	for _, p := range n.params {
		v = append(v, slices.Clone(p.Value))
	}
	return v
}

func normals(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// rule is one optimizer in one configuration, and the same in plain float64.
type rule struct {
	name      string
	construct func(optim.Model) (optim.Optimizer, error)
	reference func(*network) reference
}

func (r rule) on(t testing.TB, m optim.Model) optim.Optimizer {
	o, err := r.construct(m)
	require.NoError(t, err)
	return o
}

func rules() []rule {
	var all []rule
	for _, v := range []kron.Variant{kron.Published, kron.Paper, kron.PaperEMA} {
		c := optim.AdaFisherDefaults()
		c.Variant, c.TCov, c.WeightDecay, c.Lambda, c.UnownedCurvature = v, 3, 0.02, 0.05, 2
		all = append(all,
			rule{fmt.Sprintf("AdaFisher/%v", v),
				func(m optim.Model) (optim.Optimizer, error) { return optim.NewAdaFisher(m, c) },
				func(n *network) reference { return newAdaFisherReference(n, c, false) }},
			rule{fmt.Sprintf("AdaFisherW/%v", v),
				func(m optim.Model) (optim.Optimizer, error) { return optim.NewAdaFisherW(m, c) },
				func(n *network) reference { return newAdaFisherReference(n, c, true) }})
	}
	for name, c := range map[string]func(*optim.CalibratedConfig){
		"Calibrated":           func(*optim.CalibratedConfig) {},
		"Calibrated/rms":       func(c *optim.CalibratedConfig) { c.UpdateRMS, c.ScaleBeta = 0.3, 0 },
		"Calibrated/uncentred": func(c *optim.CalibratedConfig) { c.Uncentred = true },
		"Calibrated/rms/uncentred": func(c *optim.CalibratedConfig) {
			c.UpdateRMS, c.Uncentred, c.Beta = 0.1, true, 0
		},
	} {
		config := calibratedTestConfig()
		c(&config)
		all = append(all, rule{name,
			func(m optim.Model) (optim.Optimizer, error) { return optim.NewCalibrated(m, config) },
			func(n *network) reference { return newCalibratedReference(n, config) }})
	}
	for name, c := range map[string]optim.SGDConfig{
		"SGD":           {LR: 0.1},
		"SGD/dampened":  {LR: 0.1, Dampening: 0.5, WeightDecay: 0.01},
		"SGD/momentum":  {LR: 0.1, Momentum: 0.9, Dampening: 0.3, WeightDecay: 0.01},
		"SGD/nesterov":  {LR: 0.1, Momentum: 0.9, Nesterov: true},
		"SGD/nesterovW": {LR: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 0.01},
	} {
		all = append(all, rule{name,
			func(m optim.Model) (optim.Optimizer, error) { return optim.NewSGD(m, c) },
			func(n *network) reference { return newSGDReference(n, c) }})
	}
	for name, c := range map[string]optim.AdamConfig{
		"":         {LR: 0.01, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.01},
		"/amsgrad": {LR: 0.01, Beta1: 0.8, Beta2: 0.9, Epsilon: 1e-6, WeightDecay: 0.02, AMSGrad: true},
	} {
		all = append(all,
			rule{"Adam" + name,
				func(m optim.Model) (optim.Optimizer, error) { return optim.NewAdam(m, c) },
				func(n *network) reference { return newAdamReference(n, c, false) }},
			rule{"AdamW" + name,
				func(m optim.Model) (optim.Optimizer, error) { return optim.NewAdamW(m, c) },
				func(n *network) reference { return newAdamReference(n, c, true) }})
	}
	for name, c := range map[string]optim.AdagradConfig{
		"Adagrad":         {LR: 0.1, Epsilon: 1e-10},
		"Adagrad/decayed": {LR: 0.1, LRDecay: 0.1, Initial: 0.2, Epsilon: 1e-3, WeightDecay: 0.02},
	} {
		all = append(all, rule{name,
			func(m optim.Model) (optim.Optimizer, error) { return optim.NewAdagrad(m, c) },
			func(n *network) reference { return newAdagradReference(n, c) }})
	}
	for name, c := range map[string]optim.RMSPropConfig{
		"RMSprop":                   {LR: 0.01, Alpha: 0.9, Epsilon: 1e-8},
		"RMSprop/centered":          {LR: 0.01, Alpha: 0.9, Epsilon: 1e-3, Centered: true, WeightDecay: 0.02},
		"RMSprop/momentum":          {LR: 0.01, Alpha: 0.8, Epsilon: 1e-8, Momentum: 0.7, WeightDecay: 0.02},
		"RMSprop/centered/momentum": {LR: 0.01, Alpha: 0.8, Epsilon: 1e-3, Momentum: 0.7, Centered: true},
	} {
		all = append(all, rule{name,
			func(m optim.Model) (optim.Optimizer, error) { return optim.NewRMSProp(m, c) },
			func(n *network) reference { return newRMSPropReference(n, c) }})
	}
	lion := optim.LionDefaults()
	lion.LR, lion.WeightDecay = 0.01, 0.1
	all = append(all, rule{"Lion",
		func(m optim.Model) (optim.Optimizer, error) { return optim.NewLion(m, lion) },
		func(n *network) reference { return newLionReference(n, lion) }})
	for name, nesterov := range map[string]bool{"Muon": true, "Muon/plain": false} {
		c := func(m optim.Model) optim.MuonConfig {
			c := optim.MuonDefaults()
			c.LR, c.Momentum, c.Nesterov = 0.01, 0.8, nesterov
			if params := modelParams(m); !nesterov && len(params) > 3 {
				c.AdamW = []*kron.Param{params[3]}
			}
			return c
		}
		all = append(all, rule{name,
			func(m optim.Model) (optim.Optimizer, error) { return optim.NewMuon(m, c(m)) },
			func(n *network) reference { return newMuonReference(n, c(n)) }})
	}
	return append(all, optionRules()...)
}

func calibratedTestConfig() optim.CalibratedConfig {
	c := optim.CalibratedDefaults()
	c.TCov, c.WeightDecay, c.Gamma, c.ScaleBeta = 3, 0.02, 0.8, 0.9
	return c
}

// optionRules have groups, or clip.
func optionRules() []rule {
	options := map[string]func(m optim.Model) optim.Options{
		"/groups": func(m optim.Model) optim.Options {
			params := modelParams(m)
			if len(params) < 4 || slices.Contains(params, nil) {
				return optim.Options{}
			}
			return optim.Options{Groups: []optim.Group{
				{Params: params[1:2], LRScale: 1},
				{Params: params[2:4], LRScale: 0.5, DecayScale: 2},
			}}
		},
		"/clipped": func(optim.Model) optim.Options { return optim.Options{ClipNorm: 2} },
	}
	var all []rule
	for name, of := range options {
		with := func(n *network, r reference) reference { return &optionReference{r, n, of(n)} }

		fisher := optim.AdaFisherDefaults()
		fisher.TCov, fisher.WeightDecay, fisher.Lambda = 3, 0.02, 0.05
		adam := optim.AdamWDefaults()
		adam.LR = 0.01
		sgd := optim.SGDConfig{LR: 0.1, WeightDecay: 0.01}
		muon := optim.MuonDefaults()
		all = append(all,
			rule{"AdaFisher" + name,
				func(m optim.Model) (optim.Optimizer, error) {
					c := fisher
					c.Options = of(m)
					return optim.NewAdaFisher(m, c)
				},
				func(n *network) reference { return with(n, newAdaFisherReference(n, fisher, false)) }},
			rule{"AdamW" + name,
				func(m optim.Model) (optim.Optimizer, error) {
					c := adam
					c.Options = of(m)
					return optim.NewAdamW(m, c)
				},
				func(n *network) reference { return with(n, newAdamReference(n, adam, true)) }},
			rule{"SGD" + name,
				func(m optim.Model) (optim.Optimizer, error) { c := sgd; c.Options = of(m); return optim.NewSGD(m, c) },
				func(n *network) reference { return with(n, newSGDReference(n, sgd)) }},
			rule{"Calibrated" + name,
				func(m optim.Model) (optim.Optimizer, error) {
					c := calibratedTestConfig()
					c.Options = of(m)
					return optim.NewCalibrated(m, c)
				},
				func(n *network) reference { return with(n, newCalibratedReference(n, calibratedTestConfig())) }},
			rule{"Calibrated/rms" + name,
				func(m optim.Model) (optim.Optimizer, error) {
					c := calibratedTestConfig()
					c.UpdateRMS, c.Options = 0.2, of(m)
					return optim.NewCalibrated(m, c)
				},
				func(n *network) reference {
					c := calibratedTestConfig()
					c.UpdateRMS = 0.2
					return with(n, newCalibratedReference(n, c))
				}},
			rule{"Muon" + name,
				func(m optim.Model) (optim.Optimizer, error) { c := muon; c.Options = of(m); return optim.NewMuon(m, c) },
				func(n *network) reference { return with(n, newMuonReference(n, muon)) }})
	}
	return all
}

// modelParams returns the parameters of a network, if there is one.
func modelParams(m optim.Model) []*kron.Param {
	if n, ok := m.(*network); ok && n != nil {
		return n.params
	}
	return nil
}

// eachRule runs f for every rule.
func eachRule(t *testing.T, f func(*testing.T, rule)) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) { f(t, r) })
	}
}
