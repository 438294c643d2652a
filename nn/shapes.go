package nn

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Flatten describes the change from a sample of any shape to a row of features.
// Features come in PyTorch's order: those of an image [height, width, channels]
// channel by channel, so that the weights of a Linear after it carry over.
func Flatten() Layer { return reshape{"Flatten"} }

// Tokens describes the change from an image [height, width, channels] to a
// sequence [height*width, channels]. The numbers stay where they are.
func Tokens() Layer { return reshape{"Tokens"} }

type reshape struct{ name string }

func (l reshape) kind() string { return l.name }

func (l reshape) build(_ *builder, in Shape) (module, Shape, error) {
	if l.name == "Tokens" {
		if len(in) != 3 {
			return nil, nil, fmt.Errorf("takes an image [height, width, channels], its input has shape %v", in)
		}
		out := Shape{in.Positions(), in.Features()}
		return &reshapeModule{1, in.Size(), out}, out, nil
	}
	m := &reshapeModule{1, in.Size(), Shape{in.Size()}}
	if len(in) == 3 {
		m.rows, m.cols = in.Positions(), in.Features()
	}
	return m, m.out, nil
}

// reshapeModule transposes each sample, a matrix of rows x cols.
type reshapeModule struct {
	rows, cols int
	out        Shape
}

func (m *reshapeModule) forwarder(*plan) forwarder { return m }
func (m *reshapeModule) trainer(p *plan) trainer   { return p.samples(m) }

func (m *reshapeModule) forward(y, x []float32, rows int) { transposeEach(y, x, rows, m.rows, m.cols) }

func (m *reshapeModule) backward(dx, dy, _, _ []float32, rows int, _ kron.Collect) error {
	if dx != nil {
		transposeEach(dx, dy, rows, m.cols, m.rows)
	}
	return nil
}

// transposeEach stores the transposes of n matrices of rows x cols.
func transposeEach(dst, src []float32, n, rows, cols int) {
	if rows == 1 || cols == 1 {
		copy(dst, src)
		return
	}
	size := rows * cols
	for i := range n {
		kernels.Transpose(
			kernels.NewMatrix(cols, rows, dst[i*size:][:size]),
			kernels.NewMatrix(rows, cols, src[i*size:][:size]))
	}
}

// Mean describes the mean over the positions of a sample, feature by feature:
// global average pooling of an image, or the mean over the tokens of a sequence.
func Mean() Layer { return mean{} }

type mean struct{}

func (mean) kind() string { return "Mean" }

func (mean) build(_ *builder, in Shape) (module, Shape, error) {
	return meanModule(in.Features()), Shape{in.Features()}, nil
}

// meanModule is the number of features.
type meanModule int

func (m meanModule) forwarder(*plan) forwarder { return m }
func (m meanModule) trainer(p *plan) trainer   { return p.samples(m) }

func (m meanModule) forward(y, x []float32, _ int) { kernels.GlobalAveragePool(y, x, int(m)) }

func (m meanModule) backward(dx, dy, _, _ []float32, _ int, _ kron.Collect) error {
	if dx != nil {
		kernels.GlobalAveragePoolBackward(dx, dy, int(m))
	}
	return nil
}
