package data

import (
	"fmt"

	"github.com/adafisher-go/adafisher/nn"
)

// Samples are rows of numbers with one label each, or for a regression with Outputs
// targets each, or both: a [Source] for what is neither an image nor a text. Nothing
// here changes them.
type Samples struct {
	X        []float32 // row-major, Features numbers a sample
	Labels   []int     // from 0 to Classes-1, or [nn.Ignore]; one a sample
	Targets  []float32 // row-major, Outputs numbers a sample; with them, there may be no labels
	Features int
	Classes  int
	Outputs  int
}

// Len returns the number of samples.
func (s Samples) Len() int {
	if s.Outputs > 0 {
		return len(s.Targets) / s.Outputs
	}
	return len(s.Labels)
}

// Sizes returns the numbers and labels of a sample.
func (s Samples) Sizes() (inputs, labels int) {
	if s.Outputs > 0 && len(s.Labels) == 0 {
		return s.Features, 0
	}
	return s.Features, 1
}

// TargetSize returns the target numbers of a sample, see [TargetSource].
func (s Samples) TargetSize() int { return s.Outputs }

// check returns an error unless the lengths belong together, with at least 1 feature.
func (s Samples) check(call string) error {
	n := s.Len()
	_, labels := s.Sizes()
	switch {
	case s.Features < 1 || len(s.X) != product(n, s.Features):
		return fmt.Errorf("data: %s: %d numbers for %d samples of %d features: want as many, and at least 1 feature", call, len(s.X), n, s.Features)
	case s.Outputs < 0 || len(s.Targets) != product(n, s.Outputs):
		return fmt.Errorf("data: %s: %d targets for %d samples of %d outputs: want as many", call, len(s.Targets), n, s.Outputs)
	case len(s.Labels) != n*labels:
		return fmt.Errorf("data: %s: %d labels for %d samples: want as many, or with targets none", call, len(s.Labels), n)
	}
	return nil
}

// checkAll is check that looks at each label, too.
func (s Samples) checkAll(call string) error {
	if err := s.check(call); err != nil {
		return err
	}
	for i, l := range s.Labels {
		if l != nn.Ignore && uint(l) >= uint(max(s.Classes, 0)) {
			return fmt.Errorf("data: %s: label %d is %d: want 0 to %d, or %d to ignore it", call, i, l, s.Classes-1, nn.Ignore)
		}
	}
	return nil
}

// Gather stores the samples with the given indices in x and labels, as [Source]
// has it. It fails, too, unless X, Labels and Targets are of as many samples.
func (s Samples) Gather(x []float32, labels []int, _ int, indices []int) error {
	if err := s.check("Gather"); err != nil {
		return err
	}
	_, perSample := s.Sizes()
	if err := checkGather(s.Len(), s.Features, perSample, x, labels, indices); err != nil {
		return err
	}
	for r, i := range indices {
		copy(x[r*s.Features:][:s.Features], s.X[i*s.Features:])
		copy(labels[r*perSample:][:perSample], s.Labels[i*perSample:])
	}
	return nil
}

// GatherTargets stores the targets of the samples with the given indices, as
// [TargetSource] has it. It fails, too, where Gather does.
func (s Samples) GatherTargets(targets []float32, _ int, indices []int) error {
	const call = "GatherTargets"
	if err := s.check(call); err != nil {
		return err
	}
	if len(targets) != product(len(indices), s.Outputs) {
		return fmt.Errorf("data: %s: room for %d targets: %d samples have %d each", call, len(targets), len(indices), s.Outputs)
	}
	if err := checkIndices(call, s.Len(), indices); err != nil {
		return err
	}
	for r, i := range indices {
		copy(targets[r*s.Outputs:][:s.Outputs], s.Targets[i*s.Outputs:])
	}
	return nil
}

// HoldOut divides s in two: held gets n samples drawn at random, rest the
// others, both in the order of s. Which ones follows from s.Len(), n and seed
// alone: they are the first batch of [nn.Batches]' epoch 0.
//
// It fails unless n is from 1 to s.Len()-1, and X, Labels and Targets are of as many
// samples.
func (s Samples) HoldOut(n int, seed uint64) (rest, held Samples, err error) {
	if err := s.check("HoldOut"); err != nil {
		return Samples{}, Samples{}, err
	}
	if n < 1 || n >= s.Len() {
		return Samples{}, Samples{}, fmt.Errorf("data: HoldOut: %d of %d samples: want at least 1 on both sides", n, s.Len())
	}
	drawn, err := draw(s.Len(), n, seed)
	if err != nil {
		return Samples{}, Samples{}, err
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

func (s Samples) pick(indices []int) Samples {
	p := Samples{Features: s.Features, Classes: s.Classes, Outputs: s.Outputs}
	_, labels := s.Sizes()
	for _, i := range indices {
		p.X = append(p.X, s.X[i*s.Features:][:s.Features]...)
		p.Labels = append(p.Labels, s.Labels[i*labels:][:labels]...)
		p.Targets = append(p.Targets, s.Targets[i*s.Outputs:][:s.Outputs]...)
	}
	return p
}

// draw marks n of so many samples, the first batch of [nn.Batches]' epoch 0.
func draw(samples, n int, seed uint64) ([]bool, error) {
	batches, err := nn.NewBatches(samples, n, seed)
	if err != nil {
		return nil, fmt.Errorf("data: HoldOut: %w", err)
	}
	drawn := make([]bool, samples)
	for indices := range batches.Epoch(0) {
		for _, i := range indices {
			drawn[i] = true
		}
		break
	}
	return drawn, nil
}
