package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/adafisher-go/adafisher/bench/yardstick"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// A rule is one optimizer of the study. To add one is to add its entry to rules.
type rule struct {
	name  string
	about string // its settings, but for the learning rate
	rates rates  // learning rates to try

	// of names the rule that this one is a form of, and whose costs it has. A rule named
	// untuned is that one at its usual learning rate on every task: it has no runs of its
	// own either.
	of string

	// period is the number of steps after which the work of a step repeats; 0 is 1.
	period int

	build func(m *nn.Model, lr float64) (yardstick.Trainer, error)
}

// The names that the report speaks of. The yardstick of costs is reference.
const (
	reference = "Adam"
	adamW     = "AdamW"
	nesterov  = "SGD Nesterov"
	muon      = "Muon"
	published = "AdaFisher"

	calibrated    = "AdaFisher calibrated"
	calibratedRMS = "AdaFisher calibrated RMS"
)

// tcov is how often AdaFisher's factors are updated: the published 100 is more than
// an epoch of these tasks.
const tcov = 10

// What tells the name of a rule at its usual rate.
const untuned = " untuned"

func (r rule) untuned() bool { return r.name == r.of+untuned }

// runs names the rule whose runs are those of this one.
func (r rule) runs() string {
	if r.untuned() {
		return r.of
	}
	return r.name
}

const weightDecay = 0.01 // of all rules with decoupled weight decay

var rules = append(tuned, usual(nesterov), usual(adamW), usual(muon), usual(calibrated), usual(calibratedRMS))

// usual returns a rule without its trials.
func usual(name string) rule {
	r := tuned[slices.IndexFunc(tuned, func(r rule) bool { return r.name == name })]
	r.name, r.of, r.about = name+untuned, name, "as "+name+", with the same learning rate on every task"
	return r
}

var tuned = []rule{
	{
		name: "SGD", about: "momentum 0.9", rates: decades(1e-1),
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.SGDDefaults()
			c.LR, c.Momentum = lr, 0.9
			return plain(optim.NewSGD(m, c))
		},
	}, {
		name: nesterov, about: "momentum 0.9", rates: decades(1e-1),
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.SGDDefaults()
			c.LR, c.Momentum, c.Nesterov = lr, 0.9, true
			return plain(optim.NewSGD(m, c))
		},
	}, {
		name: "Adagrad", about: "the defaults of package optim", rates: decades(3e-2),
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.AdagradDefaults()
			c.LR = lr
			return plain(optim.NewAdagrad(m, c))
		},
	}, {
		name: "RMSprop", about: "the defaults of package optim", rates: decades(1e-3),
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.RMSPropDefaults()
			c.LR = lr
			return plain(optim.NewRMSProp(m, c))
		},
	}, {
		name: reference, about: "the defaults of package optim", rates: decades(3e-3),
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.AdamDefaults()
			c.LR = lr
			return plain(optim.NewAdam(m, c))
		},
	}, {
		name: adamW, about: "weight decay 0.01", rates: decades(3e-3),
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.AdamWDefaults()
			c.LR, c.WeightDecay = lr, weightDecay
			return plain(optim.NewAdamW(m, c))
		},
	}, {
		name: "AdamW centred", about: "AdamW on centred inputs, weight decay 0.01", rates: decades(3e-3),
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.AdamWDefaults()
			c.LR, c.WeightDecay = lr, weightDecay
			adam, err := optim.NewAdamW(m, c)
			if err != nil {
				return nil, err
			}
			return plain(optim.NewCentred(m, adam, optim.CentredGamma))
		},
	}, {
		name: "Lion", about: "weight decay 0.01", rates: decades(1e-3),
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.LionDefaults()
			c.LR, c.WeightDecay = lr, weightDecay
			return plain(optim.NewLion(m, c))
		},
	}, {
		name: muon, about: "weight decay 0.01; AdamW for embeddings, output layer, biases and normalisations", rates: decades(1e-2),
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.MuonDefaults()
			c.LR, c.WeightDecay, c.AdamW = lr, weightDecay, optim.NotHidden(m)
			return plain(optim.NewMuon(m, c))
		},
	}, {
		name: published, about: "published variant, factors every 10 steps", rates: decades(1e-3), period: tcov,
		build: adaFisher(kron.Published, false),
	}, {
		name: "AdaFisherW", about: "published variant, weight decay 0.01, factors every 10 steps", rates: decades(1e-3), period: tcov,
		build: adaFisher(kron.Published, true),
	}, {
		name: "AdaFisher paper", about: "the paper's printed algorithm, factors every 10 steps", rates: decades(1e-2), period: tcov,
		build: adaFisher(kron.Paper, false),
	}, {
		name: "AdaFisher paper-ema", about: "min-max first, then the paper's average, factors every 10 steps", rates: decades(3e-2), period: tcov,
		build: adaFisher(kron.PaperEMA, false),
	}, {
		name: calibrated, about: "the defaults of package optim", rates: rates{5, 15, -3},
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.CalibratedDefaults()
			c.LR = lr
			return plain(optim.NewCalibrated(m, c))
		},
	}, {
		name: calibratedRMS, about: "the RMS defaults of package optim", rates: decades(3e-3),
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := optim.CalibratedRMSDefaults()
			c.LR = lr
			return plain(optim.NewCalibrated(m, c))
		},
	}, {
		name: "K-FAC", about: "full factors every 10 steps, inverses every 50, damping 0.03, momentum 0.9, KL clip 1e-3", rates: decades(1e-1), period: 50,
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := yardstick.KFACDefaults()
			c.LR = lr
			return yardstick.NewKFAC(m, c)
		},
	}, {
		name: "Shampoo", about: "factors every 10 steps, roots every 50, momentum 0.9", rates: decades(1e-1), period: 50,
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := yardstick.ShampooDefaults()
			c.LR = lr
			s, err := yardstick.NewShampoo(m, c)
			if err != nil {
				return nil, err
			}
			return yardstick.NewTrainer(s), nil
		},
	}, {
		name: "AdaHessian", about: "Hessian every step by differences of gradients, betas 0.9 and 0.999", rates: rates{1.5, 5, -1},
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := yardstick.AdaHessianDefaults()
			c.LR = lr
			return yardstick.NewAdaHessian(m, c)
		},
	},
}

// trials returns the learning rates that the rule may try out of n.
func (r rule) trials(n int) []float64 {
	if r.of != "" {
		n = 1
	}
	return r.rates.trials(n)
}

// costs names the rule whose costs are those of this one.
func (r rule) costs() string { return cmp.Or(r.of, r.name) }

func plain(o optim.Optimizer, err error) (yardstick.Trainer, error) {
	if err != nil {
		return nil, err
	}
	return yardstick.NewTrainer(o), nil
}

func adaFisher(v kron.Variant, decoupled bool) func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
	return func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
		c := optim.AdaFisherDefaults()
		c.LR, c.Variant, c.TCov = lr, v, tcov
		if decoupled {
			c.WeightDecay = weightDecay
			return plain(optim.NewAdaFisherW(m, c))
		}
		return plain(optim.NewAdaFisher(m, c))
	}
}

// rates are learning rates of half a decade each: low and high, of one decade,
// times powers of ten. Number 0 is low in the given decade, or high if that is the
// centre.
type rates struct {
	low, high float64
	decade    int
}

// decades returns the rates 1 and 3 times the powers of ten, around a centre that
// is one of them.
func decades(centre float64) rates {
	d := int(math.Floor(math.Log10(centre) + 1e-9))
	if centre > 2*math.Pow10(d) {
		return rates{3, 10, d}
	}
	return rates{1, 3, d}
}

// at returns rate number k, half decades from the centre.
func (r rates) at(k int) float64 {
	digits := r.low
	if k%2 != 0 {
		digits = r.high
	}
	half := k
	if k%2 != 0 {
		half--
	}
	// Parsed, the number is the one nearest to its decimal name.
	v, err := strconv.ParseFloat(fmt.Sprintf("%ge%d", digits, r.decade+half/2), 64)
	if err != nil {
		panic(err) // the text is a number
	}
	return v
}

// trials returns n rates around the centre, n odd.
func (r rates) trials(n int) []float64 {
	var all []float64
	for k := -n / 2; k <= n/2; k++ {
		all = append(all, r.at(k))
	}
	return all
}

// number returns which rate lr is.
func (r rates) number(lr float64) (k int, ok bool) {
	for k := -20; k <= 20; k++ {
		if r.at(k) == lr {
			return k, true
		}
	}
	return 0, false
}

func ruleNamed(name string) (rule, error) {
	for _, list := range [][]rule{rules, ablations} {
		if i := slices.IndexFunc(list, func(r rule) bool { return r.name == name }); i >= 0 {
			return list[i], nil
		}
	}
	return rule{}, fmt.Errorf("unknown optimizer %q; -list names them", name)
}
