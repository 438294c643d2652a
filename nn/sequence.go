package nn

import (
	"errors"
	"slices"
	"strconv"

	"github.com/adafisher-go/adafisher/kron"
)

// Sequential describes layers in order, as one layer. Each is known by its
// index among them, or by the name that [Named] gives it: in a Sequential that
// is itself layer 1, the parameters of the first are "1.0.weight" and so on.
func Sequential(layers ...Layer) Layer { return sequence(slices.Clone(layers)) }

type sequence []Layer

func (l sequence) kind() string { return "Sequential" }

func (l sequence) build(b *builder, in Shape) (module, Shape, error) {
	if len(l) == 0 {
		return nil, nil, errors.New("a sequence needs at least one layer")
	}
	m := &sequenceModule{}
	first := b.first
	for i, inner := range l {
		b.first = first && i == 0
		c, err := b.layer(strconv.Itoa(i), inner, in)
		if err != nil {
			return nil, nil, err
		}
		m.children = append(m.children, c)
		m.stage(c)
		in = c.out
	}
	return m, in, nil
}

type sequenceModule struct {
	children []module
	stages   []passes        // of the same, some of them fused
	sizes    []int           // of a sample of each stage's output
	params   [][]*kron.Param // of each stage
}

// stage adds the next child to the stages.
func (m *sequenceModule) stage(c built) {
	if last := len(m.stages) - 1; last >= 0 {
		if f, ok := m.stages[last].(fuser); ok {
			if both, ok := f.fuse(c.module); ok {
				m.stages[last], m.sizes[last] = both, c.out.Size()
				m.params[last] = slices.Concat(m.params[last], c.params)
				return
			}
		}
	}
	m.stages = append(m.stages, c.module)
	m.sizes = append(m.sizes, c.out.Size())
	m.params = append(m.params, c.params)
}

// trains returns the first stage with a parameter that is not frozen, or their number.
func (m *sequenceModule) trains() int {
	for i, params := range m.params {
		if slices.ContainsFunc(params, func(p *kron.Param) bool { return !p.Frozen }) {
			return i
		}
	}
	return len(m.params)
}

func (m *sequenceModule) last() int { return len(m.stages) - 1 }

// widest returns the largest output of the stages before the last, of those
// whose index is a multiple of step from first on.
func (m *sequenceModule) widest(first, step int) int {
	n := 0
	for i := first; i < m.last(); i += step {
		n = max(n, m.sizes[i])
	}
	return n
}

func (m *sequenceModule) ignoresOutput() bool { return ignoresOutput(m.stages[m.last()]) }

func (m *sequenceModule) overwritesGradient() bool { return overwritesGradient(m.stages[m.last()]) }

func (m *sequenceModule) forwarder(p *plan) forwarder {
	f := &sequenceForwarder{sequenceModule: m}
	for turn := range f.buffers {
		p.scratchRows(&f.buffers[turn], m.widest(turn, 2))
	}
	for _, c := range m.stages {
		f.forwarders = append(f.forwarders, p.forwarder(c))
	}
	return f
}

type sequenceForwarder struct {
	*sequenceModule
	forwarders []forwarder
	buffers    [2][]float32 // outputs of the stages before the last, in turns
}

func (f *sequenceForwarder) forward(y, x []float32, rows int) {
	for i, c := range f.forwarders {
		out := y
		if i < f.last() {
			out = f.buffers[i%2][:rows*f.sizes[i]]
		}
		c.forward(out, x, rows)
		x = out
	}
}

func (m *sequenceModule) trainer(p *plan) trainer {
	t := &sequenceTrainer{sequenceModule: m, session: p.session, outputs: make([][]float32, m.last())}
	for i := range t.outputs {
		p.keepRows(&t.outputs[i], m.sizes[i])
	}
	for turn := range t.deltas {
		p.scratchRows(&t.deltas[turn], m.widest(turn, 2))
	}
	for _, c := range m.stages {
		t.trainers = append(t.trainers, p.trainer(c))
	}
	return t
}

type sequenceTrainer struct {
	*sequenceModule
	session  *Session
	trainers []trainer
	outputs  [][]float32  // of the stages before the last
	deltas   [2][]float32 // gradients there, in turns
}

func (t *sequenceTrainer) forward(y, x []float32, rows int) {
	for i, c := range t.trainers {
		out := y
		if i < t.last() {
			out = t.outputs[i][:rows*t.sizes[i]]
		}
		c.forward(out, x, rows)
		x = out
	}
}

func (t *sequenceTrainer) backward(dx, dy, x, y []float32, rows int, collect kron.Collect) error {
	stop := 0
	if dx == nil {
		stop = t.trains()
		for _, params := range t.params[:stop] {
			t.session.skip(params)
		}
	}
	for i := t.last(); i >= stop; i-- {
		in, din := x, dx
		if i > 0 {
			in, din = t.outputs[i-1][:rows*t.sizes[i-1]], nil
			if i > stop {
				din = t.deltas[(i-1)%2][:len(in)]
			}
		}
		if err := t.trainers[i].backward(din, dy, in, y, rows, collect); err != nil {
			return err
		}
		y, dy = in, din
	}
	return nil
}
