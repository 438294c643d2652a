package optim

import "github.com/adafisher-go/adafisher/kernels"

// LionConfig is the configuration of [Lion].
type LionConfig struct {
	LR          float64 // learning rate, 0 or more
	Beta1       float64 // weight of the momentum in the update, in [0, 1)
	Beta2       float64 // decay of the momentum, in [0, 1)
	WeightDecay float64 // decoupled, in [0, 100]
	Options
}

// LionDefaults returns the authors' defaults: a learning rate of 1e-4, betas 0.9
// and 0.99, no weight decay. They advise a learning rate 3 to 10 times smaller than
// AdamW's, and a weight decay as many times larger.
func LionDefaults() LionConfig { return LionConfig{LR: 1e-4, Beta1: 0.9, Beta2: 0.99} }

// Lion is Lion (Chen et al. 2023, arXiv 2302.06675). With a gradient g:
//
//	u = sign(Beta1*m + (1-Beta1)*g)
//	m = Beta2*m + (1-Beta2)*g
//	w = w - LR*(u + WeightDecay*w)
//
// It keeps m, 4 bytes a weight.
type Lion struct {
	core
	config LionConfig
}

// NewLion returns an optimizer for the model's parameters.
func NewLion(m Model, c LionConfig) (*Lion, error) {
	const name = "Lion"
	err := checkSettings(name,
		setting{"Beta1", c.Beta1, decay},
		setting{"Beta2", c.Beta2, decay},
		setting{"WeightDecay", c.WeightDecay, weightDecay})
	if err != nil {
		return nil, err
	}
	o := &Lion{config: c}
	if err := o.init(m, o, name, settings{c.LR, maxRate(1, 1), c.WeightDecay, maxGradient, c.Options}); err != nil {
		return nil, err
	}
	o.keep(moment{name: "momentum"})
	return o, nil
}

func (o *Lion) update(s *slot, lo, hi int) {
	c := &o.config
	_, keep := o.split(s, c.WeightDecay, true)
	kernels.LionStep(s.param.Value[lo:hi], s.moments[0][lo:hi], s.grad[lo:hi], kernels.LionParams{
		Beta1: float32(c.Beta1),
		Add1:  float32(1 - c.Beta1),
		Beta2: float32(c.Beta2),
		Add2:  float32(1 - c.Beta2),
		Step:  float32(o.rate(s)),
		Keep:  keep,
	})
}
