package yardstick

import (
	"math"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// ElementwiseConfig is the configuration of [Elementwise].
type ElementwiseConfig struct {
	LR          float64 // learning rate
	Beta, Beta2 float64 // decays of the momentum and of the squares, in [0, 1)
	ScaleBeta   float64 // of the mean square of updates, in [0, 1)
	Epsilon     float64 // added to the root of the squares, above 0
}

// ElementwiseDefaults returns the decays of [optim.CalibratedDefaults], and 0.99 for
// the squares.
func ElementwiseDefaults() ElementwiseConfig {
	return ElementwiseConfig{LR: 5e-3, Beta: 0.9, Beta2: 0.99, ScaleBeta: 0.99, Epsilon: 1e-8}
}

// Elementwise is what [optim.Calibrated] is compared with: the same rule, with Adam's
// second moment of each weight in place of the curvature of layers, and without their
// means. In the k-th step, with the gradient g, element by element but for the mean:
//
//	v = Beta2*v + (1-Beta2)*g^2
//	p = 1 / (sqrt(v/(1-Beta2^k)) + Epsilon)
//	m = Beta*m + (1-Beta)*g
//	q = ScaleBeta*q + (1-ScaleBeta) * mean of (g*p)^2
//	u = (Beta*m/(1-Beta^k) + (1-Beta)*g) * p / sqrt(q/(1-ScaleBeta^k))
//	w = w - LR*u
//
// It keeps two numbers for each weight, and isn't fused: only its steps compare.
type Elementwise struct {
	rate
	config ElementwiseConfig
	steps  int64
	params []*kron.Param
	state  []elementwise // of each parameter
}

type elementwise struct {
	m, v []float32
	q    float64
}

// NewElementwise returns the optimizer for a model.
func NewElementwise(m *nn.Model, c ElementwiseConfig) (*Elementwise, error) {
	if m == nil {
		return nil, errNoModel
	}
	o := &Elementwise{rate: rate{"Elementwise", c.LR}, config: c, params: m.Params()}
	err := o.in(
		limits{"Beta", c.Beta, 0, largestDecay},
		limits{"Beta2", c.Beta2, 0, largestDecay},
		limits{"ScaleBeta", c.ScaleBeta, 0, largestDecay},
		limits{"Epsilon", c.Epsilon, tiny, 1e6})
	if err != nil {
		return nil, err
	}
	for _, p := range o.params {
		o.state = append(o.state, elementwise{m: make([]float32, len(p.Value)), v: make([]float32, len(p.Value))})
	}
	return o, nil
}

// Step does one step. A gradient that is not finite is an error, and moves nothing.
func (o *Elementwise) Step(pass *kron.Pass) error {
	if err := checkPass(o.name, pass, o.params); err != nil {
		return err
	}
	o.steps++
	c := o.config
	correctM, correctV := 1/(1-power(c.Beta, o.steps)), 1/(1-power(c.Beta2, o.steps))
	correctQ := 1 / (1 - power(c.ScaleBeta, o.steps))
	for i, g := range pass.Gradients {
		s := &o.state[i]
		if g.Param.Frozen {
			continue
		}
		inverse := func(i int) float64 { return 1 / (math.Sqrt(float64(s.v[i])*correctV) + c.Epsilon) }
		sum := 0.0
		for i, v := range g.Data {
			g := float64(v)
			s.m[i] = float32(c.Beta*float64(s.m[i]) + (1-c.Beta)*g)
			s.v[i] = float32(c.Beta2*float64(s.v[i]) + (1-c.Beta2)*g*g)
			u := g * inverse(i)
			sum += u * u
		}
		s.q = c.ScaleBeta*s.q + (1-c.ScaleBeta)*sum/float64(len(g.Data))
		step := o.lr / (math.Sqrt(s.q*correctQ) + 1e-12)
		for i, v := range g.Data {
			n := c.Beta*float64(s.m[i])*correctM + (1-c.Beta)*float64(v)
			g.Param.Value[i] -= float32(step * n * inverse(i))
		}
	}
	return nil
}
