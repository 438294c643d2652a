package main

import (
	"github.com/adafisher-go/adafisher/examples/internal/digest"
	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data/digits"
)

// digestPhases take turns at one network, so that every fused step counts, with
// and without new statistics.
var digestPhases = []digest.Phase{
	{Steps: 100, Batch: 6, Choice: train.Choice{Optimizer: "AdaFisher", LR: 1e-3, Variant: kron.Published, TCov: 20}},
	{Steps: 20, Batch: 6, Choice: train.Choice{Optimizer: "AdaFisherW", LR: 5e-3, Variant: kron.Paper, TCov: 5}},
	{Steps: 20, Batch: 5, Choice: train.Choice{Optimizer: "AdaFisherW", LR: 5e-3, Variant: kron.PaperEMA, TCov: 5}},
	{Steps: 30, Batch: 6, Choice: train.Choice{Optimizer: "AdamW", LR: 1e-3}},
	{Steps: 2, Batch: 260, Choice: train.Choice{Optimizer: "SGD", LR: 0.05}},
}

// digestOf trains on the embedded images. Both activations are in the network.
// One width and one batch exceed 256, so that the sums of a matrix product have
// more than one block.
func digestOf(pool *kernels.Pool) (string, error) {
	set, err := digits.Load("")
	if err != nil {
		return "", err
	}
	model, err := nn.NewSequential(nn.Linear(digits.Pixels, 270), nn.ReLU(), nn.Linear(270, 20), nn.Tanh(), nn.Linear(20, digits.Classes))
	if err != nil {
		return "", err
	}
	return digest.Of(model, set, digestPhases, pool)
}
