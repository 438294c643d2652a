package main

import (
	"math/rand/v2"

	"github.com/adafisher-go/adafisher/examples/internal/digest"
	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
)

// digestPhases are short: an emulated machine runs them too.
var digestPhases = []digest.Phase{
	{Steps: 6, Batch: 5, Choice: train.Choice{Optimizer: "AdaFisher", LR: 1e-3, Variant: kron.Published, TCov: 2}},
	{Steps: 4, Batch: 3, Choice: train.Choice{Optimizer: "AdaFisherW", LR: 1e-3, Variant: kron.PaperEMA, TCov: 2}},
}

// digestOf trains on pictures of noise, so that it needs no files, a network with
// every kind of layer for images: convolutions with stride, dilation, groups and
// one a channel, both poolings, batch normalisation and shortcuts.
func digestOf(pool *kernels.Pool) (string, error) {
	const side, channels, classes, n = 13, 3, 4, 40
	random := rand.New(rand.NewPCG(1, 2))
	set := data.Samples{Features: side * side * channels, Classes: classes}
	for range n {
		for range set.Features {
			set.X = append(set.X, float32(random.IntN(256))/256)
		}
		set.Labels = append(set.Labels, random.IntN(classes))
	}
	conv := func(in, out int, c nn.Conv) nn.Layer { return nn.Conv2d(in, out, c) }
	model, err := nn.New(nn.Shape{side, side, channels},
		conv(channels, 40, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1)}), nn.BatchNorm(), nn.ReLU(),
		nn.MaxPool2d(nn.Pooling{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1)}),
		nn.ResidualVia(conv(40, 20, nn.Conv{Kernel: nn.Square(1), Stride: nn.Square(2), NoBias: true}),
			conv(40, 20, nn.Conv{Kernel: [2]int{3, 2}, Stride: nn.Square(2), Padding: nn.Square(1), Groups: 4}), nn.BatchNorm()),
		nn.GELU(),
		conv(20, 20, nn.Conv{Kernel: nn.Square(2), Padding: nn.Square(1), Dilation: nn.Square(2), Groups: 20}), nn.SiLU(),
		nn.AvgPool2d(nn.Pooling{Kernel: [2]int{2, 1}}),
		nn.Residual(conv(20, 20, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1)}), nn.BatchNorm(), nn.Sigmoid()),
		nn.Flatten(), nn.Dropout(0.2), nn.Linear(2*4*20, classes))
	if err != nil {
		return "", err
	}
	return digest.Of(model, set, digestPhases, pool)
}
