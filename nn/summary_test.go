package nn_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

func TestSummary(t *testing.T) {
	tied := nn.Shared(nn.Linear(64, 64))
	m := model(t, nn.Shape{32},
		nn.Named("embedding", nn.Embedding(1000, 64)),
		nn.Positions(),
		nn.Dropout(0.1),
		nn.Named("block", nn.Sequential(
			nn.Residual(nn.LayerNorm(), nn.Named("attention", nn.SelfAttention(nn.Attention{Heads: 4, Causal: true, NoKeyBias: true}))),
			nn.Residual(nn.LayerNorm(), tied, nn.GELU(), tied),
			nn.Named("wide", nn.ResidualVia(nn.LinearNoBias(64, 128), nn.Linear(64, 128), nn.Tanh())),
		)),
		nn.Unfactored(nn.InitNormal(0.02, nn.Linear(128, 10))),
		nn.Mean(),
	)
	const want = `
layer                      kind                 output    parameters
                           input                [32]
embedding                  Embedding            [32 64]       64,000
1                          Positions            [32 64]        2,048
2                          Dropout              [32 64]
block                      Sequential           [32 128]      37,504
  block.0                  Residual             [32 64]       16,704
    block.0.0              LayerNorm            [32 64]          128
    block.0.attention      SelfAttention        [32 64]       16,576
      block.0.attention.q  Linear               [32 64]        4,160
      block.0.attention.k  Linear               [32 64]        4,096
      block.0.attention.v  Linear               [32 64]        4,160
      block.0.attention.o  Linear               [32 64]        4,160
  block.1                  Residual             [32 64]        4,288
    block.1.0              LayerNorm            [32 64]          128
    block.1.1              Linear               [32 64]        4,160
    block.1.2              GELU                 [32 64]
    block.1.3              Linear of block.1.1  [32 64]
  block.wide               Residual             [32 128]      16,512
    block.wide.0           Linear               [32 128]       8,320
    block.wide.1           Tanh                 [32 128]
    block.wide.downsample  Linear               [32 128]       8,192
4                          Linear               [32 10]        1,290
5                          Mean                 [10]
total                                           [10]         104,842
`
	require.Equal(t, strings.TrimLeft(want, "\n"), m.Summary())
}
