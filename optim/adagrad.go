package optim

import "github.com/adafisher-go/adafisher/kernels"

// AdagradConfig is the configuration of [Adagrad].
type AdagradConfig struct {
	LR          float64 // learning rate, 0 or more
	LRDecay     float64 // the learning rate of a parameter's k-th step is LR/(1+(k-1)*LRDecay), 0 or more
	Initial     float64 // what the sums of squares start from, 0 or more
	Epsilon     float64 // added to the root of the sum of squares, above 0
	WeightDecay float64 // L2 term added to the gradient, in [0, 100]
	Options
}

// AdagradDefaults returns PyTorch's defaults: a learning rate of 0.01, epsilon
// 1e-10, and nothing else.
func AdagradDefaults() AdagradConfig { return AdagradConfig{LR: 1e-2, Epsilon: 1e-10} }

// Adagrad is Adagrad (Duchi et al. 2011, "Adaptive Subgradient Methods for Online
// Learning and Stochastic Optimization"), as torch.optim.Adagrad has it. In the
// k-th step of a parameter with gradient g and d = g + WeightDecay*w:
//
//	s = s + d^2                   from Initial on
//	w = w - LR/(1+(k-1)*LRDecay) * d / (sqrt(s) + Epsilon)
//
// It keeps s, 4 bytes a weight.
type Adagrad struct {
	core
	config AdagradConfig
}

// NewAdagrad returns an optimizer for the model's parameters.
func NewAdagrad(m Model, c AdagradConfig) (*Adagrad, error) {
	const name = "Adagrad"
	err := checkSettings(name,
		setting{"LRDecay", c.LRDecay, size},
		setting{"Initial", c.Initial, size},
		setting{"Epsilon", c.Epsilon, divisor},
		setting{"WeightDecay", c.WeightDecay, weightDecay})
	if err != nil {
		return nil, err
	}
	o := &Adagrad{config: c}
	err = o.init(m, o, name, settings{c.LR, maxRate(maxSquared, 1/c.Epsilon), c.WeightDecay, maxSquared, c.Options})
	if err != nil {
		return nil, err
	}
	o.keep(moment{name: "sum_of_squares", square: true})
	for _, s := range o.slots {
		kernels.Fill(s.moments[0], float32(c.Initial))
	}
	return o, nil
}

func (o *Adagrad) update(s *slot, lo, hi int) {
	c := &o.config
	l2, _ := o.split(s, c.WeightDecay, false)
	kernels.AdagradStep(s.param.Value[lo:hi], s.moments[0][lo:hi], s.grad[lo:hi], kernels.AdagradParams{
		Step:        float32(o.rate(s) / (1 + float64(float64(s.steps-1)*c.LRDecay))),
		Epsilon:     float32(c.Epsilon),
		WeightDecay: l2,
	})
}
