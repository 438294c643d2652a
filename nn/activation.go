package nn

import (
	"math/rand/v2"

	"github.com/adafisher-go/adafisher/kernels"
)

// ReLU describes the rectifier, y = max(x, 0) element by element, with
// gradient 0 at 0. It keeps the number of features.
func ReLU() Layer { return relu }

// Tanh describes the hyperbolic tangent, element by element. It keeps the
// number of features.
func Tanh() Layer { return tanh }

var (
	relu = &activation{"ReLU", kernels.ReLU, kernels.ReLUBackward}
	tanh = &activation{"Tanh", kernels.Tanh, kernels.TanhBackward}
)

// activation is an element-wise function whose gradient follows from its
// output. It has no parameters and no state, so that it is its own module,
// forwarder and trainer.
type activation struct {
	name     string
	apply    func(y, x []float32)
	gradient func(dx, dy, y []float32)
}

func (a *activation) kind() string                       { return a.name }
func (a *activation) features() (in, out int, err error) { return 0, 0, nil }
func (a *activation) build(*Model, string, int) module   { return a }
func (a *activation) initialize(*rand.PCG)               {}
func (a *activation) forwarder(int) forwarder            { return a }
func (a *activation) trainer(*Session) trainer           { return a }

func (a *activation) forward(y, x []float32, _ int) { a.apply(y, x) }

func (a *activation) backward(dx, dy, _, y []float32, _ int, _ bool) error {
	if dx != nil {
		a.gradient(dx, dy, y)
	}
	return nil
}
