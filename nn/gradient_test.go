package nn_test

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// The tolerance is relative to the largest entry of an array. Where a sum cancels,
// its error is still of the size of its terms; so the entry counts as at least the
// floor, which is below the usual size of such terms here.
const (
	float32Tolerance = 2e-6 // float32 against float64, 17 units of 2^-23

	gradientFloor = 0.1
	factorFloor   = 0.01
)

func requireNear(t testing.TB, want []float64, got []float32, floor float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	scale := floor
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= float32Tolerance*scale) {
			require.Failf(t, "not near", "%s[%d]: got %v, want %v within %v", what, i, got[i], w, float32Tolerance*scale)
		}
	}
}

// randomFor returns numbers that follow from a name.
func randomFor(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(h.Sum64(), 1))
}

func uniform(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*r.Float32() - 1
	}
	return x
}

// drawInput returns samples for m, whose input is tokens below vocabulary if that is
// not 0.
func drawInput(r *rand.Rand, m *nn.Model, vocabulary, rows int) []float32 {
	x := uniform(r, rows*m.In())
	for i := range x {
		if vocabulary > 0 {
			x[i] = float32(r.IntN(vocabulary))
		} else {
			x[i] *= 2
		}
	}
	return x
}

// drawParams draws all parameters anew and moves them from where normalisations and
// biases start.
func drawParams(r *rand.Rand, m *nn.Model) {
	m.Init(r.Uint64())
	for _, p := range m.Params() {
		for i, d := range uniform(r, len(p.Value)) {
			p.Value[i] += d / 4
		}
	}
}

// margin is how far a pass must stay from a kink: differences move a number by 2e-4.
const margin = 1e-3

// checkGradients compares one pass of a session, which has room for more rows, with
// float64: outputs, gradients at the input and at the parameters, and factors.
func checkGradients(t testing.TB, r *rand.Rand, input nn.Shape, vocabulary, rows int, specs ...spec) {
	t.Helper()
	m := model(t, input, layersOf(specs)...)
	if rows < m.MinBatch() {
		return
	}
	s := session(t, m, rows+r.IntN(3))
	s.CollectStatistics(kron.CollectFactors)
	s.CollectInputGradient(true)

	var x []float32
	var net *ref
	var x64 tensor
	for draws := 0; ; draws++ {
		require.Less(t, draws, 100_000, "no input stays away from the kinks")
		drawParams(r, m)
		x = drawInput(r, m, vocabulary, rows)
		net = newRef(t, m, specs...)
		net.seed, net.pass = r.Uint64(), r.Uint64()
		x64 = tensor{rows, input, widen(x)}
		if net.forward(x64); net.margin >= margin {
			break
		}
	}
	s.SetRandom(net.seed, net.pass)
	y, err := s.Forward(x)
	require.NoError(t, err)
	want := net.forward(x64)
	require.Equal(t, fmt.Sprint(want.shape), fmt.Sprint(m.OutputShape()))
	floor := max(gradientFloor, net.terms)
	requireNear(t, want.data, y, floor, "output")
	if !net.training {
		p, err := m.NewPredictor(rows)
		require.NoError(t, err)
		predicted, err := p.Predict(x)
		require.NoError(t, err)
		require.Equal(t, bits(y), bits(predicted))
	}

	dy := uniform(r, len(y))
	if rows > 5 { // as a mean over many rows has it
		for i := range dy {
			dy[i] /= float32(rows)
		}
	}
	require.NoError(t, s.SetOutputGradient(dy))
	pass, err := s.Backward()
	require.NoError(t, err)
	require.Len(t, pass.Gradients, len(m.Params()))
	for i, g := range pass.Gradients {
		require.Same(t, m.Params()[i], g.Param)
		requireNear(t, net.gradient(net.param(g.Param.Name), x64, dy), g.Data, floor, "gradient of "+g.Param.Name)
	}
	dx, err := s.InputGradient()
	require.NoError(t, err)
	wantDX := make([]float64, len(x)) // tokens have none
	if vocabulary == 0 {
		wantDX = net.gradient(x64.data, x64, dy)
	}
	requireNear(t, wantDX, dx, floor, "gradient at the input")

	h, outer := net.factors(x64, dy)
	require.Len(t, pass.Statistics, len(h))
	for i, st := range pass.Statistics {
		require.Same(t, m.Layers()[i], st.Layer)
		require.Contains(t, h, st.Layer.Name)
		requireNear(t, h[st.Layer.Name], st.H, factorFloor, "H of "+st.Layer.Name)
		// An error of dy counts twice in its square.
		requireNear(t, outer[st.Layer.Name], st.S, max(factorFloor, net.terms, net.uncorrelated[st.Layer.Name]), "S of "+st.Layer.Name)
	}

	// Nobody asks for the gradient at the input.
	gradients := copyGradients(pass)
	s.CollectInputGradient(false)
	require.NoError(t, s.SetOutputGradient(dy))
	pass, err = s.Backward()
	require.NoError(t, err)
	require.Equal(t, gradients, copyGradients(pass))
}

func copyGradients(p *kron.Pass) (g [][]uint32) {
	for _, v := range p.Gradients {
		g = append(g, bits(v.Data))
	}
	return g
}

// shapes calls f for all shapes of so many dimensions from 1 to limit.
func shapes(dimensions, limit int, f func(shape nn.Shape)) {
	if dimensions == 0 {
		f(nil)
		return
	}
	shapes(dimensions-1, limit, func(shape nn.Shape) {
		for d := 1; d <= limit; d++ {
			f(append(shape[:len(shape):len(shape)], d))
		}
	})
}

// most is the largest dimension of the shapes that tests go through.
func most() int {
	if testing.Short() {
		return 2
	}
	return 5
}

// checkShapes checks a layer on all shapes of one to three dimensions, and batches
// of one and more.
func checkShapes(t *testing.T, seed uint64, of func(shape nn.Shape, r *rand.Rand) []spec) {
	r := rand.New(rand.NewPCG(seed, 1))
	for dimensions := 1; dimensions <= 3; dimensions++ {
		shapes(dimensions, most(), func(shape nn.Shape) {
			for _, rows := range []int{1, 2 + r.IntN(3)} {
				checkGradients(t, r, shape, 0, rows, of(shape, r)...)
			}
		})
	}
}

func TestLinearGradients(t *testing.T) {
	checkShapes(t, 1, func(shape nn.Shape, r *rand.Rand) []spec {
		return []spec{linearSpec(shape.Features(), 1+r.IntN(5), r.IntN(2) == 0)}
	})
}

func TestActivationGradients(t *testing.T) {
	for i, a := range activations {
		checkShapes(t, 2+uint64(i), func(nn.Shape, *rand.Rand) []spec { return []spec{a} })
	}
}

func TestLayerNormGradients(t *testing.T) {
	checkShapes(t, 10, func(nn.Shape, *rand.Rand) []spec { return []spec{layerNorm()} })
}

func TestPositionsGradients(t *testing.T) {
	checkShapes(t, 11, func(nn.Shape, *rand.Rand) []spec { return []spec{positions()} })
}

func TestScaleGradients(t *testing.T) {
	checkShapes(t, 23, func(nn.Shape, *rand.Rand) []spec { return []spec{scale()} })
}

func TestFlattenGradients(t *testing.T) {
	checkShapes(t, 12, func(nn.Shape, *rand.Rand) []spec { return []spec{flatten()} })
}

func TestMeanGradients(t *testing.T) {
	checkShapes(t, 13, func(nn.Shape, *rand.Rand) []spec { return []spec{mean()} })
}

func TestDropoutGradients(t *testing.T) {
	checkShapes(t, 14, func(_ nn.Shape, r *rand.Rand) []spec {
		return []spec{dropout(r.Float64()), dropout(0.5)}
	})
}

func TestTokensGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 1))
	shapes(3, most(), func(shape nn.Shape) { checkGradients(t, r, shape, 0, 1+r.IntN(3), tokens()) })
}

func TestEmbeddingGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(16, 1))
	shapes(3, most(), func(shape nn.Shape) {
		for _, rows := range []int{1, 2 + r.IntN(3)} {
			checkGradients(t, r, shape[:1], shape[1], rows, embedding(shape[1], shape[2]))
		}
	})
}

func TestSelfAttentionGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 1))
	coin := func() bool { return r.IntN(2) == 0 }
	shapes(2, most(), func(shape nn.Shape) {
		for heads := 0; heads <= 3; heads++ {
			for _, rows := range []int{1, 2 + r.IntN(2)} {
				a := nn.Attention{
					Heads: heads, Inner: max(heads, 1) * (1 + r.IntN(2)), Causal: coin(),
					NoQueryBias: coin(), NoKeyBias: coin(), NoValueBias: coin(), NoOutputBias: coin(),
				}
				if shape[1]%max(heads, 1) == 0 && coin() {
					a.Inner = 0
				}
				checkGradients(t, r, shape, 0, rows, attention(a))
			}
		}
	})
}

func TestBatchNormGradients(t *testing.T) {
	checkShapes(t, 21, func(nn.Shape, *rand.Rand) []spec { return []spec{batchNorm()} })
}

// drawWindow draws a kernel, stride, padding and dilation that fit an image.
func drawWindow(r *rand.Rand, shape nn.Shape) (kernel, stride, padding, dilation [2]int) {
	for i := range kernel {
		for {
			kernel[i], stride[i], padding[i], dilation[i] = 1+r.IntN(5), r.IntN(4), r.IntN(4), r.IntN(4)
			if max(dilation[i], 1)*(kernel[i]-1) < shape[i]+2*padding[i] {
				break
			}
		}
	}
	return kernel, stride, padding, dilation
}

func TestConv2dGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 1))
	shapes(3, most(), func(shape nn.Shape) {
		in := shape[2]
		for _, groups := range []int{0, 1, 2, 3, in} {
			if groups > 0 && in%groups != 0 {
				continue
			}
			c := nn.Conv{Groups: groups, NoBias: r.IntN(2) == 0}
			c.Kernel, c.Stride, c.Padding, c.Dilation = drawWindow(r, shape)
			out := max(groups, 1) * (1 + r.IntN(2))
			checkGradients(t, r, shape, 0, 1+r.IntN(3), conv2d(in, out, c))
		}
	})
}

func TestPoolingGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 1))
	shapes(3, most(), func(shape nn.Shape) {
		for range 2 {
			var p nn.Pooling
			p.Kernel, p.Stride, p.Padding, _ = drawWindow(r, shape)
			for i := range p.Padding {
				p.Padding[i] = min(p.Padding[i], p.Kernel[i]/2)
				p.Kernel[i] = min(p.Kernel[i], shape[i]+2*p.Padding[i])
				p.Padding[i] = min(p.Padding[i], p.Kernel[i]/2)
			}
			checkGradients(t, r, shape, 0, 1+r.IntN(3), maxPool2d(p))
			checkGradients(t, r, shape, 0, 1+r.IntN(3), avgPool2d(p))
		}
	})
}

// Containers, in every position and nesting that differs.
func TestContainerGradients(t *testing.T) {
	once := linear(3, 3)
	again := shared("0", once)
	for name, specs := range map[string][]spec{
		"sequence":                    {sequence(linear(3, 4), sequence(tanh, noBias(4, 2)), relu), sequence(linear(2, 3))},
		"residual":                    {residual(linear(3, 3), tanh)},
		"residual of an activation":   {residual(gelu), linear(3, 2)},
		"residuals":                   {residual(residual(linear(3, 3)), layerNorm(), residual(tanh, linear(3, 3), silu))},
		"shortcut":                    {residualVia(noBias(3, 5), linear(3, 4), tanh, linear(4, 5)), relu},
		"shortcut without parameters": {residualVia(sequence(sigmoid, tanh), linear(3, 3)), linear(3, 3)},
		"shortcut of a sequence":      {tanh, residualVia(sequence(linear(3, 2), residual(linear(2, 2))), residual(linear(3, 3)), linear(3, 2))},
		"names":                       {named("a", residual(named("b", linear(3, 3)), named("", sequence(tanh, linear(3, 3))))), named("", linear(3, 2))},
		"shared":                      {again, tanh, named("again", again)},
		"names of wrappers":           {initNormal(0.5, named("a", linear(3, 2))), unfactored(linear(2, 2)), linear(2, 2)},
		"unfactored":                  {unfactored(residual(linear(3, 3), layerNorm())), linear(3, 2)},
		"only activations":            {tanh, residual(sigmoid), sequence(silu)},
		"dropouts":                    {dropout(0.2), residualVia(dropout(0.3), dropout(0.4), linear(3, 3)), residual(dropout(0.5)), dropout(0.5)},
	} {
		t.Run(name, func(t *testing.T) {
			r := randomFor(name)
			for range 5 {
				checkGradients(t, r, nn.Shape{3}, 0, 1+r.IntN(4), specs...)
			}
		})
	}
	block := sequence(layerNorm(), shared("0.1", once), tanh)
	tied := shared("0", block)
	r := randomFor("tied")
	for range 5 {
		checkGradients(t, r, nn.Shape{2, 3}, 0, 1+r.IntN(4), tied, residualVia(tied, tied), tied)
	}
}

// Whole models: depth, order and position of layers, and sums over more rows than a
// block.
func TestModelGradients(t *testing.T) {
	heads := attention(nn.Attention{Heads: 2, Causal: true})
	for name, c := range map[string]struct {
		input      nn.Shape
		vocabulary int
		rows       int
		specs      []spec
	}{
		"perceptron":  {nn.Shape{4}, 0, 3, []spec{linear(4, 5), relu, linear(5, 5), tanh, noBias(5, 2), relu, linear(2, 3)}},
		"wide":        {nn.Shape{3}, 0, 3, []spec{linear(3, 40), tanh, noBias(40, 17), tanh, linear(17, 4)}},
		"many rows":   {nn.Shape{2}, 0, 260, []spec{tanh, linear(2, 2)}},
		"many inputs": {nn.Shape{300}, 0, 2, []spec{linear(300, 2)}},
		"transformer": {nn.Shape{4}, 6, 2, []spec{
			embedding(6, 4), positions(),
			residual(layerNorm(), heads), residual(layerNorm(), linear(4, 8), gelu, linear(8, 4)),
			layerNorm(), linear(4, 6),
		}},
		"classifier": {nn.Shape{3, 2, 4}, 0, 2, []spec{
			tokens(), positions(), residual(attention(nn.Attention{Inner: 6, Heads: 3, NoKeyBias: true})), layerNorm(), mean(), linear(4, 3),
		}},
		"flat image": {nn.Shape{2, 3, 2}, 0, 3, []spec{linear(2, 3), silu, flatten(), linear(18, 4), sigmoid, linear(4, 2)}},
		"convolutions": {nn.Shape{5, 4, 2}, 0, 2, []spec{
			conv2d(2, 4, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1), NoBias: true}), batchNorm(), relu,
			maxPool2d(nn.Pooling{Kernel: nn.Square(2)}),
			residualVia(sequence(conv2d(4, 6, nn.Conv{Kernel: nn.Square(1), Stride: nn.Square(2), NoBias: true}), batchNorm()),
				conv2d(4, 4, nn.Conv{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1), Groups: 4}), batchNorm(), tanh,
				conv2d(4, 6, nn.Conv{Kernel: nn.Square(1)})),
			mean(), linear(6, 3),
		}},
		"patches": {nn.Shape{4, 4, 1}, 0, 3, []spec{
			conv2d(1, 4, nn.Conv{Kernel: nn.Square(2), Stride: nn.Square(2)}), tokens(), batchNorm(), residual(attention(nn.Attention{Heads: 2})), mean(),
		}},
		"flat convolution": {nn.Shape{4, 5, 2}, 0, 2, []spec{
			avgPool2d(nn.Pooling{Kernel: nn.Square(2), Stride: nn.Square(1)}), conv2d(2, 3, nn.Conv{Kernel: [2]int{3, 2}}), gelu, flatten(), linear(9, 2),
		}},
		"deep words": {nn.Shape{3}, 5, 3, []spec{sequence(sequence(embedding(5, 3)), dropout(0.1)), mean(), linear(3, 2)}},
	} {
		t.Run(name, func(t *testing.T) {
			r := randomFor(name)
			for range 2 {
				checkGradients(t, r, c.input, c.vocabulary, c.rows, c.specs...)
			}
		})
	}
}
