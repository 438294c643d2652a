package models_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/models"
	"github.com/adafisher-go/adafisher/optim"
)

var sizes = models.Transformer{Blocks: 2, Width: 12, Heads: 3, Dropout: 0.1}

func all(t *testing.T) map[string]*nn.Model {
	built := make(map[string]*nn.Model)
	for name, build := range map[string]func() (*nn.Model, error){
		"mlp":    func() (*nn.Model, error) { return models.MLP(7, 20, 4) },
		"cnn":    func() (*nn.Model, error) { return models.CNN(nn.Shape{8, 8, 1}, 4, 6, 8) },
		"resnet": func() (*nn.Model, error) { return models.ResNet20(4) },
		"vit":    func() (*nn.Model, error) { return models.ViT(nn.Shape{8, 12, 3}, 4, 4, sizes) },
		"gpt":    func() (*nn.Model, error) { return models.GPT(9, 5, sizes) },
	} {
		m, err := build()
		require.NoError(t, err, name)
		built[name] = m
	}
	return built
}

// Counts of parameters, written out.
func TestParameters(t *testing.T) {
	const (
		width     = 12
		attention = 4 * (width*width + width)
		mlp       = width*4*width + 4*width + 4*width*width + width
		norm      = 2 * width
		blocks    = 2 * (attention + mlp + 2*norm)
	)
	conv := func(in, out int) int { return 9*in*out + 2*out } // and its batch normalisation
	stage := func(in, out int) int { return conv(in, out) + 5*conv(out, out) }
	for name, want := range map[string]int{
		"mlp":    7*20 + 20 + 20*4 + 4,
		"cnn":    conv(1, 6) + conv(6, 6) + conv(6, 8) + conv(8, 8) + 8*4 + 4,
		"resnet": conv(3, 16) + stage(16, 16) + stage(16, 32) + 16*32 + 2*32 + stage(32, 64) + 32*64 + 2*64 + 64*4 + 4,
		"vit":    4*4*3*width + width + 6*width + blocks + norm + width*4 + 4,
		"gpt":    9*width + 5*width + blocks + norm + width*9,
	} {
		require.Equal(t, want, all(t)[name].NumParams(), name)
	}
	full, err := models.ResNet20(10)
	require.NoError(t, err)
	require.Equal(t, 272_474, full.NumParams(), "0.27 million, as in the paper's table 6")
}

func TestNames(t *testing.T) {
	names := make(map[string]bool)
	for _, p := range all(t)["resnet"].Params() {
		names[p.Name] = true
	}
	for _, name := range []string{"conv1.weight", "bn1.bias", "layer1.2.conv2.weight", "layer2.0.downsample.0.weight", "layer3.0.downsample.1.bias", "fc.weight"} {
		require.True(t, names[name], name)
	}
	names = make(map[string]bool)
	for _, p := range all(t)["gpt"].Params() {
		names[p.Name] = true
	}
	for _, name := range []string{"embedding.weight", "positions.weight", "block1.attention.q.weight", "block0.up.bias", "norm.weight", "head.weight"} {
		require.True(t, names[name], name)
	}
}

// Each model learns a handful of samples by heart, under the optimizer that
// reads its statistics.
func TestModelsLearn(t *testing.T) {
	for name, m := range all(t) {
		t.Run(name, func(t *testing.T) {
			const rows = 4
			r := rand.New(rand.NewPCG(1, 1))
			x := make([]float32, rows*m.In())
			for i := range x {
				x[i] = float32(r.NormFloat64())
				if name == "gpt" {
					x[i] = float32(r.IntN(9))
				}
			}
			labels := make([]int, rows*m.OutputShape().Positions())
			for i := range labels {
				labels[i] = r.IntN(4)
			}
			session, err := m.NewSession(rows)
			require.NoError(t, err)
			config := optim.AdaFisherDefaults()
			config.TCov = 5
			opt, err := optim.NewAdaFisher(m, config)
			require.NoError(t, err)
			first, last := float32(0), float32(0)
			steps := 60
			if name == "resnet" && testing.Short() {
				steps = 10
			}
			for i := range steps {
				last, err = session.TrainSoftmaxCrossEntropy(opt, x, labels)
				require.NoError(t, err)
				if i == 0 {
					first = last
				}
			}
			require.Less(t, last, first/2)
		})
	}
}

func TestErrors(t *testing.T) {
	for want, build := range map[string]func() (*nn.Model, error){
		"models: MLP: 1 widths: want at least 2, features and classes":                       func() (*nn.Model, error) { return models.MLP(3) },
		"models: CNN: image of shape [8 8], 1 widths: want [height, width, channels]":        func() (*nn.Model, error) { return models.CNN(nn.Shape{8, 8}, 2, 4) },
		"models: ViT: image of shape [8 9 1] in patches of 4":                                func() (*nn.Model, error) { return models.ViT(nn.Shape{8, 9, 1}, 4, 2, sizes) },
		"models: GPT: -3 blocks: want at least 1":                                            func() (*nn.Model, error) { return models.GPT(9, 5, models.Transformer{Blocks: -3, Width: 12}) },
		"models: ViT: 0 blocks: want at least 1":                                             func() (*nn.Model, error) { return models.ViT(nn.Shape{8, 8, 1}, 4, 2, models.Transformer{Width: 12}) },
		"nn: layer block0.attention (SelfAttention): 10 features in 3 heads":                 func() (*nn.Model, error) { return models.GPT(9, 5, models.Transformer{Blocks: 1, Width: 10, Heads: 3}) },
		"nn: layer 0 (Conv2d): kernels: convolution with 0 output channels":                  func() (*nn.Model, error) { return models.CNN(nn.Shape{8, 8, 1}, 2, 0) },
		"nn: layer embedding (Embedding): 0 tokens, 12 features: want 1 to 16777216 tokens,": func() (*nn.Model, error) { return models.GPT(0, 5, sizes) },
	} {
		_, err := build()
		require.ErrorContains(t, err, want)
	}
}

// Each name is there once, and what has no name has none in the table.
func TestSummary(t *testing.T) {
	m, err := models.GPT(9, 5, models.Transformer{Blocks: 1, Width: 12, Heads: 3})
	require.NoError(t, err)
	const want = `
layer                   kind           output  parameters
                        input          [5]
embedding               Embedding      [5 12]         108
positions               Positions      [5 12]          60
block0                  Sequential     [5 12]       1,884
                        Residual       [5 12]         648
  block0.norm1          LayerNorm      [5 12]          24
  block0.attention      SelfAttention  [5 12]         624
    block0.attention.q  Linear         [5 12]         156
    block0.attention.k  Linear         [5 12]         156
    block0.attention.v  Linear         [5 12]         156
    block0.attention.o  Linear         [5 12]         156
                        Residual       [5 12]       1,236
  block0.norm2          LayerNorm      [5 12]          24
  block0.up             Linear         [5 48]         624
  block0.2              GELUTanh       [5 48]
  block0.down           Linear         [5 12]         588
norm                    LayerNorm      [5 12]          24
head                    Linear         [5 9]          108
total                                  [5 9]        2,184
`
	require.Equal(t, strings.TrimLeft(want, "\n"), m.Summary())
}
