package optim_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// A goldenModel is the network of a case file, which its text describes in one of
// four ways:
//
//	Linear(6-5-3 bias=True) with relu between
//	0:Conv2d(3,4,k3,pad1,bias) 1:BatchNorm2d(4) 2:ReLU 3:mean over H,W 4:Linear(4,3)
//	ln=LayerNorm(6); fc=Linear(6,4); z=ln(x); y=fc(mean over tokens of (x+z))
//	bare Parameter scale[n] (input is x*scale) before 2 Linear layers
//
// Sizes come from the list of layers or, where there is none, from the shapes of
// the parameters.
type goldenModel struct {
	*nn.Model
	twin   *nn.Model         // carries other numbers than values through StateDict
	names  map[string]string // of layers and bare parameters, from the file's to ours
	params []string          // names in the file
	turned map[string]bool   // parameters that the file has in our layout
}

var goldenActivations = map[string]func() nn.Layer{
	"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "silu": nn.SiLU,
	"gelu": nn.GELU, "gelu_erf": nn.GELU, "gelu_tanh": nn.GELUTanh,
}

func (g *golden) newModel(t *testing.T) *goldenModel {
	b := &goldenBuilder{T: t, golden: g, names: make(map[string]string), turned: make(map[string]bool)}
	var layers []nn.Layer
	switch {
	case strings.Contains(g.Model, ";") && strings.Contains(g.Model, "y=") && len(g.Layers) > 0:
		layers = b.formula(g.Model)
	case regexp.MustCompile(`^\d+:`).MatchString(g.Model):
		layers = b.list(g.Model)
	case strings.HasPrefix(g.Model, "Linear("):
		layers = b.perceptron(g.Model)
	default:
		layers = b.prose(g.Model)
	}
	build := func() *nn.Model {
		m, err := nn.New(b.inputShape(), layers...)
		require.NoError(t, err, g.Model)
		return m
	}
	m := &goldenModel{Model: build(), twin: build(), names: b.names, turned: b.turned}
	for name := range g.Initial {
		m.params = append(m.params, name)
	}
	state := m.StateDict()
	for name, a := range g.Initial {
		m.set(t, state, name, a)
	}
	require.Len(t, m.Params(), len(g.Initial), "model %q", g.Model)
	require.NoError(t, m.LoadStateDict(state))
	return m
}

// set takes over an array of the file into a state of the model.
func (m *goldenModel) set(t *testing.T, state []nn.Tensor, name string, a array) {
	for i, s := range state {
		if s.Name != m.ours(name) {
			continue
		}
		require.Equal(t, s.Shape, a.Shape, name)
		state[i].Data = a.Data
		if m.turned[name] {
			state[i].Data = transpose(a.Data, a.Shape[0])
		}
		return
	}
	require.Fail(t, "the model has no such parameter or buffer", name)
}

// ours returns our name of a parameter or buffer of the file.
func (m *goldenModel) ours(name string) string {
	if n, ok := m.names[name]; ok {
		return n
	}
	if i := strings.LastIndex(name, "."); i >= 0 {
		if layer, ok := m.names[name[:i]]; ok {
			return layer + name[i:]
		}
	}
	return name
}

// layer returns our name of a layer of the file.
func (m *goldenModel) layer(name string) string {
	if n, ok := m.names[name]; ok {
		return n
	}
	return name
}

// theirs returns numbers of all parameters, which number lists in our order and
// layout, in the file's layout under the file's names.
func (m *goldenModel) theirs(numbers func(i int) []float32) map[string][]float32 {
	for i, p := range m.twin.Params() {
		copy(p.Value, numbers(i))
	}
	byName := make(map[string]nn.Tensor)
	for _, s := range m.twin.StateDict() {
		byName[s.Name] = s
	}
	all := make(map[string][]float32)
	for _, name := range m.params {
		s := byName[m.ours(name)]
		if m.turned[name] {
			s.Data = transpose(s.Data, s.Shape[0])
		}
		all[name] = s.Data
	}
	return all
}

// values returns the parameters, as theirs does.
func (m *goldenModel) values() map[string][]float32 {
	return m.theirs(func(i int) []float32 { return m.Params()[i].Value })
}

// buffers returns the running averages under the file's names.
func (m *goldenModel) buffers(want map[string]array) map[string][]float32 {
	all := make(map[string][]float32)
	for name := range want {
		for _, b := range m.Buffers() {
			if b.Name == m.ours(name) {
				all[name] = b.Value
			}
		}
	}
	return all
}

// theirFactor returns the entries of H in the file's order: those of a convolution
// stand as in the weight, [in/groups, kh, kw], then the bias.
func theirFactor(l *goldenLayer, h []float32) []float32 {
	if l == nil || len(l.Weight) != 4 {
		return h
	}
	channels := l.Weight[1]
	k := channels * l.Weight[2] * l.Weight[3]
	return append(transpose(h[:k], k/channels), h[k:]...)
}

// channelsLast returns images in our layout, [N, H, W, C], and others as they are.
func (a array) channelsLast() []float32 {
	if len(a.Shape) != 4 {
		return a.Data
	}
	var all []float32
	for image := range slices.Chunk(a.Data, len(a.Data)/a.Shape[0]) {
		all = append(all, transpose(image, a.Shape[1])...)
	}
	return all
}

// goldenBuilder makes layers of a description.
type goldenBuilder struct {
	*testing.T
	*golden
	names      map[string]string
	turned     map[string]bool
	attentions int
}

// inputShape is the shape of a sample.
func (b *goldenBuilder) inputShape() nn.Shape {
	shape := b.X[0].Shape[1:]
	if len(shape) == 3 {
		return nn.Shape{shape[1], shape[2], shape[0]}
	}
	return slices.Clone(shape)
}

// described returns the layer of the given name, from the list of layers or, where
// there is none, from the parameters.
func (b *goldenBuilder) described(name string) *goldenLayer {
	for i := range b.Layers {
		if b.Layers[i].Name == name {
			return &b.Layers[i]
		}
	}
	w, ok := b.Initial[name+".weight"]
	if len(b.Layers) > 0 || !ok {
		return nil
	}
	_, bias := b.Initial[name+".bias"]
	l := &goldenLayer{Name: name, Weight: w.Shape, Bias: bias}
	switch {
	case name == "emb":
		l.Type = "Embedding"
	case len(w.Shape) == 2:
		l.Type = "Linear"
	case len(w.Shape) == 1:
		l.Type = "BatchNorm1d"
	}
	return l
}

// layer makes a layer under its name in the file.
func (b *goldenBuilder) layer(l *goldenLayer) nn.Layer {
	b.names[l.Name] = l.Name
	if l.Eps != nil {
		require.Equal(b, 1e-5, *l.Eps, l.Name)
	}
	if l.Momentum != nil {
		require.Equal(b, 0.1, *l.Momentum, l.Name)
	}
	w := l.Weight
	switch l.Type {
	case "Linear":
		require.Len(b, w, 2, l.Name)
		if l.Bias {
			return nn.Named(l.Name, nn.Linear(w[1], w[0]))
		}
		return nn.Named(l.Name, nn.LinearNoBias(w[1], w[0]))
	case "LayerNorm":
		require.Len(b, w, 1, l.Name)
		require.True(b, l.Bias, l.Name)
		return nn.Named(l.Name, nn.LayerNorm())
	case "Embedding":
		require.Len(b, w, 2, l.Name)
		return nn.Named(l.Name, nn.Embedding(w[0], w[1]))
	case "BatchNorm2d", "BatchNorm1d":
		require.Len(b, w, 1, l.Name)
		require.True(b, l.Bias, l.Name)
		return nn.Named(l.Name, nn.BatchNorm())
	case "Conv2d":
		require.Len(b, w, 4, l.Name)
		return nn.Named(l.Name, nn.Conv2d(w[1]*l.Groups, w[0], nn.Conv{
			Kernel: l.Kernel, Stride: l.Stride, Padding: l.Padding, Dilation: l.Dilation, Groups: l.Groups, NoBias: !l.Bias,
		}))
	}
	require.FailNow(b, "unknown kind of layer", "%s of layer %s", l.Type, l.Name)
	return nil
}

// perceptron is "Linear(6-5-3 bias=True) with relu between".
func (b *goldenBuilder) perceptron(text string) []nn.Layer {
	between := regexp.MustCompile(`^Linear\(.*\)(?: with (\w+) between)?$`).FindStringSubmatch(text)
	require.NotNil(b, between, "model %q", text)
	return b.linears(between[1])
}

// linears are all Linear layers in the order of the parameters, with an activation
// between them.
func (b *goldenBuilder) linears(between string) []nn.Layer {
	var layers []nn.Layer
	for _, param := range b.ParamOrder {
		name, ok := strings.CutSuffix(param, ".weight")
		if !ok {
			continue
		}
		l := b.described(name)
		require.NotNil(b, l, "layer %s", name)
		if l.Type != "Linear" {
			continue
		}
		if len(layers) > 0 {
			require.Contains(b, goldenActivations, between, "model %q", b.Model)
			layers = append(layers, goldenActivations[between]())
		}
		layers = append(layers, b.layer(l))
	}
	return layers
}

// list is "0:Conv2d(3,4,k3,pad1,bias) 1:ReLU ..".
func (b *goldenBuilder) list(text string) []nn.Layer {
	var layers []nn.Layer
	starts := regexp.MustCompile(`(?:^| )(\d+):`).FindAllStringSubmatchIndex(text, -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		name, what := text[at[2]:at[3]], strings.TrimSpace(text[at[1]:end])
		require.Equal(b, strconv.Itoa(i), name, "model %q", text)
		if l := b.described(name); l != nil {
			require.Contains(b, what, l.Type, "model %q", text)
			layers = append(layers, b.layer(l))
			continue
		}
		layers = append(layers, b.simple(what))
	}
	return layers
}

// simple makes a layer without parameters.
func (b *goldenBuilder) simple(what string) nn.Layer {
	if f, ok := goldenActivations[strings.ToLower(what)]; ok {
		return f()
	}
	if strings.HasPrefix(what, "mean over ") {
		return nn.Mean()
	}
	require.FailNow(b, "unknown layer", "%q in model %q", what, b.Model)
	return nil
}

// prose is a sentence on what stands before or between Linear layers.
func (b *goldenBuilder) prose(text string) []nn.Layer {
	var layers []nn.Layer
	for _, param := range b.ParamOrder {
		if strings.Contains(param, ".") {
			continue
		}
		shape := b.Initial[param].Shape
		b.names[param] = param + ".weight"
		if len(shape) == 1 {
			require.Contains(b, text, "x*"+param)
			layers = append(layers, nn.Named(param, nn.Scale()))
			continue
		}
		require.Len(b, shape, 2, "parameter %s of %q", param, text)
		require.Contains(b, text, "x @ "+param)
		b.turned[param] = true
		layers = append(layers, nn.Named(param, nn.Unfactored(nn.LinearNoBias(shape[0], shape[1]))))
	}
	if l := b.described("emb"); l != nil {
		require.Contains(b, text, "Embedding")
		layers = append(layers, b.layer(l), nn.Mean())
	}
	if strings.HasPrefix(text, "Linear, BatchNorm1d") {
		require.Contains(b, text, ", tanh, Linear")
		linears := b.linears("tanh")
		return append(linears[:1:1], append([]nn.Layer{b.layer(b.described("mid"))}, linears[1:]...)...)
	}
	return append(layers, b.linears("tanh")...)
}

// A step is a layer of a chain; equal texts are equal computations.
type goldenChainStep struct {
	text  string
	layer nn.Layer
}

// formula is "ln=LayerNorm(6); ..; z=ln(x); y=head(z); remarks".
func (b *goldenBuilder) formula(text string) []nn.Layer {
	values := make(map[string]*goldenNode)
	for _, part := range strings.Split(text, ";") {
		name, expression, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || !regexp.MustCompile(`^\w+$`).MatchString(name) || b.described(name) != nil {
			continue // a remark, or the sizes of a layer
		}
		values[name] = b.parse(expression)
	}
	require.Contains(b, values, "y", "model %q", text)
	var layers []nn.Layer
	for _, s := range b.chain(values["y"], values) {
		layers = append(layers, s.layer)
	}
	return layers
}

// chain returns the layers from x to n.
func (b *goldenBuilder) chain(n *goldenNode, values map[string]*goldenNode) []goldenChainStep {
	add := func(to []goldenChainStep, l nn.Layer, text string) []goldenChainStep {
		return append(slices.Clip(to), goldenChainStep{text, l})
	}
	switch n.op {
	case "name":
		switch v := values[n.text]; {
		case v != nil:
			return b.chain(v, values)
		case n.text == "x":
			return nil
		}
		l := b.described(n.text)
		require.True(b, l != nil && l.Type == "Embedding", "%s in model %q", n.text, b.Model)
		return add(nil, b.layer(l), n.text)
	case "+":
		short, long := b.chain(n.args[0], values), b.chain(n.args[1], values)
		if len(short) > len(long) {
			short, long = long, short
		}
		for i, s := range short {
			require.Equal(b, s.text, long[i].text, "both sides of a sum in model %q", b.Model)
		}
		require.Greater(b, len(long), len(short), "sum in model %q", b.Model)
		var body []nn.Layer
		text := "residual"
		for _, s := range long[len(short):] {
			body = append(body, s.layer)
			text += " " + s.text
		}
		return add(short, nn.Named("", nn.Residual(body...)), text)
	case "call":
		if n.args[0].op == "product" {
			return b.attention(n, values)
		}
		to := b.chain(n.args[0], values)
		if l := b.described(n.text); l != nil {
			return add(to, b.layer(l), n.text)
		}
		return add(to, b.simple(n.text), n.text)
	}
	require.FailNow(b, "unknown formula", "%s in model %q", n.op, b.Model)
	return nil
}

// attention is o(w v(z)) with w=softmax_last(q(z) k(z)^T / sqrt(d)).
func (b *goldenBuilder) attention(n *goldenNode, values map[string]*goldenNode) []goldenChainStep {
	w, v := n.args[0].args[0], n.args[0].args[1]
	if w.op == "name" {
		w = values[w.text]
	}
	require.True(b, w != nil && w.op == "call" && w.text == "softmax_last" && w.args[0].op == "/", "model %q", b.Model)
	scores, root := w.args[0].args[0], w.args[0].args[1]
	require.Equal(b, "product", scores.op, "model %q", b.Model)
	q, k := scores.args[0], scores.args[1]
	require.Equal(b, "transpose", k.op, "model %q", b.Model)
	k = k.args[0]
	parts := map[string]*goldenLayer{"q": b.described(q.text), "k": b.described(k.text), "v": b.described(v.text), "o": b.described(n.text)}
	var z []string
	for _, call := range []*goldenNode{q, k, v} {
		require.Equal(b, "call", call.op)
		require.Len(b, call.args, 1)
		z = append(z, fmt.Sprint(texts(b.chain(call.args[0], values))))
	}
	require.Equal(b, z[0], z[1])
	require.Equal(b, z[0], z[2])
	name := fmt.Sprintf("attention%d", b.attentions)
	b.attentions++
	for part, l := range parts {
		require.NotNil(b, l, "%s in model %q", part, b.Model)
		require.Equal(b, "Linear", l.Type)
		b.names[l.Name] = name + "." + part
	}
	inner := parts["q"].Weight[0]
	require.Equal(b, "call", root.op)
	require.Equal(b, "sqrt", root.text)
	d, err := strconv.ParseFloat(root.args[0].text, 64)
	require.NoError(b, err)
	require.Equal(b, float64(inner), d, "one head has all features: model %q", b.Model)
	l := nn.SelfAttention(nn.Attention{
		Inner:       inner,
		NoQueryBias: !parts["q"].Bias, NoKeyBias: !parts["k"].Bias,
		NoValueBias: !parts["v"].Bias, NoOutputBias: !parts["o"].Bias,
	})
	return append(b.chain(v.args[0], values), goldenChainStep{name, nn.Named(name, l)})
}

func texts(steps []goldenChainStep) (all []string) {
	for _, s := range steps {
		all = append(all, s.text)
	}
	return all
}

// A goldenNode is a formula: a name, a number, a call of text with one argument, a
// sum, a quotient, a product of neighbours, or a transpose.
type goldenNode struct {
	op, text string
	args     []*goldenNode
}

// goldenParser reads a formula.
type goldenParser struct {
	tokens []string
	fail   func(string)
}

func (b *goldenBuilder) parse(text string) *goldenNode {
	text = regexp.MustCompile(`mean over [\w,]+ of `).ReplaceAllString(text, "mean@")
	p := &goldenParser{
		tokens: regexp.MustCompile(`\w+\(|mean@|\w+|\^T|\S`).FindAllString(text, -1),
		fail:   func(what string) { require.FailNow(b, "formula", "%s in %q of model %q", what, text, b.Model) },
	}
	n := p.sum()
	if len(p.tokens) > 0 {
		p.fail("unexpected " + p.tokens[0])
	}
	return n
}

func (p *goldenParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *goldenParser) take(token string) bool {
	if p.next() != token {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *goldenParser) close() {
	if !p.take(")") {
		p.fail("no closing parenthesis")
	}
}

func (p *goldenParser) sum() *goldenNode {
	n := p.quotient()
	for p.take("+") {
		n = &goldenNode{"+", "", []*goldenNode{n, p.quotient()}}
	}
	return n
}

func (p *goldenParser) quotient() *goldenNode {
	n := p.product()
	if p.take("/") {
		n = &goldenNode{"/", "", []*goldenNode{n, p.product()}}
	}
	return n
}

var startsTerm = regexp.MustCompile(`^(\w|\()`)

func (p *goldenParser) product() *goldenNode {
	n := p.transposed()
	for startsTerm.MatchString(p.next()) {
		n = &goldenNode{"product", "", []*goldenNode{n, p.transposed()}}
	}
	return n
}

func (p *goldenParser) transposed() *goldenNode {
	n := p.term()
	if p.take("^T") {
		n = &goldenNode{"transpose", "", []*goldenNode{n}}
	}
	return n
}

func (p *goldenParser) term() *goldenNode {
	token := p.next()
	if !startsTerm.MatchString(token) {
		p.fail("unexpected " + strconv.Quote(token))
	}
	p.take(token)
	switch name, call := strings.CutSuffix(token, "("); {
	case token == "mean@":
		return &goldenNode{"call", "mean over ", []*goldenNode{p.term()}}
	case call:
		n := p.sum()
		p.close()
		if name == "" {
			return n
		}
		return &goldenNode{"call", name, []*goldenNode{n}}
	}
	return &goldenNode{"name", token, nil}
}

// Networks of other depths and sizes than those of the files, in the same words.
func TestGoldenModels(t *testing.T) {
	linear := func(name string, out, in int, bias bool) goldenLayer {
		return goldenLayer{Name: name, Type: "Linear", Weight: []int{out, in}, Bias: bias}
	}
	norm := func(name string, n int) goldenLayer {
		return goldenLayer{Name: name, Type: "LayerNorm", Weight: []int{n}, Bias: true}
	}
	conv := func(name string, weight []int, stride, padding [2]int, groups int, bias bool) goldenLayer {
		return goldenLayer{Name: name, Type: "Conv2d", Weight: weight, Bias: bias, Kernel: [2]int(weight[2:]), Stride: stride, Padding: padding, Groups: groups}
	}
	for _, c := range []struct {
		text   string
		x      []int
		layers []goldenLayer
		kinds  string
	}{
		{
			"0:Conv2d(2,6,k5,stride2,pad2,nobias) 1:BatchNorm2d(6) 2:Tanh 3:depthwise Conv2d(6,6,k(3,2),stride(1,2),pad(1,0),groups=6,bias) 4:ReLU 5:mean over H,W 6:Linear(6,8) 7:ReLU 8:Linear(8,4)",
			[]int{3, 2, 9, 8},
			[]goldenLayer{
				conv("0", []int{6, 2, 5, 5}, nn.Square(2), nn.Square(2), 1, false), {Name: "1", Type: "BatchNorm2d", Weight: []int{6}, Bias: true},
				conv("3", []int{6, 1, 3, 2}, [2]int{1, 2}, [2]int{1, 0}, 6, true), linear("6", 8, 6, true), linear("8", 4, 8, true),
			},
			"Conv2d BatchNorm Tanh Conv2d ReLU Mean Linear ReLU Linear",
		},
		{
			"ln1=LayerNorm(5); fc1=Linear(5,9); fc2=Linear(9,5,bias=False); ln2=LayerNorm(5); fc3=Linear(5,5); head=Linear(5,3); a=x+fc2(gelu_erf(fc1(ln1(x)))); y=head(tanh(a+fc3(ln2(a)))); cross entropy mean over batch*token",
			[]int{2, 4, 5},
			[]goldenLayer{norm("ln1", 5), linear("fc1", 9, 5, true), linear("fc2", 5, 9, false), norm("ln2", 5), linear("fc3", 5, 5, true), linear("head", 3, 5, true)},
			"Residual LayerNorm Linear GELU Linear Residual LayerNorm Linear Tanh Linear",
		},
		{
			"ln=LayerNorm(6); wq=Linear(6,9,bias=False); wk=Linear(6,9); wv=Linear(6,9); wo=Linear(9,6); head=Linear(6,4); z=ln(x); w=softmax_last(wq(z) wk(z)^T / sqrt(9)); y=head(mean over tokens of (x+wo(w wv(z))))",
			[]int{2, 7, 6},
			[]goldenLayer{norm("ln", 6), linear("wq", 9, 6, false), linear("wk", 9, 6, true), linear("wv", 9, 6, true), linear("wo", 6, 9, true), linear("head", 4, 6, true)},
			"Residual LayerNorm SelfAttention Linear Linear Linear Linear Mean Linear",
		},
		{
			"Linear(7-6-5-4 bias=False) with relu between",
			[]int{2, 7},
			[]goldenLayer{linear("0", 6, 7, false), linear("2", 5, 6, false), linear("4", 4, 5, false)},
			"Linear ReLU Linear ReLU Linear",
		},
	} {
		g := &golden{Model: c.text, Layers: c.layers, Initial: make(map[string]array), X: []array{{Shape: c.x}}}
		for _, l := range c.layers {
			for suffix, shape := range map[string][]int{".weight": l.Weight, ".bias": l.Weight[:1]} {
				if suffix == ".weight" || l.Bias {
					a := array{Shape: shape, Data: make([]float32, nn.Shape(shape).Size())}
					for i := range a.Data {
						a.Data[i] = float32(len(g.Initial)*1000 + i)
					}
					g.Initial[l.Name+suffix] = a
				}
			}
			g.ParamOrder = append(g.ParamOrder, l.Name+".weight")
		}
		m := g.newModel(t)
		var kinds []string
		for _, line := range strings.Split(m.Summary(), "\n")[2:] {
			if f := strings.Fields(line); len(f) > 1 && f[0] != "total" {
				kind := f[1]
				if strings.HasPrefix(kind, "[") { // a layer without a name
					kind = f[0]
				}
				kinds = append(kinds, kind)
			}
		}
		require.Equal(t, c.kinds, strings.Join(kinds, " "), c.text)
		values := m.values()
		for name, a := range g.Initial {
			require.Equal(t, a.Data, values[name], name)
		}
	}
}
