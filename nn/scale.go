package nn

import (
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Scale describes a learned factor for each feature, y = x*weight. The weight is
// [features], starts at 1 and has no Kronecker factors.
func Scale() Layer { return scale{} }

type scale struct{}

func (scale) kind() string { return "Scale" }

func (scale) build(b *builder, in Shape) (module, Shape, error) {
	return &scaleModule{b.param("weight", constant(1), nil, in.Features())}, in, nil
}

type scaleModule struct{ weight *kron.Param }

func (m *scaleModule) features() int { return m.weight.Shape[0] }

func (m *scaleModule) forwarder(p *plan) forwarder {
	f := &scaleForwarder{scaleModule: m}
	p.keep(&f.zeros, m.features())
	return f
}

type scaleForwarder struct {
	*scaleModule
	zeros []float32 // one a feature
}

func (f *scaleForwarder) forward(y, x []float32, _ int) {
	kernels.ColAffine(y, x, f.weight.Value, f.zeros)
}

func (m *scaleModule) ignoresOutput() bool { return true }

func (m *scaleModule) trainer(p *plan) trainer {
	t := &scaleTrainer{scaleForwarder: scaleForwarder{scaleModule: m}}
	p.keep(&t.zeros, m.features())
	p.scratch(&t.ones, m.features())
	p.scratch(&t.unused, m.features())
	p.gradient(&t.dw, m.weight)
	return t
}

type scaleTrainer struct {
	scaleForwarder
	dw           []float32
	ones, unused []float32
}

// backward takes the gradient of the weight from a normalisation with mean 0 and
// deviation 1, which sums the same products.
func (t *scaleTrainer) backward(dx, dy, x, _ []float32, _ int, _ kron.Collect) error {
	kernels.Fill(t.ones, 1)
	kernels.BatchNormBackward(nil, t.dw, t.unused, dy, x, t.zeros, t.ones, t.weight.Value)
	if dx != nil {
		kernels.ColAffine(dx, dy, t.weight.Value, t.zeros)
	}
	return nil
}
