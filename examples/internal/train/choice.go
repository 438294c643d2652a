package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/optim"
)

// A Choice is an optimizer and what an example chooses about it. The rest are
// the defaults of package optim, but for a momentum of 0.9 in SGD, a weight decay
// of 0.01 in AdaFisherW, Lion and Muon, and Muon's AdamW for [optim.NotHidden].
type Choice struct {
	Optimizer string // one of Optimizers
	LR        float64
	Variant   kron.Variant // AdaFisher and AdaFisherW alone
	TCov      int          // AdaFisher and AdaFisherW alone
}

const weightDecay = 0.01

var constructors = []struct {
	name     string
	factored bool // has Kronecker factors, and so a variant
	build    func(optim.Model, Choice) (optim.Optimizer, error)
}{
	{"AdaFisher", true, func(m optim.Model, c Choice) (optim.Optimizer, error) {
		return optim.NewAdaFisher(m, c.adaFisher())
	}},
	{"AdaFisherW", true, func(m optim.Model, c Choice) (optim.Optimizer, error) {
		config := c.adaFisher()
		config.WeightDecay = weightDecay
		return optim.NewAdaFisherW(m, config)
	}},
	{"Calibrated", false, func(m optim.Model, c Choice) (optim.Optimizer, error) {
		config := optim.CalibratedDefaults()
		config.LR = c.LR
		return optim.NewCalibrated(m, config)
	}},
	{"SGD", false, func(m optim.Model, c Choice) (optim.Optimizer, error) {
		config := optim.SGDDefaults()
		config.LR, config.Momentum = c.LR, 0.9
		return optim.NewSGD(m, config)
	}},
	{"Adam", false, func(m optim.Model, c Choice) (optim.Optimizer, error) {
		config := optim.AdamDefaults()
		config.LR = c.LR
		return optim.NewAdam(m, config)
	}},
	{"AdamW", false, func(m optim.Model, c Choice) (optim.Optimizer, error) {
		config := optim.AdamWDefaults()
		config.LR = c.LR
		return optim.NewAdamW(m, config)
	}},
	{"Adagrad", false, func(m optim.Model, c Choice) (optim.Optimizer, error) {
		config := optim.AdagradDefaults()
		config.LR = c.LR
		return optim.NewAdagrad(m, config)
	}},
	{"RMSprop", false, func(m optim.Model, c Choice) (optim.Optimizer, error) {
		config := optim.RMSPropDefaults()
		config.LR = c.LR
		return optim.NewRMSProp(m, config)
	}},
	{"Lion", false, func(m optim.Model, c Choice) (optim.Optimizer, error) {
		config := optim.LionDefaults()
		config.LR, config.WeightDecay = c.LR, weightDecay
		return optim.NewLion(m, config)
	}},
	{"Muon", false, func(m optim.Model, c Choice) (optim.Optimizer, error) {
		config := optim.MuonDefaults()
		config.LR, config.WeightDecay, config.AdamW = c.LR, weightDecay, optim.NotHidden(m)
		return optim.NewMuon(m, config)
	}},
}

// Optimizers returns the names that a Choice can have.
func Optimizers() []string {
	names := make([]string, len(constructors))
	for i, c := range constructors {
		names[i] = c.name
	}
	return names
}

// VariantName returns the name of the variant, or "" where the optimizer has
// none.
func (c Choice) VariantName() string {
	for _, k := range constructors {
		if k.name == c.Optimizer && k.factored {
			return c.Variant.String()
		}
	}
	return ""
}

// New returns the optimizer for a model.
func (c Choice) New(m optim.Model) (optim.Optimizer, error) {
	names := Optimizers()
	i := slices.Index(names, c.Optimizer)
	if i < 0 {
		return nil, fmt.Errorf("train: unknown optimizer %q: want one of %s", c.Optimizer, strings.Join(names, ", "))
	}
	return constructors[i].build(m, c)
}

func (c Choice) adaFisher() optim.AdaFisherConfig {
	config := optim.AdaFisherDefaults()
	config.LR, config.Variant, config.TCov = c.LR, c.Variant, c.TCov
	return config
}
