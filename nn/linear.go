package nn

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Linear describes a fully connected layer with bias, y = x*W + b, on the in
// features of each position. W is [in, out], b is [out].
func Linear(in, out int) Layer { return linear{in, out, true} }

// LinearNoBias describes a fully connected layer without bias, y = x*W.
func LinearNoBias(in, out int) Layer { return linear{in, out, false} }

type linear struct {
	in, out int
	bias    bool
}

func (l linear) kind() string { return "Linear" }

func (l linear) check() error {
	if l.in < 1 || l.out < 1 {
		return fmt.Errorf("%d features in, %d out: want at least 1 of each", l.in, l.out)
	}
	if product(l.in, l.out) > maxFloats {
		return fmt.Errorf("%d features in, %d out: more than %d weights", l.in, l.out, maxFloats)
	}
	return nil
}

// linearOrder brings a weight [in, out] to PyTorch's [out, in].
var linearOrder = []int{1, 0}

func (l linear) build(b *builder, in Shape) (module, Shape, error) {
	if err := l.check(); err != nil {
		return nil, nil, err
	}
	if in.Features() != l.in {
		return nil, nil, fmt.Errorf("takes %d features, its input has shape %v", l.in, in)
	}
	weight := b.weight(fanIn(l.in), linearOrder, l.in, l.out)
	var bias *kron.Param
	if l.bias {
		bias = b.bias(fanIn(l.in), l.out)
	}
	b.workspace(linearScratch(l.in, l.out))
	w := &linearWeight{param: weight, in: l.in, out: l.out}
	b.model.linears = append(b.model.linears, w)
	return linearModule{Layer: b.factored(weight, bias), weight: w, positions: in.Positions()}, in.withFeatures(l.out), nil
}

// largeWeight is the number of weights in a layer from which on its products are
// faster with the larger workspace.
const largeWeight = 1 << 16

func linearScratch(in, out int) int {
	if in*out >= largeWeight {
		return kernels.GemmScratchLarge
	}
	return kernels.GemmScratch
}

// linearModule is a linear layer, with an activation f that products apply to their
// outputs, if any.
type linearModule struct {
	*kron.Layer
	weight     *linearWeight
	positions  int // of a sample
	activation kernels.Activation
}

func (l linearModule) ignoresOutput() bool { return true }

func (l linearModule) forwarder(p *plan) forwarder {
	f := &linearForwarder{linearModule: l}
	if p.float16 {
		p.scratch(&f.scratch, kernels.GemmScratch)
	}
	return f
}

type linearForwarder struct {
	linearModule
	scratch []float32
}

// forward: Y[rows,out] = f(X[rows,in] * W[in,out] + b[out]), where each position of
// a sample is a row
func (f *linearForwarder) forward(y, x []float32, rows int) {
	g := f.form()
	g.Scratch = f.scratch
	f.weight.multiply(g, f.outputs(y, rows), f.inputs(x, rows))
}

func (l linearModule) inputs(x []float32, rows int) kernels.Matrix {
	return kernels.NewMatrix(rows*l.positions, l.weight.in, x)
}

func (l linearModule) outputs(y []float32, rows int) kernels.Matrix {
	return kernels.NewMatrix(rows*l.positions, l.weight.out, y)
}

// form is that of the forward product.
func (l linearModule) form() kernels.Gemm {
	g := kernels.Gemm{Activation: l.activation}
	if l.Bias != nil {
		g.Bias = l.Bias.Value
	}
	return g
}

func (l linearModule) trainer(p *plan) trainer {
	t := &linearTrainer{linearModule: l, session: p.session, workers: &p.session.workers}
	p.gradient(&t.dw, l.Weight)
	if l.Bias != nil {
		p.gradient(&t.db, l.Bias)
	}
	p.factors(&t.h, &t.s, l.Layer)
	p.mean(&t.mean, l.Layer)
	return t
}

type linearTrainer struct {
	linearModule
	dw, db  []float32 // gradients of weight and bias
	h, s    []float32 // statistics, nil if unfactored
	mean    []float32 // of the inputs, likewise
	session *Session
	workers *workers
}

func (t *linearTrainer) forward(y, x []float32, rows int) {
	t.workers.multiply(t.form(), t.outputs(y, rows), t.inputs(x, rows), t.weight.matrix())
}

// backward:
//
//	dW[in,out]  = X[rows,in]^T * dY[rows,out]
//	db[out]     = column sums of dY
//	dX[rows,in] = dY[rows,out] * W[in,out]^T
func (t *linearTrainer) backward(dx, dy, x, _ []float32, rows int, collect kron.Collect) error {
	in, out := t.inputs(x, rows), t.outputs(dy, rows)
	t.workers.multiply(kernels.Gemm{TransA: true}, kernels.NewMatrix(t.weight.in, t.weight.out, t.dw), in, out)
	if t.db != nil {
		t.workers.pool.ColSums(t.db, dy)
	}
	if collect != kron.CollectNone && t.h != nil {
		var err error
		if collect == kron.CollectMoments {
			err = kron.LinearInputMoments(t.h, t.mean, x, in.Rows)
		} else {
			err = kron.LinearInputFactor(t.h, x, in.Rows)
		}
		if err != nil {
			return err
		}
		if err := kron.LinearOutputFactor(t.s, dy, out.Rows); err != nil {
			return err
		}
	}
	if t.h != nil {
		t.session.show(t.Layer, nil, x, dy)
	}
	if dx != nil {
		t.workers.multiply(kernels.Gemm{TransB: true}, t.inputs(dx, rows), out, t.weight.matrix())
	}
	return nil
}
