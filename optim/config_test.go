package optim_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/optim"
)

func TestDefaults(t *testing.T) {
	require.Equal(t, optim.AdaFisherConfig{LR: 1e-3, Beta: 0.9, Lambda: 1e-3, Gamma: 0.8, TCov: 100, UnownedCurvature: 1}, optim.AdaFisherDefaults())
	require.Equal(t, optim.SGDConfig{LR: 1e-3}, optim.SGDDefaults())
	require.Equal(t, optim.AdamConfig{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, optim.AdamDefaults())
	require.Equal(t, optim.AdamConfig{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.01}, optim.AdamWDefaults())
}

// TestConfigRefused sets each scalar to each value outside its range.
func TestConfigRefused(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	n := newNetwork(rand.New(rand.NewPCG(21, 15)), 3, 4)

	a := optim.AdaFisherDefaults()
	s := optim.SGDConfig{LR: 0.1, Momentum: 0.9}
	d := optim.AdamDefaults()
	fisher := func() error { _, err := optim.NewAdaFisher(n, a); return err }
	fisherW := func() error { _, err := optim.NewAdaFisherW(n, a); return err }
	sgd := func() error { _, err := optim.NewSGD(n, s); return err }
	adam := func() error { _, err := optim.NewAdam(n, d); return err }
	adamW := func() error { _, err := optim.NewAdamW(n, d); return err }
	for _, construct := range []func() error{fisher, fisherW, sgd, adam, adamW} {
		require.NoError(t, construct())
	}

	decays := []float64{-0.1, 1, 1.5, nan, inf}
	sizes := []float64{-1e-9, 1e39, nan, inf, -inf}
	divisors := []float64{0, -1, 1e-46, 1e39, nan, inf}
	for _, c := range []struct {
		name, want string
		field      *float64
		bad        []float64
		construct  []func() error
	}{
		{"LR", "[0, 3.4e+37]", &a.LR, sizes, []func() error{fisher, fisherW}},
		{"Beta", "[0, 1)", &a.Beta, decays, []func() error{fisher, fisherW}},
		{"Lambda", "[1.2e-38, 3.4e38]", &a.Lambda, divisors, []func() error{fisher, fisherW}},
		{"Gamma", "[0, 1)", &a.Gamma, decays, []func() error{fisher, fisherW}},
		{"WeightDecay", "[0, 3.4e38]", &a.WeightDecay, sizes, []func() error{fisher, fisherW}},
		{"UnownedCurvature", "[1.2e-38, 3.4e38]", &a.UnownedCurvature, divisors, []func() error{fisher, fisherW}},
		{"LR", "[0, 3.4e+38]", &s.LR, sizes, []func() error{sgd}},
		{"Momentum", "[0, 1)", &s.Momentum, decays, []func() error{sgd}},
		{"Dampening", "[0, 1]", &s.Dampening, []float64{-0.1, 1.1, nan, inf}, []func() error{sgd}},
		{"WeightDecay", "[0, 3.4e38]", &s.WeightDecay, sizes, []func() error{sgd}},
		{"LR", "[0, 3.4e+37]", &d.LR, sizes, []func() error{adam, adamW}},
		{"Beta1", "[0, 1)", &d.Beta1, decays, []func() error{adam, adamW}},
		{"Beta2", "[0, 1)", &d.Beta2, decays, []func() error{adam, adamW}},
		{"Epsilon", "[1.2e-38, 3.4e38]", &d.Epsilon, divisors, []func() error{adam, adamW}},
		{"WeightDecay", "[0, 3.4e38]", &d.WeightDecay, sizes, []func() error{adam, adamW}},
	} {
		good := *c.field
		for _, bad := range c.bad {
			*c.field = bad
			for _, construct := range c.construct {
				err := construct()
				require.ErrorContains(t, err, c.name+" is ", "%s = %v", c.name, bad)
				require.ErrorContains(t, err, "want a number in "+c.want, "%s = %v", c.name, bad)
			}
		}
		*c.field = good
	}

	a.TCov = 0
	require.EqualError(t, fisher(), "optim: AdaFisher: TCov is 0: want 1 or more")
	a.TCov, a.Variant = 1, 9
	require.EqualError(t, fisherW(), "optim: AdaFisherW: kron: unknown variant Variant(9)")

	s.Nesterov, s.Dampening = true, 0.5
	require.ErrorContains(t, sgd(), "want a momentum and no dampening")
	s.Momentum, s.Dampening = 0, 0
	require.ErrorContains(t, sgd(), "want a momentum and no dampening")
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
		"layer a: its parameter a.bias is not one of the model": func(n *network) { n.params = n.params[2:]; n.params[0] = n.layers[0].Weight },
		`two layers of the model are named "a"`:                 func(n *network) { n.layers[1].Name = "a" },
		"layers a and b share the parameter a.weight":           func(n *network) { n.layers[1].Weight = n.layers[0].Weight },
		"kron: layer without a weight":                          func(n *network) { n.layers[0] = nil },
		"kron: layer b: shape of the weight is [0 12]":          func(n *network) { n.layers[1].Weight.Shape = []int{0, 12} },
	}
	eachRule(t, func(t *testing.T, r rule) {
		_, err := r.construct(nil)
		require.ErrorContains(t, err, "there is no model")
		for message, spoil := range always {
			n := fresh()
			spoil(n)
			_, err := r.construct(n)
			require.ErrorContains(t, err, message)
		}
		for message, spoil := range layered {
			n := fresh()
			spoil(n)
			if _, err := r.construct(n); r.name[:3] == "Ada" && r.name[:4] != "Adam" {
				require.ErrorContains(t, err, message)
			} else {
				require.NoError(t, err, "no use for layers")
			}
		}
	})
}
