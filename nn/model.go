package nn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// A Model holds the parameters of its layers and nothing that a pass writes: any
// number of sessions and predictors may read it at the same time. Changing its
// values (a training step, [Model.Init]) while another goroutine reads them is a
// data race.
type Model struct {
	design        *design
	root          module
	input, output Shape
	vocabulary    int // the input is whole numbers below it, if not 0

	params       []*kron.Param
	inits        []initializer // of each parameter
	permutations [][]int       // of each parameter, to PyTorch's order of dimensions
	buffers      []*kron.Buffer
	firsts       []float32 // of each buffer, what Init sets
	layers       []*kron.Layer
	linears      []*linearWeight
	entries      []entry // what Summary lists
	scratch      int     // workspace of each worker
	pairs        string  // a layer that trains on two samples at least, if not empty
}

// A design is what a model is made from, again and again. Models of one design, or
// of equal ones, can read each other's values.
type design struct {
	input  Shape
	layers sequence
}

// New returns a model that applies the layers in order to samples of the given
// shape, initialised as by [Model.Init] with seed 0. Layers are named as in
// [Sequential]: the parameters of the first are "0.weight" and "0.bias".
//
// It fails where there is no layer, a layer is nil, a size is not possible, a
// layer can't take the shape that the ones before it give, two parameters have
// the same name, or the parameters need more than 16 GiB.
func New(input Shape, layers ...Layer) (*Model, error) {
	if !input.valid() {
		return nil, fmt.Errorf("nn: input of shape %v: want dimensions of at least 1, and at most %d numbers", input, maxFloats)
	}
	m, err := (&design{slices.Clone(input), slices.Clone(layers)}).assemble()
	if err != nil {
		return nil, err
	}
	if err := m.allocate(allParams); err != nil {
		return nil, err
	}
	m.Init(0)
	return m, nil
}

// assemble returns a model without values.
func (d *design) assemble() (*Model, error) {
	m := &Model{design: d, input: d.input}
	b := &builder{model: m, taken: make(map[string]bool), shared: make(map[*shared]place), first: true}
	root, out, err := d.layers.build(b, m.input)
	if err != nil {
		if !errors.As(err, new(layerError)) {
			err = fmt.Errorf("nn: %w", err)
		}
		return nil, err
	}
	if b.clash != "" {
		return nil, fmt.Errorf("nn: two layers have a parameter named %q", b.clash)
	}
	m.root, m.output = root, out
	return m, nil
}

// NewSequential is [New] for rows of features, whose number the first Linear
// says.
func NewSequential(layers ...Layer) (*Model, error) {
	if len(layers) == 0 {
		return nil, errors.New("nn: a sequence needs at least one layer")
	}
	for i, l := range layers {
		for {
			w, ok := l.(wrapper)
			if !ok {
				break
			}
			l = w.wrapped()
		}
		switch l := l.(type) {
		case linear:
			if err := l.check(); err != nil {
				return nil, fmt.Errorf("nn: layer %d (%s): %w", i, l.kind(), err)
			}
			return New(Shape{l.in}, layers...)
		case *activation, dropout:
		case nil:
			return nil, fmt.Errorf("nn: layer %d is nil", i)
		default:
			return nil, fmt.Errorf("nn: layer %d (%s) stands before the first Linear, and may change the number of features: use New, and say what shape the input has", i, l.kind())
		}
	}
	return nil, errors.New("nn: no layer fixes the number of features: a sequence needs at least one Linear")
}

// made returns an error if m is nil or zero.
func (m *Model) made(call string) error {
	if m == nil || m.root == nil {
		return fmt.Errorf("nn: %s: the model has no layers", call)
	}
	return nil
}

func allParams(*kron.Param) bool { return true }

// allocate gives each buffer, and each parameter that is wanted, its values, in one
// arena.
func (m *Model) allocate(want func(*kron.Param) bool) error {
	var lengths []int
	for _, p := range m.params {
		n := 0
		if want(p) {
			n = Shape(p.Shape).Size()
		}
		lengths = append(lengths, n)
	}
	for _, b := range m.buffers {
		lengths = append(lengths, len(b.Value))
	}
	values, err := carve[float32](lengths...)
	if err != nil {
		return fmt.Errorf("nn: the parameters need %w", err)
	}
	for i, p := range m.params {
		p.Value = values[i]
	}
	for i, b := range m.buffers {
		b.Value = values[len(m.params)+i]
	}
	return nil
}

// initStream is the second word of the seed of [Model.Init]. [Batches] takes
// small words there, so that one seed can serve both.
const initStream = 1 << 63

// Init draws all parameters anew, with PyTorch's defaults, and resets the
// buffers. Weights and biases of linear and convolutional layers come from
// U(-1/sqrt(n), 1/sqrt(n)), where n is the number of inputs to one output;
// embeddings from N(0, 1); scales of normalisations are 1, shifts 0.
//
// The numbers are those of math/rand/v2's PCG seeded with (seed, 2^63),
// parameters in the order of Params and elements as in memory. A uniform element
// takes one value u of 64 bits: with k = u>>40, it is bound * (k*2^-23 - 1),
// rounded once. A seed gives the same bits on every machine.
func (m *Model) Init(seed uint64) {
	r := rand.NewPCG(seed, initStream)
	for i, p := range m.params {
		m.inits[i](p.Value, r)
	}
	for i, b := range m.buffers {
		kernels.Fill(b.Value, m.firsts[i])
	}
}

// Clone returns a model of its own with the same layers, values and frozen
// parameters. It fails if m has no layers.
func (m *Model) Clone() (*Model, error) {
	if err := m.made("Clone"); err != nil {
		return nil, err
	}
	c, err := m.design.assemble()
	if err != nil {
		return nil, err
	}
	if err := c.allocate(allParams); err != nil {
		return nil, err
	}
	for i, p := range c.params {
		p.Frozen = m.params[i].Frozen
	}
	return c, c.CopyFrom(m)
}

// CopyFrom copies all values, those of parameters and of buffers, from src, a model of
// the same layers: a clone, or one that was made by the same calls. Between clones
// it allocates nothing. It fails, and copies nothing, where the layers differ, be it
// in their names alone; [Model.LoadStateDict] goes by the names and shapes of
// parameters.
func (m *Model) CopyFrom(src *Model) error {
	if err := m.checkLayers("CopyFrom", src); err != nil {
		return err
	}
	for i, p := range m.params {
		copy(p.Value, src.params[i].Value)
	}
	for i, b := range m.buffers {
		copy(b.Value, src.buffers[i].Value)
	}
	return nil
}

// checkLayers returns an error unless both models are of the same layers.
func (m *Model) checkLayers(call string, other *Model) error {
	if m.made(call) != nil || other.made(call) != nil || !m.hasLayersOf(other) {
		return fmt.Errorf("nn: %s: the models are not of the same layers", call)
	}
	return nil
}

func (m *Model) hasLayersOf(other *Model) bool {
	if m.design == other.design {
		return true
	}
	// Equal descriptions may be shared in different places, as their kinds say.
	same := func(a, b entry) bool { return a.name == b.name && a.kind == b.kind }
	return reflect.DeepEqual(m.design, other.design) && slices.EqualFunc(m.entries, other.entries, same)
}

// read makes m, which may have no values of its own, use those of another model of the
// same layers.
func (m *Model) read(other *Model) {
	for i, p := range m.params {
		p.Value = other.params[i].Value
	}
	for i, b := range m.buffers {
		b.Value = other.buffers[i].Value
	}
	for i, w := range m.linears {
		w.read(other.linears[i])
	}
}

// InputShape returns the shape of an input sample.
func (m *Model) InputShape() Shape { return slices.Clone(m.input) }

// OutputShape returns the shape of an output sample.
func (m *Model) OutputShape() Shape { return slices.Clone(m.output) }

// In returns the numbers in an input sample: the features of a row.
func (m *Model) In() int { return m.input.Size() }

// Out returns the numbers in an output sample: the features of a row.
func (m *Model) Out() int { return m.output.Size() }

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

// Buffers returns the buffers in the order of the layers. The elements of Value
// may be written.
func (m *Model) Buffers() []*kron.Buffer { return slices.Clone(m.buffers) }

// Layers returns the layers with Kronecker-factored curvature, in order.
func (m *Model) Layers() []*kron.Layer { return slices.Clone(m.layers) }

// MinBatch returns the least number of samples that a session can train on: 2 if a
// [BatchNorm] takes its moments over the batch alone, else 1.
func (m *Model) MinBatch() int {
	if m.pairs != "" {
		return 2
	}
	return 1
}

// checkMinBatch returns an error if there are too few samples to train on.
func (m *Model) checkMinBatch(call string, rows int) error {
	if rows >= m.MinBatch() {
		return nil
	}
	return fmt.Errorf("nn: %s: a batch of %d row: %s takes moments over the rows: want at least %d", call, rows, m.pairs, m.MinBatch())
}

// CheckInput returns the number of samples in x. It fails unless x consists of
// one or more whole samples and, where the model begins with an [Embedding], of
// tokens that it knows.
func (m *Model) CheckInput(x []float32) (samples int, err error) {
	return m.checkInput("CheckInput", x, maxFloats)
}

// checkInput returns the samples in x, which must be between 1 and batch, and of
// valid tokens if the model takes tokens.
func (m *Model) checkInput(call string, x []float32, batch int) (rows int, err error) {
	rows, err = m.rowsOf(call, x, batch)
	if err == nil {
		err = m.checkTokens(call, x)
	}
	return rows, err
}

func (m *Model) rowsOf(call string, x []float32, batch int) (int, error) {
	if err := m.made(call); err != nil {
		return 0, err
	}
	in := m.In()
	if len(x) == 0 {
		return 0, fmt.Errorf("nn: %s: the input is empty: want %s", call, m.samples())
	}
	rows := len(x) / in
	if rows*in != len(x) {
		return 0, fmt.Errorf("nn: %s: an input of %d numbers is not %s", call, len(x), m.samples())
	}
	if rows > batch {
		return 0, fmt.Errorf("nn: %s: an input of %d rows: there is room for a batch of %d", call, rows, batch)
	}
	return rows, nil
}

// samples says what the input consists of.
func (m *Model) samples() string {
	if len(m.input) == 1 {
		return fmt.Sprintf("rows of %d features", m.input[0])
	}
	return fmt.Sprintf("samples of shape %v", m.input)
}

// checkTokens returns an error unless x consists of tokens, if the model takes
// those.
func (m *Model) checkTokens(call string, x []float32) error {
	if m.vocabulary == 0 {
		return nil
	}
	if i := kernels.InvalidIndex(x, m.vocabulary); i >= 0 {
		return fmt.Errorf("nn: %s: token %d is %v: want a whole number from 0 to %d", call, i, x[i], m.vocabulary-1)
	}
	return nil
}

// An entry is one layer in the summary.
type entry struct {
	name, kind string
	nameless   bool // the name is that of the layer around it
	out        Shape
	params     []*kron.Param
}

// Summary returns a table of the layers: their names, kinds, the shapes of their
// outputs, and their numbers of parameters. A layer that holds others stands
// before them, with the parameters of all; those of a [Shared] layer count in its
// first place. A layer whose name is empty has none in the table, and a Sequential
// without a name, which only groups, isn't listed.
func (m *Model) Summary() string {
	rows := [][4]string{{"layer", "kind", "output", "parameters"}, {"", "input", fmt.Sprint(m.input), ""}}
	for _, e := range m.entries {
		n := 0
		for _, p := range e.params {
			n += len(p.Value)
		}
		name := strings.Repeat("  ", strings.Count(e.name, ".")) + e.name
		if e.nameless {
			name = ""
		}
		if e.nameless && e.kind == sequence(nil).kind() {
			continue
		}
		rows = append(rows, [4]string{name, e.kind, fmt.Sprint(e.out), thousands(n)})
	}
	rows = append(rows, [4]string{"total", "", fmt.Sprint(m.output), thousands(m.NumParams())})
	var width [4]int
	for _, r := range rows {
		for i, cell := range r {
			width[i] = max(width[i], len(cell))
		}
	}
	var s strings.Builder
	for _, r := range rows {
		line := fmt.Sprintf("%-*s  %-*s  %-*s  %*s", width[0], r[0], width[1], r[1], width[2], r[2], width[3], r[3])
		s.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return s.String()
}

// thousands writes n with separators, and 0 as nothing.
func thousands(n int) string {
	if n == 0 {
		return ""
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
