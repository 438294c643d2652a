package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// digestPhases take turns at one network, so that every fused step counts, with
// and without new statistics.
var digestPhases = []struct {
	steps, batch int
	choice       train.Choice
}{
	{100, 6, train.Choice{Optimizer: "AdaFisher", LR: 1e-3, Variant: kron.Published, TCov: 20}},
	{20, 6, train.Choice{Optimizer: "AdaFisherW", LR: 5e-3, Variant: kron.Paper, TCov: 5}},
	{20, 5, train.Choice{Optimizer: "AdaFisherW", LR: 5e-3, Variant: kron.PaperEMA, TCov: 5}},
	{30, 6, train.Choice{Optimizer: "AdamW", LR: 1e-3}},
	{2, 260, train.Choice{Optimizer: "SGD", LR: 0.05}},
}

// digest returns the SHA-256, in hexadecimal, of a network's weights after a
// short fixed run on the embedded images: all parameters in order, as
// little-endian float32. It is the same number at every level, on every machine
// and for any number of workers.
//
// Both activations are in the network. One width and one batch exceed 256, so
// that the sums of a matrix product have more than one block.
func digest(pool *kernels.Pool) (string, error) {
	set, err := loadDigits("")
	if err != nil {
		return "", err
	}
	model, err := nn.NewSequential(nn.Linear(pixels, 270), nn.ReLU(), nn.Linear(270, 20), nn.Tanh(), nn.Linear(20, classes))
	if err != nil {
		return "", err
	}
	model.Init(1)
	for i, phase := range digestPhases {
		opt, err := phase.choice.New(model)
		if err != nil {
			return "", err
		}
		if err := train.Steps(model, opt, set, phase.batch, phase.steps, uint64(i), pool); err != nil {
			return "", err
		}
	}
	hash := sha256.New()
	var word [4]byte
	for _, p := range model.Params() {
		for _, v := range p.Value {
			binary.LittleEndian.PutUint32(word[:], math.Float32bits(v))
			hash.Write(word[:])
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
