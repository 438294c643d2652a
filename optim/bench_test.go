package optim_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/optim"
)

// BenchmarkStep reports the step of each optimizer on one square layer, at every
// level, from cache to memory. Bytes are those that the update itself moves:
// weight and moments in and out, and the gradient in. The check that the
// gradient is finite reads it once more.
func BenchmarkStep(b *testing.B) {
	fisher := optim.AdaFisherDefaults()
	for _, o := range []struct {
		name      string
		bytes     int64 // a weight
		construct func(optim.Model) (optim.Optimizer, error)
	}{
		{"AdaFisher", 20, func(m optim.Model) (optim.Optimizer, error) { return optim.NewAdaFisher(m, fisher) }},
		{"Calibrated", 24, func(m optim.Model) (optim.Optimizer, error) {
			return optim.NewCalibrated(m, optim.CalibratedDefaults())
		}},
		{"Calibrated RMS", 28, func(m optim.Model) (optim.Optimizer, error) {
			return optim.NewCalibrated(m, optim.CalibratedRMSDefaults())
		}},
		{"AdaFisherW", 20, func(m optim.Model) (optim.Optimizer, error) { return optim.NewAdaFisherW(m, fisher) }},
		{"SGD", 20, func(m optim.Model) (optim.Optimizer, error) {
			return optim.NewSGD(m, optim.SGDConfig{LR: 1e-3, Momentum: 0.9})
		}},
		{"Adam", 28, func(m optim.Model) (optim.Optimizer, error) { return optim.NewAdam(m, optim.AdamDefaults()) }},
		{"AdamW", 28, func(m optim.Model) (optim.Optimizer, error) { return optim.NewAdamW(m, optim.AdamWDefaults()) }},
		{"AMSGrad", 36, func(m optim.Model) (optim.Optimizer, error) {
			c := optim.AdamDefaults()
			c.AMSGrad = true
			return optim.NewAdam(m, c)
		}},
		{"Adagrad", 20, func(m optim.Model) (optim.Optimizer, error) { return optim.NewAdagrad(m, optim.AdagradDefaults()) }},
		{"RMSprop", 20, func(m optim.Model) (optim.Optimizer, error) { return optim.NewRMSProp(m, optim.RMSPropDefaults()) }},
		{"Lion", 20, func(m optim.Model) (optim.Optimizer, error) { return optim.NewLion(m, optim.LionDefaults()) }},
	} {
		for _, level := range kernels.Levels() {
			for _, size := range []int{32, 256, 2048} {
				b.Run(fmt.Sprintf("%s/%v/%dx%d", o.name, level, size, size), func(b *testing.B) {
					was := kernels.CurrentLevel()
					require.NoError(b, kernels.SetLevel(level))
					defer func() { require.NoError(b, kernels.SetLevel(was)) }()
					rng := rand.New(rand.NewPCG(24, 18))
					l := &kron.Layer{Name: "0", Weight: newParam(rng, "0.weight", size, size)}
					n := &network{[]*kron.Param{l.Weight}, []*kron.Layer{l}}
					pass := n.pass(rng)
					opt, err := o.construct(n)
					require.NoError(b, err)
					b.SetBytes(o.bytes * int64(size) * int64(size))
					b.ReportAllocs()
					for b.Loop() {
						if err := opt.Step(pass); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
