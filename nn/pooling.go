package nn

import (
	"fmt"
	"unsafe"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Pooling are the options of [MaxPool2d] and [AvgPool2d]. Pairs are rows, then
// columns; see [Square].
type Pooling struct {
	Kernel  [2]int
	Stride  [2]int // 0 is as far as the kernel
	Padding [2]int // on each side, at most half the kernel
}

// MaxPool2d describes the maximum of each channel in windows of an image. Padding
// holds nothing.
func MaxPool2d(p Pooling) Layer { return pooling{"MaxPool2d", p} }

// AvgPool2d describes the mean of each channel in windows of an image. Padding
// holds zeros that count, as is PyTorch's default.
func AvgPool2d(p Pooling) Layer { return pooling{"AvgPool2d", p} }

type pooling struct {
	name string
	Pooling
}

func (l pooling) kind() string { return l.name }

func (l pooling) build(_ *builder, in Shape) (module, Shape, error) {
	if len(in) != 3 {
		return nil, nil, fmt.Errorf("takes an image [height, width, channels], its input has shape %v", in)
	}
	p := kernels.Pooling2d{H: in[0], W: in[1], C: in[2], Kernel: l.Kernel, Stride: l.Stride, Padding: l.Padding}
	if err := p.Check(); err != nil {
		return nil, nil, fmt.Errorf("%w; its input has shape %v", err, in)
	}
	out := Shape{p.OutH(), p.OutW(), p.C}
	if l.name == "MaxPool2d" {
		return &maxPoolModule{p}, out, nil
	}
	return &avgPoolModule{p}, out, nil
}

type maxPoolModule struct{ kernels.Pooling2d }

func (m *maxPoolModule) forwarder(*plan) forwarder { return m }

func (m *maxPoolModule) forward(y, x []float32, _ int) { m.Max(y, nil, x) }

func (m *maxPoolModule) trainer(p *plan) trainer {
	t := &maxPoolTrainer{maxPoolModule: m, workers: &p.session.workers}
	t.max, t.maxBackward = t.maxSome, t.maxBackwardSome
	p.keepRows(&t.places, m.OutLen())
	return t
}

type maxPoolTrainer struct {
	*maxPoolModule
	places []float32 // memory of where the maxima are, as int32

	workers          *workers
	max, maxBackward func(from, to int, _ []float32) // of images
	x, y             []float32                       // or the gradients there
}

// images returns what belongs to some images.
func (t *maxPoolTrainer) images(from, to int) (x, y []float32, places []int32) {
	in, out := t.InLen(), t.OutLen()
	places = unsafe.Slice((*int32)(unsafe.Pointer(&t.places[0])), len(t.places))
	return t.x[from*in : to*in], t.y[from*out : to*out], places[from*out : to*out]
}

func (t *maxPoolTrainer) forward(y, x []float32, rows int) {
	t.x, t.y = x, y
	t.workers.split(rows, len(x), t.max)
}

func (t *maxPoolTrainer) maxSome(from, to int, _ []float32) {
	x, y, places := t.images(from, to)
	t.Max(y, places, x)
}

func (t *maxPoolTrainer) backward(dx, dy, _, _ []float32, rows int, _ kron.Collect) error {
	if dx != nil {
		t.x, t.y = dx, dy
		t.workers.split(rows, len(dx), t.maxBackward)
	}
	return nil
}

func (t *maxPoolTrainer) maxBackwardSome(from, to int, _ []float32) {
	dx, dy, places := t.images(from, to)
	t.MaxBackward(dx, dy, places)
}

type avgPoolModule struct{ kernels.Pooling2d }

func (m *avgPoolModule) forwarder(*plan) forwarder { return m }
func (m *avgPoolModule) trainer(p *plan) trainer   { return p.samples(m) }

func (m *avgPoolModule) forward(y, x []float32, _ int) { m.Average(y, x) }

func (m *avgPoolModule) backward(dx, dy, _, _ []float32, _ int, _ kron.Collect) error {
	if dx != nil {
		m.AverageBackward(dx, dy)
	}
	return nil
}
