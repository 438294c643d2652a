package train

import (
	"fmt"

	"github.com/adafisher-go/adafisher/nn"
)

// A Set holds labelled samples in memory, as numbers. It is a [data.Source].
type Set struct {
	X        []float32 // row-major, Features numbers a sample
	Labels   []int     // from 0 to Classes-1, one a sample
	Features int
	Classes  int
}

// Len returns the number of samples.
func (s Set) Len() int { return len(s.Labels) }

// Sizes returns the numbers and labels of a sample.
func (s Set) Sizes() (inputs, labels int) { return s.Features, 1 }

// Gather copies the samples with the given indices to x and labels.
func (s Set) Gather(x []float32, labels []int, _ int, indices []int) error {
	if len(x) != len(indices)*s.Features || len(labels) != len(indices) {
		return fmt.Errorf("train: room for %d numbers and %d labels: want %d samples of %d", len(x), len(labels), len(indices), s.Features)
	}
	for r, i := range indices {
		copy(x[r*s.Features:][:s.Features], s.X[i*s.Features:])
		labels[r] = s.Labels[i]
	}
	return nil
}

// HoldOut divides s in two: held gets n samples drawn at random, rest the
// others, both in the order of s. Which ones follows from s.Len(), n and seed
// alone: they are the first batch of [nn.Batches]' epoch 0.
//
// It fails unless n is from 1 to s.Len()-1.
func (s Set) HoldOut(n int, seed uint64) (rest, held Set, err error) {
	if n < 1 || n >= s.Len() {
		return Set{}, Set{}, fmt.Errorf("train: holding back %d of %d samples: want at least 1 on both sides", n, s.Len())
	}
	batches, err := nn.NewBatches(s.Len(), n, seed)
	if err != nil {
		return Set{}, Set{}, err
	}
	drawn := make([]bool, s.Len())
	for indices := range batches.Epoch(0) {
		for _, i := range indices {
			drawn[i] = true
		}
		break
	}
	var in [2][]int
	for i, d := range drawn {
		if d {
			in[1] = append(in[1], i)
		} else {
			in[0] = append(in[0], i)
		}
	}
	return s.pick(in[0]), s.pick(in[1]), nil
}

func (s Set) pick(indices []int) Set {
	p := Set{Features: s.Features, Classes: s.Classes}
	for _, i := range indices {
		p.X = append(p.X, s.X[i*s.Features:][:s.Features]...)
		p.Labels = append(p.Labels, s.Labels[i])
	}
	return p
}
