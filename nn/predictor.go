package nn

import "fmt"

// A Predictor is what a forward pass alone writes: two buffers for activations,
// sized once for its largest batch. It allocates nothing after that and serves
// one goroutine at a time; any number of them may read one model.
type Predictor struct {
	model      *Model
	batch      int
	forwarders []forwarder
	buffers    [2][]float32 // outputs of the layers, in turns
}

// NewPredictor returns a predictor for batches of at most batch rows.
//
// It fails if batch is not positive or the predictor needs more than 16 GiB.
func (m *Model) NewPredictor(batch int) (*Predictor, error) {
	if err := m.checkBatch("NewPredictor", batch); err != nil {
		return nil, err
	}
	p := &Predictor{model: m, batch: batch}
	var lengths [2]int
	for i, w := range m.widths[1:] {
		lengths[i%2] = max(lengths[i%2], product(batch, w))
	}
	buffers, err := carve(lengths[:]...)
	if err != nil {
		return nil, fmt.Errorf("nn: NewPredictor: a batch of %d rows needs %w", batch, err)
	}
	p.buffers = [2][]float32(buffers)
	for _, l := range m.modules {
		p.forwarders = append(p.forwarders, l.forwarder(batch))
	}
	return p, nil
}

// Predict returns the model's outputs for x, which is row-major with In features
// a row and between 1 and the predictor's batch of rows. The result has Out
// features a row and the bits that a session's Forward gives; it belongs to the
// predictor, until its next call. x must not be a slice that the predictor
// returned. A NaN in x gives NaN, not an error.
func (p *Predictor) Predict(x []float32) ([]float32, error) {
	rows, err := p.model.rowsOf("Predict", x, p.batch)
	if err != nil {
		return nil, err
	}
	return p.forward(x, rows), nil
}

func (p *Predictor) forward(x []float32, rows int) []float32 {
	for i, f := range p.forwarders {
		y := p.buffers[i%2][:rows*p.model.widths[i+1]]
		f.forward(y, x, rows)
		x = y
	}
	return x
}

// Classify stores for each row of x the index of its largest output, the first
// of equal ones; a NaN counts as largest. x has In features for each element of
// classes, and may have more rows than the predictor's batch.
//
// It fails, and stores nothing, if x has another length.
func (p *Predictor) Classify(classes []int, x []float32) error {
	in, out := p.model.In(), p.model.Out()
	if len(x)/in != len(classes) || len(x)%in != 0 {
		return fmt.Errorf("nn: Classify: an input of %d numbers for %d rows of %d features", len(x), len(classes), in)
	}
	for len(classes) > 0 {
		rows := min(p.batch, len(classes))
		y := p.forward(x[:rows*in], rows)
		for r := range rows {
			classes[r] = argMax(y[r*out:][:out])
		}
		classes, x = classes[rows:], x[rows*in:]
	}
	return nil
}

func argMax(y []float32) int {
	best := 0
	for i, v := range y {
		if v != v {
			return i
		}
		if v > y[best] {
			best = i
		}
	}
	return best
}
