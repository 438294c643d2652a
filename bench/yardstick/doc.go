// Package yardstick has the optimizers with curvature that AdaFisher is compared
// with: K-FAC with full Kronecker factors, Shampoo and AdaHessian; and one without,
// that says what the curvature is worth. They are written
// for a fair race, on the library's kernels, but are no part of the library: what
// they allocate, and what they refuse, is what the study needs.
//
// All take a [nn.Model] as package optim does, and are for one session at a time.
package yardstick

import (
	"errors"
	"fmt"
	"math"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// A Trainer takes whole training steps, because it needs more of the network than
// the one pass that a [nn.Stepper] gets. The loss is the softmax cross entropy.
type Trainer interface {
	// Train does one step on a batch of the session that the trainer belongs to, and
	// returns the loss before it. Where it fails no parameter has moved.
	Train(s *nn.Session, x []float32, labels []int) (loss float32, err error)

	// SetLR changes the learning rate from the next step on.
	SetLR(lr float64) error
}

// NewTrainer returns the trainer that a stepper is by itself.
func NewTrainer(s Stepper) Trainer { return plain{s} }

// A Stepper is a [nn.Stepper] whose learning rate can change, as all optimizers of
// package optim are.
type Stepper interface {
	nn.Stepper
	SetLR(lr float64) error
}

type plain struct{ Stepper }

// Unwrap returns the stepper.
func (p plain) Unwrap() Stepper { return p.Stepper }

func (p plain) Train(s *nn.Session, x []float32, labels []int) (float32, error) {
	return s.TrainSoftmaxCrossEntropy(p.Stepper, x, labels)
}

// rate is a learning rate.
type rate struct {
	name string
	lr   float64
}

func (r *rate) SetLR(lr float64) error {
	if !(lr >= 0 && lr <= 1e6) {
		return fmt.Errorf("yardstick: %s: LR is %v: want a number in [0, 1e6]", r.name, lr)
	}
	r.lr = lr
	return nil
}

// NeedsStatistics is [kron.CollectNone]: none of the optimizers reads any.
func (r *rate) NeedsStatistics() kron.Collect { return kron.CollectNone }

// in returns an error unless each value lies in its range.
func (r *rate) in(values ...limits) error {
	for _, v := range values {
		if !(v.value >= v.low && v.value <= v.high) {
			return fmt.Errorf("yardstick: %s: %s is %v: want a number in [%v, %v]", r.name, v.name, v.value, v.low, v.high)
		}
	}
	return r.SetLR(r.lr)
}

type limits struct {
	name             string
	value, low, high float64
}

const (
	largestDecay = 1 - 0x1p-24
	tiny         = 0x1p-126
	many         = 1 << 30
)

var errNoModel = errors.New("yardstick: there is no model")

// checkPass returns an error if a gradient is not finite, or is not the one of the
// parameter at its place.
func checkPass(name string, p *kron.Pass, params []*kron.Param) error {
	if p == nil || len(p.Gradients) != len(params) {
		return fmt.Errorf("yardstick: %s: the pass is not one of the model", name)
	}
	for i, g := range p.Gradients {
		if g.Param != params[i] || len(g.Data) != len(params[i].Value) {
			return fmt.Errorf("yardstick: %s: gradient %d of the pass is not that of %s", name, i, params[i].Name)
		}
		if !kernels.AllFinite(g.Data) {
			return fmt.Errorf("yardstick: %s: the gradient of %s is not finite", name, g.Param.Name)
		}
	}
	return nil
}

// power returns b^k.
func power(b float64, k int64) float64 { return math.Pow(b, float64(k)) }
