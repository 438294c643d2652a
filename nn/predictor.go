package nn

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
)

// A Predictor is what a forward pass alone writes: two buffers for activations,
// sized once for its largest batch. It allocates nothing after that and serves
// one goroutine at a time; any number of them may read one model.
type Predictor struct {
	model   *Model // with layers of its own, which read the values of another
	batch   int
	float16 bool // there is workspace for float16 weights
	root    forwarder
	y       []float32 // outputs of a batch
}

// NewPredictor returns a predictor for batches of at most batch rows. It reads the
// model's values where they are, also those that training has changed; for values
// that stay as they are, one of [Model.Pack] is faster.
//
// It fails if batch is not positive or the predictor needs more than 16 GiB.
func (m *Model) NewPredictor(batch int) (*Predictor, error) {
	p, _, err := m.newPredictor(batch, false)
	return p, err
}

// newPredictor also returns the plan of the predictor's buffers.
func (m *Model) newPredictor(batch int, float16 bool) (*Predictor, *plan, error) {
	if err := m.checkBatch("NewPredictor", batch); err != nil {
		return nil, nil, err
	}
	own, err := m.design.assemble()
	if err != nil {
		return nil, nil, err
	}
	own.read(m)
	p := &Predictor{model: own, batch: batch, float16: float16}
	buffers := &plan{batch: batch, float16: float16}
	buffers.keepRows(&p.y, m.Out())
	p.root = buffers.forwarder(own.root)
	if err := buffers.allocate(); err != nil {
		return nil, nil, fmt.Errorf("nn: NewPredictor: a batch of %d rows needs %w", batch, err)
	}
	return p, buffers, nil
}

// made returns an error if p is nil or zero.
func (p *Predictor) made(call string) error {
	if p == nil || p.model == nil {
		return fmt.Errorf("nn: %s: the predictor is nil or zero: want one of NewPredictor", call)
	}
	return nil
}

// SetModel makes the predictor read another model from the next call on, one of the
// same layers as that which it was made for, see [Model.CopyFrom]. It copies nothing,
// and between clones allocates nothing. It fails, and changes nothing, where the
// layers differ.
func (p *Predictor) SetModel(m *Model) error {
	const call = "SetModel"
	if err := p.made(call); err != nil {
		return err
	}
	if err := p.model.checkLayers(call, m); err != nil {
		return err
	}
	p.model.read(m)
	return nil
}

// Predict returns the model's outputs for x, which is row-major with In features
// a row and between 1 and the predictor's batch of rows. The result has Out
// features a row, and the bits that a session's Forward gives where the model has
// neither batch normalisation nor dropout, which are others in training. It belongs
// to the predictor, until its next call. x must not be a slice that the predictor
// returned. A NaN in x gives NaN, not an error.
func (p *Predictor) Predict(x []float32) ([]float32, error) {
	const call = "Predict"
	if err := p.made(call); err != nil {
		return nil, err
	}
	rows, err := p.model.checkInput(call, x, p.batch)
	if err != nil {
		return nil, err
	}
	return p.forward(x, rows), nil
}

func (p *Predictor) forward(x []float32, rows int) []float32 {
	y := p.y[:rows*p.model.Out()]
	p.root.forward(y, x, rows)
	return y
}

// PredictInto stores the model's outputs for x in dst, which must not overlap.
// x may have more samples than the predictor's batch, or none.
//
// It fails, and stores nothing, if x is not whole samples, dst has not room for
// exactly their outputs, or x has a token that the model has no embedding for.
func (p *Predictor) PredictInto(dst, x []float32) error {
	const call = "PredictInto"
	if err := p.made(call); err != nil {
		return err
	}
	in, out := p.model.In(), p.model.Out()
	if len(x)%in != 0 {
		return fmt.Errorf("nn: %s: an input of %d numbers is not %s", call, len(x), p.model.samples())
	}
	if len(dst) != len(x)/in*out {
		return fmt.Errorf("nn: %s: room for %d numbers: want %d, for %d samples of %d outputs", call, len(dst), len(x)/in*out, len(x)/in, out)
	}
	if err := p.model.checkTokens(call, x); err != nil {
		return err
	}
	for len(x) > 0 {
		rows := min(p.batch, len(x)/in)
		p.root.forward(dst[:rows*out], x[:rows*in], rows)
		dst, x = dst[rows*out:], x[rows*in:]
	}
	return nil
}

// Classify stores for each row of outputs the index of its largest score, as
// [kernels.ArgMax] has it: the first of equal ones. A NaN is ignored, and the class of
// a row of nothing else is -1. A row is one position of a sample. x may have more
// samples than the predictor's batch, or none.
//
// It fails, and stores nothing, if x is not whole samples, classes has not room for
// exactly one class a position of each, or x has a token that the model has no
// embedding for.
func (p *Predictor) Classify(classes []int, x []float32) error {
	const call = "Classify"
	if err := p.made(call); err != nil {
		return err
	}
	in, scores, positions := p.model.In(), p.model.output.Features(), p.model.output.Positions()
	if len(x)%in != 0 {
		return fmt.Errorf("nn: %s: an input of %d numbers is not %s", call, len(x), p.model.samples())
	}
	if want := len(x) / in * positions; len(classes) != want {
		return fmt.Errorf("nn: %s: room for %d classes: want %d, one for each row of scores", call, len(classes), want)
	}
	if err := p.model.checkTokens(call, x); err != nil {
		return err
	}
	for len(classes) > 0 {
		rows := min(p.batch, len(x)/in)
		y := p.forward(x[:rows*in], rows)
		for r := range rows * positions {
			classes[r] = kernels.ArgMax(y[r*scores:][:scores])
		}
		classes, x = classes[rows*positions:], x[rows*in:]
	}
	return nil
}
