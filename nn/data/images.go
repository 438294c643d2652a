package data

import (
	"errors"
	"fmt"
	"math"

	"github.com/adafisher-go/adafisher/nn"
)

// Images are labelled images of one size: a [Source] of rows [height, width,
// channels], with a pixel v of 0 to 255 as float32(v)/255. They are kept as bytes
// and never change, so that any number of goroutines may use them.
type Images struct {
	height, width, channels int

	classes int
	pixels  []uint8 // n images of [height, width, channels]
	labels  []uint8
}

// maxClasses is the number of labels that a byte can tell apart.
const maxClasses = 1 << 8

// NewImages returns images of the shape [height, width, channels] with one label
// each, from 0 to classes-1. Both slices belong to the images from then on.
//
// It fails unless there is at least one image, pixels has as many as the labels
// say, and each label is in its range; classes are at most 256.
func NewImages(shape nn.Shape, classes int, pixels, labels []uint8) (*Images, error) {
	s, err := newImages(shape, classes, pixels, labels)
	if err != nil {
		return nil, fmt.Errorf("data: NewImages: %w", err)
	}
	return s, nil
}

func newImages(shape nn.Shape, classes int, pixels, labels []uint8) (*Images, error) {
	if len(shape) != 3 || shape[0] < 1 || shape[1] < 1 || shape[2] < 1 {
		return nil, fmt.Errorf("images of shape %v: want [height, width, channels], at least 1 each", shape)
	}
	if len(labels) == 0 {
		return nil, errors.New("no images")
	}
	if product(len(labels), shape...) != len(pixels) {
		return nil, fmt.Errorf("%d pixels for %d images of shape %v", len(pixels), len(labels), shape)
	}
	if err := checkClasses(classes); err != nil {
		return nil, err
	}
	if err := checkLabels(labels, classes); err != nil {
		return nil, err
	}
	return &Images{shape[0], shape[1], shape[2], classes, pixels, labels}, nil
}

// product returns n times the factors, none of them negative, or the largest int if
// it is more.
func product(n int, factors ...int) int {
	for _, f := range factors {
		if f > 0 && n > math.MaxInt/f {
			return math.MaxInt
		}
		n *= f
	}
	return n
}

func checkClasses(classes int) error {
	if classes < 1 || classes > maxClasses {
		return fmt.Errorf("%d classes: want 1 to %d", classes, maxClasses)
	}
	return nil
}

func checkLabels(labels []uint8, classes int) error {
	for i, l := range labels {
		if int(l) >= classes {
			return fmt.Errorf("label %d is %d: want 0 to %d", i, l, classes-1)
		}
	}
	return nil
}

// Len returns the number of images.
func (s *Images) Len() int { return len(s.labels) }

// Shape returns the shape of an image, [height, width, channels].
func (s *Images) Shape() nn.Shape { return nn.Shape{s.height, s.width, s.channels} }

// Classes returns the number of classes: labels are from 0 to Classes-1.
func (s *Images) Classes() int { return s.classes }

// Sizes returns the numbers of an image, height*width*channels, and 1, for its
// label.
func (s *Images) Sizes() (inputs, labels int) { return s.size(), 1 }

func (s *Images) size() int { return s.height * s.width * s.channels }

// image returns the pixels of image i.
func (s *Images) image(i int) []uint8 { return s.pixels[i*s.size():][:s.size()] }

// Gather stores the images with the given indices in x and their labels in
// labels, as [Source] has it.
func (s *Images) Gather(x []float32, labels []int, _ int, indices []int) error {
	if err := checkGather(s.Len(), s.size(), 1, x, labels, indices); err != nil {
		return err
	}
	for r, i := range indices {
		pixels := s.image(i)
		row := x[r*len(pixels):][:len(pixels)]
		for k, v := range pixels {
			row[k] = shades[v]
		}
		labels[r] = int(s.labels[i])
	}
	return nil
}

// shades are the numbers for the values of a pixel.
var shades = func() (s [256]float32) {
	for v := range s {
		s[v] = float32(v) / 255
	}
	return s
}()

// MeanStd returns mean and standard deviation of each channel over all pixels of
// all images, for [Normalize]. They are computed in float64 from counts of the
// pixels' values, and rounded once.
func (s *Images) MeanStd() (mean, std []float32) {
	counts := make([][256]int64, s.channels)
	for lo := 0; lo < len(s.pixels); lo += s.channels {
		for c, v := range s.pixels[lo:][:s.channels] {
			counts[c][v]++
		}
	}
	n := float64(s.Len() * s.height * s.width)
	mean, std = make([]float32, s.channels), make([]float32, s.channels)
	for c := range counts {
		sum := int64(0)
		for v, count := range counts[c] {
			sum += int64(v) * count
		}
		m := float64(sum) / n
		squares := 0.0
		for v, count := range counts[c] {
			d := float64(v) - m
			squares += float64(float64(count) * float64(d*d))
		}
		mean[c] = float32(m / 255)
		std[c] = float32(math.Sqrt(squares/n) / 255)
	}
	return mean, std
}

// HoldOut divides the images in two, for a validation that leaves the test alone:
// held gets n of them drawn at random, rest the others, both in the order of s.
// Which ones follows from s.Len(), n and seed alone: they are the first batch of
// [nn.Batches]' epoch 0. Both are copies.
//
// It fails unless n is from 1 to s.Len()-1.
func (s *Images) HoldOut(n int, seed uint64) (rest, held *Images, err error) {
	if n < 1 || n >= s.Len() {
		return nil, nil, fmt.Errorf("data: HoldOut: %d of %d images: want at least 1 on both sides", n, s.Len())
	}
	drawn, err := draw(s.Len(), n, seed)
	if err != nil {
		return nil, nil, err
	}
	rest, held = s.empty(s.Len()-n), s.empty(n)
	for i, d := range drawn {
		side := rest
		if d {
			side = held
		}
		side.pixels = append(side.pixels, s.image(i)...)
		side.labels = append(side.labels, s.labels[i])
	}
	return rest, held, nil
}

// empty returns images like s, with room for n.
func (s *Images) empty(n int) *Images {
	return &Images{s.height, s.width, s.channels, s.classes, make([]uint8, 0, n*s.size()), make([]uint8, 0, n)}
}
