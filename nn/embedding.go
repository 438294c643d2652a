package nn

import (
	"errors"
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Embedding describes a table of vectors with the given number of features, one
// for each of n tokens: samples of shape [tokens] become [tokens, features]. A
// token is a whole number from 0 to n-1, as a float32; Forward and Predict refuse
// others. It must be the first layer of a model.
//
// AdaFisher leaves it without factors, as the authors' code does, unless its
// configuration asks for extensions; see [kron.EmbeddingFactors].
func Embedding(n, features int) Layer { return embedding{n, features} }

type embedding struct{ n, features int }

// maxTokens is how far float32 holds every whole number.
const maxTokens = 1 << 24

var errNotFirst = errors.New("it must be the first layer, which reads the input's tokens")

func (l embedding) kind() string { return "Embedding" }

func (l embedding) build(b *builder, in Shape) (module, Shape, error) {
	switch {
	case l.n < 1 || l.n > maxTokens || l.features < 1 || product(l.n, l.features) > maxFloats:
		return nil, nil, fmt.Errorf("%d tokens, %d features: want 1 to %d tokens, at least 1 feature, and at most %d numbers", l.n, l.features, maxTokens, maxFloats)
	case !b.first:
		return nil, nil, errNotFirst
	case len(in) != 1:
		return nil, nil, fmt.Errorf("takes samples of shape [tokens], its input has shape %v", in)
	}
	b.model.vocabulary = l.n
	k := b.factored(b.weight(normal(1), nil, l.n, l.features), nil)
	k.Extension = true
	return &embeddingModule{k, l.features}, Shape{in[0], l.features}, nil
}

type embeddingModule struct {
	*kron.Layer
	features int
}

func (m *embeddingModule) forwarder(*plan) forwarder { return m }

// table returns the vectors, or their gradient, as a matrix.
func (m *embeddingModule) table(values []float32) kernels.Matrix {
	return kernels.NewMatrix(len(values)/m.features, m.features, values)
}

func (m *embeddingModule) forward(y, x []float32, _ int) {
	kernels.GatherRows(kernels.NewMatrix(len(x), m.features, y), m.table(m.Weight.Value), x)
}

func (m *embeddingModule) trainer(p *plan) trainer {
	t := &embeddingTrainer{embeddingModule: m}
	p.gradient(&t.dw, m.Weight)
	p.factors(&t.h, &t.s, m.Layer)
	return t
}

type embeddingTrainer struct {
	*embeddingModule
	dw, h, s []float32
}

// backward adds the gradients of each token in the order of the batch. There is
// none at the tokens themselves: dx becomes 0.
func (t *embeddingTrainer) backward(dx, dy, x, _ []float32, _ int, collect kron.Collect) error {
	clear(t.dw)
	kernels.ScatterAddRows(t.table(t.dw), kernels.NewMatrix(len(x), t.features, dy), x)
	clear(dx)
	if collect != kron.CollectNone && t.h != nil {
		return kron.EmbeddingFactors(t.h, t.s, x, dy)
	}
	return nil
}

// Positions describes a learned vector added at each place of a sample,
// y = x + weight. The weight has the shape of a sample, [tokens, features], and
// no Kronecker factors.
func Positions() Layer { return positions{} }

type positions struct{}

func (positions) kind() string { return "Positions" }

func (positions) build(b *builder, in Shape) (module, Shape, error) {
	return &positionsModule{b.weight(normal(1), nil, in...)}, in, nil
}

type positionsModule struct{ weight *kron.Param }

func (m *positionsModule) forwarder(*plan) forwarder { return m }

func (m *positionsModule) forward(y, x []float32, rows int) {
	n := len(m.weight.Value)
	for r := range rows {
		kernels.Add(y[r*n:][:n], x[r*n:][:n], m.weight.Value)
	}
}

func (m *positionsModule) trainer(p *plan) trainer {
	t := &positionsTrainer{positionsModule: m, workers: &p.session.workers}
	p.gradient(&t.dw, m.weight)
	return t
}

type positionsTrainer struct {
	*positionsModule
	dw      []float32
	workers *workers
}

func (t *positionsTrainer) backward(dx, dy, _, _ []float32, _ int, _ kron.Collect) error {
	t.workers.pool.ColSums(t.dw, dy)
	if dx != nil {
		copy(dx, dy)
	}
	return nil
}
