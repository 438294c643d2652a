package optim

import (
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// AdamConfig is the configuration of [Adam].
type AdamConfig struct {
	LR           float64 // learning rate, 0 or more
	Beta1, Beta2 float64 // decays of the first and second moment, in [0, 1)
	Epsilon      float64 // added to the root of the second moment, above 0
	WeightDecay  float64 // 0 or more: an L2 term in Adam, decoupled in AdamW
}

// AdamDefaults returns PyTorch's defaults: a learning rate of 1e-3, betas 0.9
// and 0.999, epsilon 1e-8, no weight decay.
func AdamDefaults() AdamConfig {
	return AdamConfig{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
}

// AdamWDefaults returns PyTorch's defaults: those of Adam, and a weight decay of
// 0.01.
func AdamWDefaults() AdamConfig {
	c := AdamDefaults()
	c.WeightDecay = 0.01
	return c
}

// Adam is Adam (arXiv 1412.6980) or AdamW (arXiv 1711.05101), as torch.optim has
// them. In the k-th step of a parameter with gradient g, in Adam d = g +
// WeightDecay*w and in AdamW d = g:
//
//	m = Beta1*m + (1-Beta1)*d
//	v = Beta2*v + (1-Beta2)*d^2
//	w = w - LR * m/(1-Beta1^k) / (sqrt(v/(1-Beta2^k)) + Epsilon)
//
// AdamW first takes LR*WeightDecay*w from w.
type Adam struct {
	core
	config    AdamConfig
	decoupled bool
}

const secondMoment = "second_moment"

// NewAdam returns an Adam optimizer for the model's parameters.
func NewAdam(m Model, c AdamConfig) (*Adam, error) { return newAdam(m, c, "Adam", false) }

// NewAdamW returns an AdamW optimizer for the model's parameters.
func NewAdamW(m Model, c AdamConfig) (*Adam, error) { return newAdam(m, c, "AdamW", true) }

func newAdam(m Model, c AdamConfig, name string, decoupled bool) (*Adam, error) {
	err := checkSettings(name,
		setting{"Beta1", c.Beta1, decay},
		setting{"Beta2", c.Beta2, decay},
		setting{"Epsilon", c.Epsilon, divisor},
		setting{"WeightDecay", c.WeightDecay, size})
	if err != nil {
		return nil, err
	}
	base, err := newCore(m, name, c.LR, max(1/(1-c.Beta1), c.WeightDecay), "first_moment", secondMoment)
	if err != nil {
		return nil, err
	}
	return &Adam{base, c, decoupled}, nil
}

// Step does one step; see [Optimizer].
func (o *Adam) Step(p *kron.Pass) error {
	if err := o.checkGradients(p); err != nil {
		return err
	}
	c := &o.config
	scalars := kernels.AdamParams{
		Beta1:       float32(c.Beta1),
		Add1:        float32(1 - c.Beta1),
		Beta2:       float32(c.Beta2),
		Add2:        float32(1 - c.Beta2),
		Epsilon:     float32(c.Epsilon),
		WeightDecay: float32(c.WeightDecay),
		Keep:        1,
	}
	if o.decoupled {
		scalars.WeightDecay, scalars.Keep = 0, float32(1-float64(o.lr*c.WeightDecay))
	}
	for _, g := range p.Gradients {
		s := o.begin(g.Param)
		if s == nil {
			continue
		}
		scalars.Step = float32(o.lr / (1 - power(c.Beta1, s.steps)))
		scalars.Correct2 = float32(1 / (1 - power(c.Beta2, s.steps)))
		kernels.AdamStep(g.Param.Value, s.moments[0], s.moments[1], g.Data, scalars)
	}
	o.steps++
	return nil
}
