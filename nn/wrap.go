package nn

import (
	"fmt"
	"math"
	"slices"
)

// Named gives a layer the name that its parameters carry, in place of its index:
// "conv1" makes "conv1.weight". An empty name leaves the parameters of the layer,
// or its layers, with the names that they have by themselves. Names must be
// unique in a model. Of several names of one layer the outermost counts.
func Named(name string, l Layer) Layer {
	if n, ok := l.(named); ok {
		l = n.Layer
	}
	return named{name, l}
}

type named struct {
	name string
	Layer
}

func (n named) kind() string   { return kindOf(n.Layer) }
func (n named) wrapped() Layer { return n.Layer }

// A wrapper is a layer that only says something about another.
type wrapper interface{ wrapped() Layer }

// nameOf is the name that l or what it wraps has, by default own.
func nameOf(l Layer, own string) string {
	for {
		if n, ok := l.(named); ok {
			return n.name
		}
		w, ok := l.(wrapper)
		if !ok {
			return own
		}
		l = w.wrapped()
	}
}

// kindOf is the kind of what a wrapper holds.
func kindOf(l Layer) string {
	if l == nil {
		return "nil"
	}
	return l.kind()
}

// Shared returns a layer that has the same parameters wherever it stands in one
// model, under the name of its first place. It must get samples of the same
// shape everywhere. Its gradient is the sum over the places; its Kronecker
// factors are the mean over them.
//
// A state dict names its tensors once. That of PyTorch has them again under each
// further place: leave these out for [Model.LoadStateDict]. Layers of different kinds
// can't share a weight, as an embedding and an output layer may in PyTorch.
func Shared(l Layer) Layer { return &shared{l} }

type shared struct{ layer Layer }

func (s *shared) kind() string   { return kindOf(s.layer) }
func (s *shared) wrapped() Layer { return s.layer }

// place is the first place of a shared layer.
type place struct {
	built
	in     Shape
	name   string
	tokens bool // it reads the model's tokens
}

func (s *shared) build(b *builder, in Shape) (module, Shape, error) {
	p, ok := b.shared[s]
	if !ok {
		vocabulary := b.model.vocabulary
		inner, err := b.inside(s.layer, in)
		if err != nil {
			return nil, nil, err
		}
		p = place{inner, in, b.name(), b.model.vocabulary != vocabulary}
		b.shared[s] = p
		return p.module, p.out, nil
	}
	if !slices.Equal(in, p.in) {
		return nil, nil, fmt.Errorf("it is shared with layer %s, which takes shape %v; its input has shape %v", p.name, p.in, in)
	}
	if p.tokens {
		return nil, nil, errNotFirst
	}
	b.used = append(b.used, p.params...)
	b.model.entries = append(b.model.entries, entry{name: b.name(), kind: s.kind() + " of " + p.name, nameless: b.nameless, out: p.out})
	return p.module, p.out, nil
}

// Unfactored returns a layer without Kronecker factors: AdaFisher takes one
// curvature for all of its parameters.
func Unfactored(l Layer) Layer { return unfactored{l} }

type unfactored struct{ layer Layer }

func (u unfactored) kind() string   { return kindOf(u.layer) }
func (u unfactored) wrapped() Layer { return u.layer }

func (u unfactored) build(b *builder, in Shape) (module, Shape, error) {
	defer func(outer bool) { b.unfactored = outer }(b.unfactored)
	b.unfactored = true
	inner, err := b.inside(u.layer, in)
	return inner.module, inner.out, err
}

// InitNormal returns a layer whose weights start from the normal distribution
// with mean 0 and the given standard deviation, and whose biases start at 0, in
// place of the layer's own defaults. It holds for all linear, convolutional,
// embedding and position layers inside; scales of normalisations stay at 1.
func InitNormal(deviation float64, l Layer) Layer { return initNormal{deviation, l} }

type initNormal struct {
	deviation float64
	layer     Layer
}

func (n initNormal) kind() string   { return kindOf(n.layer) }
func (n initNormal) wrapped() Layer { return n.layer }

func (n initNormal) build(b *builder, in Shape) (module, Shape, error) {
	if !(n.deviation >= 0 && n.deviation <= math.MaxFloat32) {
		return nil, nil, fmt.Errorf("initial standard deviation %v: want a finite number of at least 0", n.deviation)
	}
	defer func(outer initializer) { b.init = outer }(b.init)
	b.init = normal(float32(n.deviation))
	inner, err := b.inside(n.layer, in)
	return inner.module, inner.out, err
}
