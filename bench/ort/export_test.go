package ort_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/bench/ort"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/models"
)

// tolerance of a number, relative to the largest of the outputs. Each side sums in
// its own order.
const tolerance = 2e-6

var sizes = models.Transformer{Blocks: 3, Width: 48, Heads: 4, Dropout: 0.1}

// exported are the models that are compared: those of package models, and some
// that have each kind of layer, in each layout that the graph may have it in.
var exported = []struct {
	name       string
	vocabulary int // of the tokens that the input is; 0 for numbers
	build      func() (*nn.Model, error)
}{
	{"mlp", 0, func() (*nn.Model, error) { return models.MLP(784, 512, 256, 10) }},
	{"cnn", 0, func() (*nn.Model, error) { return models.CNN(nn.Shape{28, 28, 1}, 10, 16, 32) }},
	{"resnet20", 0, func() (*nn.Model, error) { return models.ResNet20(10) }},
	{"vit", 0, func() (*nn.Model, error) { return models.ViT(nn.Shape{32, 32, 3}, 4, 10, sizes) }},
	{"gpt", 65, func() (*nn.Model, error) { return models.GPT(65, 64, sizes) }},
	{"relu", 0, alone(nn.ReLU())},
	{"tanh", 0, alone(nn.Tanh())},
	{"sigmoid", 0, alone(nn.Sigmoid())},
	{"silu", 0, alone(nn.SiLU())},
	{"gelu", 0, alone(nn.GELU())},
	{"gelu by tanh", 0, alone(nn.GELUTanh())},
	{"nothing", 0, func() (*nn.Model, error) { return nn.New(nn.Shape{2, 3, 4}, nn.Dropout(0.5)) }},
	{"rows", 0, func() (*nn.Model, error) {
		norm := nn.Shared(nn.BatchNormWith(1e-2, 0.3))
		return nn.NewSequential(
			nn.Linear(7, 12), norm, nn.Tanh(), norm, nn.Sigmoid(), nn.LayerNormWith(1e-3), nn.Scale(), nn.Positions(),
			nn.Residual(nn.LinearNoBias(12, 12), nn.Flatten(), nn.Mean()), nn.Residual(nn.Dropout(0.5)))
	}},
	{"images", 0, func() (*nn.Model, error) {
		return nn.New(nn.Shape{13, 11, 4},
			nn.SiLU(), nn.Scale(),
			nn.Conv2d(4, 6, nn.Conv{Kernel: [2]int{3, 2}, Stride: [2]int{1, 2}, Padding: [2]int{2, 1}, Dilation: [2]int{2, 1}, Groups: 2}),
			nn.BatchNorm(), nn.GELU(),
			nn.Residual(nn.Conv2d(6, 6, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1), Groups: 6, NoBias: true}), nn.LayerNorm(), nn.Linear(6, 12), nn.GELUTanh(), nn.Linear(12, 6), nn.Scale()),
			nn.MaxPool2d(nn.Pooling{Kernel: [2]int{3, 2}, Stride: [2]int{2, 1}, Padding: [2]int{1, 1}}), nn.ReLU(),
			nn.AvgPool2d(nn.Pooling{Kernel: nn.Square(3), Stride: [2]int{1, 2}, Padding: nn.Square(1)}),
			nn.AvgPool2d(nn.Pooling{Kernel: nn.Square(2)}),
			nn.Positions(), nn.Flatten(), nn.Linear(36, 5))
	}},
	{"image to image", 0, func() (*nn.Model, error) {
		return nn.New(nn.Shape{6, 5, 3},
			nn.LayerNorm(), nn.BatchNorm(), nn.Linear(3, 4),
			nn.ResidualVia(nn.Conv2d(4, 2, nn.Conv{Kernel: nn.Square(1)}), nn.Linear(4, 2)),
			nn.Residual(nn.Conv2d(2, 2, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1)})), nn.Tanh())
	}},
	{"image to tokens", 0, func() (*nn.Model, error) {
		return nn.New(nn.Shape{6, 5, 3},
			nn.Conv2d(3, 8, nn.Conv{Kernel: nn.Square(2)}), nn.Tokens(), nn.BatchNorm(), nn.Positions(),
			nn.SelfAttention(nn.Attention{Heads: 3, Inner: 12, NoQueryBias: true, NoOutputBias: true}), nn.Mean())
	}},
	{"image as tokens", 0, func() (*nn.Model, error) {
		return nn.New(nn.Shape{4, 5, 3}, nn.Tokens(), nn.Flatten(), nn.Linear(60, 4))
	}},
	{"mean of an image", 0, func() (*nn.Model, error) {
		return nn.New(nn.Shape{4, 5, 3}, nn.Linear(3, 6), nn.Mean())
	}},
	{"tokens", 31, func() (*nn.Model, error) {
		block := nn.Shared(nn.Sequential(
			nn.Residual(nn.LayerNorm(), nn.SelfAttention(nn.Attention{Heads: 2, Causal: true, NoKeyBias: true, NoValueBias: true})),
			nn.Residual(nn.Unfactored(nn.Linear(8, 24)), nn.GELU(), nn.InitNormal(0.1, nn.LinearNoBias(24, 8)))))
		return nn.New(nn.Shape{9},
			nn.Embedding(31, 8), nn.Positions(), nn.Named("block", block), block, nn.Named("", nn.BatchNorm()), nn.SiLU(),
			nn.SelfAttention(nn.Attention{}), nn.Flatten(), nn.Linear(72, 3))
	}},
}

// alone is a model of one layer: others would make its errors small.
func alone(l nn.Layer) func() (*nn.Model, error) {
	return func() (*nn.Model, error) { return nn.New(nn.Shape{500}, l) }
}

func load(t *testing.T) {
	err := ort.Load()
	if err != nil && os.Getenv(ort.Variable) == "" {
		t.Skipf("NOT CHECKED: what other runtimes make of exported models. `make onnx` fetches ONNX Runtime and checks it. %v", err)
	}
	require.NoError(t, err)
}

// TestExport: ONNX Runtime computes from an exported model what a predictor does,
// for batches of both sizes with one file.
func TestExport(t *testing.T) {
	load(t)
	for _, e := range exported {
		t.Run(e.name, func(t *testing.T) {
			m, err := e.build()
			require.NoError(t, err)
			r := rand.New(rand.NewPCG(seed(e.name), 1))
			draw(m, r)
			var file bytes.Buffer
			require.NoError(t, m.WriteONNX(&file))
			worst := 0.0
			for _, batch := range []int{1, 3} {
				x, y := make([]float32, batch*m.In()), make([]float32, batch*m.Out())
				var got []float32
				in, out := append([]int{batch}, m.InputShape()...), append([]int{batch}, m.OutputShape()...)
				if e.vocabulary > 0 {
					got = run(t, file.Bytes(), in, out, func(tokens []int64) {
						for i := range tokens {
							tokens[i] = r.Int64N(int64(e.vocabulary))
							x[i] = float32(tokens[i])
						}
					})
				} else {
					for i := range x {
						x[i] = float32(r.NormFloat64())
					}
					got = run(t, file.Bytes(), in, out, func(input []float32) { copy(input, x) })
				}
				predictor, err := m.NewPredictor(batch)
				require.NoError(t, err)
				require.NoError(t, predictor.PredictInto(y, x))
				largest := 0.0
				for _, v := range y {
					largest = max(largest, math.Abs(float64(v)))
				}
				require.Positive(t, largest)
				for i, v := range y {
					d := math.Abs(float64(v)-float64(got[i])) / largest
					if !(d <= tolerance) {
						require.Failf(t, "not near", "batch %d: output %d is %v there, %v here, the largest %v", batch, i, got[i], v, largest)
					}
					worst = max(worst, d)
				}
			}
			t.Logf("largest difference %.1e of the largest output", worst)
		})
	}
}

// run returns the outputs of a file for the inputs that fill sets.
func run[T ort.Element](t *testing.T, file []byte, in, out []int, fill func(x []T)) []float32 {
	s, err := ort.New[T](file, "input", "output", in, out)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	fill(s.X)
	require.NoError(t, s.Run())
	return append([]float32(nil), s.Y...)
}

func seed(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// draw moves all parameters and buffers from where they start.
func draw(m *nn.Model, r *rand.Rand) {
	m.Init(r.Uint64())
	for _, p := range m.Params() {
		for i := range p.Value {
			p.Value[i] += (r.Float32() - 0.5) / 8
		}
	}
	for _, b := range m.Buffers() {
		for i := range b.Value { // a mean around 0, a variance around 1
			b.Value[i] += (r.Float32() - 0.5) / 2
		}
	}
}

// TestEveryLayer: each function of package nn that returns a Layer is called
// above.
func TestEveryLayer(t *testing.T) {
	files, err := filepath.Glob("../../nn/*.go")
	require.NoError(t, err)
	set := token.NewFileSet()
	layers := 0
	this, err := os.ReadFile("export_test.go")
	require.NoError(t, err)
	text, _, _ := strings.Cut(string(this), "func load(")
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(set, file, nil, 0)
		require.NoError(t, err)
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() || f.Type.Results == nil || fmt.Sprint(f.Type.Results.List[0].Type) != "Layer" {
				continue
			}
			layers++
			require.Contains(t, text, "nn."+f.Name.Name+"(", "no exported model has this layer")
		}
	}
	require.Greater(t, layers, 20)
}
