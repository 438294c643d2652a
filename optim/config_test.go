package optim_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

func TestDefaults(t *testing.T) {
	require.Equal(t, optim.AdaFisherConfig{LR: 1e-3, Beta: 0.9, Lambda: 1e-3, Gamma: 0.8, TCov: 100, UnownedCurvature: 1}, optim.AdaFisherDefaults())
	require.Equal(t, optim.CalibratedConfig{LR: 5e-3, Beta: 0.9, Gamma: 0.95, Damping: 0.03, TCov: 1, ScaleBeta: 0.99}, optim.CalibratedDefaults())
	require.Equal(t, optim.CalibratedConfig{LR: 3e-3, Beta: 0.9, Gamma: 0.95, Damping: 0.03, TCov: 1, UpdateRMS: 0.3}, optim.CalibratedRMSDefaults())
	require.Equal(t, optim.SGDConfig{LR: 1e-3}, optim.SGDDefaults())
	require.Equal(t, optim.AdamConfig{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, optim.AdamDefaults())
	require.Equal(t, optim.AdamConfig{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.01}, optim.AdamWDefaults())
	require.Equal(t, optim.AdagradConfig{LR: 1e-2, Epsilon: 1e-10}, optim.AdagradDefaults())
	require.Equal(t, optim.RMSPropConfig{LR: 1e-2, Alpha: 0.99, Epsilon: 1e-8}, optim.RMSPropDefaults())
	require.Equal(t, optim.LionConfig{LR: 1e-4, Beta1: 0.9, Beta2: 0.99}, optim.LionDefaults())
	require.Equal(t, optim.MuonConfig{LR: 1e-3, WeightDecay: 0.1, Momentum: 0.95, Nesterov: true, Iterations: 5,
		Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8}, optim.MuonDefaults())
}

// constructor builds an optimizer from a configuration that the test changes.
type constructor func(optim.Model) (optim.Optimizer, error)

// TestConfigRefused sets each scalar to each value outside its range.
func TestConfigRefused(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	n := newNetwork(rand.New(rand.NewPCG(21, 15)), 3, 4)

	a := optim.AdaFisherDefaults()
	k := optim.CalibratedDefaults()
	s := optim.SGDConfig{LR: 0.1, Momentum: 0.9}
	d := optim.AdamDefaults()
	g := optim.AdagradDefaults()
	r := optim.RMSPropDefaults()
	l := optim.LionDefaults()
	m := optim.MuonDefaults()
	fisher := constructor(func(n optim.Model) (optim.Optimizer, error) { return optim.NewAdaFisher(n, a) })
	fisherW := constructor(func(n optim.Model) (optim.Optimizer, error) { return optim.NewAdaFisherW(n, a) })
	calibrated := constructor(func(n optim.Model) (optim.Optimizer, error) { return optim.NewCalibrated(n, k) })
	sgd := constructor(func(n optim.Model) (optim.Optimizer, error) { return optim.NewSGD(n, s) })
	adam := constructor(func(n optim.Model) (optim.Optimizer, error) { return optim.NewAdam(n, d) })
	adamW := constructor(func(n optim.Model) (optim.Optimizer, error) { return optim.NewAdamW(n, d) })
	adagrad := constructor(func(n optim.Model) (optim.Optimizer, error) { return optim.NewAdagrad(n, g) })
	rmsProp := constructor(func(n optim.Model) (optim.Optimizer, error) { return optim.NewRMSProp(n, r) })
	lion := constructor(func(n optim.Model) (optim.Optimizer, error) { return optim.NewLion(n, l) })
	muon := constructor(func(n optim.Model) (optim.Optimizer, error) { return optim.NewMuon(n, m) })
	for _, construct := range []constructor{fisher, fisherW, calibrated, sgd, adam, adamW, adagrad, rmsProp, lion, muon} {
		_, err := construct(n)
		require.NoError(t, err)
	}

	decays := []float64{-0.1, 1, 1.5, 1 - 1e-9, nan, inf} // 1-1e-9 is 1 as a float32
	rates := []float64{-1e-9, 1e39, nan, inf, -inf}
	sizes := []float64{-1e-9, 1e31, nan, inf}
	weights := []float64{-1e-9, 101, nan, inf}
	divisors := []float64{0, -1, 1e-46, 1e39, nan, inf}
	for _, c := range []struct {
		name, want string
		field      *float64
		bad        []float64
		construct  []constructor
	}{
		{"LR", "[0, 5.5e+07]", &a.LR, rates, []constructor{fisher, fisherW}},
		{"Beta", "[0, 1) as a float32", &a.Beta, decays, []constructor{fisher, fisherW}},
		{"Lambda", "[1.2e-38, 1e30]", &a.Lambda, divisors, []constructor{fisher, fisherW}},
		{"Gamma", "[0, 1) as a float32", &a.Gamma, decays, []constructor{fisher, fisherW}},
		{"WeightDecay", "[0, 100]", &a.WeightDecay, weights, []constructor{fisher, fisherW}},
		{"UnownedCurvature", "[1.2e-38, 1e30]", &a.UnownedCurvature, divisors, []constructor{fisher, fisherW}},
		{"LR", "[0, 2.75e+11]", &k.LR, rates, []constructor{calibrated}},
		{"Beta", "[0, 1) as a float32", &k.Beta, decays, []constructor{calibrated}},
		{"Gamma", "[0, 1) as a float32", &k.Gamma, decays, []constructor{calibrated}},
		{"Damping", "[1e-8, 1e30]", &k.Damping, []float64{0, -1, 9e-9, 1e31, nan, inf}, []constructor{calibrated}},
		{"WeightDecay", "[0, 100]", &k.WeightDecay, weights, []constructor{calibrated}},
		{"ScaleBeta", "[0, 1) as a float32", &k.ScaleBeta, decays, []constructor{calibrated}},
		{"UpdateRMS", "[0, 1]", &k.UpdateRMS, []float64{-0.1, 1.1, nan, inf}, []constructor{calibrated}},
		{"LR", "[0, 2.75e+10]", &s.LR, rates, []constructor{sgd}},
		{"Momentum", "[0, 1) as a float32", &s.Momentum, decays, []constructor{sgd}},
		{"Dampening", "[0, 1]", &s.Dampening, []float64{-0.1, 1.1, nan, inf}, []constructor{sgd}},
		{"WeightDecay", "[0, 100]", &s.WeightDecay, weights, []constructor{sgd}},
		{"LR", "[0, 2.75e+11]", &d.LR, rates, []constructor{adam, adamW}},
		{"Beta1", "[0, 1) as a float32", &d.Beta1, decays, []constructor{adam, adamW}},
		{"Beta2", "[0, 1) as a float32", &d.Beta2, decays, []constructor{adam, adamW}},
		{"Epsilon", "[1.2e-38, 1e30]", &d.Epsilon, divisors, []constructor{adam, adamW}},
		{"WeightDecay", "[0, 100]", &d.WeightDecay, weights, []constructor{adam, adamW}},
		{"LR", "[0, 5.9e+10]", &g.LR, rates, []constructor{adagrad}},
		{"LRDecay", "[0, 1e30]", &g.LRDecay, sizes, []constructor{adagrad}},
		{"Initial", "[0, 1e30]", &g.Initial, sizes, []constructor{adagrad}},
		{"Epsilon", "[1.2e-38, 1e30]", &g.Epsilon, divisors, []constructor{adagrad}},
		{"WeightDecay", "[0, 100]", &g.WeightDecay, weights, []constructor{adagrad}},
		{"LR", "[0, 2.75e+11]", &r.LR, rates, []constructor{rmsProp}},
		{"Alpha", "[0, 1) as a float32", &r.Alpha, decays, []constructor{rmsProp}},
		{"Epsilon", "[1.2e-38, 1e30]", &r.Epsilon, divisors, []constructor{rmsProp}},
		{"Momentum", "[0, 1) as a float32", &r.Momentum, decays, []constructor{rmsProp}},
		{"WeightDecay", "[0, 100]", &r.WeightDecay, weights, []constructor{rmsProp}},
		{"LR", "[0, 2.75e+11]", &l.LR, rates, []constructor{lion}},
		{"Beta1", "[0, 1) as a float32", &l.Beta1, decays, []constructor{lion}},
		{"Beta2", "[0, 1) as a float32", &l.Beta2, decays, []constructor{lion}},
		{"WeightDecay", "[0, 100]", &l.WeightDecay, weights, []constructor{lion}},
		{"LR", "[0, 2.75e+11]", &m.LR, rates, []constructor{muon}},
		{"Momentum", "[0, 1) as a float32", &m.Momentum, decays, []constructor{muon}},
		{"Beta1", "[0, 1) as a float32", &m.Beta1, decays, []constructor{muon}},
		{"Beta2", "[0, 1) as a float32", &m.Beta2, decays, []constructor{muon}},
		{"Epsilon", "[1.2e-38, 1e30]", &m.Epsilon, divisors, []constructor{muon}},
		{"WeightDecay", "[0, 100]", &m.WeightDecay, weights, []constructor{muon}},
	} {
		good := *c.field
		for _, bad := range c.bad {
			*c.field = bad
			for _, construct := range c.construct {
				_, err := construct(n)
				require.ErrorContains(t, err, c.name+" is ", "%s = %v", c.name, bad)
				require.ErrorContains(t, err, "want a number in "+c.want, "%s = %v", c.name, bad)
			}
		}
		*c.field = good
	}

	refuse := func(construct constructor, message string) {
		_, err := construct(n)
		require.EqualError(t, err, message)
	}
	a.TCov = 0
	refuse(fisher, "optim: AdaFisher: TCov is 0: want 1 or more")
	a.TCov, a.Variant = 1, 9
	refuse(fisherW, "optim: AdaFisherW: kron: unknown variant Variant(9)")
	_, err := fisher(&network{params: n.params})
	require.EqualError(t, err, "optim: AdaFisher: kron: unknown variant Variant(9)", "also without layers")

	k.TCov = -1
	refuse(calibrated, "optim: Calibrated: TCov is -1: want 1 or more")

	s.Nesterov, s.Dampening = true, 0.5
	refuse(sgd, "optim: SGD: Nesterov with Momentum 0.9 and Dampening 0.5: want a momentum and no dampening")
	s.Momentum, s.Dampening = 0, 0
	refuse(sgd, "optim: SGD: Nesterov with Momentum 0 and Dampening 0: want a momentum and no dampening")

	r.Epsilon = 1e-14
	refuse(rmsProp, "optim: RMSprop: Epsilon is 1e-14: want 1e-13 or more")

	m.Iterations = 0
	refuse(muon, "optim: Muon: Iterations is 0: want 1 or more")
	m.Iterations = 5
	m.AdamW = []*kron.Param{n.params[0], nil}
	refuse(muon, "optim: Muon: AdamW: parameter 1 is not one of the model")
	m.AdamW = []*kron.Param{n.params[0], n.params[3], n.params[0]}
	refuse(muon, "optim: Muon: AdamW: parameter a.weight is there twice")
	m.AdamW = nil
	n.params[3].Shape = []int{4, 5}
	refuse(muon, "optim: Muon: parameter b.weight has 12 entries and shape [4 5]")
}

// TestOptionsRefused gives every optimizer groups and limits that make no sense.
func TestOptionsRefused(t *testing.T) {
	n := newNetwork(rand.New(rand.NewPCG(21, 15)), 3, 4)
	stranger := n.clone().params[0] // its name and shape are right
	nan, inf := math.NaN(), math.Inf(1)
	group := func(lr, decay float64, params ...*kron.Param) optim.Group {
		return optim.Group{Params: params, LRScale: lr, DecayScale: decay}
	}
	for message, o := range map[string]optim.Options{
		"group 1 has no parameters":                             {Groups: []optim.Group{group(1, 1, n.params[0]), group(1, 1)}},
		"group 0: LRScale is 0: want a number above 0":          {Groups: []optim.Group{{Params: n.params[:1]}}},
		"group 0: LRScale is -1: want":                          {Groups: []optim.Group{group(-1, 1, n.params[0])}},
		"group 0: LRScale is NaN: want":                         {Groups: []optim.Group{group(nan, 1, n.params[0])}},
		"group 0: LRScale is +Inf: want":                        {Groups: []optim.Group{group(inf, 1, n.params[0])}},
		"group 0: DecayScale is -1: want a number in [0, 100]":  {Groups: []optim.Group{group(1, -1, n.params[0])}},
		"group 0: DecayScale is 200: want a number in [0, 100]": {Groups: []optim.Group{group(1, 200, n.params[0])}},
		"group 0: DecayScale is NaN":                            {Groups: []optim.Group{group(1, nan, n.params[0])}},
		"group 0: parameter 1 is nil":                           {Groups: []optim.Group{group(1, 1, n.params[0], nil)}},
		"group 0: parameter a.weight is not one of the model":   {Groups: []optim.Group{group(1, 1, stranger)}},
		"group 1: parameter a.bias is in group 0, too":          {Groups: []optim.Group{group(1, 1, n.params[:2]...), group(2, 1, n.params[1])}},
		"group 0: parameter scale is in group 0, too":           {Groups: []optim.Group{group(1, 1, n.params[2], n.params[2])}},
		"ClipNorm is -1: want 0 or a number in [1.2e-38, 1.":    {ClipNorm: -1},
		"ClipNorm is NaN: want 0 or a number in":                {ClipNorm: nan},
		"ClipNorm is +Inf: want 0 or a number in":               {ClipNorm: inf},
		"ClipNorm is 1e-40: want 0 or a number in":              {ClipNorm: 1e-40},
		"LR is 0.001: want a number in [0, 1.":                  {Groups: []optim.Group{group(2e15, 1, n.params[0])}},
	} {
		for name, construct := range map[string]constructor{
			"AdaFisher": func(m optim.Model) (optim.Optimizer, error) {
				c := optim.AdaFisherDefaults()
				c.Options = o
				return optim.NewAdaFisher(m, c)
			},
			"Calibrated": func(m optim.Model) (optim.Optimizer, error) {
				c := optim.CalibratedDefaults()
				c.LR = 1e-3
				c.Options = o
				return optim.NewCalibrated(m, c)
			},
			"AdaFisherW": func(m optim.Model) (optim.Optimizer, error) {
				c := optim.AdaFisherDefaults()
				c.Options = o
				return optim.NewAdaFisherW(m, c)
			},
			"SGD": func(m optim.Model) (optim.Optimizer, error) {
				c := optim.SGDDefaults()
				c.Options = o
				return optim.NewSGD(m, c)
			},
			"Adam": func(m optim.Model) (optim.Optimizer, error) {
				c := optim.AdamDefaults()
				c.Options = o
				return optim.NewAdam(m, c)
			},
			"AdamW": func(m optim.Model) (optim.Optimizer, error) {
				c := optim.AdamDefaults()
				c.Options = o
				return optim.NewAdamW(m, c)
			},
			"Adagrad": func(m optim.Model) (optim.Optimizer, error) {
				c := optim.AdagradDefaults()
				c.LR = 1e-3
				c.Options = o
				return optim.NewAdagrad(m, c)
			},
			"RMSprop": func(m optim.Model) (optim.Optimizer, error) {
				c := optim.RMSPropDefaults()
				c.LR = 1e-3
				c.Options = o
				return optim.NewRMSProp(m, c)
			},
			"Lion": func(m optim.Model) (optim.Optimizer, error) {
				c := optim.LionDefaults()
				c.LR = 1e-3
				c.Options = o
				return optim.NewLion(m, c)
			},
			"Muon": func(m optim.Model) (optim.Optimizer, error) {
				c := optim.MuonDefaults()
				c.Options = o
				return optim.NewMuon(m, c)
			},
		} {
			if strings.HasPrefix(message, "LR ") {
				message = "LR is 0.001: want a number in [0, " // each rule has its own bound
			}
			_, err := construct(n)
			require.ErrorContains(t, err, "optim: "+name+": "+message)
		}
	}
}

// TestDecayScaleBound: the weight decay of a group has the bound of any other.
func TestDecayScaleBound(t *testing.T) {
	n := newNetwork(rand.New(rand.NewPCG(21, 15)), 3, 4)
	c := optim.AdamWDefaults()
	for decay, most := range map[float64]float64{0.01: 100, 1: 100, 10: 10, 100: 1} {
		c.WeightDecay = decay
		c.Groups = []optim.Group{{Params: n.params[:1], LRScale: 1, DecayScale: most}}
		_, err := optim.NewAdamW(n, c)
		require.NoError(t, err)
		c.Groups[0].DecayScale = math.Nextafter(most, 200)
		_, err = optim.NewAdamW(n, c)
		require.ErrorContains(t, err, fmt.Sprintf("want a number in [0, %v]", most))
	}
}

func TestNoDecay(t *testing.T) {
	n := newNetwork(rand.New(rand.NewPCG(21, 15)), 3, 4)
	require.Equal(t, []optim.Group{{Params: n.params[1:3], LRScale: 1}}, optim.NoDecay(n))
	n.params = n.params[:1]
	require.Empty(t, optim.NoDecay(n), "a model of matrices alone")
	require.Empty(t, optim.NoDecay(nil))
	require.Empty(t, optim.NoDecay((*nn.Model)(nil)))
}

func TestSetLR(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(22, 16))
		n := newNetwork(rng, 3, 4)
		opt := r.on(t, n)
		require.NoError(t, opt.SetLR(0.25))
		for _, lr := range []float64{-1e-3, math.NaN(), math.Inf(1), math.Inf(-1), 1e39} {
			require.ErrorContains(t, opt.SetLR(lr), "LR is ")
			require.Equal(t, 0.25, opt.LR())
		}
		require.NoError(t, opt.SetLR(0))
		before := n.values()
		require.NoError(t, opt.Step(n.pass(rng)))
		require.Equal(t, before, n.values())
	})
}

// TestModelRefused builds optimizers on models that make no sense.
func TestModelRefused(t *testing.T) {
	fresh := func() *network { return newNetwork(rand.New(rand.NewPCG(23, 17)), 3, 4) }
	always := map[string]func(n *network){
		"the model has no parameters":                    func(n *network) { n.params = nil },
		"parameter 1 of the model is nil":                func(n *network) { n.params[1] = nil },
		"the model lists parameter a.weight twice":       func(n *network) { n.params = append(n.params, n.params[0]) },
		`two parameters of the model are named "a.bias"`: func(n *network) { n.params[2].Name = "a.bias" },
	}
	layered := map[string]func(n *network){
		"layer a: its parameter a.bias is not one of the model":                                                          func(n *network) { n.params = n.params[2:]; n.params[0] = n.layers[0].Weight },
		`two layers of the model are named "a"`:                                                                          func(n *network) { n.layers[1].Name = "a" },
		"layers a and b share the parameter a.weight: leave one of them out of Layers, and its statistics out of passes": func(n *network) { n.layers[1].Weight = n.layers[0].Weight },
		"kron: layer without a weight":                                                                                   func(n *network) { n.layers[0] = nil },
		"kron: layer b: shape of the weight is [0 12]":                                                                   func(n *network) { n.layers[1].Weight.Shape = []int{0, 12} },
	}
	eachRule(t, func(t *testing.T, r rule) {
		for _, none := range []optim.Model{nil, (*network)(nil), (*nn.Model)(nil)} {
			_, err := r.construct(none)
			require.ErrorContains(t, err, "there is no model")
		}
		_, err := r.construct(new(nn.Model))
		require.ErrorContains(t, err, "the model has no parameters")
		for message, spoil := range always {
			n := fresh()
			spoil(n)
			_, err := r.construct(n)
			require.ErrorContains(t, err, message)
		}
		for message, spoil := range layered {
			n := fresh()
			spoil(n)
			if _, err := r.construct(n); strings.HasPrefix(r.name, "AdaFisher") || strings.HasPrefix(r.name, "Calibrated") {
				require.ErrorContains(t, err, message)
			} else {
				require.NoError(t, err, "no use for layers")
			}
		}
	})
}
