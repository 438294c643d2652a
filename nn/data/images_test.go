package data

import (
	"math"
	"math/big"
	"math/bits"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

func TestNewImagesErrors(t *testing.T) {
	for _, c := range []struct {
		shape          nn.Shape
		classes        int
		pixels, labels int
		want           string
	}{
		{nn.Shape{2, 3}, 2, 6, 1, "images of shape [2 3]: want [height, width, channels], at least 1 each"},
		{nil, 2, 6, 1, "images of shape []: want"},
		{nn.Shape{2, 0, 1}, 2, 0, 1, "images of shape [2 0 1]: want"},
		{nn.Shape{-2, -3, 1}, 2, 6, 1, "images of shape [-2 -3 1]: want"},
		{nn.Shape{2, 3, 1}, 2, 0, 0, "no images"},
		{nn.Shape{2, 3, 1}, 2, 11, 2, "11 pixels for 2 images of shape [2 3 1]"},
		{nn.Shape{math.MaxInt, 3, 2}, 2, 6, 1, "6 pixels for 1 images of shape"},
		{nn.Shape{1 << (bits.UintSize / 2), 1 << (bits.UintSize / 2), 1}, 2, 0, 1, "0 pixels for 1 images of shape"},
		{nn.Shape{2, 3, 1}, 0, 6, 1, "0 classes: want 1 to 256"},
		{nn.Shape{2, 3, 1}, 257, 6, 1, "257 classes: want 1 to 256"},
	} {
		_, err := NewImages(c.shape, c.classes, make([]uint8, c.pixels), make([]uint8, c.labels))
		require.ErrorContains(t, err, "data: NewImages: "+c.want)
	}
	_, err := NewImages(nn.Shape{1, 1, 1}, 3, make([]uint8, 3), []uint8{0, 2, 3})
	require.EqualError(t, err, "data: NewImages: label 2 is 3: want 0 to 2")
}

func TestImagesGather(t *testing.T) {
	s := someImages(t, 5, 2, 3, 2, 7)
	indices := []int{4, 0, 4, 2}
	x, labels := make([]float32, 4*12), make([]int, 4)
	require.NoError(t, s.Gather(x, labels, 9, indices))
	for r, i := range indices {
		for k := range 12 {
			require.Equal(t, float32(s.pixels[i*12+k])/255, x[r*12+k])
		}
		require.Equal(t, int(s.labels[i]), labels[r])
	}
	require.NoError(t, s.Gather(nil, nil, 0, nil))
}

func TestGatherErrors(t *testing.T) {
	images := someImages(t, 5, 2, 3, 1, 7)
	transformed, err := images.Transform(1)
	require.NoError(t, err)
	windows, err := NewWindows(make([]uint16, 31), 6)
	require.NoError(t, err)
	for _, s := range []Source{images, transformed, windows} {
		inputs, perSample := s.Sizes()
		require.Equal(t, 5, s.Len())
		for _, c := range []struct {
			x, labels int
			indices   []int
			want      string
		}{
			{inputs, perSample, nil, "data: Gather: room for "},
			{0, 0, []int{1}, "data: Gather: room for 0 inputs and 0 labels: 1 samples have 6 and "},
			{inputs + 1, perSample, []int{1}, "room for 7 inputs"},
			{inputs, perSample + 1, []int{1}, "room for 6 inputs"},
			{2 * inputs, 2 * perSample, []int{1}, "room for 12 inputs"},
			{2 * inputs, 2 * perSample, []int{1, 5}, "data: Gather: index 5: want 0 to 4"},
			{inputs, perSample, []int{-1}, "data: Gather: index -1: want 0 to 4"},
			{inputs, perSample, []int{math.MinInt}, "want 0 to 4"},
		} {
			x, labels := make([]float32, c.x), make([]int, c.labels)
			require.ErrorContains(t, s.Gather(x, labels, 0, c.indices), c.want)
			require.Equal(t, make([]float32, c.x), x, "nothing was stored")
		}
	}
}

// Mean and standard deviation as big numbers have them.
func TestMeanStd(t *testing.T) {
	s := someImages(t, 7, 5, 3, 3, 2)
	mean, std := s.MeanStd()
	require.Len(t, mean, 3)
	require.Len(t, std, 3)
	n := big.NewRat(7*15, 1)
	for c := range 3 {
		sum, squares := new(big.Rat), new(big.Rat)
		for i := c; i < len(s.pixels); i += 3 {
			v := big.NewRat(int64(s.pixels[i]), 255)
			sum.Add(sum, v)
			squares.Add(squares, new(big.Rat).Mul(v, v))
		}
		m := new(big.Rat).Quo(sum, n)
		variance := new(big.Rat).Sub(new(big.Rat).Quo(squares, n), new(big.Rat).Mul(m, m))
		want, _ := m.Float32()
		require.InDelta(t, want, mean[c], 1e-7)
		v, _ := variance.Float64()
		require.InDelta(t, math.Sqrt(v), std[c], 1e-7)
	}

	same, err := NewImages(nn.Shape{2, 2, 1}, 1, []uint8{51, 51, 51, 51}, []uint8{0})
	require.NoError(t, err)
	mean, std = same.MeanStd()
	require.Equal(t, []float32{0.2}, mean)
	require.Equal(t, []float32{0}, std)

	mean, std = new(Images).MeanStd()
	require.Empty(t, mean)
	require.Empty(t, std)
	require.NoError(t, new(Images).Gather(nil, nil, 0, nil))
}

func TestHoldOut(t *testing.T) {
	pixels, labels := make([]uint8, 50*2), make([]uint8, 50)
	for i := range labels {
		pixels[2*i], pixels[2*i+1], labels[i] = uint8(i), uint8(100+i), uint8(i)
	}
	s, err := NewImages(nn.Shape{1, 2, 1}, 50, pixels, labels)
	require.NoError(t, err)
	rest, held, err := s.HoldOut(20, 1)
	require.NoError(t, err)
	require.Equal(t, 30, rest.Len())
	require.Equal(t, 20, held.Len())
	for _, side := range []*Images{rest, held} {
		require.Equal(t, s.Shape(), side.Shape())
		require.Equal(t, 50, side.Classes())
		require.True(t, slices.IsSorted(side.labels))
		for i, label := range side.labels {
			require.Equal(t, []uint8{label, 100 + label}, side.image(i))
		}
	}
	all := slices.Sorted(slices.Values(slices.Concat(rest.labels, held.labels)))
	require.Equal(t, labels, all, "each image is on one side")

	batches, err := nn.NewBatches(50, 20, 1)
	require.NoError(t, err)
	for first := range batches.Epoch(0) {
		for _, i := range first {
			require.Contains(t, held.labels, uint8(i))
		}
		break
	}
	_, other, err := s.HoldOut(20, 2)
	require.NoError(t, err)
	require.NotEqual(t, held, other)
	for _, n := range []int{-1, 0, 50, 51} {
		_, _, err := s.HoldOut(n, 1)
		require.ErrorContains(t, err, "of 50 images: want at least 1 on both sides")
	}
}
