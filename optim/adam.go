package optim

import (
	"github.com/adafisher-go/adafisher/internal/float"
	"github.com/adafisher-go/adafisher/kernels"
)

// AdamConfig is the configuration of [Adam].
type AdamConfig struct {
	LR           float64 // learning rate, 0 or more
	Beta1, Beta2 float64 // decays of the first and second moment, in [0, 1)
	Epsilon      float64 // added to the root of the second moment, above 0
	WeightDecay  float64 // in [0, 100]: an L2 term in Adam, decoupled in AdamW
	AMSGrad      bool    // divide by the largest second moment so far
	Options
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

// Adam is Adam (Kingma and Ba, arXiv 1412.6980) or AdamW (Loshchilov and Hutter,
// arXiv 1711.05101), as torch.optim has them. In the k-th step of a parameter with
// gradient g, in Adam d = g + WeightDecay*w and in AdamW d = g:
//
//	m = Beta1*m + (1-Beta1)*d
//	v = Beta2*v + (1-Beta2)*d^2
//	w = w - LR * m/(1-Beta1^k) / (sqrt(v/(1-Beta2^k)) + Epsilon)
//
// AdamW first takes LR*WeightDecay*w from w. With AMSGrad (Reddi et al. 2018, "On
// the Convergence of Adam and Beyond") the largest v so far stands in its place.
//
// It keeps m and v, 8 bytes a weight, and 4 more with AMSGrad.
type Adam struct {
	core
	config    AdamConfig
	decoupled bool
}

// NewAdam returns an Adam optimizer for the model's parameters.
func NewAdam(m Model, c AdamConfig) (*Adam, error) { return newAdam(m, c, "Adam", false) }

// NewAdamW returns an AdamW optimizer for the model's parameters.
func NewAdamW(m Model, c AdamConfig) (*Adam, error) { return newAdam(m, c, "AdamW", true) }

func newAdam(m Model, c AdamConfig, name string, decoupled bool) (*Adam, error) {
	if err := checkAdam(name, c); err != nil {
		return nil, err
	}
	o := &Adam{config: c, decoupled: decoupled}
	err := o.init(m, o, name, settings{c.LR, o.maxLR(c.Beta1), c.WeightDecay, maxSquared, c.Options})
	if err != nil {
		return nil, err
	}
	if c.AMSGrad {
		o.stateRule += " AMSGrad"
		o.keep(firstMoment, secondMoment, moment{name: "largest_second_moment", square: true})
	} else {
		o.keep(firstMoment, secondMoment)
	}
	return o, nil
}

var (
	firstMoment  = moment{name: "first_moment"}
	secondMoment = moment{name: "second_moment", square: true}
)

func checkAdam(name string, c AdamConfig) error {
	return checkSettings(name,
		setting{"Beta1", c.Beta1, decay},
		setting{"Beta2", c.Beta2, decay},
		setting{"Epsilon", c.Epsilon, divisor},
		setting{"WeightDecay", c.WeightDecay, weightDecay})
}

func (o *Adam) maxLR(beta1 float64) float64 { return maxRate(maxSquared, 1/(1-beta1)/o.config.Epsilon) }

// SetMomentum changes Beta1 from the next step on, for a [Schedule] of it. It fails
// where the configuration would.
func (o *Adam) SetMomentum(beta1 float64) error {
	return o.setMomentum(&o.config.Beta1, "Beta1", beta1, o.maxLR(beta1))
}

func (o *Adam) update(s *slot, lo, hi int) { o.adam(s, lo, hi, &o.config, o.decoupled) }

// adam moves entries of a parameter that keeps Adam's moments.
func (c *core) adam(s *slot, lo, hi int, config *AdamConfig, decoupled bool) {
	scalars := kernels.AdamParams{
		Beta1:    float32(config.Beta1),
		Add1:     float32(1 - config.Beta1),
		Beta2:    float32(config.Beta2),
		Add2:     float32(1 - config.Beta2),
		Step:     float32(c.rate(s) / (1 - float.Power(config.Beta1, s.steps))),
		Correct2: float32(1 / (1 - float.Power(config.Beta2, s.steps))),
		Epsilon:  float32(config.Epsilon),
	}
	scalars.WeightDecay, scalars.Keep = c.split(s, config.WeightDecay, decoupled)
	w, g := s.param.Value[lo:hi], s.grad[lo:hi]
	m, v := s.moments[0][lo:hi], s.moments[1][lo:hi]
	if config.AMSGrad {
		kernels.AMSGradStep(w, m, v, s.moments[2][lo:hi], g, scalars)
	} else {
		kernels.AdamStep(w, m, v, g, scalars)
	}
}
