package nn

import (
	"math/rand/v2"

	"github.com/adafisher-go/adafisher/kron"
)

// A Layer describes one layer of a sequence: its kind and its sizes. It holds
// no numbers, so that one description may stand in several places and models;
// [NewSequential] makes parameters of its own for each.
type Layer interface {
	// kind is the layer's name in errors: "Linear".
	kind() string

	// features returns the lengths of an input row and of an output row; 0, 0
	// is a layer that takes any length and keeps it.
	features() (in, out int, err error)

	// build adds the layer's parameters to m, with names that begin with the
	// given one, for input rows of the given length.
	build(m *Model, name string, features int) module
}

// A module is a layer inside a model: its sizes and parameters. Passes only read
// it; what they write belongs to its forwarder (prediction) or its trainer
// (forward and backward), of which each predictor and session has its own.
type module interface {
	// initialize draws the parameters from r, in the order of Model.Params.
	initialize(r *rand.PCG)

	// forwarder returns the layer's part of a predictor of batch rows.
	forwarder(batch int) forwarder

	// trainer returns the layer's part of s.
	trainer(s *Session) trainer
}

// Rows are contiguous; x and y have the layer's input and output features.

type forwarder interface {
	// forward stores the outputs y of the inputs x.
	forward(y, x []float32, rows int)
}

type trainer interface {
	forwarder

	// backward takes the gradient dy of the loss at the outputs of the last
	// forward, and that call's x and y. It stores the gradients of the
	// parameters, the statistics if collect is set, and the gradient at x in
	// dx unless that is nil. No two of the slices overlap.
	backward(dx, dy, x, y []float32, rows int, collect bool) error
}

// addParam appends a parameter; its values are made once all sizes are known.
func (m *Model) addParam(name string, shape ...int) *kron.Param {
	p := &kron.Param{Name: name, Shape: shape}
	m.params = append(m.params, p)
	return p
}
