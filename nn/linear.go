package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Linear describes a fully connected layer with bias, y = x*W + b, on rows of
// in features. W is [in, out], b is [out].
func Linear(in, out int) Layer { return linear{in, out, true} }

// LinearNoBias describes a fully connected layer without bias, y = x*W.
func LinearNoBias(in, out int) Layer { return linear{in, out, false} }

type linear struct {
	in, out int
	bias    bool
}

func (l linear) kind() string { return "Linear" }

func (l linear) features() (in, out int, err error) {
	if l.in < 1 || l.out < 1 {
		return 0, 0, fmt.Errorf("%d features in, %d out: want at least 1 of each", l.in, l.out)
	}
	if product(l.in, l.out) > maxFloats {
		return 0, 0, fmt.Errorf("%d features in, %d out: more than %d weights", l.in, l.out, maxFloats)
	}
	return l.in, l.out, nil
}

func (l linear) build(m *Model, name string, _ int) module {
	k := &kron.Layer{Name: name, Weight: m.addParam(name+".weight", l.in, l.out)}
	if l.bias {
		k.Bias = m.addParam(name+".bias", l.out)
	}
	m.layers = append(m.layers, k)
	return linearModule{k, l.in, l.out}
}

type linearModule struct {
	*kron.Layer
	in, out int
}

// initialize draws weight and bias from U(-1/sqrt(in), 1/sqrt(in)).
func (l linearModule) initialize(r *rand.PCG) {
	bound := float32(1 / math.Sqrt(float64(l.in)))
	fillUniform(r, l.Weight.Value, bound)
	if l.Bias != nil {
		fillUniform(r, l.Bias.Value, bound)
	}
}

// fillUniform draws from the multiples of bound*2^-23 in [-bound, bound).
func fillUniform(r *rand.PCG, dst []float32, bound float32) {
	for i := range dst {
		k := int32(r.Uint64()>>40) - 1<<23
		dst[i] = float32(bound * float32(float32(k)*0x1p-23))
	}
}

func (l linearModule) forwarder(int) forwarder { return l }

// forward: Y[rows,out] = X[rows,in] * W[in,out] + b[out]
func (l linearModule) forward(y, x []float32, rows int) {
	l.biased().Multiply(kernels.NewMatrix(rows, l.out, y), kernels.NewMatrix(rows, l.in, x), l.weights())
}

// biased is the form of the forward product.
func (l linearModule) biased() (g kernels.Gemm) {
	if l.Bias != nil {
		g.Bias = l.Bias.Value
	}
	return g
}

func (l linearModule) weights() kernels.Matrix {
	return kernels.NewMatrix(l.in, l.out, l.Weight.Value)
}

func (l linearModule) trainer(s *Session) trainer {
	t := &linearTrainer{linearModule: l, dw: s.gradient(l.Weight), products: &s.products}
	if l.Bias != nil {
		t.db = s.gradient(l.Bias)
	}
	t.h, t.s = s.factors(l.Layer)
	return t
}

type linearTrainer struct {
	linearModule
	dw, db   []float32 // gradients of weight and bias
	h, s     []float32 // raw Kronecker factors
	products *products
}

func (t *linearTrainer) forward(y, x []float32, rows int) {
	t.products.multiply(t.biased(), kernels.NewMatrix(rows, t.out, y), kernels.NewMatrix(rows, t.in, x), t.weights())
}

// backward:
//
//	dW[in,out]  = X[rows,in]^T * dY[rows,out]
//	db[out]     = column sums of dY
//	dX[rows,in] = dY[rows,out] * W[in,out]^T
func (t *linearTrainer) backward(dx, dy, x, _ []float32, rows int, collect bool) error {
	in, out := kernels.NewMatrix(rows, t.in, x), kernels.NewMatrix(rows, t.out, dy)
	t.products.multiply(kernels.Gemm{TransA: true}, kernels.NewMatrix(t.in, t.out, t.dw), in, out)
	if t.db != nil {
		kernels.ColSums(t.db, dy)
	}
	if collect {
		if err := kron.LinearInputFactor(t.h, x, rows); err != nil {
			return err
		}
		if err := kron.LinearOutputFactor(t.s, dy, rows); err != nil {
			return err
		}
	}
	if dx != nil {
		t.products.multiply(kernels.Gemm{TransB: true}, kernels.NewMatrix(rows, t.in, dx), out, t.weights())
	}
	return nil
}
