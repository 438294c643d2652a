package main

import (
	"github.com/adafisher-go/adafisher/examples/internal/digest"
	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/data/opticks"
	"github.com/adafisher-go/adafisher/nn/models"
)

// digestPhases are short: an emulated machine runs them too.
var digestPhases = []digest.Phase{
	{Steps: 6, Batch: 4, Choice: train.Choice{Optimizer: "AdaFisherW", LR: 1e-3, Variant: kron.Published, TCov: 2}},
	{Steps: 4, Batch: 3, Choice: train.Choice{Optimizer: "AdamW", LR: 1e-3}},
}

// digestOf trains a small network with every layer of the large one, dropout
// included, on the beginning of the text.
func digestOf(pool *kernels.Pool) (string, error) {
	text := opticks.Text()[:20_000]
	vocabulary, err := data.Characters(text)
	if err != nil {
		return "", err
	}
	tokens, err := vocabulary.Encode(text)
	if err != nil {
		return "", err
	}
	windows, err := data.NewRandomWindows(tokens, 40, 1)
	if err != nil {
		return "", err
	}
	model, err := models.GPT(vocabulary.Len(), 40, models.Transformer{Blocks: 2, Width: 36, Heads: 3, Dropout: 0.1})
	if err != nil {
		return "", err
	}
	return digest.Of(model, windows, digestPhases, pool)
}
