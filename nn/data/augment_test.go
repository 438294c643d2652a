package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/internal/splitmix"
)

// An image as its definition has it: pixel (y, x, c), 0 outside.
type picture func(y, x, c int) float32

func (m Image) picture() picture {
	data := slices.Clone(m.Data)
	return func(y, x, c int) float32 {
		if y < 0 || y >= m.Height || x < 0 || x >= m.Width {
			return 0
		}
		return data[(y*m.Width+x)*m.Channels+c]
	}
}

func (m Image) require(t *testing.T, want picture) {
	t.Helper()
	data := make([]float32, 0, len(m.Data))
	for y := range m.Height {
		for x := range m.Width {
			for c := range m.Channels {
				data = append(data, want(y, x, c))
			}
		}
	}
	require.Equal(t, data, m.Data)
}

// forImages calls f with images of many shapes, all of whose numbers differ, and
// with draws.
func forImages(f func(m Image, draws Draws)) {
	index := 0
	for height := 1; height <= 5; height++ {
		for width := 1; width <= 5; width++ {
			for channels := 1; channels <= 4; channels++ {
				for range 20 {
					m := Image{height, width, channels, make([]float32, height*width*channels)}
					for i := range m.Data {
						m.Data[i] = float32(i + 1)
					}
					f(m, newDraws(1, 2, index, 3))
					index++
				}
			}
		}
	}
}

func TestFlip(t *testing.T) {
	flips := 0
	forImages(func(m Image, draws Draws) {
		old, again := m.picture(), draws
		Flip{}.Apply(m, draws)
		if again.IntN(2) == 0 {
			m.require(t, old)
			return
		}
		flips++
		m.require(t, func(y, x, c int) float32 { return old(y, m.Width-1-x, c) })
	})
	require.InDelta(t, 1000, flips, 70, "3 standard deviations")
}

func TestCrop(t *testing.T) {
	forImages(func(m Image, draws Draws) {
		original := slices.Clone(m.Data)
		for padding := range min(m.Height, m.Width) + 1 {
			copy(m.Data, original)
			require.NoError(t, Crop{padding}.Check(m.Height, m.Width, m.Channels))
			old, again := m.picture(), draws
			Crop{padding}.Apply(m, draws)
			top, left := again.IntN(2*padding+1), again.IntN(2*padding+1)
			m.require(t, func(y, x, c int) float32 { return old(top+y-padding, left+x-padding, c) })
		}
	})
}

func TestCutout(t *testing.T) {
	forImages(func(m Image, draws Draws) {
		original := slices.Clone(m.Data)
		for size := 1; size <= 2*min(m.Height, m.Width); size++ {
			copy(m.Data, original)
			require.NoError(t, Cutout{size}.Check(m.Height, m.Width, m.Channels))
			old, again := m.picture(), draws
			Cutout{size}.Apply(m, draws)
			top, left := again.IntN(m.Height)-size/2, again.IntN(m.Width)-size/2
			m.require(t, func(y, x, c int) float32 {
				if y >= top && y < top+size && x >= left && x < left+size {
					return 0
				}
				return old(y, x, c)
			})
		}
	})
}

func TestNormalize(t *testing.T) {
	mean, std := []float32{0.1, -2, 3, 0}, []float32{0.3, 1, 7, 1e-3}
	forImages(func(m Image, draws Draws) {
		old := m.picture()
		n := Normalize{mean[:m.Channels], std[:m.Channels]}
		require.NoError(t, n.Check(m.Height, m.Width, m.Channels))
		n.Apply(m, draws)
		m.require(t, func(y, x, c int) float32 {
			difference := old(y, x, c) - mean[c]
			return difference / std[c]
		})
	})

	images := someImages(t, 50, 8, 8, 3, 2)
	m, s := images.MeanStd()
	normalized, err := images.Transform(0, Normalize{m, s})
	require.NoError(t, err)
	var sum, squares [3]float64
	for i := range images.Len() {
		x, _ := gather(t, normalized, 0, i)
		for k, v := range x {
			sum[k%3] += float64(v)
			squares[k%3] += float64(v) * float64(v)
		}
	}
	for c := range 3 {
		require.InDelta(t, 0, sum[c]/3200, 1e-6)
		require.InDelta(t, 1, squares[c]/3200, 1e-6)
	}
}

func TestTransformErrors(t *testing.T) {
	images := someImages(t, 2, 4, 6, 2, 2)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		transform Transform
		want      string
	}{
		{nil, "transform 1 is nil"},
		{Crop{-1}, "transform 1 (data.Crop): padding -1: want 0 to 4, the shorter side"},
		{Crop{5}, "transform 1 (data.Crop): padding 5: want 0 to 4"},
		{Cutout{0}, "transform 1 (data.Cutout): size 0: want 1 to 8, twice the shorter side"},
		{Cutout{9}, "transform 1 (data.Cutout): size 9: want 1 to 8"},
		{Normalize{[]float32{0}, []float32{1}}, "transform 1 (data.Normalize): 1 means and 1 standard deviations for 2 channels"},
		{Normalize{[]float32{0, 0}, []float32{1}}, "transform 1 (data.Normalize): 2 means and 1 standard deviations for 2 channels"},
		{Normalize{[]float32{0, nan}, []float32{1, 1}}, "transform 1 (data.Normalize): the mean of channel 1 is NaN: want a finite number"},
		{Normalize{[]float32{inf, 0}, []float32{1, 1}}, "transform 1 (data.Normalize): the mean of channel 0 is +Inf"},
		{Normalize{[]float32{0, 0}, []float32{1, 0}}, "transform 1 (data.Normalize): the standard deviation of channel 1 is 0: want a positive, finite number"},
		{Normalize{[]float32{0, 0}, []float32{1, -1}}, "transform 1 (data.Normalize): the standard deviation of channel 1 is -1"},
		{Normalize{[]float32{0, 0}, []float32{nan, 1}}, "transform 1 (data.Normalize): the standard deviation of channel 0 is NaN"},
		{Normalize{[]float32{0, 0}, []float32{inf, 1}}, "transform 1 (data.Normalize): the standard deviation of channel 0 is +Inf"},
		{square{}, "transform 1 (data.square): 4x6 is not square"},
	} {
		_, err := images.Transform(1, Flip{}, c.transform)
		require.ErrorContains(t, err, "data: Transform: "+c.want)
	}
}

// square is a transform of a program's own.
type square struct{}

func (square) Check(height, width, _ int) error {
	if height != width {
		return fmt.Errorf("%dx%d is not square", height, width)
	}
	return nil
}

func (square) Apply(m Image, draws Draws) { m.Data[0] = float32(draws.IntN(100)) }

// all are the transforms in their usual order.
func all(channels int) []Transform {
	mean, std := make([]float32, channels), make([]float32, channels)
	for c := range channels {
		mean[c], std[c] = 0.4+float32(c)/16, 0.2+float32(c)/32
	}
	return []Transform{Crop{2}, Flip{}, Normalize{mean, std}, Cutout{3}}
}

// Each transform works on what the one before it left, with draws of its own.
func TestTransformsCompose(t *testing.T) {
	images := someImages(t, 10, 6, 5, 3, 2)
	transformed, err := images.Transform(7, all(3)...)
	require.NoError(t, err)
	require.Equal(t, 10, transformed.Len())
	for epoch := range 3 {
		for i := range 10 {
			want, label := gather(t, images, epoch, i)
			for place, transform := range all(3) {
				transform.Apply(Image{6, 5, 3, want}, newDraws(7, epoch, i, place))
			}
			got, transformedLabel := gather(t, transformed, epoch, i)
			require.Equal(t, want, got)
			require.Equal(t, label, transformedLabel)
		}
	}
}

// What an image becomes depends on seed, epoch and index, and not on the batch
// or the goroutine.
func TestTransformedRepeats(t *testing.T) {
	images := someImages(t, 30, 8, 8, 3, 2)
	transformed, err := images.Transform(7, all(3)...)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 1))
	var group sync.WaitGroup
	for range 20 {
		indices := r.Perm(30)[:1+r.IntN(30)]
		epoch := r.IntN(3)
		group.Go(func() {
			x, labels := make([]float32, len(indices)*192), make([]int, len(indices))
			if err := transformed.Gather(x, labels, epoch, indices); err != nil {
				t.Error(err)
			}
			one, label := make([]float32, 192), make([]int, 1)
			for row, i := range indices {
				err := transformed.Gather(one, label, epoch, []int{i})
				if err != nil || !slices.Equal(one, x[row*192:][:192]) || label[0] != labels[row] {
					t.Errorf("epoch %d, image %d differs in a batch of %v: %v", epoch, i, indices, err)
				}
			}
		})
	}
	group.Wait()

	x, _ := gather(t, transformed, 0, 3)
	later, _ := gather(t, transformed, 1, 3)
	require.NotEqual(t, x, later)
	other, err := images.Transform(8, all(3)...)
	require.NoError(t, err)
	seed, _ := gather(t, other, 0, 3)
	require.NotEqual(t, x, seed)
}

// The bits are the same on every machine.
func TestTransformedDigest(t *testing.T) {
	images := someImages(t, 40, 9, 7, 3, 10)
	mean, std := images.MeanStd()
	transformed, err := images.Transform(7, Crop{2}, Flip{}, Normalize{mean, std}, Cutout{3})
	require.NoError(t, err)
	loader, err := NewLoader(transformed, 16, 5)
	require.NoError(t, err)
	hash := sha256.New()
	for epoch := range 2 {
		for b := range loader.Len() {
			x, labels, err := loader.Batch(epoch, b)
			require.NoError(t, err)
			for _, v := range x {
				binary.Write(hash, binary.LittleEndian, math.Float32bits(v))
			}
			for _, l := range labels {
				binary.Write(hash, binary.LittleEndian, uint32(l))
			}
		}
	}
	require.Equal(t, "a73ee05e11ee8032f71b3181ce0fb0955393df0d2ca72b093141d6da9b48c19a", hex.EncodeToString(hash.Sum(nil)))
}

func TestDraws(t *testing.T) {
	d := Draws{1234567}
	for k := range uint64(3) {
		require.Equal(t, splitmix.Mix(1234567+k*splitmix.Gamma), d.Uint64())
	}
	var _ rand.Source = &d

	// Neighbours in any of the four numbers are independent: chi squared over
	// pairs of their first draws.
	for name, draw := range map[string]func(i int) Draws{
		"seed":  func(i int) Draws { return newDraws(uint64(i), 0, 0, 0) },
		"epoch": func(i int) Draws { return newDraws(0, i, 0, 0) },
		"index": func(i int) Draws { return newDraws(0, 0, i, 0) },
		"place": func(i int) Draws { return newDraws(0, 0, 0, i) },
	} {
		const side, n = 8, 64_000
		var counts [side * side]float64
		for i := range n {
			a, b := draw(i), draw(i+1)
			counts[a.IntN(side)*side+b.IntN(side)]++
		}
		chi2 := 0.0
		for _, c := range counts {
			const want = n / (side * side)
			chi2 += (c - want) * (c - want) / want
		}
		require.Less(t, chi2, 103.4, "%s: chi squared with 63 degrees of freedom exceeds it once in 1000", name)
	}
}

var errBroken = errors.New("broken")
