package optim

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
)

// RMSPropConfig is the configuration of [RMSProp].
type RMSPropConfig struct {
	LR          float64 // learning rate, 0 or more
	Alpha       float64 // decay of the mean square, in [0, 1)
	Epsilon     float64 // added to its root, 1e-13 or more
	Momentum    float64 // decay of the velocity, in [0, 1)
	Centered    bool    // divide by the deviation in place of the mean square
	WeightDecay float64 // L2 term added to the gradient, in [0, 100]
	Options
}

// RMSPropDefaults returns PyTorch's defaults: a learning rate of 0.01, alpha 0.99,
// epsilon 1e-8, and nothing else.
func RMSPropDefaults() RMSPropConfig { return RMSPropConfig{LR: 1e-2, Alpha: 0.99, Epsilon: 1e-8} }

// RMSProp is RMSprop (Tieleman and Hinton 2012, lecture 6.5 of "Neural Networks
// for Machine Learning"), as torch.optim.RMSprop has it. With d = g + WeightDecay*w
// for a gradient g:
//
//	v = Alpha*v + (1-Alpha)*d^2
//	a = Alpha*a + (1-Alpha)*d                            if Centered, else a = 0
//	b = Momentum*b + d / (sqrt(max(v-a^2, 0)) + Epsilon)
//	w = w - LR*b
//
// PyTorch has no max there, and gives NaN where rounding makes v-a^2 negative.
//
// It keeps v, 4 bytes a weight, and 4 more for each of Centered and a Momentum.
type RMSProp struct {
	core
	config RMSPropConfig
}

// minRMSEpsilon keeps the velocity, which holds quotients, inside float32.
const minRMSEpsilon = 1e-13

// NewRMSProp returns an optimizer for the model's parameters.
func NewRMSProp(m Model, c RMSPropConfig) (*RMSProp, error) {
	const name = "RMSprop"
	err := checkSettings(name,
		setting{"Alpha", c.Alpha, decay},
		setting{"Epsilon", c.Epsilon, divisor},
		setting{"Momentum", c.Momentum, decay},
		setting{"WeightDecay", c.WeightDecay, weightDecay})
	if err != nil {
		return nil, err
	}
	if c.Epsilon < minRMSEpsilon {
		return nil, fmt.Errorf("optim: %s: Epsilon is %v: want %v or more", name, c.Epsilon, minRMSEpsilon)
	}
	o := &RMSProp{config: c}
	err = o.init(m, o, name, settings{c.LR, o.maxLR(c.Momentum), c.WeightDecay, maxSquared, c.Options})
	if err != nil {
		return nil, err
	}
	kinds := []moment{{name: "mean_square", square: true}}
	if c.Centered {
		kinds = append(kinds, moment{name: "mean"})
	}
	if c.Momentum > 0 {
		kinds = append(kinds, moment{name: "velocity"})
	}
	o.keep(kinds...)
	return o, nil
}

func (o *RMSProp) maxLR(momentum float64) float64 {
	return maxRate(maxSquared, 1/(1-momentum)/o.config.Epsilon)
}

// SetMomentum changes Momentum from the next step on, for a [Schedule] of it. It
// fails on an optimizer that has no momentum, and where the configuration would.
func (o *RMSProp) SetMomentum(momentum float64) error {
	if o.config.Momentum == 0 || momentum == 0 {
		return fmt.Errorf("optim: RMSprop: SetMomentum from %v to %v: want both above 0", o.config.Momentum, momentum)
	}
	return o.setMomentum(&o.config.Momentum, "Momentum", momentum, o.maxLR(momentum))
}

func (o *RMSProp) update(s *slot, lo, hi int) {
	c := &o.config
	l2, _ := o.split(s, c.WeightDecay, false)
	var mean, velocity []float32
	if c.Centered {
		mean = s.moments[1][lo:hi]
	}
	if c.Momentum > 0 {
		velocity = s.moments[len(s.moments)-1][lo:hi]
	}
	kernels.RMSPropStep(s.param.Value[lo:hi], s.moments[0][lo:hi], mean, velocity, s.grad[lo:hi], kernels.RMSPropParams{
		Alpha:       float32(c.Alpha),
		Add:         float32(1 - c.Alpha),
		Epsilon:     float32(c.Epsilon),
		Momentum:    float32(c.Momentum),
		LR:          float32(o.rate(s)),
		WeightDecay: l2,
	})
}
