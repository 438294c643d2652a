package nn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/adafisher-go/adafisher/kron"
)

// A Layer describes one layer of a model: its kind and its sizes. It holds no
// numbers, so that one description may stand in several places and models; each
// place gets parameters of its own, unless it is [Shared].
type Layer interface {
	// kind is the layer's name in errors and summaries: "Linear".
	kind() string

	// build adds the layer's parameters to the model, for samples of shape in,
	// and returns the shape of its outputs.
	build(b *builder, in Shape) (module, Shape, error)
}

// A module is a layer inside a model: its sizes and parameters. Passes only read
// it; what they write belongs to its forwarder (prediction) or its trainer
// (forward and backward), of which each predictor and session has its own.
//
// A pass takes the values of parameters and buffers from their Value, and keeps
// nothing that it derived from them: both the values and, in a predictor, the
// slice may be others in the next pass.
type module interface {
	passes

	// onnx adds the layer's nodes to a graph and returns its outputs for the
	// inputs x. A layer that ONNX has no operator for returns errNoOperator.
	onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error)
}

// passes are what a module does in a predictor and in a session.
type passes interface {
	// forwarder returns the layer's part of a predictor.
	forwarder(p *plan) forwarder

	// trainer returns the layer's part of p.session.
	trainer(p *plan) trainer
}

// An outputIgnorer has trainers that may compute backward without the y of their
// forward: a layer after them can work in its place.
type outputIgnorer interface{ ignoresOutput() bool }

func ignoresOutput(m passes) bool {
	i, ok := unplaced(m).(outputIgnorer)
	return ok && i.ignoresOutput()
}

// A gradientOverwriter has trainers whose backward may leave anything in dy.
type gradientOverwriter interface{ overwritesGradient() bool }

func overwritesGradient(m passes) bool {
	o, ok := unplaced(m).(gradientOverwriter)
	return ok && o.overwritesGradient()
}

// unplaced returns the passes of a module without its place in the model.
func unplaced(m passes) passes {
	if b, ok := m.(built); ok {
		return b.module
	}
	return m
}

// A fuser is a module that can do the work of the one after it in its own passes,
// with the same bits.
type fuser interface {
	// fuse returns the passes of both, or false. An exported model has the two modules.
	fuse(next module) (passes, bool)
}

// A batch is contiguous rows, one a sample; x and y have the shapes of the
// layer's input and output.

type forwarder interface {
	// forward stores the outputs y of the inputs x.
	forward(y, x []float32, rows int)
}

type trainer interface {
	forwarder

	// backward takes the gradient dy of the loss at the outputs of the last
	// forward, and that call's x and y. It stores the gradients of the
	// parameters, the statistics that collect names, and the gradient at x in
	// dx unless that is nil. No two of the slices overlap. y may hold anything if
	// the module is an outputIgnorer that says so, and dy is left as it was unless it is
	// a gradientOverwriter.
	backward(dx, dy, x, y []float32, rows int, collect kron.Collect) error
}

// A builder adds the layers of a model to it, one inside another.
type builder struct {
	model      *Model
	prefix     string          // of the names in the layer at hand: "layer1.0."
	taken      map[string]bool // names of parameters and buffers
	shared     map[*shared]place
	unfactored bool          // the layer at hand has no Kronecker factors
	init       initializer   // of the weights in the layer at hand; nil is their own
	first      bool          // the layer at hand reads the model's input
	clash      string        // a name that was taken twice
	nameless   bool          // the layer at hand has an empty name
	used       []*kron.Param // so far, those of shared layers again at each place
}

// built is a layer in its place.
type built struct {
	module
	out        Shape
	params     []*kron.Param // its own or shared ones
	name, kind string
}

// layerError is an error that names its layer.
type layerError struct{ error }

func (e layerError) Unwrap() error { return e.error }

// layer builds l under its name, by default own, which may be empty.
func (b *builder) layer(own string, l Layer, in Shape) (built, error) {
	outer := b.prefix
	defer func() { b.prefix = outer }()
	name := nameOf(l, own)
	if b.nameless = name == ""; !b.nameless {
		b.prefix += name + "."
	}
	return b.inside(l, in)
}

// inside builds l as the layer at hand, whatever its name.
func (b *builder) inside(l Layer, in Shape) (built, error) {
	if n, ok := l.(named); ok {
		l = n.Layer
	}
	if l == nil {
		return built{}, layerError{fmt.Errorf("%s is nil", b.where())}
	}
	m := b.model
	at, params, used := len(m.entries), len(m.params), len(b.used)
	if _, ok := l.(wrapper); !ok {
		m.entries = append(m.entries, entry{name: b.name(), kind: l.kind(), nameless: b.nameless})
	}
	inner, out, err := l.build(b, in)
	switch {
	case errors.As(err, new(layerError)):
		return built{}, err
	case err == nil && !out.valid():
		err = fmt.Errorf("a sample of shape %v gives one of shape %v: want 1 to %d numbers", in, out, maxFloats)
	}
	if err != nil {
		return built{}, layerError{fmt.Errorf("%s (%s): %w", b.where(), l.kind(), err)}
	}
	if at < len(m.entries) {
		e := &m.entries[at]
		e.out, e.params = out, m.params[params:]
	}
	return built{inner, out, slices.Clip(b.used[used:]), b.name(), l.kind()}, nil
}

// param adds a parameter of the layer at hand; its values are made once all
// sizes are known. permutation lists the dimensions in the order that PyTorch
// has them in; nil keeps the order.
func (b *builder) param(name string, init initializer, permutation []int, shape ...int) *kron.Param {
	p := &kron.Param{Name: b.prefix + name, Shape: shape}
	b.claim(p.Name)
	b.used = append(b.used, p)
	b.model.params = append(b.model.params, p)
	b.model.inits = append(b.model.inits, init)
	b.model.permutations = append(b.model.permutations, permutation)
	return p
}

// claim takes a name; when two layers want the same, the model fails.
func (b *builder) claim(name string) {
	if b.taken[name] && b.clash == "" {
		b.clash = name
	}
	b.taken[name] = true
}

// weight adds a parameter that [InitNormal] may draw in place of init.
func (b *builder) weight(init initializer, permutation []int, shape ...int) *kron.Param {
	if b.init != nil {
		init = b.init
	}
	return b.param("weight", init, permutation, shape...)
}

// bias adds the parameter "bias", which [InitNormal] sets to zeros.
func (b *builder) bias(init initializer, n int) *kron.Param {
	if b.init != nil {
		init = constant(0)
	}
	return b.param("bias", init, nil, n)
}

// buffer adds a buffer of n numbers, first at the start, to the layer at hand.
func (b *builder) buffer(name string, first float32, n int) *kron.Buffer {
	v := &kron.Buffer{Name: b.prefix + name, Value: make([]float32, n)}
	b.claim(v.Name)
	b.model.buffers = append(b.model.buffers, v)
	b.model.firsts = append(b.model.firsts, first)
	return v
}

// workspace says how much of it each worker needs in the layer at hand.
func (b *builder) workspace(n int) { b.model.scratch = max(b.model.scratch, n) }

// factored returns the layer at hand with Kronecker-factored curvature, known to
// the model unless it is [Unfactored].
func (b *builder) factored(weight, bias *kron.Param) *kron.Layer {
	l := &kron.Layer{Name: b.name(), Weight: weight, Bias: bias}
	if !b.unfactored {
		b.model.layers = append(b.model.layers, l)
	}
	return l
}

// name is the full name of the layer at hand.
func (b *builder) name() string {
	if b.prefix == "" {
		return ""
	}
	return b.prefix[:len(b.prefix)-1]
}

// trainsOnPairs says that the layer at hand, of this kind, can't train on one sample.
func (b *builder) trainsOnPairs(kind string) {
	if b.model.pairs == "" {
		b.model.pairs = fmt.Sprintf("%s (%s)", strings.TrimPrefix(b.where(), "nn: "), kind)
	}
}

// where says in an error which layer is at hand.
func (b *builder) where() string {
	if b.prefix == "" {
		return "nn: layer"
	}
	return "nn: layer " + b.name()
}
