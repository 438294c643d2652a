package data

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/adafisher-go/adafisher/internal/splitmix"
)

// A Transform changes images, at random or always in the same way. [Flip],
// [Crop], [Cutout] and [Normalize] are transforms; a program may have its own.
type Transform interface {
	// Check returns an error if the transform is not fit for images of this
	// shape.
	Check(height, width, channels int) error

	// Apply changes an image in place, of a shape that Check accepted. It may draw
	// any number of times, allocates nothing, and may run in several goroutines at
	// once.
	Apply(image Image, draws Draws)
}

// An Image is one row of a batch: Data is [Height, Width, Channels].
type Image struct {
	Height, Width, Channels int
	Data                    []float32
}

// line returns the numbers of row y.
func (m Image) line(y int) []float32 {
	n := m.Width * m.Channels
	return m.Data[y*n:][:n]
}

// Draws are random numbers, of one place in one image in one epoch: with place p
// of the transform among its image's, from 0 on,
//
//	key    = mix(mix(mix(mix(seed) + epoch) + index) + p)
//	draw k = mix(key + k*0x9e3779b97f4a7c15), from k = 0
//
// modulo 2^64, where mix is SplitMix64 (Steele, Lea and Flood 2014): so draw k is
// the k-th output of that generator with the key as its seed.
//
//	mix(z): z = z + 0x9e3779b97f4a7c15
//	        z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
//	        z = (z ^ z>>27) * 0x94d049bb133111eb
//	        z ^ z>>31
type Draws struct{ state uint64 }

func newDraws(seed uint64, epoch, index, place int) Draws {
	key := splitmix.Mix(seed)
	for _, n := range [...]int{epoch, index, place} {
		key = splitmix.Mix(key + uint64(n))
	}
	return Draws{key}
}

// Uint64 returns the next draw. With it, Draws are a source for math/rand/v2.
func (d *Draws) Uint64() uint64 {
	z := splitmix.Mix(d.state)
	d.state += splitmix.Gamma
	return z
}

// IntN returns an integer from 0 to n-1, for a positive n: the high 64 bits of n
// times the next draw.
func (d *Draws) IntN(n int) int {
	high, _ := bits.Mul64(d.Uint64(), uint64(n))
	return int(high)
}

// Flip mirrors an image left to right with probability 1/2: if IntN(2) is 1.
type Flip struct{}

// Check accepts all images.
func (Flip) Check(_, _, _ int) error { return nil }

// Apply mirrors the image or leaves it.
func (Flip) Apply(m Image, draws Draws) {
	if draws.IntN(2) == 0 {
		return
	}
	for y := range m.Height {
		line := m.line(y)
		for i, j := 0, len(line)-m.Channels; i < j; i, j = i+m.Channels, j-m.Channels {
			for c := range m.Channels {
				line[i+c], line[j+c] = line[j+c], line[i+c]
			}
		}
	}
}

// Crop pads the image with Padding zeros on each side and cuts its own size out,
// at row IntN(2*Padding+1) and then column IntN(2*Padding+1) of the padded one.
// Zero is black before [Normalize], and the mean after it.
type Crop struct{ Padding int }

// Check fails unless the padding is from 0 to the shorter side.
func (t Crop) Check(height, width, _ int) error {
	if side := min(height, width); t.Padding < 0 || t.Padding > side {
		return fmt.Errorf("padding %d: want 0 to %d, the shorter side", t.Padding, side)
	}
	return nil
}

// Apply moves the image.
func (t Crop) Apply(m Image, draws Draws) {
	dy := draws.IntN(2*t.Padding+1) - t.Padding
	dx := (draws.IntN(2*t.Padding+1) - t.Padding) * m.Channels
	n := m.Width * m.Channels
	for i := range m.Height {
		y := i
		if dy < 0 { // each line comes from above: begin where none is overwritten too early
			y = m.Height - 1 - i
		}
		to := m.line(y)
		if y+dy < 0 || y+dy >= m.Height {
			clear(to)
			continue
		}
		from := m.line(y + dy)
		if dx >= 0 {
			copy(to, from[dx:])
			clear(to[n-dx:])
		} else {
			copy(to[-dx:], from)
			clear(to[:-dx])
		}
	}
}

// Cutout zeroes a square (DeVries and Taylor 2017) with sides of Size, about row
// IntN(height) and then column IntN(width): it begins Size/2 before them, rounded
// down, and may reach over the border. After [Normalize], as there, zero is the
// mean.
type Cutout struct{ Size int }

// Check fails unless the size is from 1 to twice the shorter side.
func (t Cutout) Check(height, width, _ int) error {
	if most := 2 * min(height, width); t.Size < 1 || t.Size > most {
		return fmt.Errorf("size %d: want 1 to %d, twice the shorter side", t.Size, most)
	}
	return nil
}

// Apply zeroes the square.
func (t Cutout) Apply(m Image, draws Draws) {
	top := draws.IntN(m.Height) - t.Size/2
	left := draws.IntN(m.Width) - t.Size/2
	right := min(left+t.Size, m.Width)
	for y := max(top, 0); y < min(top+t.Size, m.Height); y++ {
		clear(m.line(y)[max(left, 0)*m.Channels : right*m.Channels])
	}
}

// Normalize subtracts the channel's mean and divides by its standard deviation,
// each rounded to float32: (x-Mean[c])/Std[c]. [Images.MeanStd] computes them;
// those of the training images serve for all.
type Normalize struct{ Mean, Std []float32 }

// Check fails unless there are a finite mean and a positive, finite standard
// deviation for each channel.
func (t Normalize) Check(_, _, channels int) error {
	if len(t.Mean) != channels || len(t.Std) != channels {
		return fmt.Errorf("%d means and %d standard deviations for %d channels", len(t.Mean), len(t.Std), channels)
	}
	for c := range channels {
		if mean := float64(t.Mean[c]); math.IsNaN(mean) || math.IsInf(mean, 0) {
			return fmt.Errorf("the mean of channel %d is %v: want a finite number", c, mean)
		}
		if std := t.Std[c]; !(std > 0 && std <= math.MaxFloat32) {
			return fmt.Errorf("the standard deviation of channel %d is %v: want a positive, finite number", c, std)
		}
	}
	return nil
}

// Apply normalises the image.
func (t Normalize) Apply(m Image, _ Draws) {
	for c, mean := range t.Mean {
		std := t.Std[c]
		for i := c; i < len(m.Data); i += m.Channels {
			m.Data[i] = float32(m.Data[i]-mean) / std
		}
	}
}

// Transformed are images that transforms have changed, anew in each epoch: a
// [Source]. Any number of goroutines may use them.
type Transformed struct {
	images     *Images
	seed       uint64
	transforms []Transform
}

// Transform returns the images with each of the transforms applied in turn, when
// they are gathered. What an image becomes follows from the seed, the epoch, its
// index and the list of transforms alone, see [Draws].
//
// It fails if a transform's Check does.
func (s *Images) Transform(seed uint64, transforms ...Transform) (*Transformed, error) {
	for i, t := range transforms {
		if t == nil {
			return nil, fmt.Errorf("data: Transform: transform %d is nil", i)
		}
		if err := t.Check(s.height, s.width, s.channels); err != nil {
			return nil, fmt.Errorf("data: Transform: transform %d (%T): %w", i, t, err)
		}
	}
	return &Transformed{s, seed, append([]Transform(nil), transforms...)}, nil
}

// Len returns the number of images.
func (t *Transformed) Len() int { return t.images.Len() }

// Sizes returns the numbers of an image, height*width*channels, and 1, for its
// label.
func (t *Transformed) Sizes() (inputs, labels int) { return t.images.Sizes() }

// Gather stores the images with the given indices in x, as they are in the given
// epoch, and their labels in labels, as [Source] has it.
func (t *Transformed) Gather(x []float32, labels []int, epoch int, indices []int) error {
	s := t.images
	if err := s.Gather(x, labels, epoch, indices); err != nil {
		return err
	}
	n := s.size()
	for r, index := range indices {
		image := Image{s.height, s.width, s.channels, x[r*n:][:n]}
		for place, transform := range t.transforms {
			transform.Apply(image, newDraws(t.seed, epoch, index, place))
		}
	}
	return nil
}
