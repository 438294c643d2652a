package nn

import (
	"fmt"
	"math"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Attention are the options of [SelfAttention].
type Attention struct {
	Heads int // how many; 0 is 1

	// Inner is the number of features of queries, keys and values, all heads
	// together; 0 is as many as the input has.
	Inner int

	// Causal keeps a position from seeing those after it.
	Causal bool

	// Which of the four linear layers have no bias.
	NoQueryBias, NoKeyBias, NoValueBias, NoOutputBias bool
}

// SelfAttention describes multi-head self-attention over the tokens of samples
// [tokens, features] (arXiv 1706.03762). With the linear layers q, k, v and o,
// each with its own parameters "q.weight", "q.bias" and so on, and for each head
// its columns of Q, K and V, of which there are d:
//
//	Q, K, V = q(x), k(x), v(x)
//	P       = softmax(Q*K^T / sqrt(d)), row by row
//	y       = o(P*V)
func SelfAttention(a Attention) Layer { return attention{a} }

type attention struct{ Attention }

func (l attention) kind() string { return "SelfAttention" }

func (l attention) build(b *builder, in Shape) (module, Shape, error) {
	if len(in) != 2 {
		return nil, nil, fmt.Errorf("takes samples of shape [tokens, features], its input has shape %v", in)
	}
	features := in.Features()
	inner, heads := l.Inner, l.Heads
	if inner == 0 {
		inner = features
	}
	if heads == 0 {
		heads = 1
	}
	if heads < 1 || inner < 1 || inner%heads != 0 {
		return nil, nil, fmt.Errorf("%d features in %d heads: want a positive multiple of the heads; its input has shape %v", inner, heads, in)
	}
	m := &attentionModule{tokens: in[0], heads: heads, features: features, inner: inner, causal: l.Causal}
	for _, part := range []struct {
		name   string
		layer  linear
		module *module
		in     int
	}{
		{"q", linear{features, inner, !l.NoQueryBias}, &m.q, features},
		{"k", linear{features, inner, !l.NoKeyBias}, &m.k, features},
		{"v", linear{features, inner, !l.NoValueBias}, &m.v, features},
		{"o", linear{inner, features, !l.NoOutputBias}, &m.o, inner},
	} {
		c, err := b.layer(part.name, part.layer, in.withFeatures(part.in))
		if err != nil {
			return nil, nil, err
		}
		*part.module = c
	}
	m.scale = float32(1 / math.Sqrt(float64(inner/heads)))
	b.workspace(kernels.GemmScratch + product(m.tokens, m.tokens))
	return m, in, nil
}

type attentionModule struct {
	q, k, v, o    module
	tokens, heads int
	features      int // of the input
	inner         int // features of all heads
	causal        bool
	scale         float32 // 1/sqrt(d)
}

// projected is the size of a sample of queries, keys or values.
func (m *attentionModule) projected() int { return m.tokens * m.inner }

// head returns the columns of one head in sample r of queries, keys or values.
func (m *attentionModule) head(x []float32, r, h int) kernels.Matrix {
	width := m.inner / m.heads
	from := r*m.projected() + h*width
	to := (r+1)*m.projected() - m.inner + (h+1)*width
	return kernels.Matrix{Rows: m.tokens, Cols: width, Stride: m.inner, Data: x[from:to]}
}

// square returns x as the matrix of one head's probabilities.
func (m *attentionModule) square(x []float32) kernels.Matrix {
	return kernels.NewMatrix(m.tokens, m.tokens, x)
}

// attend computes one head of one sample: its probabilities p and its columns of
// the values' mixture.
func (m *attentionModule) attend(mixed, p, q, k, v []float32, r, h int, scratch []float32) {
	kernels.Gemm{TransB: true, Scratch: scratch}.Multiply(m.square(p), m.head(q, r, h), m.head(k, r, h))
	m.softmax(p)
	kernels.Gemm{Scratch: scratch}.Multiply(m.head(mixed, r, h), m.square(p), m.head(v, r, h))
}

// softmax turns products of queries and keys into probabilities.
func (m *attentionModule) softmax(p []float32) {
	scores := m.square(p)
	if m.causal {
		kernels.CausalSoftmaxRows(scores, scores, m.scale)
	} else {
		kernels.SoftmaxRows(scores, scores, m.scale)
	}
}

// softmaxBackward turns the gradient at the probabilities p into that at the
// products of queries and keys.
func (m *attentionModule) softmaxBackward(d, p []float32) {
	if m.causal {
		kernels.CausalSoftmaxRowsBackward(m.square(d), m.square(d), m.square(p), m.scale)
	} else {
		kernels.SoftmaxRowsBackward(m.square(d), m.square(d), m.square(p), m.scale)
	}
}

func (m *attentionModule) ignoresOutput() bool { return ignoresOutput(m.o) }

func (m *attentionModule) forwarder(p *plan) forwarder {
	f := &attentionForwarder{attentionModule: m}
	for _, place := range []*[]float32{&f.bufQ, &f.bufK, &f.bufV, &f.mixed} {
		p.scratchRows(place, m.projected())
	}
	p.scratch(&f.p, product(m.tokens, m.tokens))
	p.scratch(&f.scratch, kernels.GemmScratch)
	f.q, f.k, f.v, f.o = p.forwarder(m.q), p.forwarder(m.k), p.forwarder(m.v), p.forwarder(m.o)
	return f
}

type attentionForwarder struct {
	*attentionModule
	q, k, v, o        forwarder
	bufQ, bufK, bufV  []float32
	mixed, p, scratch []float32
}

func (f *attentionForwarder) forward(y, x []float32, rows int) {
	n := rows * f.projected()
	q, k, v, mixed := f.bufQ[:n], f.bufK[:n], f.bufV[:n], f.mixed[:n]
	f.q.forward(q, x, rows)
	f.k.forward(k, x, rows)
	f.v.forward(v, x, rows)
	for r := range rows {
		for h := range f.heads {
			f.attend(mixed, f.p, q, k, v, r, h, f.scratch)
		}
	}
	f.o.forward(y, mixed, rows)
}

func (m *attentionModule) trainer(p *plan) trainer {
	t := &attentionTrainer{attentionModule: m, workers: &p.session.workers}
	for _, place := range []*[]float32{&t.bufQ, &t.bufK, &t.bufV, &t.mixed} {
		p.keepRows(place, m.projected())
	}
	p.keepRows(&t.p, product(m.heads, product(m.tokens, m.tokens)))
	for _, place := range []*[]float32{&t.dq, &t.dk, &t.dv, &t.dmixed} {
		p.scratchRows(place, m.projected())
	}
	p.scratchRows(&t.delta, m.tokens*m.features)
	t.q, t.k, t.v, t.o = p.trainer(m.q), p.trainer(m.k), p.trainer(m.v), p.trainer(m.o)
	t.forwardSome, t.backwardSome = t.attendSome, t.attendBackwardSome
	return t
}

type attentionTrainer struct {
	*attentionModule
	q, k, v, o       trainer
	bufQ, bufK, bufV []float32
	mixed            []float32 // what o takes
	p                []float32 // probabilities, [rows, heads, tokens, tokens]
	dq, dk, dv       []float32
	dmixed           []float32
	delta            []float32 // a part of the gradient at x
	workers          *workers

	// Jobs for the workers, on a range of the heads of all samples.
	forwardSome, backwardSome func(from, to int, scratch []float32)
}

// probabilities returns those of head i of all samples.
func (t *attentionTrainer) probabilities(i int) []float32 {
	size := t.tokens * t.tokens
	return t.p[i*size:][:size]
}

func (t *attentionTrainer) attendSome(from, to int, scratch []float32) {
	for i := from; i < to; i++ {
		t.attend(t.mixed, t.probabilities(i), t.bufQ, t.bufK, t.bufV, i/t.heads, i%t.heads, scratch)
	}
}

func (t *attentionTrainer) forward(y, x []float32, rows int) {
	n := rows * t.projected()
	t.q.forward(t.bufQ[:n], x, rows)
	t.k.forward(t.bufK[:n], x, rows)
	t.v.forward(t.bufV[:n], x, rows)
	t.eachHead(rows, t.forwardSome)
	t.o.forward(y, t.mixed[:n], rows)
}

// eachHead does a job on all heads of all samples.
func (t *attentionTrainer) eachHead(rows int, job func(from, to int, scratch []float32)) {
	heads := rows * t.heads
	t.workers.split(heads, heads*t.tokens*t.tokens, job)
}

// attendBackwardSome does for each head, with S the scaled scores:
//
//	dV = P^T * dM
//	dP = dM * V^T
//	dS = P * (dP - row sums of dP*P) / sqrt(d)
//	dQ = dS * K
//	dK = dS^T * Q
func (t *attentionTrainer) attendBackwardSome(from, to int, scratch []float32) {
	d, scratch := scratch[:t.tokens*t.tokens], scratch[t.tokens*t.tokens:]
	ds := t.square(d)
	for i := from; i < to; i++ {
		r, h, p := i/t.heads, i%t.heads, t.probabilities(i)
		dm := t.head(t.dmixed, r, h)
		kernels.Gemm{TransA: true, Scratch: scratch}.Multiply(t.head(t.dv, r, h), t.square(p), dm)
		kernels.Gemm{TransB: true, Scratch: scratch}.Multiply(ds, dm, t.head(t.bufV, r, h))
		t.softmaxBackward(d, p)
		kernels.Gemm{Scratch: scratch}.Multiply(t.head(t.dq, r, h), ds, t.head(t.bufK, r, h))
		kernels.Gemm{TransA: true, Scratch: scratch}.Multiply(t.head(t.dk, r, h), ds, t.head(t.bufQ, r, h))
	}
}

func (t *attentionTrainer) backward(dx, dy, x, y []float32, rows int, collect kron.Collect) error {
	n := rows * t.projected()
	if err := t.o.backward(t.dmixed[:n], dy, t.mixed[:n], y, rows, collect); err != nil {
		return err
	}
	t.eachHead(rows, t.backwardSome)
	for i, part := range [...]struct {
		trainer
		d, y []float32
	}{{t.q, t.dq, t.bufQ}, {t.k, t.dk, t.bufK}, {t.v, t.dv, t.bufV}} {
		into := dx
		if i > 0 && dx != nil {
			into = t.delta[:len(dx)]
		}
		if err := part.backward(into, part.d[:n], x, part.y[:n], rows, collect); err != nil {
			return err
		}
		if i > 0 && dx != nil {
			t.workers.map2(kernels.Add, dx, dx, into)
		}
	}
	return nil
}
