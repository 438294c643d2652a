package nn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/adafisher-go/adafisher/kron"
)

// A Model holds the parameters of a sequence of layers and nothing that a pass
// writes: any number of sessions and predictors may read it at the same time.
// Changing its values (a training step, [Model.Init]) while another goroutine
// reads them is a data race.
type Model struct {
	modules []module
	widths  []int // features of the input, then of each layer's output
	params  []*kron.Param
	layers  []*kron.Layer
	first   int // the first module that has parameters
}

// NewSequential returns a model that applies the layers in order, initialised
// as by [Model.Init] with seed 0. A layer is known by its index among all of
// them: the parameters of the first are "0.weight" and "0.bias".
//
// It fails where there is no layer, a layer is nil, a size is not positive, no
// layer says how many features it takes, a layer takes another number of
// features than the ones before it give, or the parameters need more than
// 16 GiB.
func NewSequential(layers ...Layer) (*Model, error) {
	width, err := inputFeatures(layers)
	if err != nil {
		return nil, err
	}
	m := &Model{widths: []int{width}, first: -1}
	giver := -1 // the last layer that had a say in width
	for i, l := range layers {
		in, out, _ := l.features()
		if in != 0 {
			if in != width {
				return nil, fmt.Errorf("nn: layer %d (%s): takes %d features, layer %d (%s) gives %d",
					i, l.kind(), in, giver, layers[giver].kind(), width)
			}
			width, giver = out, i
		}
		m.modules = append(m.modules, l.build(m, strconv.Itoa(i), m.widths[i]))
		m.widths = append(m.widths, width)
		if m.first < 0 && len(m.params) > 0 {
			m.first = i
		}
	}
	if err := m.allocate(); err != nil {
		return nil, err
	}
	m.Init(0)
	return m, nil
}

// inputFeatures checks each layer by itself and returns the features that the
// first layer with a say in it takes.
func inputFeatures(layers []Layer) (int, error) {
	if len(layers) == 0 {
		return 0, errors.New("nn: a sequence needs at least one layer")
	}
	width := 0
	for i, l := range layers {
		if l == nil {
			return 0, fmt.Errorf("nn: layer %d is nil", i)
		}
		in, _, err := l.features()
		if err != nil {
			return 0, fmt.Errorf("nn: layer %d (%s): %w", i, l.kind(), err)
		}
		if width == 0 {
			width = in
		}
	}
	if width == 0 {
		return 0, errors.New("nn: no layer fixes the number of features: a sequence needs at least one Linear")
	}
	return width, nil
}

// allocate gives each parameter its values, in one arena.
func (m *Model) allocate() error {
	values, err := carve(m.paramLengths()...)
	if err != nil {
		return fmt.Errorf("nn: the parameters need %w", err)
	}
	for i, p := range m.params {
		p.Value = values[i]
	}
	return nil
}

func (m *Model) paramLengths() []int {
	lengths := make([]int, len(m.params))
	for i, p := range m.params {
		lengths[i] = 1
		for _, n := range p.Shape {
			lengths[i] = product(lengths[i], n)
		}
	}
	return lengths
}

// initStream is the second word of the seed of [Model.Init]. [Batches] takes
// small words there, so that one seed can serve both.
const initStream = 1 << 63

// Init draws all parameters anew, with PyTorch's defaults. The weight and the
// bias of a Linear layer come from U(-1/sqrt(in), 1/sqrt(in)), which is
// kaiming_uniform with a = sqrt(5) (He et al., arXiv 1502.01852).
//
// The numbers are those of math/rand/v2's PCG seeded with (seed, 2^63), one
// value u of 64 bits for each number, parameters in the order of Params and
// elements as in memory: with k = u>>40, the element is bound * (k*2^-23 - 1),
// rounded once. A seed gives the same bits on every machine.
func (m *Model) Init(seed uint64) {
	r := rand.NewPCG(seed, initStream)
	for _, l := range m.modules {
		l.initialize(r)
	}
}

// In returns the number of features of an input row.
func (m *Model) In() int { return m.widths[0] }

// Out returns the number of features of an output row.
func (m *Model) Out() int { return m.widths[len(m.widths)-1] }

// NumParams returns the number of weights in all parameters.
func (m *Model) NumParams() int {
	n := 0
	for _, p := range m.params {
		n += len(p.Value)
	}
	return n
}

// Params returns the parameters in the order of the layers, weight before
// bias. Their values lie in one allocation, each at a multiple of 64 bytes. The
// elements of Value and the mark Frozen may be written; Value and Shape
// themselves must stay as they are.
func (m *Model) Params() []*kron.Param { return slices.Clone(m.params) }

// Layers returns the layers with Kronecker-factored curvature, in order.
func (m *Model) Layers() []*kron.Layer { return slices.Clone(m.layers) }
