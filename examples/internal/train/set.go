package train

import (
	"fmt"

	"github.com/adafisher-go/adafisher/nn"
)

// A Set holds labelled samples.
type Set struct {
	X        []float32 // row-major, Features numbers a sample
	Labels   []int     // from 0 to Classes-1, one a sample
	Features int
	Classes  int
}

// Len returns the number of samples.
func (s Set) Len() int { return len(s.Labels) }

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
	p := Set{
		X:        make([]float32, len(indices)*s.Features),
		Labels:   make([]int, len(indices)),
		Features: s.Features,
		Classes:  s.Classes,
	}
	s.gather(p.X, p.Labels, indices)
	return p
}

// gather copies the samples with the given indices to x and labels, which have
// room for them.
func (s Set) gather(x []float32, labels []int, indices []int) {
	for r, i := range indices {
		copy(x[r*s.Features:][:s.Features], s.X[i*s.Features:])
		labels[r] = s.Labels[i]
	}
}
