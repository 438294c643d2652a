package nn

import (
	"errors"
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// A Session is what training one model writes: activations, gradients and
// statistics. It is sized once, for its largest batch, and allocates nothing
// after that. A session serves one goroutine at a time.
//
// A step is [Session.Forward], one loss, and [Session.Backward]; or all of it
// with [Session.TrainSoftmaxCrossEntropy], [Session.TrainMSE] or
// [Session.TrainBinaryCrossEntropy].
type Session struct {
	model   *Model
	batch   int
	root    trainer
	workers workers // of the layers
	running []averager
	random  randomState
	entropy CrossEntropy

	posWeights []float32 // of BinaryCrossEntropy

	x       []float32 // of the last Forward
	y, dy   []float32 // outputs of a batch, and the loss's gradient there
	rows    int       // of the last Forward, 0 before the first
	hasLoss bool      // dy holds the gradient at the output
	losses  []float32 // of each row of scores
	counts  []float32 // 1 for a row that counts, else 0
	settled bool      // the running averages know the last Forward

	gradients     []kron.Gradient
	skipped       map[*kron.Param]bool // in the last Backward
	gradientUses  []uses               // of each parameter
	statistics    []kron.Statistics
	hUses, sUses  []uses // of each factored layer
	meanUses      []uses // likewise; without a place where there are no means
	collect       kron.Collect
	observe       func(Observation)
	pass          kron.Pass
	collectInput  bool
	inputDelta    []float32 // place for the gradient at the input, made when first wanted
	inputGradient []float32 // its rows of the last Backward, nil unless collected
}

// uses are the places that hold what the layers with one parameter computed for
// it: one, unless the layer is [Shared].
type uses struct{ places []*[]float32 }

func (u *uses) add(place *[]float32) { u.places = append(u.places, place) }

// sum adds the other places to the first, which it returns, and scales it by factor.
func (u *uses) sum(factor float32) []float32 {
	v := *u.places[0]
	if len(u.places) == 1 {
		return v
	}
	for _, p := range u.places[1:] {
		kernels.Add(v, v, *p)
	}
	if factor != 1 {
		kernels.Scale(v, v, factor)
	}
	return v
}

// An averager is a trainer that keeps running averages in the model's buffers.
type averager interface {
	// stage computes the averages that follow from the last forward of so many
	// rows, and reports whether all are finite.
	stage(rows int) bool

	// commit makes them the model's.
	commit()
}

// NewSession returns a session for training m with batches of at most batch
// rows. To predict alone, a [Predictor] is smaller.
//
// It fails if batch is less than [Model.MinBatch] or the session needs more than
// 16 GiB.
func (m *Model) NewSession(batch int) (*Session, error) {
	s, _, err := m.newSession(batch)
	return s, err
}

// newSession also returns the plan of the session's buffers.
func (m *Model) newSession(batch int) (*Session, *plan, error) {
	if err := m.checkBatch("NewSession", batch); err != nil {
		return nil, nil, err
	}
	if err := m.checkMinBatch("NewSession", batch); err != nil {
		return nil, nil, err
	}
	s := &Session{
		model:        m,
		batch:        batch,
		gradients:    make([]kron.Gradient, 0, len(m.params)),
		statistics:   make([]kron.Statistics, 0, len(m.layers)),
		skipped:      make(map[*kron.Param]bool, len(m.params)),
		gradientUses: make([]uses, len(m.params)),
		hUses:        make([]uses, len(m.layers)),
		sUses:        make([]uses, len(m.layers)),
		meanUses:     make([]uses, len(m.layers)),
	}
	p := &plan{batch: batch, session: s}
	p.keepRows(&s.y, m.Out())
	p.keepRows(&s.dy, m.Out())
	p.keepRows(&s.losses, m.output.Positions())
	p.keepRows(&s.counts, m.output.Positions())
	s.root = p.trainer(m.root)
	err := errTooLarge
	if product(batch, m.In()) <= maxFloats { // the size of its largest input
		err = p.allocate()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("nn: NewSession: a batch of %d rows needs %w", batch, err)
	}
	s.SetPool(nil)
	return s, p, nil
}

// made returns an error if s is nil or zero.
func (s *Session) made(call string) error {
	if s == nil || s.model == nil {
		return fmt.Errorf("nn: %s: the session is nil or zero: want one of NewSession", call)
	}
	return nil
}

// checkForward returns an error if there was no Forward.
func (s *Session) checkForward(call string) error {
	if err := s.made(call); err != nil {
		return err
	}
	if s.rows == 0 {
		return fmt.Errorf("nn: %s: %w", call, errNoForward)
	}
	return nil
}

func (m *Model) checkBatch(call string, batch int) error {
	if err := m.made(call); err != nil {
		return err
	}
	if batch < 1 {
		return fmt.Errorf("nn: %s: a batch of %d rows: want at least 1", call, batch)
	}
	return nil
}

// SetRandom sets the state that the layers with random numbers draw from: a
// seed, and the number of Forwards that used it so far. Both are 0 at first. With
// the numbers of [Session.Random] a resumed run draws what the first would have.
func (s *Session) SetRandom(seed, forwards uint64) { s.random = randomState{seed, forwards} }

// Random returns the random state; see [Session.SetRandom].
func (s *Session) Random() (seed, forwards uint64) { return s.random.origin, s.random.pass }

// Forward computes the outputs of x in training: batch normalisation takes the
// moments of the batch, dropout drops. For predictions take a [Predictor], and for
// their loss [CrossEntropy.Loss], [MSE] or [BinaryCrossEntropy.Loss]. x is row-major
// with In numbers a row and between [Model.MinBatch], 1 for most models, and the
// session's batch of rows. The result has Out numbers a row; it belongs to the
// session, until its next Forward.
//
// The session keeps x, for Backward: it must not change until then, nor be a
// slice that the session returned. A NaN in x gives NaN, not an error; a token
// that the model has no embedding for is an error.
func (s *Session) Forward(x []float32) ([]float32, error) {
	rows, err := s.checkInput("Forward", x)
	if err != nil {
		return nil, err
	}
	return s.forward(x, rows), nil
}

// checkInput returns the samples in x, which must be as many as the session can train
// on.
func (s *Session) checkInput(call string, x []float32) (rows int, err error) {
	if err := s.made(call); err != nil {
		return 0, err
	}
	rows, err = s.model.checkInput(call, x, s.batch)
	if err == nil {
		err = s.model.checkMinBatch(call, rows)
	}
	return rows, err
}

func (s *Session) forward(x []float32, rows int) []float32 {
	s.x, s.rows, s.hasLoss, s.settled, s.inputGradient = x, rows, false, false, nil
	y, _ := s.scores()
	s.root.forward(y, x, rows)
	s.random.pass++
	return y
}

// scores returns the model's output in the last Forward and the place for the
// loss's gradient there.
func (s *Session) scores() (y, dy []float32) {
	n := s.rows * s.model.Out()
	return s.y[:n], s.dy[:n]
}

// SetPool makes the session split its work among the workers of a
// pool, which its owner closes; nil, as at first, keeps them in the caller's
// goroutine. Results don't depend on it. It allocates, and must not be called
// during a step.
func (s *Session) SetPool(p *kernels.Pool) {
	s.workers.hire(p, s.model.scratch)
}

// CollectStatistics sets which statistics of each factored layer Backward also
// computes: at first none.
func (s *Session) CollectStatistics(which kron.Collect) { s.collect = which }

// An Observation is what a Backward saw at one layer, for rules that need more than
// its statistics. The slices belong to the session, until its next Forward or
// Backward.
type Observation struct {
	Layer *kron.Layer
	Conv  *kernels.Conv2d // what the layer computes; nil for a Linear one
	X, DY []float32       // input of the layer, and gradient of the loss at its output
}

// SetObserver makes Backward, also that of a training step, call f at each
// [Linear] and [Conv2d] layer that is among Model.Layers, from the last to the
// first that Backward reaches; once for each place of a [Shared] one. nil, as at first,
// calls nothing.
func (s *Session) SetObserver(f func(Observation)) { s.observe = f }

// show lets the observer see one layer.
func (s *Session) show(l *kron.Layer, c *kernels.Conv2d, x, dy []float32) {
	if s.observe != nil {
		s.observe(Observation{l, c, x, dy})
	}
}

// CollectInputGradient sets whether Backward also computes the gradient at the
// input, which is off at first. The first call that turns it on allocates.
func (s *Session) CollectInputGradient(on bool) {
	s.collectInput = on
	if on && s.inputDelta == nil {
		s.inputDelta = make([]float32, s.batch*s.model.In())
	}
}

// Backward computes the gradient of the last loss for every parameter, in the order of
// Model.Params; and the statistics, in the order of Model.Layers, if they are collected.
// The result belongs to the session, until its next Backward.
//
// It goes back to the first layer with a parameter that is not frozen, unless it
// collects the gradient at the input. What the layers before that one have is not in the
// pass: training the last layer of a model costs hardly more than its forward pass. After
// that one frozen parameters have gradients too.
//
// Several losses with a Backward each may follow one Forward; it fails if none
// was computed since the last Forward or Backward. The first of them moves the
// running averages of batch normalisation, unless one would not be finite. Between
// Forward and Backward neither the input nor the parameters may change.
func (s *Session) Backward() (*kron.Pass, error) {
	if err := s.made("Backward"); err != nil {
		return nil, err
	}
	if !s.hasLoss {
		return nil, errors.New("nn: Backward: no loss since the last Forward or Backward")
	}
	pass, err := s.backward(s.collect)
	if err == nil {
		s.settle()
	}
	return pass, err
}

func (s *Session) backward(collect kron.Collect) (*kron.Pass, error) {
	s.hasLoss = false
	s.inputGradient = nil
	var dx []float32
	if s.collectInput {
		dx = s.inputDelta[:len(s.x)]
	}
	clear(s.skipped)
	y, dy := s.scores()
	if err := s.root.backward(dx, dy, s.x, y, s.rows, collect); err != nil {
		return nil, fmt.Errorf("nn: %w", err)
	}
	s.gradients = s.gradients[:0]
	for i, q := range s.model.params {
		if !s.skipped[q] {
			s.gradients = append(s.gradients, kron.Gradient{Param: q, Data: s.gradientUses[i].sum(1)})
		}
	}
	s.inputGradient = dx
	s.pass = kron.Pass{Gradients: s.gradients}
	if collect != kron.CollectNone {
		s.statistics = s.statistics[:0]
		for i, l := range s.model.layers {
			if s.skipped[l.Weight] {
				continue
			}
			share := float32(1 / float64(len(s.hUses[i].places)))
			st := kron.Statistics{Layer: l, H: s.hUses[i].sum(share), S: s.sUses[i].sum(share)}
			if u := &s.meanUses[i]; collect == kron.CollectMoments && len(u.places) > 0 {
				st.Mean = u.sum(share)
			}
			s.statistics = append(s.statistics, st)
		}
		s.pass.Statistics = s.statistics
	}
	return &s.pass, nil
}

// skip notes that this Backward does not reach a layer with these parameters.
func (s *Session) skip(params []*kron.Param) {
	for _, p := range params {
		s.skipped[p] = true
	}
}

// settle moves the running averages of the model by the last Forward, once, and
// all or none of them.
func (s *Session) settle() {
	if s.settled {
		return
	}
	s.settled = true
	finite := true
	for _, r := range s.running {
		finite = r.stage(s.rows) && finite
	}
	for _, r := range s.running {
		if finite {
			// Averages that belong to several places move from what the place before
			// has made of them.
			r.stage(s.rows)
			r.commit()
		}
	}
}

// InputGradient returns the gradient of the last loss at the input, in the
// shape of that input. It belongs to the session, until its next Forward or
// Backward. It fails unless the last Backward collected it.
func (s *Session) InputGradient() ([]float32, error) {
	if err := s.made("InputGradient"); err != nil {
		return nil, err
	}
	if s.inputGradient == nil {
		return nil, errors.New("nn: InputGradient: no Backward since the last Forward collected it")
	}
	return s.inputGradient, nil
}
