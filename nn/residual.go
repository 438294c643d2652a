package nn

import (
	"fmt"
	"slices"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Residual describes y = x + f(x), where f is the layers in order (He et al.,
// arXiv 1512.03385). f must keep the shape. The layers have names as in a
// [Sequential].
func Residual(layers ...Layer) Layer { return residual{nil, slices.Clone(layers)} }

// ResidualVia describes y = g(x) + f(x), where f is the layers in order and the
// shortcut g brings x to the shape of f(x): a 1x1 convolution where a block
// changes the number of channels. g is named "downsample", as in torchvision.
func ResidualVia(shortcut Layer, layers ...Layer) Layer {
	return residual{shortcut, slices.Clone(layers)}
}

type residual struct {
	shortcut Layer
	body     sequence
}

func (l residual) kind() string { return "Residual" }

func (l residual) build(b *builder, in Shape) (module, Shape, error) {
	b.first = false
	body, out, err := l.body.build(b, in)
	if err != nil {
		return nil, nil, err
	}
	m := &residualModule{body: body, in: in.Size(), out: out.Size()}
	short := in
	if l.shortcut != nil {
		g, err := b.layer("downsample", l.shortcut, in)
		if err != nil {
			return nil, nil, err
		}
		m.shortcut, short = g, g.out
	}
	if !slices.Equal(short, out) {
		return nil, nil, fmt.Errorf("its layers give shape %v, its shortcut %v", out, short)
	}
	return m, out, nil
}

type residualModule struct {
	body, shortcut module // shortcut is nil if it is the input itself
	in, out        int
}

func (m *residualModule) ignoresOutput() bool { return true }

func (m *residualModule) overwritesGradient() bool {
	return m.shortcut != nil && overwritesGradient(m.shortcut)
}

func (m *residualModule) forwarder(p *plan) forwarder {
	f := &residualForwarder{}
	if m.shortcut != nil {
		p.scratchRows(&f.buffer, m.out)
		f.shortcut = p.forwarder(m.shortcut)
	}
	f.body = p.forwarder(m.body)
	return f
}

type residualForwarder struct {
	body, shortcut forwarder
	buffer         []float32 // the shortcut's output
}

func (f *residualForwarder) forward(y, x []float32, rows int) {
	f.body.forward(y, x, rows)
	if f.shortcut == nil {
		kernels.Add(y, y, x)
		return
	}
	short := f.buffer[:len(y)]
	f.shortcut.forward(short, x, rows)
	kernels.Add(y, y, short)
}

func (m *residualModule) trainer(p *plan) trainer {
	t := &residualTrainer{workers: &p.session.workers}
	if !ignoresOutput(m.body) {
		p.keepRows(&t.fx, m.out)
	}
	if overwritesGradient(m.body) {
		p.scratchRows(&t.dfx, m.out)
	}
	if m.shortcut != nil {
		if ignoresOutput(m.shortcut) {
			p.scratchRows(&t.gx, m.out)
		} else {
			p.keepRows(&t.gx, m.out)
		}
		p.scratchRows(&t.delta, m.in)
		t.shortcut = p.trainer(m.shortcut)
	}
	t.body = p.trainer(m.body)
	return t
}

type residualTrainer struct {
	body, shortcut trainer
	fx             []float32 // output of the body; nil if y is its place
	gx             []float32 // output of the shortcut
	dfx            []float32 // gradient at the body's output, if the body overwrites it
	delta          []float32 // gradient at x through the shortcut
	workers        *workers
}

// bodyOutput is where the body stores its output: at first in y, if it can do without.
func (t *residualTrainer) bodyOutput(y []float32) []float32 {
	if t.fx == nil {
		return y
	}
	return t.fx[:len(y)]
}

func (t *residualTrainer) forward(y, x []float32, rows int) {
	fx, short := t.bodyOutput(y), x
	t.body.forward(fx, x, rows)
	if t.shortcut != nil {
		short = t.gx[:len(y)]
		t.shortcut.forward(short, x, rows)
	}
	t.workers.map2(kernels.Add, y, fx, short)
}

func (t *residualTrainer) backward(dx, dy, x, y []float32, rows int, collect kron.Collect) error {
	dfx := dy
	if t.dfx != nil {
		dfx = t.dfx[:len(dy)]
		t.workers.map1(kernels.Copy, dfx, dy)
	}
	if err := t.body.backward(dx, dfx, x, t.bodyOutput(y), rows, collect); err != nil {
		return err
	}
	if t.shortcut == nil {
		if dx != nil {
			t.workers.map2(kernels.Add, dx, dx, dy)
		}
		return nil
	}
	var delta []float32
	if dx != nil {
		delta = t.delta[:len(dx)]
	}
	if err := t.shortcut.backward(delta, dy, x, t.gx[:len(y)], rows, collect); err != nil {
		return err
	}
	if dx != nil {
		t.workers.map2(kernels.Add, dx, dx, delta)
	}
	return nil
}
