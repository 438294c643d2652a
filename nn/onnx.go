package nn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn/internal/durable"
	"github.com/adafisher-go/adafisher/nn/internal/onnx"
)

// SaveONNX writes the model to an ONNX file (https://onnx.ai, operators of version
// 17), for other runtimes to predict with: it computes what a [Predictor] does,
// though not to the bit. The file appears under its name when it is complete;
// until then, and after an error, one that was there before is as it was.
//
// The graph takes "input" and gives "output", batches of any size of this
// library's shapes: [batch, features], [batch, tokens, features], [batch, height,
// width, channels], of float32. The tokens of an [Embedding] are int64. Weights
// are those of [Model.StateDict], by the same names and in the same layout.
//
// It fails if a layer has no operator in ONNX, with the layer's name and kind; if
// a name is not UTF-8; and if the file would have 2 GiB or more, the limit of the
// format.
func (m *Model) SaveONNX(path string) error {
	if err := m.made("SaveONNX"); err != nil {
		return err
	}
	file, err := m.onnx()
	if err == nil {
		err = durable.Replace(path, nil, func(w io.Writer) error { return onnx.Write(w, file) })
	}
	if err != nil {
		return fmt.Errorf("nn: SaveONNX: %w", err)
	}
	return nil
}

// WriteONNX writes what [Model.SaveONNX] does to w. It makes no copy of the
// weights.
func (m *Model) WriteONNX(w io.Writer) error {
	if err := m.made("WriteONNX"); err != nil {
		return err
	}
	file, err := m.onnx()
	if err == nil {
		err = onnx.Write(w, file)
	}
	if err != nil {
		return fmt.Errorf("nn: WriteONNX: %w", err)
	}
	return nil
}

// errNoOperator is what a module returns that can't be exported.
var errNoOperator = errors.New("ONNX has no operator for it")

const onnxInput, onnxOutput = "input", "output"

// onnx returns the model as a graph.
func (m *Model) onnx() (*onnx.Graph, error) {
	g := &onnxGraph{taken: map[string]bool{onnxInput: true, onnxOutput: true}, made: make(map[string]string)}
	for _, e := range m.state() {
		g.taken[e.name] = true
		g.Initializers = append(g.Initializers, onnx.Tensor{Name: e.name, Type: onnx.Float, Shape: e.theirs(), Put: e.writeTo})
	}
	y, err := m.root.onnx(g, onnxLast(m.input, onnxInput))
	if err != nil {
		return nil, err
	}
	g.rename(g.last(y), onnxOutput)
	in := onnx.Float
	if m.vocabulary > 0 {
		in = onnx.Int64
	}
	g.Name = "model"
	g.Inputs = []onnx.Value{{Name: onnxInput, Type: in, Shape: onnxBatch(m.input)}}
	g.Outputs = []onnx.Value{{Name: onnxOutput, Type: onnx.Float, Shape: onnxBatch(m.output)}}
	return &g.Graph, nil
}

// onnxBatch is the shape of a batch of samples.
func onnxBatch(sample Shape) []onnx.Dim {
	dims := []onnx.Dim{{Name: "batch"}}
	for _, d := range sample {
		dims = append(dims, onnx.Dim{Size: d})
	}
	return dims
}

// An onnxGraph is a graph that layers add their nodes to.
type onnxGraph struct {
	onnx.Graph
	layer string            // the name of the layer at hand
	taken map[string]bool   // names of values
	made  map[string]string // values that all layers share, by what they are
}

// An onnxValue is a batch of samples of one shape. ONNX's convolutions and
// poolings want the features right after the batch, other operators want them
// last, as they are here; for element-wise ones it doesn't matter. So a value may
// have a name in each layout, "" where no node has made it yet. Samples that are
// rows of features have one layout and both names.
type onnxValue struct {
	shape       Shape // as here, without the batch
	last, first string
}

// onnxLast returns a value whose features are last.
func onnxLast(shape Shape, name string) *onnxValue {
	v := &onnxValue{shape: shape, last: name}
	if len(shape) == 1 {
		v.first = name
	}
	return v
}

// onnxFirst returns a value whose features are first.
func onnxFirst(shape Shape, name string) *onnxValue {
	v := &onnxValue{shape: shape, first: name}
	if len(shape) == 1 {
		v.last = name
	}
	return v
}

// last returns the name of v with the features last.
func (g *onnxGraph) last(v *onnxValue) string {
	if v.last == "" {
		order := []int{0}
		for d := range len(v.shape) - 1 {
			order = append(order, d+2)
		}
		v.last = g.transpose(v.first, append(order, 1)...)
	}
	return v.last
}

// first returns the name of v with the features right after the batch.
func (g *onnxGraph) first(v *onnxValue) string {
	if v.first == "" {
		order := []int{0, len(v.shape)}
		for d := range len(v.shape) - 1 {
			order = append(order, d+1)
		}
		v.first = g.transpose(v.last, order...)
	}
	return v.first
}

// alike returns the values that an element-wise function of v has, in a layout
// that v is in.
func (v *onnxValue) alike(f func(x string) string) *onnxValue {
	if v.last != "" {
		return onnxLast(v.shape, f(v.last))
	}
	return onnxFirst(v.shape, f(v.first))
}

// node adds a node that applies an operator, and returns the name of its output.
func (g *onnxGraph) node(operator string, inputs []string, attributes ...onnx.Attribute) string {
	name := operator
	if g.layer != "" {
		name = g.layer + "/" + operator
	}
	name = g.unique(name)
	g.Nodes = append(g.Nodes, onnx.Node{Name: name, Operator: operator, Inputs: inputs, Outputs: []string{name}, Attributes: attributes})
	return name
}

// unique returns the name, with a number after it if others have it.
func (g *onnxGraph) unique(name string) string {
	free := name
	for n := 1; g.taken[free]; n++ {
		free = fmt.Sprint(name, "_", n)
	}
	g.taken[free] = true
	return free
}

// once returns what make did when it was first called for the key.
func (g *onnxGraph) once(key string, make func() string) string {
	if _, ok := g.made[key]; !ok {
		g.made[key] = make()
	}
	return g.made[key]
}

// rename gives a value a name that no other has. An input keeps its own: its copy
// gets the name.
func (g *onnxGraph) rename(from, to string) {
	made := func(n onnx.Node) bool { return n.Outputs[0] == from }
	if !slices.ContainsFunc(g.Nodes, made) {
		from = g.node("Identity", []string{from})
	}
	for _, n := range g.Nodes {
		for _, names := range [][]string{n.Inputs, n.Outputs} {
			for i := range names {
				if names[i] == from {
					names[i] = to
				}
			}
		}
	}
}

// constant returns the name of a tensor that no layer owns; put writes its elements.
func (g *onnxGraph) constant(name string, t onnx.Type, put func(io.Writer) error, shape ...int) string {
	return g.once(name, func() string {
		name := g.unique(name)
		g.Initializers = append(g.Initializers, onnx.Tensor{Name: name, Type: t, Shape: shape, Put: put})
		return name
	})
}

func (g *onnxGraph) scalar(v float32) string {
	return g.constant(fmt.Sprint("scalar_", v), onnx.Float, func(w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, v)
	})
}

// reshape adds a node that gives each sample a shape.
func (g *onnxGraph) reshape(x string, sample ...int) string {
	to := []int64{0} // the batch stays
	name := "shape"
	for _, d := range sample {
		to = append(to, int64(d))
		name += fmt.Sprint("_", d)
	}
	return g.node("Reshape", []string{x, g.constant(name, onnx.Int64, func(w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, to)
	}, len(to))})
}

func (g *onnxGraph) transpose(x string, order ...int) string {
	return g.node("Transpose", []string{x}, onnx.IntsAttribute("perm", order...))
}

// onnx is what the layer itself does; its nodes carry its name, and so does an
// error.
func (c built) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	defer func(outer string) { g.layer = outer }(g.layer)
	g.layer = c.name
	y, err := c.module.onnx(g, x)
	if err != nil && !errors.As(err, new(layerError)) {
		where := "layer"
		if c.name != "" {
			where += " " + c.name
		}
		err = layerError{fmt.Errorf("%s (%s): %w", where, c.kind, err)}
	}
	return y, err
}

func (m *sequenceModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	var err error
	for _, c := range m.children {
		if x, err = c.onnx(g, x); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (m *residualModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	y, err := m.body.onnx(g, x)
	if err != nil {
		return nil, err
	}
	short := x
	if m.shortcut != nil {
		if short, err = m.shortcut.onnx(g, x); err != nil {
			return nil, err
		}
	}
	if y.last != "" {
		return onnxLast(y.shape, g.node("Add", []string{g.last(short), y.last})), nil
	}
	return onnxFirst(y.shape, g.node("Add", []string{g.first(short), y.first})), nil
}

// A row times a matrix with a bias is an operator of its own. The matrix of more
// dimensions must be [in, out], so that a node transposes it; runtimes do that
// once.
func (l linearModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	shape := x.shape.withFeatures(l.weight.out)
	inputs := []string{g.last(x), l.Weight.Name}
	if len(shape) == 1 {
		if l.Bias != nil {
			inputs = append(inputs, l.Bias.Name)
		}
		return onnxLast(shape, g.node("Gemm", inputs, onnx.IntAttribute("transB", 1))), nil
	}
	inputs[1] = g.once("transposed "+l.Weight.Name, func() string { return g.transpose(l.Weight.Name, 1, 0) })
	y := g.node("MatMul", inputs)
	if l.Bias != nil {
		y = g.node("Add", []string{y, l.Bias.Name})
	}
	return onnxLast(shape, y), nil
}

func (m *convModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	inputs := []string{g.first(x), m.Weight.Name}
	if m.Bias != nil {
		inputs = append(inputs, m.Bias.Name)
	}
	c := m.Conv2d
	y := g.node("Conv", inputs,
		onnx.IntsAttribute("kernel_shape", c.Kernel[:]...),
		onnx.IntsAttribute("strides", max(c.Stride[0], 1), max(c.Stride[1], 1)),
		onnx.IntsAttribute("pads", onnxPads(c.Padding)...),
		onnx.IntsAttribute("dilations", max(c.Dilation[0], 1), max(c.Dilation[1], 1)),
		onnx.IntAttribute("group", max(c.Groups, 1)))
	return onnxFirst(Shape{c.OutH(), c.OutW(), c.Out}, y), nil
}

// onnxPads are the rows above, columns left, rows below, and columns right.
func onnxPads(p [2]int) []int { return []int{p[0], p[1], p[0], p[1]} }

func (m *maxPoolModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	return onnxPool(g, x, "MaxPool", m.Pooling2d), nil
}

func (m *avgPoolModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	return onnxPool(g, x, "AveragePool", m.Pooling2d, onnx.IntAttribute("count_include_pad", 1)), nil
}

func onnxPool(g *onnxGraph, x *onnxValue, operator string, p kernels.Pooling2d, more ...onnx.Attribute) *onnxValue {
	strides := p.Stride
	for i := range strides {
		if strides[i] == 0 {
			strides[i] = p.Kernel[i]
		}
	}
	y := g.node(operator, []string{g.first(x)}, append([]onnx.Attribute{
		onnx.IntsAttribute("kernel_shape", p.Kernel[:]...),
		onnx.IntsAttribute("strides", strides[:]...),
		onnx.IntsAttribute("pads", onnxPads(p.Padding)...),
	}, more...)...)
	return onnxFirst(Shape{p.OutH(), p.OutW(), p.C}, y)
}

func (m *batchNormModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	y := g.node("BatchNormalization",
		[]string{g.first(x), m.weight.Name, m.bias.Name, m.mean.Name, m.variance.Name},
		onnx.FloatAttribute("epsilon", m.epsilon))
	return onnxFirst(x.shape, y), nil
}

func (m *layerNormModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	y := g.node("LayerNormalization", []string{g.last(x), m.Weight.Name, m.Bias.Name},
		onnx.IntAttribute("axis", -1), onnx.FloatAttribute("epsilon", m.epsilon))
	return onnxLast(x.shape, y), nil
}

func (m *embeddingModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	y := g.node("Gather", []string{m.Weight.Name, g.last(x)}, onnx.IntAttribute("axis", 0))
	return onnxLast(append(slices.Clone(x.shape), m.features), y), nil
}

func (m *positionsModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	return onnxLast(x.shape, g.node("Add", []string{g.last(x), m.weight.Name})), nil
}

func (m *scaleModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	return onnxLast(x.shape, g.node("Mul", []string{g.last(x), m.weight.Name})), nil
}

func (m *attentionModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	// heads returns the outputs of a projection as [batch, heads, tokens, width],
	// in another order if asked to.
	heads := func(projection module, order ...int) (string, error) {
		y, err := projection.onnx(g, x)
		if err != nil {
			return "", err
		}
		return g.transpose(g.reshape(g.last(y), m.tokens, m.heads, m.inner/m.heads), order...), nil
	}
	q, err := heads(m.q, 0, 2, 1, 3)
	if err != nil {
		return nil, err
	}
	k, err := heads(m.k, 0, 2, 3, 1)
	if err != nil {
		return nil, err
	}
	v, err := heads(m.v, 0, 2, 1, 3)
	if err != nil {
		return nil, err
	}
	scores := g.node("Mul", []string{g.node("MatMul", []string{q, k}), g.scalar(m.scale)})
	if m.causal {
		scores = g.node("Add", []string{scores, g.causalMask(m.tokens)})
	}
	p := g.node("Softmax", []string{scores}, onnx.IntAttribute("axis", -1))
	mixed := g.transpose(g.node("MatMul", []string{p, v}), 0, 2, 1, 3)
	return m.o.onnx(g, onnxLast(Shape{m.tokens, m.inner}, g.reshape(mixed, m.tokens, m.inner)))
}

// causalMask is a matrix of 0, and of -Inf where a token would see a later one.
func (g *onnxGraph) causalMask(tokens int) string {
	return g.constant(fmt.Sprint("causal_mask_", tokens), onnx.Float, func(w io.Writer) error {
		row := make([]float32, tokens)
		for i := range row {
			row[i] = float32(math.Inf(-1))
		}
		for i := range row {
			row[i] = 0
			if err := binary.Write(w, binary.LittleEndian, row); err != nil {
				return err
			}
		}
		return nil
	}, tokens, tokens)
}

// onnx of an element-wise function keeps the layout.
func (a *activation) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	if a.nodes == nil {
		return nil, errNoOperator
	}
	return x.alike(func(x string) string { return a.nodes(g, x) }), nil
}

// onnxOperator is a function that is an operator.
func onnxOperator(name string) func(g *onnxGraph, x string) string {
	return func(g *onnxGraph, x string) string { return g.node(name, []string{x}) }
}

// onnxSiLU is x * sigmoid(x).
func onnxSiLU(g *onnxGraph, x string) string {
	return g.node("Mul", []string{x, g.node("Sigmoid", []string{x})})
}

// onnxGELU is x * (1 + erf(x/sqrt(2))) * 0.5, in the order that runtimes know as
// one function.
func onnxGELU(g *onnxGraph, x string) string {
	erf := g.node("Erf", []string{g.node("Div", []string{x, g.scalar(math.Sqrt2)})})
	twice := g.node("Mul", []string{x, g.node("Add", []string{erf, g.scalar(1)})})
	return g.node("Mul", []string{twice, g.scalar(0.5)})
}

// onnxGELUTanh is 0.5*x * (1 + tanh(sqrt(2/pi)*x * (1 + 0.044715*x*x))).
func onnxGELUTanh(g *onnxGraph, x string) string {
	square := g.node("Mul", []string{g.node("Mul", []string{x, g.scalar(0.044715)}), x})
	inner := g.node("Mul", []string{
		g.node("Mul", []string{x, g.scalar(float32(math.Sqrt(2 / math.Pi)))}),
		g.node("Add", []string{square, g.scalar(1)}),
	})
	tanh := g.node("Add", []string{g.node("Tanh", []string{inner}), g.scalar(1)})
	return g.node("Mul", []string{g.node("Mul", []string{x, g.scalar(0.5)}), tanh})
}

// A prediction drops nothing.
func (m dropoutModule) onnx(_ *onnxGraph, x *onnxValue) (*onnxValue, error) { return x, nil }

// onnx of Flatten takes an image channel by channel.
func (m *reshapeModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	flatten := func(x string) *onnxValue {
		return onnxLast(m.out, g.node("Flatten", []string{x}, onnx.IntAttribute("axis", 1)))
	}
	switch {
	case len(m.out) == 2 && x.last != "":
		return onnxLast(m.out, g.reshape(x.last, m.out...)), nil
	case len(m.out) == 2:
		return onnxFirst(m.out, g.reshape(x.first, m.out[1], m.out[0])), nil
	case len(x.shape) == 1:
		return x, nil
	case len(x.shape) == 3:
		return flatten(g.first(x)), nil
	}
	return flatten(g.last(x)), nil
}

func (m meanModule) onnx(g *onnxGraph, x *onnxValue) (*onnxValue, error) {
	positions := len(x.shape) - 1
	if positions == 0 {
		return x, nil
	}
	from, name := 1, x.last
	if name == "" {
		from, name = 2, x.first
	}
	var axes []int
	for d := range positions {
		axes = append(axes, from+d)
	}
	y := g.node("ReduceMean", []string{name}, onnx.IntsAttribute("axes", axes...), onnx.IntAttribute("keepdims", 0))
	return onnxLast(Shape{int(m)}, y), nil
}
