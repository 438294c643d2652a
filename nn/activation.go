package nn

import (
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// ReLU describes the rectifier, y = max(x, 0) element by element, with
// gradient 0 at 0. Like all activations it keeps the shape.
func ReLU() Layer { return relu }

// Tanh describes the hyperbolic tangent, element by element.
func Tanh() Layer { return tanh }

// Sigmoid describes the logistic function, y = 1/(1+exp(-x)), element by element.
func Sigmoid() Layer { return sigmoid }

// SiLU describes y = x/(1+exp(-x)), element by element; also called swish.
func SiLU() Layer { return silu }

// GELU describes y = x*P(X <= x) for a standard normal X, element by element
// (arXiv 1606.08415).
func GELU() Layer { return gelu }

// GELUTanh describes the approximation of [GELU] by a tanh that GPT-2 and BERT
// use.
func GELUTanh() Layer { return geluTanh }

var (
	relu     = &activation{"ReLU", kernels.ReLU, kernels.ActivationReLU, kernels.ReLUBackward, true, onnxOperator("Relu")}
	tanh     = &activation{"Tanh", kernels.Tanh, kernels.ActivationTanh, kernels.TanhBackward, true, onnxOperator("Tanh")}
	sigmoid  = &activation{"Sigmoid", kernels.Sigmoid, kernels.ActivationSigmoid, kernels.SigmoidBackward, true, onnxOperator("Sigmoid")}
	silu     = &activation{"SiLU", kernels.SiLU, kernels.ActivationSiLU, kernels.SiLUBackward, false, onnxSiLU}
	gelu     = &activation{"GELU", kernels.GELU, kernels.ActivationGELU, kernels.GELUBackward, false, onnxGELU}
	geluTanh = &activation{"GELUTanh", kernels.GELUTanh, kernels.ActivationGELUTanh, kernels.GELUTanhBackward, false, onnxGELUTanh}
)

// activation is an element-wise function. It has no parameters and no state, so
// that it is its own module and forwarder.
type activation struct {
	name       string
	apply      func(y, x []float32)
	fused      kernels.Activation // the same, in a product
	gradient   func(dx, dy, at []float32)
	fromOutput bool // the gradient follows from the output, not from the input

	// nodes adds those of the function to a graph; nil if ONNX has none.
	nodes func(g *onnxGraph, x string) string
}

func (a *activation) kind() string { return a.name }

func (a *activation) build(_ *builder, in Shape) (module, Shape, error) { return a, in, nil }

func (a *activation) ignoresOutput() bool { return !a.fromOutput }

func (a *activation) forwarder(*plan) forwarder { return a }

func (a *activation) forward(y, x []float32, _ int) { a.apply(y, x) }

func (a *activation) trainer(p *plan) trainer {
	return &activationTrainer{a, &p.session.workers}
}

type activationTrainer struct {
	*activation
	workers *workers
}

func (t *activationTrainer) forward(y, x []float32, _ int) { t.workers.map1(t.apply, y, x) }

func (t *activationTrainer) backward(dx, dy, x, y []float32, _ int, _ kron.Collect) error {
	if dx == nil {
		return nil
	}
	at := x
	if t.fromOutput {
		at = y
	}
	t.workers.map2(t.gradient, dx, dy, at)
	return nil
}
