package nn

import (
	"slices"

	"github.com/adafisher-go/adafisher/kron"
)

// A plan collects the buffers that the layers of a session or a predictor write,
// before any is made: two allocations then hold them all.
type plan struct {
	batch    int      // the most rows
	session  *Session // nil in the plan of a predictor
	float16  bool     // weights of linear layers may be float16
	dropouts uint64   // so far

	kept   layout // buffers of one layer alone
	shared layout // scratch that layers use one after another
	top    int    // of the scratch in use
}

// A layout is where slices will lie in one allocation.
type layout struct {
	places           []*[]float32
	offsets, lengths []int
	total            int
}

// add reserves n numbers at offset and returns their end, a multiple of 64 bytes.
func (l *layout) add(dst *[]float32, offset, n int) (end int) {
	l.places = append(l.places, dst)
	l.offsets = append(l.offsets, offset)
	l.lengths = append(l.lengths, n)
	end = maxFloats + 1
	if offset <= maxFloats && n <= maxFloats {
		end = offset + (n+alignment-1)/alignment*alignment
	}
	l.total = max(l.total, end)
	return end
}

func (l *layout) allocate() error {
	all, err := carve[float32](l.total)
	if err != nil {
		return err
	}
	for i, dst := range l.places {
		*dst = all[0][l.offsets[i]:][:l.lengths[i]:l.lengths[i]]
	}
	return nil
}

// keep reserves n numbers that only the asking layer writes. dst is set when the
// whole plan is made.
func (p *plan) keep(dst *[]float32, n int) { p.kept.add(dst, p.kept.total, n) }

// keepRows reserves a batch of samples of n numbers each.
func (p *plan) keepRows(dst *[]float32, n int) { p.keep(dst, product(p.batch, n)) }

// scratch reserves n numbers that hold nothing beyond one forward or backward of
// the asking layer: layers inside it get others, layers beside it the same.
func (p *plan) scratch(dst *[]float32, n int) { p.top = p.shared.add(dst, p.top, n) }

// scratchRows reserves scratch for a batch of samples of n numbers each.
func (p *plan) scratchRows(dst *[]float32, n int) { p.scratch(dst, product(p.batch, n)) }

func (p *plan) allocate() error {
	if err := p.kept.allocate(); err != nil {
		return err
	}
	return p.shared.allocate()
}

// forwarder and trainer plan one layer; its scratch is free after it.

func (p *plan) forwarder(m passes) forwarder {
	top := p.top
	f := m.forwarder(p)
	p.top = top
	return f
}

func (p *plan) trainer(m passes) trainer {
	top := p.top
	t := m.trainer(p)
	p.top = top
	if a, ok := t.(averager); ok {
		p.session.running = append(p.session.running, a)
	}
	return t
}

// gradient reserves the place of the gradient of q, a parameter of the asking
// layer.
func (p *plan) gradient(dst *[]float32, q *kron.Param) {
	s := p.session
	i := slices.Index(s.model.params, q)
	s.gradientUses[i].add(dst)
	p.keep(dst, len(q.Value))
}

// factors reserves the places of the statistics H and S of l. They stay nil
// if l is not one of the model's factored layers.
func (p *plan) factors(h, s *[]float32, l *kron.Layer) {
	i := slices.Index(p.session.model.layers, l)
	if i < 0 {
		return
	}
	p.session.hUses[i].add(h)
	p.session.sUses[i].add(s)
	p.keep(h, l.Inputs())
	p.keep(s, l.Outputs())
}

// mean reserves the place of the means of the inputs of l's weight, as factors does.
func (p *plan) mean(mean *[]float32, l *kron.Layer) {
	i := slices.Index(p.session.model.layers, l)
	if i < 0 {
		return
	}
	p.session.meanUses[i].add(mean)
	n := l.Inputs()
	if l.Bias != nil {
		n--
	}
	p.keep(mean, n)
}
