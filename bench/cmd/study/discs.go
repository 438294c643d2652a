package main

import (
	"slices"

	"github.com/adafisher-go/adafisher/bench/yardstick"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// discs say how much of a layer's full Kronecker factors their diagonals are: the
// quartiles of the radii of Gershgorin's discs, each in units of its centre. Where they
// are below 1, the diagonal is more than all else in its row. Rows that are 0 don't
// count.
type discs struct {
	Inputs  [3]float64 `json:"inputs"`  // of the weight, without the 1 of the bias
	Centred [3]float64 `json:"centred"` // of the same less their means
	Outputs [3]float64 `json:"outputs"` // gradients there
}

// observe returns the discs of the linear layers and convolutions, by name, on one
// batch. It changes no parameter.
func observe(s *nn.Session, x []float32, labels []int) (map[string]*discs, error) {
	if _, err := s.Forward(x); err != nil {
		return nil, err
	}
	if _, err := s.SoftmaxCrossEntropy(labels); err != nil {
		return nil, err
	}
	all := make(map[string]*discs)
	var failed error
	s.SetObserver(func(o nn.Observation) {
		d, err := discsOf(o)
		if err != nil && failed == nil {
			failed = err
		}
		all[o.Layer.Name] = d
	})
	defer s.SetObserver(nil)
	if _, err := s.Backward(); err != nil {
		return nil, err
	}
	return all, failed
}

func discsOf(o nn.Observation) (*discs, error) {
	rows := len(o.DY) / o.Layer.Outputs()
	x := o.X
	if o.Conv != nil {
		x = yardstick.Patches(x, *o.Conv)
	}
	d := &discs{}
	for _, factor := range []struct {
		to   *[3]float64
		rows []float32
	}{{&d.Inputs, x}, {&d.Centred, lessMeans(x, rows)}, {&d.Outputs, o.DY}} {
		n := len(factor.rows) / rows
		full := make([]float32, n*n)
		if err := kron.FullFactor(full, factor.rows, rows); err != nil {
			return nil, err
		}
		circles, err := kron.Gershgorin(full)
		if err != nil {
			return nil, err
		}
		var radii []float64
		for _, c := range circles {
			if c.Centre > 0 {
				radii = append(radii, c.Radius/c.Centre)
			}
		}
		if len(radii) > 0 {
			*factor.to = [3]float64{short(quantile(radii, 0.25)), short(quantile(radii, 0.5)), short(quantile(radii, 0.75))}
		}
	}
	return d, nil
}

// lessMeans returns rows less the mean of each column.
func lessMeans(x []float32, rows int) []float32 {
	x = slices.Clone(x)
	n := len(x) / rows
	means, variances := make([]float32, n), make([]float32, n)
	kernels.ColMeanVariance(means, variances, x)
	for r := range rows {
		row := x[r*n:][:n]
		kernels.Sub(row, row, means)
	}
	return x
}
