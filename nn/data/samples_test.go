package data_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
)

func TestSamplesHoldOut(t *testing.T) {
	s := data.Samples{Features: 2, Classes: 50}
	for i := range 50 {
		s.X = append(s.X, float32(i), float32(-i))
		s.Labels = append(s.Labels, i) // to tell the samples apart
	}
	rest, held, err := s.HoldOut(20, 1)
	require.NoError(t, err)
	require.Equal(t, 30, rest.Len())
	require.Equal(t, 20, held.Len())
	require.True(t, slices.IsSorted(rest.Labels))
	require.True(t, slices.IsSorted(held.Labels))
	all := slices.Sorted(slices.Values(append(slices.Clone(rest.Labels), held.Labels...)))
	for i, label := range all {
		require.Equal(t, i, label, "each sample is on one side")
	}
	for _, part := range []data.Samples{rest, held} {
		for r, i := range part.Labels {
			require.Equal(t, s.X[2*i:2*i+2], part.X[2*r:2*r+2])
		}
	}

	_, again, err := s.HoldOut(20, 1)
	require.NoError(t, err)
	require.Equal(t, held, again)
	_, other, err := s.HoldOut(20, 2)
	require.NoError(t, err)
	require.NotEqual(t, held, other)

	for _, n := range []int{-1, 0, 50, 51} {
		_, _, err := s.HoldOut(n, 1)
		require.ErrorContains(t, err, "of 50 samples: want at least 1 on both sides")
	}
}

func TestSamplesGather(t *testing.T) {
	s := data.Samples{X: []float32{1, 2, 3, 4, 5, 6}, Labels: []int{7, 8, 9}, Features: 2, Classes: 10}
	x, labels := make([]float32, 4), make([]int, 2)
	require.NoError(t, s.Gather(x, labels, 0, []int{2, 0}))
	require.Equal(t, []float32{5, 6, 1, 2}, x)
	require.Equal(t, []int{9, 7}, labels)

	for want, err := range map[string]error{
		"index 3: want 0 to 2":                  s.Gather(x, labels, 0, []int{0, 3}),
		"index -1: want 0 to 2":                 s.Gather(x, labels, 0, []int{-1, 0}),
		"room for 4 inputs and 2 labels":        s.Gather(x, labels, 0, []int{0}),
		"data: Gather: 5 numbers for 3 samples": data.Samples{X: s.X[1:], Labels: s.Labels, Features: 2}.Gather(x, labels, 0, []int{0, 1}),
	} {
		require.ErrorContains(t, err, want)
	}
	require.Equal(t, []float32{5, 6, 1, 2}, x)
}

// Samples with targets, with and without labels beside them.
func TestSamplesTargets(t *testing.T) {
	s := data.Samples{Features: 1, Outputs: 2}
	for i := range 10 {
		s.X = append(s.X, float32(i))
		s.Targets = append(s.Targets, float32(10*i), float32(-i))
	}
	for range 2 {
		require.Equal(t, 10, s.Len())
		_, labels := s.Sizes()
		targets := make([]float32, 4)
		require.NoError(t, s.Gather(make([]float32, 2), make([]int, 2*labels), 0, []int{7, 0}))
		require.NoError(t, s.GatherTargets(targets, 0, []int{7, 0}))
		require.Equal(t, []float32{70, -7, 0, 0}, targets)
		require.EqualError(t, s.GatherTargets(targets, 0, []int{7}), "data: GatherTargets: room for 4 targets: 1 samples have 2 each")
		require.EqualError(t, s.GatherTargets(targets, 0, []int{7, 10}), "data: GatherTargets: index 10: want 0 to 9")

		rest, held, err := s.HoldOut(3, 1)
		require.NoError(t, err)
		for _, part := range []data.Samples{rest, held} {
			require.Equal(t, len(s.Labels) > 0, len(part.Labels) > 0)
			loader, err := data.NewLoader(part, 4, 1)
			require.NoError(t, err)
			for b := range loader.Len() {
				x, targets, err := loader.BatchTargets(0, b)
				require.NoError(t, err)
				for r, v := range x {
					require.Equal(t, []float32{10 * v, -v}, targets[2*r:][:2])
				}
			}
		}
		require.Equal(t, 10, rest.Len()+held.Len())
		s.Labels, s.Classes = make([]int, 10), 1
	}

	for want, spoil := range map[string]func(*data.Samples){
		"19 targets for 9 samples of 2 outputs": func(s *data.Samples) { s.X, s.Targets = s.X[1:], s.Targets[1:] },
		"10 numbers for 9 samples":              func(s *data.Samples) { s.Targets = s.Targets[2:] },
		"20 targets for 10 samples of 0":        func(s *data.Samples) { s.Outputs = 0 },
		"20 targets for 10 samples of -2":       func(s *data.Samples) { s.Outputs = -2 },
		"9 labels for 10 samples":               func(s *data.Samples) { s.Labels = s.Labels[1:] },
	} {
		bad := s
		spoil(&bad)
		require.ErrorContains(t, bad.GatherTargets(nil, 0, nil), "data: GatherTargets: "+want)
		_, err := data.NewLoader(bad, 2, 1)
		require.ErrorContains(t, err, "data: NewLoader: "+want)
		_, _, err = bad.HoldOut(2, 1)
		require.ErrorContains(t, err, "data: HoldOut: "+want)
	}
}

// A loader looks at all labels before the first batch.
func TestSamplesLabels(t *testing.T) {
	s := data.Samples{X: make([]float32, 4), Labels: []int{0, nn.Ignore, 2, 1}, Features: 1, Classes: 3}
	_, err := data.NewLoader(s, 2, 1)
	require.NoError(t, err)
	for _, label := range []int{3, -1, math.MaxInt, math.MinInt} {
		s.Labels[2] = label
		_, err := data.NewLoader(s, 2, 1)
		require.EqualError(t, err, fmt.Sprintf("data: NewLoader: label 2 is %d: want 0 to 2, or -100 to ignore it", label))
	}
	s.Classes = -1
	_, err = data.NewLoader(s, 2, 1)
	require.ErrorContains(t, err, "data: NewLoader: label 0 is 0: want ")
}

// No sizes of Samples, which have no constructor, make a call panic.
func TestSamplesOfWrongSizes(t *testing.T) {
	for _, s := range []data.Samples{
		{Labels: make([]int, 10)},
		{X: make([]float32, 1), Labels: make([]int, 10), Features: 5},
		{X: make([]float32, 51), Labels: make([]int, 10), Features: 5},
		{X: make([]float32, 50), Labels: make([]int, 10), Features: -5},
		{X: make([]float32, 6), Labels: make([]int, 10), Features: math.MaxInt},
		{Labels: make([]int, 10), Features: math.MinInt},
		{},
	} {
		require.ErrorContains(t, s.Gather(nil, []int{0}, 0, []int{0}), "data: Gather: ")
		_, _, err := s.HoldOut(3, 1)
		require.ErrorContains(t, err, "data: HoldOut: ")
		_, err = data.NewLoader(s, 2, 1)
		require.ErrorContains(t, err, "data: NewLoader: ")
		_, err = data.NewLoader(&s, 2, 1)
		require.ErrorContains(t, err, "data: NewLoader: ")
	}
}
