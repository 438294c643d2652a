package nn

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Conv are the options of [Conv2d]. Pairs are rows, then columns; see [Square].
type Conv struct {
	Kernel   [2]int
	Stride   [2]int // 0 is 1
	Padding  [2]int // zeros on each side
	Dilation [2]int // distance between the taps; 0 is 1
	Groups   int    // 0 is 1; as many as channels is a depthwise convolution
	NoBias   bool
}

// Square returns the pair of n rows and n columns.
func Square(n int) [2]int { return [2]int{n, n} }

// Conv2d describes a convolution of images [height, width, in], with out output
// channels. The weight is [kernel rows, kernel columns, in/groups, out].
func Conv2d(in, out int, c Conv) Layer { return conv{in, out, c} }

type conv struct {
	in, out int
	Conv
}

// convOrder brings a weight [kh, kw, in/groups, out] to PyTorch's [out,
// in/groups, kh, kw].
var convOrder = []int{3, 2, 0, 1}

func (l conv) kind() string { return "Conv2d" }

func (l conv) build(b *builder, in Shape) (module, Shape, error) {
	if len(in) != 3 || in.Features() != l.in {
		return nil, nil, fmt.Errorf("takes images of shape [height, width, %d], its input has shape %v", l.in, in)
	}
	c := kernels.Conv2d{
		H: in[0], W: in[1], C: l.in, Out: l.out,
		Kernel: l.Kernel, Stride: l.Stride, Padding: l.Padding, Dilation: l.Dilation, Groups: l.Groups,
	}
	if err := c.Check(); err != nil {
		return nil, nil, fmt.Errorf("%w; its input has shape %v", err, in)
	}
	m := &convModule{Conv2d: c}
	weight := b.weight(fanIn(c.PatchLen()), convOrder, l.Kernel[0], l.Kernel[1], l.in/max(l.Groups, 1), l.out)
	var bias *kron.Param
	if !l.NoBias {
		bias = b.bias(fanIn(c.PatchLen()), l.out)
	}
	m.Layer = b.factored(weight, bias)
	b.workspace(c.Scratch(1))
	return m, Shape{c.OutH(), c.OutW(), l.out}, nil
}

type convModule struct {
	kernels.Conv2d
	*kron.Layer
}

func (m *convModule) biases() []float32 {
	if m.Bias == nil {
		return nil
	}
	return m.Bias.Value
}

func (m *convModule) forwarder(p *plan) forwarder {
	f := &convForwarder{convModule: m}
	p.scratch(&f.scratch, m.Scratch(1))
	return f
}

type convForwarder struct {
	*convModule
	scratch []float32
}

func (f *convForwarder) forward(y, x []float32, _ int) {
	f.Forward(y, x, f.Weight.Value, f.biases(), f.scratch)
}

func (m *convModule) ignoresOutput() bool { return true }

func (m *convModule) trainer(p *plan) trainer {
	t := &convTrainer{convModule: m, session: p.session, workers: &p.session.workers}
	p.gradient(&t.dw, m.Weight)
	if m.Bias != nil {
		p.gradient(&t.db, m.Bias)
	}
	p.factors(&t.h, &t.s, m.Layer)
	p.mean(&t.mean, m.Layer)
	return t
}

type convTrainer struct {
	*convModule
	dw, db  []float32
	h, s    []float32
	mean    []float32
	session *Session
	workers *workers
}

func (t *convTrainer) forward(y, x []float32, _ int) {
	t.workers.pool.ConvForward(t.Conv2d, y, x, t.Weight.Value, t.biases(), t.workers.scratch)
}

func (t *convTrainer) backward(dx, dy, x, _ []float32, rows int, collect kron.Collect) error {
	pool, scratch := t.workers.pool, t.workers.scratch
	pool.ConvWeightGradient(t.Conv2d, t.dw, x, dy, scratch)
	if t.db != nil {
		pool.ColSums(t.db, dy)
	}
	if collect != kron.CollectNone && t.h != nil {
		pool.ConvPatchSumSquares(t.Conv2d, t.h[:t.PatchLen()], x, scratch)
		var err error
		if collect == kron.CollectMoments {
			pool.ConvPatchSums(t.Conv2d, t.mean, x, scratch)
			err = kron.Conv2dInputMoments(t.h, t.mean, t.Conv2d, rows)
		} else {
			err = kron.Conv2dInputFactor(t.h, t.Conv2d, rows)
		}
		if err != nil {
			return err
		}
		if err := kron.LinearOutputFactor(t.s, dy, len(dy)/len(t.s)); err != nil {
			return err
		}
	}
	if t.h != nil {
		t.session.show(t.Layer, &t.Conv2d, x, dy)
	}
	if dx != nil {
		pool.ConvInputGradient(t.Conv2d, dx, dy, t.Weight.Value, scratch)
	}
	return nil
}
