package optim

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// SGDConfig is the configuration of [SGD].
type SGDConfig struct {
	LR          float64 // learning rate, 0 or more
	Momentum    float64 // decay of the velocity, in [0, 1)
	Dampening   float64 // the new gradient enters the velocity times 1-Dampening, in [0, 1]
	Nesterov    bool    // look ahead along the velocity; needs Momentum and no Dampening
	WeightDecay float64 // L2 term added to the gradient, 0 or more
}

// SGDDefaults returns PyTorch's defaults: a learning rate of 1e-3, and nothing
// else.
func SGDDefaults() SGDConfig { return SGDConfig{LR: 1e-3} }

// SGD is stochastic gradient descent with momentum, as torch.optim.SGD has it.
// With d = g + WeightDecay*w for a gradient g, and v = d in the first step and
// wherever Momentum is 0:
//
//	v = Momentum*v + (1-Dampening)*d
//	w = w - LR*v                  or, with Nesterov,  w = w - LR*(d + Momentum*v)
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
		setting{"WeightDecay", c.WeightDecay, size})
	if err != nil {
		return nil, err
	}
	if c.Nesterov && (c.Momentum == 0 || c.Dampening != 0) {
		return nil, fmt.Errorf("optim: SGD: Nesterov with Momentum %v and Dampening %v: want a momentum and no dampening", c.Momentum, c.Dampening)
	}
	base, err := newCore(m, name, c.LR, 1, "velocity")
	if err != nil {
		return nil, err
	}
	return &SGD{base, c}, nil
}

// Step does one step; see [Optimizer].
func (o *SGD) Step(p *kron.Pass) error {
	if err := o.checkGradients(p); err != nil {
		return err
	}
	scalars := kernels.SGDParams{
		Momentum:    float32(o.config.Momentum),
		VelPart:     1,
		LR:          float32(o.lr),
		WeightDecay: float32(o.config.WeightDecay),
	}
	if o.config.Nesterov {
		scalars.GradPart, scalars.VelPart = 1, scalars.Momentum
	}
	for _, g := range p.Gradients {
		s := o.begin(g.Param)
		if s == nil {
			continue
		}
		scalars.Add = 1
		if s.steps > 1 && o.config.Momentum > 0 {
			scalars.Add = float32(1 - o.config.Dampening)
		}
		kernels.SGDStep(g.Param.Value, s.moments[0], g.Data, scalars)
	}
	o.steps++
	return nil
}
