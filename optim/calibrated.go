package optim

import (
	"errors"
	"math"

	"github.com/adafisher-go/adafisher/internal/float"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// CalibratedConfig is the configuration of [Calibrated].
type CalibratedConfig struct {
	LR          float64 // learning rate, 0 or more
	Beta        float64 // decay of the momentum, in [0, 1)
	Gamma       float64 // decay of the layers' moments, in [0, 1)
	Damping     float64 // of the curvature, relative to each layer's mean; in [1e-8, 1e30], where 1e30 leaves no curvature
	TCov        int     // the moments are updated every TCov steps, 1 or more
	WeightDecay float64 // decoupled, in [0, 100]

	// ScaleBeta is the decay of the mean square that updates are divided by the root
	// of, one number a parameter; in [0, 1). It is not used with an UpdateRMS.
	ScaleBeta float64

	// UpdateRMS above 0 scales the update of each parameter to this root mean square
	// in every step; at most 1. With 0 its size follows from ScaleBeta.
	UpdateRMS float64

	// Uncentred takes the inputs of layers as having mean 0, for comparison.
	Uncentred bool

	Options
}

// CalibratedDefaults returns a learning rate of 5e-3, beta 0.9, gamma 0.95, a damping
// of 0.03, moments in every step, no weight decay and a ScaleBeta of 0.99. They are
// meant to serve without tuning; learning rates from 1e-3 to 1e-2 are usual.
func CalibratedDefaults() CalibratedConfig {
	return CalibratedConfig{
		LR:        5e-3,
		Beta:      0.9,
		Gamma:     0.95,
		Damping:   0.03,
		TCov:      1,
		ScaleBeta: 0.99,
	}
}

// CalibratedRMSDefaults returns the defaults of [CalibratedDefaults] with an UpdateRMS
// of 0.3 and a learning rate of 3e-3. Its updates don't become smaller by themselves
// when the gradients do: the learning rate must fall in the end.
func CalibratedRMSDefaults() CalibratedConfig {
	c := CalibratedDefaults()
	c.LR, c.UpdateRMS, c.ScaleBeta = 3e-3, 0.3, 0
	return c
}

// Calibrated is an AdaFisher of our own: momentum times the inverse of a diagonal
// Kronecker-factored curvature, with nothing in it that depends on the units of the
// inputs or the loss, so that one learning rate serves many networks. It differs from
// [AdaFisher] in this:
//
//   - The factors are means of squares, averaged with bias correction, without
//     min-max; their damping is relative to each layer's mean. See [kron.Moments].
//   - The inputs of linear layers and convolutions are centred: the curvature of
//     weight and bias together is the diagonal one of inputs less their means. That
//     costs no more state than the means, and needs what no optimizer knows that
//     sees gradients alone.
//   - Updates are measured and scaled, by one number for each parameter.
//   - The momentum is Nesterov's.
//
// In the k-th step of a weight [in, out], with gradient g, gradient b of the bias,
// means mu of the inputs, and row and col of the layer's moments:
//
//	d[j,i] = g[j,i] - mu[j]*b[i]             without bias, b is a projection of g
//	m      = Beta*m + (1-Beta)*d
//	n      = Beta*m/(1-Beta^k) + (1-Beta)*d
//	q      = ScaleBeta*q + (1-ScaleBeta) * mean of (d*row*col)^2
//	u      = n*row*col / (sqrt(q/(1-ScaleBeta^k)) + 1e-12)
//	w      = w - LR*u
//
// or with an UpdateRMS, u = n*row*col * UpdateRMS/rms(n*row*col), 0 if that is 0. The
// bias has d = b, col and a scale of its own, and moves against the mean change of
// its outputs: with its update v,
//
//	bias = bias - LR*(v - u'*mu)
//
// LR*WeightDecay*w is taken from w first. Steps on (w, bias) so are those on (w, bias +
// w'*mu) with gradients (d, b). A bias that is frozen, or without a gradient in the
// pass, counts as none. An embedding is a linear layer of one-hot inputs, not centred.
// No two layers may share a parameter: [Model] says what to do about that.
// Scale and shift of normalisations have row = 1, and parameters that no factored
// layer owns row = col = 1.
//
// The mean square is taken before the weights move, in a pass of its own that reads g
// once more: 24 bytes a weight in all, and 28 with an UpdateRMS, which reads m too, and
// 4 more for the projection of a layer without bias. With the mean square of the step
// before in its place, a sudden large gradient would make a step as large.
//
// In a step that updates the moments, the pass must have those of every layer with
// a gradient of a parameter that is not frozen. A step that float32 can't hold is an
// error, as other things are that a step refuses, and changes nothing.
//
// It keeps m, 4 bytes a weight, as momentum SGD does, and beside it two numbers for
// each input of a layer and one for each output; and some more such vectors to work
// with.
type Calibrated struct {
	core
	config  CalibratedConfig
	layers  layers[*kron.Moments]
	tensors []tensor // of each slot
	ones    []float32
	scratch []float32

	measurePart func(part int)
}

// A tensor is what the rule knows of a parameter beside its slot.
type tensor struct {
	layer *factored[*kron.Moments] // nil if no layer owns it
	bias  bool
	other int // number of the layer's bias or weight, -1 without
	cols  int // of the matrix that a step takes it for

	squares    []float32 // of each row, measured
	scaled     []float32 // room for measured, if gradients may be clipped
	moved      []float32 // of a weight: what its bias must make up for, of each block of rows
	projection []float32 // of a weight: stands for the gradient of a bias
	peak       float64   // no entry of the momentum is larger

	// The step in progress.
	row, col, mean, shift []float32
	measured              []float32 // col, times the scale of the gradients
	square                float32   // the next mean square
	peakNext              float64
	step                  float64 // the learning rate times what scales the update
}

// calibratedRows is the number of rows of a weight whose part in what the bias must
// make up for is summed in one go, and by which steps are split.
const calibratedRows = 64

// calibratedEpsilon is added to the root of the mean square.
const calibratedEpsilon = 1e-12

// meanSquare is the moment with the number that updates are divided by the root of.
var meanSquare = moment{name: "mean_square", square: true, single: true}

// NewCalibrated returns an optimizer for the model's parameters.
func NewCalibrated(m Model, c CalibratedConfig) (*Calibrated, error) {
	const name = "Calibrated"
	err := checkSettings(name,
		setting{"Beta", c.Beta, decay},
		setting{"Gamma", c.Gamma, decay},
		setting{"Damping", c.Damping, damping},
		setting{"ScaleBeta", c.ScaleBeta, decay},
		setting{"UpdateRMS", c.UpdateRMS, fraction},
		setting{"WeightDecay", c.WeightDecay, weightDecay})
	if err != nil {
		return nil, err
	}
	if err := checkPositive(name, "TCov", c.TCov); err != nil {
		return nil, err
	}
	o := &Calibrated{config: c}
	// Steps that float32 can't hold are found when they are measured.
	if err := o.init(m, o, name, settings{c.LR, math.Inf(1), c.WeightDecay, maxSquared, c.Options}); err != nil {
		return nil, err
	}
	if c.UpdateRMS > 0 {
		o.stateRule += " RMS"
		o.keep(moment{name: "momentum"})
	} else {
		o.keep(moment{name: "momentum"}, meanSquare)
	}
	if c.Uncentred {
		o.stateRule += " uncentred"
	}
	o.layers, err = newLayers(m, func(l *kron.Layer) (*kron.Moments, bool, error) {
		moments, err := kron.NewMoments(l, c.Gamma, c.Damping, !c.Uncentred)
		return moments, true, err
	})
	if err != nil {
		return nil, o.wrap(err)
	}
	nameMoments(&o.layers, &o.names)
	o.tensors = make([]tensor, len(o.slots))
	for i := range o.tensors {
		o.tensors[i] = tensor{layer: o.layers.owners[o.slots[i].param], other: -1}
	}
	for i := range o.layers.list {
		if l := o.layers.list[i].averages.Layer(); l.Bias != nil {
			weight, bias := o.index[l.Weight].number, o.index[l.Bias].number
			o.tensors[weight].other, o.tensors[bias].other = bias, weight
			o.tensors[bias].bias = true
		}
	}
	o.shape()
	o.measurePart = o.measure
	return o, nil
}

// shape makes each parameter a matrix, with room for what is summed over its parts.
func (o *Calibrated) shape() {
	longest := 1
	for i := range o.slots {
		s, t := &o.slots[i], &o.tensors[i]
		t.cols = s.size
		switch n := len(s.param.Shape); {
		case t.layer != nil:
			t.cols = t.layer.averages.Layer().Outputs()
		case n > 1 && s.param.Shape[n-1] > 0 && s.size%s.param.Shape[n-1] == 0:
			t.cols = s.param.Shape[n-1]
		}
		rows := 1
		if s.size > 0 {
			rows = s.size / t.cols
		}
		t.squares = make([]float32, rows)
		if o.clipNorm > 0 {
			t.scaled = make([]float32, t.cols)
		}
		s.unit = calibratedRows * t.cols
		s.whole = t.bias
		if t.layer == nil || t.bias {
			longest = max(longest, rows, t.cols)
		} else if len(t.layer.averages.Preconditioner().Mean) > 0 {
			t.projection = make([]float32, t.cols)
			t.moved = make([]float32, (rows+calibratedRows-1)/calibratedRows*t.cols)
			longest = max(longest, t.cols)
		}
	}
	o.ones, o.scratch = make([]float32, longest), make([]float32, longest)
	kernels.Fill(o.ones, 1)
}

// SetMomentum changes Beta from the next step on, for a [Schedule] of it. It fails
// where the configuration would.
func (o *Calibrated) SetMomentum(beta float64) error {
	return o.setMomentum(&o.config.Beta, "Beta", beta, o.core.maxLR)
}

// NeedsStatistics is [kron.CollectMoments] where the next step updates the moments: in
// the first one, and every TCov steps.
func (o *Calibrated) NeedsStatistics() kron.Collect {
	if every := int64(o.config.TCov); every > 0 && o.steps%every == 0 {
		return kron.CollectMoments
	}
	return kron.CollectNone
}

// Step does one step; see [Optimizer].
func (o *Calibrated) Step(p *kron.Pass) error {
	if err := o.prepare(p); err != nil {
		return err
	}
	update := o.NeedsStatistics() != kron.CollectNone
	if update {
		if err := o.layers.stageMoving(p, &o.core); err != nil {
			return o.wrap(err)
		}
	}
	if err := o.size(); err != nil {
		return err
	}
	if update {
		o.layers.commit(o.check)
	}
	for _, s := range o.moving {
		t := &o.tensors[s.number]
		t.peak = t.peakNext
		if o.config.UpdateRMS == 0 {
			s.moments[1][0] = t.square
		}
	}
	o.move()
	return nil
}

// size finds out how large a step each parameter takes, or returns an error where
// it could leave float32. Nothing has changed after it, nor is a gradient scaled yet.
func (o *Calibrated) size() error {
	for _, s := range o.moving {
		o.use(s)
		t := &o.tensors[s.number]
		if t.measured = t.col; o.scale != 1 && o.config.UpdateRMS == 0 {
			t.measured = t.scaled
			kernels.Scale(t.measured, t.col, o.scale)
		}
	}
	o.each(o.measurePart)
	for _, s := range o.moving {
		if s.whole {
			o.measureRows(s, 0, s.size)
		}
		if err := o.scaleOf(s); err != nil {
			return o.gradientError(s.param, err)
		}
	}
	if o.scale != 1 {
		for _, s := range o.moving {
			if t := &o.tensors[s.number]; t.mean != nil && !o.biasMoves(t) {
				kernels.Scale(t.projection, t.projection, o.scale)
			}
		}
	}
	return nil
}

// moves reports whether a parameter moves in the step in progress.
func (o *Calibrated) moves(s *slot) bool { return s.checked == o.check && !s.param.Frozen }

// biasMoves reports whether the bias beside a weight does.
func (o *Calibrated) biasMoves(t *tensor) bool { return t.other >= 0 && o.moves(&o.slots[t.other]) }

// use sets what the step takes from the layer of a parameter.
func (o *Calibrated) use(s *slot) {
	t := &o.tensors[s.number]
	rows := len(t.squares)
	t.row, t.mean, t.shift = o.ones[:1], nil, nil
	if t.layer == nil {
		t.row, t.col = o.ones[:rows], o.ones[:t.cols]
		return
	}
	p := t.layer.averages.Preconditioner()
	if t.layer.checked == o.check {
		p = t.layer.averages.Staged()
	}
	t.col = p.Col
	if t.bias {
		return
	}
	t.row = p.Row
	switch {
	case len(p.Mean) == 0:
	case o.biasMoves(t):
		t.mean, t.shift = p.Mean, o.slots[t.other].grad
	default:
		o.pool.Multiply(kernels.Gemm{}, kernels.NewMatrix(1, t.cols, t.projection),
			kernels.NewMatrix(1, rows, p.Projection), kernels.NewMatrix(rows, t.cols, s.grad))
		t.mean, t.shift = p.Mean, t.projection
	}
}

// scalars are those of a parameter's k-th step, but for the size of the update.
func (o *Calibrated) scalars(k int64) kernels.CalibratedParams {
	beta := o.config.Beta
	return kernels.CalibratedParams{
		Beta:  float32(beta),
		Add:   float32(1 - beta),
		Share: float32(beta / (1 - float.Power(beta, k))),
	}
}

// measure does its part of the measurement.
func (o *Calibrated) measure(part int) {
	for _, s := range o.moving {
		if s.whole {
			continue
		}
		if lo, hi := o.share(s, part); lo < hi {
			o.measureRows(s, lo, hi)
		}
	}
}

// measureRows measures whole rows of a parameter, with gradients as they will be
// when they are scaled.
func (o *Calibrated) measureRows(s *slot, lo, hi int) {
	t := &o.tensors[s.number]
	r0, r1 := lo/t.cols, hi/t.cols
	var m, mean []float32
	if t.mean != nil {
		mean = t.mean[r0:r1]
	}
	scalars := o.scalars(s.steps + 1)
	if o.config.UpdateRMS > 0 {
		m = s.moments[0][lo:hi]
		scalars.Add = float32(scalars.Add * o.scale)
	}
	kernels.CalibratedSquares(t.squares[r0:r1], m, s.grad[lo:hi], t.row[r0:r1], t.measured, mean, t.shift, scalars)
}

// maxUpdate bounds what a step moves a weight by.
const maxUpdate = 0x1p119

// scaleOf computes the size of a parameter's step from what was measured. It fails
// where the step could leave float32.
func (o *Calibrated) scaleOf(s *slot) error {
	t, c := &o.tensors[s.number], &o.config
	k, rate := s.steps+1, o.rate(s)
	total := float64(kernels.Sum(t.squares))
	var largest float64 // no update is larger
	if c.UpdateRMS > 0 {
		t.step = 0
		if mean := total / float64(max(1, s.size)); mean >= float.MinNormal {
			t.step = rate * c.UpdateRMS / math.Sqrt(mean)
		}
		largest = float64(math.Sqrt(total) * t.step)
	} else {
		q := float64(c.ScaleBeta*float64(s.moments[1][0])) + float64((1-c.ScaleBeta)*(total/float64(max(1, s.size))))
		t.square = float32(q)
		t.step = rate / (math.Sqrt(float64(t.square)/(1-float.Power(c.ScaleBeta, k))) + calibratedEpsilon)
		lowRow, highRow := kernels.MinMax(t.row)
		lowCol, highCol := kernels.MinMax(t.col)
		peak := math.Sqrt(total) / float64(lowRow) / float64(lowCol) // of the gradient
		t.peakNext = float64(c.Beta*t.peak) + float64((1-c.Beta)*peak)
		share := c.Beta / (1 - float.Power(c.Beta, k))
		largest = (float64(share*t.peakNext) + float64((1-c.Beta)*peak)) * float64(highRow) * float64(highCol) * t.step
	}
	if t.mean != nil {
		largest *= max(1, float64(kernels.MaxAbs(t.mean))*float64(len(t.row)))
	}
	if !(largest <= maxUpdate) {
		return errors.New("its step, measured with the inputs and gradients of its layer, leaves the range of float32")
	}
	return nil
}

func (o *Calibrated) update(s *slot, lo, hi int) {
	t := &o.tensors[s.number]
	scalars := o.scalars(s.steps)
	scalars.Step = float32(t.step)
	_, scalars.Keep = o.split(s, o.config.WeightDecay, true)
	w, m := s.param.Value, s.moments[0]
	if t.mean == nil {
		r0, r1 := lo/max(1, t.cols), hi/max(1, t.cols)
		kernels.CalibratedStep(w[lo:hi], m[lo:hi], s.grad[lo:hi], t.row[r0:r1], t.col, nil, nil, nil, scalars)
		if t.bias {
			o.makeUp(s)
		}
		return
	}
	const block = calibratedRows
	for ; lo < hi; lo += block * t.cols {
		end := min(lo+block*t.cols, hi)
		r0, r1 := lo/t.cols, end/t.cols
		moved := t.moved[r0/block*t.cols:][:t.cols]
		clear(moved)
		kernels.CalibratedStep(w[lo:end], m[lo:end], s.grad[lo:end], t.row[r0:r1], t.col, t.mean[r0:r1], t.shift, moved, scalars)
	}
}

// makeUp moves a bias against the mean change of its layer's outputs, once the weight
// has moved.
func (o *Calibrated) makeUp(s *slot) {
	t := &o.tensors[s.number]
	weight := &o.slots[t.other]
	if by := &o.tensors[t.other]; o.moves(weight) && by.mean != nil {
		total := o.scratch[:t.cols]
		kernels.ColSums(total, by.moved)
		kernels.Add(s.param.Value, s.param.Value, total)
	}
}

// State returns a copy of the counters, momenta, mean squares and moments; see
// [Optimizer].
func (o *Calibrated) State() *State {
	st := new(State)
	o.SaveState(st)
	return st
}

// SaveState stores a copy of the counters, momenta, mean squares and moments in st;
// see [Optimizer].
func (o *Calibrated) SaveState(st *State) {
	o.core.SaveState(st)
	saveMoments(&o.layers, st)
}

// Restore continues from a copy of st; see [Optimizer].
func (o *Calibrated) Restore(st *State) error {
	if err := o.checkState(st); err != nil {
		return err
	}
	if err := stageMoments(&o.layers, st); err != nil {
		return o.stateError(err)
	}
	o.layers.commitAll()
	o.load(st)
	for i := range o.slots {
		o.tensors[i].peak = float64(kernels.MaxAbs(o.slots[i].moments[0]))
		o.tensors[i].step = 0
	}
	return nil
}

// Reports describes the curvature 1/(row*col) of each layer's weight, in the model's
// order: its spread, which share of it is the damping, and the mean step that the
// momentum was multiplied by in the last step; 0 before one. It sorts all of the
// curvature and is meant for looking at, not for every step.
func (o *Calibrated) Reports() []Report {
	all := make([]Report, len(o.layers.list))
	for i, l := range o.layers.list {
		s := o.index[l.averages.Layer().Weight]
		r := Report{Report: l.averages.Report(), LR: o.rate(s)}
		root := math.Sqrt(o.config.Damping)
		r.Step = o.tensors[s.number].step * r.DampingShare * ((1 + root) / root) * ((1 + root) / root)
		all[i] = r
	}
	return all
}
