// Package digest trains a network for a few fixed steps and hashes its weights:
// one number at every level, on every machine and for any number of workers.
package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
)

// A Phase is some steps of one optimizer.
type Phase struct {
	Steps, Batch int
	Choice       train.Choice
}

// Of trains the model, initialised with seed 1, in phases one after another, and
// returns the SHA-256 of its parameters and buffers in order, as little-endian
// float32, in hexadecimal.
func Of(model *nn.Model, source data.Source, phases []Phase, pool *kernels.Pool) (string, error) {
	model.Init(1)
	for i, phase := range phases {
		opt, err := phase.Choice.New(model)
		if err != nil {
			return "", err
		}
		if err := train.Steps(model, opt, source, phase.Batch, phase.Steps, uint64(i), pool); err != nil {
			return "", err
		}
	}
	hash := sha256.New()
	write := func(values []float32) {
		var word [4]byte
		for _, v := range values {
			binary.LittleEndian.PutUint32(word[:], math.Float32bits(v))
			hash.Write(word[:])
		}
	}
	for _, p := range model.Params() {
		write(p.Value)
	}
	for _, b := range model.Buffers() {
		write(b.Value)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
