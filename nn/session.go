package nn

import (
	"errors"
	"fmt"
	"slices"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// A Session is what training one model writes: activations, gradients and
// statistics. It is sized once, for its largest batch, and allocates nothing
// after that. A session serves one goroutine at a time.
//
// A step is [Session.Forward], one loss, and [Session.Backward]; or all of it
// with [Session.TrainSoftmaxCrossEntropy] or [Session.TrainMSE].
type Session struct {
	model    *Model
	batch    int
	trainers []trainer
	outputs  [][]float32  // of each layer
	deltas   [2][]float32 // gradients at layer outputs, in turns
	products products     // how the layers multiply matrices

	x       []float32 // of the last Forward
	rows    int       // of the last Forward, 0 before the first
	hasLoss bool      // deltas[0] holds the gradient at the output

	gradients  []kron.Gradient
	statistics []kron.Statistics
	collect    bool // statistics
	pass       kron.Pass

	collectInput  bool
	inputDelta    []float32 // place for the gradient at the input, made when first wanted
	inputGradient []float32 // its rows of the last Backward, nil unless collected
}

// NewSession returns a session for training m with batches of at most batch
// rows. To predict alone, a [Predictor] is smaller.
//
// It fails if batch is not positive or the session needs more than 16 GiB.
func (m *Model) NewSession(batch int) (*Session, error) {
	if err := m.checkBatch("NewSession", batch); err != nil {
		return nil, err
	}
	s := &Session{model: m, batch: batch}
	if err := s.allocate(); err != nil {
		return nil, fmt.Errorf("nn: NewSession: a batch of %d rows needs %w", batch, err)
	}
	for _, l := range m.modules {
		s.trainers = append(s.trainers, l.trainer(s))
	}
	return s, nil
}

func (m *Model) checkBatch(call string, batch int) error {
	if len(m.modules) == 0 {
		return fmt.Errorf("nn: %s: the model has no layers", call)
	}
	if batch < 1 {
		return fmt.Errorf("nn: %s: a batch of %d rows: want at least 1", call, batch)
	}
	return nil
}

func (s *Session) allocate() error {
	m := s.model
	if product(s.batch, m.In()) > maxFloats { // the size of its largest input
		return errTooLarge
	}
	var lengths []int
	widest := 0
	for _, w := range m.widths[1:] {
		widest = max(widest, w)
		lengths = append(lengths, product(s.batch, w))
	}
	lengths = append(lengths, product(s.batch, widest), product(s.batch, widest))
	buffers, err := carve(lengths...)
	if err != nil {
		return err
	}
	s.outputs = buffers[:len(m.modules)]
	s.deltas = [2][]float32(buffers[len(m.modules):])
	s.SetPool(nil)

	buffers, err = carve(m.paramLengths()...)
	if err != nil {
		return err
	}
	for i, p := range m.params {
		s.gradients = append(s.gradients, kron.Gradient{Param: p, Data: buffers[i]})
	}

	lengths = lengths[:0]
	for _, l := range m.layers {
		lengths = append(lengths, l.Inputs(), l.Outputs())
	}
	buffers, err = carve(lengths...)
	if err != nil {
		return err
	}
	for i, l := range m.layers {
		s.statistics = append(s.statistics, kron.Statistics{Layer: l, H: buffers[2*i], S: buffers[2*i+1]})
	}
	return nil
}

// gradient returns the place for the gradient of p.
func (s *Session) gradient(p *kron.Param) []float32 {
	i := slices.IndexFunc(s.gradients, func(g kron.Gradient) bool { return g.Param == p })
	return s.gradients[i].Data
}

// factors returns the places for the raw factors of l.
func (s *Session) factors(l *kron.Layer) (inputs, outputs []float32) {
	i := slices.IndexFunc(s.statistics, func(t kron.Statistics) bool { return t.Layer == l })
	return s.statistics[i].H, s.statistics[i].S
}

// Forward computes the outputs of x, which is row-major with In features a row
// and between 1 and the session's batch of rows. The result has Out features a
// row; it belongs to the session, until its next Forward.
//
// The session keeps x, for Backward: it must not change until then, nor be a
// slice that the session returned. A NaN in x gives NaN, not an error.
func (s *Session) Forward(x []float32) ([]float32, error) {
	rows, err := s.model.rowsOf("Forward", x, s.batch)
	if err != nil {
		return nil, err
	}
	return s.forward(x, rows), nil
}

// rowsOf returns the rows in x, which must be between 1 and batch.
func (m *Model) rowsOf(call string, x []float32, batch int) (int, error) {
	if len(x) == 0 {
		return 0, fmt.Errorf("nn: %s: the input is empty: want rows of %d features", call, m.In())
	}
	rows := len(x) / m.In()
	if rows*m.In() != len(x) {
		return 0, fmt.Errorf("nn: %s: an input of %d numbers is not rows of %d features", call, len(x), m.In())
	}
	if rows > batch {
		return 0, fmt.Errorf("nn: %s: an input of %d rows: there is room for a batch of %d", call, rows, batch)
	}
	return rows, nil
}

func (s *Session) forward(x []float32, rows int) []float32 {
	s.x, s.rows, s.hasLoss, s.inputGradient = x, rows, false, nil
	for i, t := range s.trainers {
		y := s.output(i)
		t.forward(y, x, rows)
		x = y
	}
	return x
}

// output returns the rows of layer i's output in the last Forward.
func (s *Session) output(i int) []float32 {
	return s.outputs[i][:s.rows*s.model.widths[i+1]]
}

// scores returns the model's output in the last Forward and the place for the
// loss's gradient there.
func (s *Session) scores() (y, dy []float32) {
	y = s.output(len(s.outputs) - 1)
	return y, s.deltas[0][:len(y)]
}

// products is where and with what workspace the layers of a session multiply.
type products struct {
	pool    *kernels.Pool
	scratch []float32
}

func (p *products) multiply(g kernels.Gemm, c, a, b kernels.Matrix) {
	g.Scratch = p.scratch
	p.pool.Multiply(g, c, a, b)
}

// largeWeight is the number of weights in a layer from which on its products are
// faster with the larger workspace.
const largeWeight = 1 << 18

// SetPool makes the session split its large matrix products among the workers of
// a pool, which its owner closes; nil, as at first, keeps them in the caller's
// goroutine. Results don't depend on it. It allocates, and must not be called
// during a step.
func (s *Session) SetPool(p *kernels.Pool) {
	scratch := kernels.GemmScratch
	for _, l := range s.model.layers {
		if len(l.Weight.Value) >= largeWeight {
			scratch = kernels.GemmScratchLarge
		}
	}
	s.products = products{p, make([]float32, p.Workers()*scratch)}
}

// CollectStatistics sets whether Backward also computes the raw Kronecker
// factors of each factored layer, which is off at first.
func (s *Session) CollectStatistics(on bool) { s.collect = on }

// CollectInputGradient sets whether Backward also computes the gradient at the
// input, which is off at first. The first call that turns it on allocates.
func (s *Session) CollectInputGradient(on bool) {
	s.collectInput = on
	if on && s.inputDelta == nil {
		s.inputDelta = make([]float32, s.batch*s.model.In())
	}
}

// Backward computes the gradient of the last loss for every parameter, frozen
// ones too, in the order of Model.Params; and the statistics, in the order of
// Model.Layers, if they are collected. The result belongs to the session, until
// its next Backward.
//
// Several losses with a Backward each may follow one Forward; it fails if none
// was computed since the last Forward or Backward. Between Forward and Backward
// neither the input nor the parameters may change.
func (s *Session) Backward() (*kron.Pass, error) {
	if !s.hasLoss {
		return nil, errors.New("nn: Backward: no loss since the last Forward or Backward")
	}
	return s.backward(s.collect)
}

func (s *Session) backward(collect bool) (*kron.Pass, error) {
	s.hasLoss = false // its gradient is overwritten below
	s.inputGradient = nil
	last := s.model.first // nothing before it has parameters
	if s.collectInput {
		last = 0
	}
	_, dy := s.scores()
	turn := 1
	for i := len(s.trainers) - 1; i >= last; i-- {
		x, dx := s.x, s.inputDelta
		if i > 0 {
			x, dx = s.output(i-1), s.deltas[turn]
		}
		if i > last || s.collectInput {
			dx = dx[:len(x)]
		} else {
			dx = nil
		}
		if err := s.trainers[i].backward(dx, dy, x, s.output(i), s.rows, collect); err != nil {
			return nil, fmt.Errorf("nn: layer %d: %w", i, err)
		}
		dy, turn = dx, 1-turn
	}
	if s.collectInput {
		s.inputGradient = dy
	}
	s.pass = kron.Pass{Gradients: s.gradients}
	if collect {
		s.pass.Statistics = s.statistics
	}
	return &s.pass, nil
}

// InputGradient returns the gradient of the last loss at the input, in the
// shape of that input. It belongs to the session, until its next Forward or
// Backward. It fails unless the last Backward collected it.
func (s *Session) InputGradient() ([]float32, error) {
	if s.inputGradient == nil {
		return nil, errors.New("nn: InputGradient: no Backward since the last Forward collected it")
	}
	return s.inputGradient, nil
}
