package optim

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
)

// SGDConfig is the configuration of [SGD].
type SGDConfig struct {
	LR          float64 // learning rate, 0 or more
	Momentum    float64 // decay of the velocity, in [0, 1)
	Dampening   float64 // the new gradient enters the velocity times 1-Dampening, in [0, 1]
	Nesterov    bool    // look ahead along the velocity; needs Momentum and no Dampening
	WeightDecay float64 // L2 term added to the gradient, in [0, 100]
	Options
}

// SGDDefaults returns PyTorch's defaults: a learning rate of 1e-3, and nothing
// else.
func SGDDefaults() SGDConfig { return SGDConfig{LR: 1e-3} }

// SGD is stochastic gradient descent with momentum, as torch.optim.SGD has it.
// With d = g + WeightDecay*w for a gradient g, and v = d in the first step:
//
//	v = Momentum*v + (1-Dampening)*d
//	w = w - LR*v                  or, with Nesterov,  w = w - LR*(d + Momentum*v)
//
// It keeps v, 4 bytes a weight; with a Momentum of 0 nothing, and w = w - LR*d.
type SGD struct {
	core
	config SGDConfig
}

// NewSGD returns an optimizer for the model's parameters.
func NewSGD(m Model, c SGDConfig) (*SGD, error) {
	const name = "SGD"
	err := checkSettings(name,
		setting{"Momentum", c.Momentum, decay},
		setting{"Dampening", c.Dampening, fraction},
		setting{"WeightDecay", c.WeightDecay, weightDecay})
	if err != nil {
		return nil, err
	}
	if c.Nesterov && (c.Momentum == 0 || c.Dampening != 0) {
		return nil, fmt.Errorf("optim: SGD: Nesterov with Momentum %v and Dampening %v: want a momentum and no dampening", c.Momentum, c.Dampening)
	}
	o := &SGD{config: c}
	err = o.init(m, o, name, settings{c.LR, o.maxLR(c.Momentum), c.WeightDecay, maxGradient, c.Options})
	if err != nil {
		return nil, err
	}
	if c.Momentum > 0 {
		o.keep(moment{name: "velocity"})
	}
	return o, nil
}

func (o *SGD) maxLR(momentum float64) float64 { return maxRate(maxGradient, 2/(1-momentum)) }

// SetMomentum changes Momentum from the next step on, for a [Schedule] of it. It
// fails on an optimizer that has no momentum, and where the configuration would.
func (o *SGD) SetMomentum(momentum float64) error {
	if o.config.Momentum == 0 || momentum == 0 {
		return fmt.Errorf("optim: SGD: SetMomentum from %v to %v: want both above 0", o.config.Momentum, momentum)
	}
	return o.setMomentum(&o.config.Momentum, "Momentum", momentum, o.maxLR(momentum))
}

func (o *SGD) update(s *slot, lo, hi int) {
	c, lr := &o.config, float32(o.rate(s))
	w, g := s.param.Value[lo:hi], s.grad[lo:hi]
	if c.Momentum == 0 {
		_, keep := o.split(s, c.WeightDecay, true) // with no momentum it is the same
		kernels.ScaleAdd(w, g, w, -lr, keep)
		return
	}
	scalars := kernels.SGDParams{Momentum: float32(c.Momentum), Add: 1, VelPart: 1, LR: lr}
	scalars.WeightDecay, _ = o.split(s, c.WeightDecay, false)
	if c.Nesterov {
		scalars.GradPart, scalars.VelPart = 1, scalars.Momentum
	}
	if s.steps > 1 {
		scalars.Add = float32(1 - c.Dampening)
	}
	kernels.SGDStep(w, s.moments[0][lo:hi], g, scalars)
}
