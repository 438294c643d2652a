package optim

import (
	"fmt"

	"github.com/adafisher-go/adafisher/internal/float"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// AdaFisherConfig is the configuration of [AdaFisher].
type AdaFisherConfig struct {
	LR          float64      // learning rate, 0 or more
	Beta        float64      // decay of the momentum, in [0, 1)
	Lambda      float64      // damping, added to every entry of the curvature; above 0
	Gamma       float64      // decay of the Kronecker factors, in [0, 1); see [kron.Variant]
	TCov        int          // the factors are updated every TCov steps, 1 or more
	WeightDecay float64      // in [0, 100]: an L2 term in AdaFisher, decoupled in AdaFisherW
	Variant     kron.Variant // how factors are normalised and averaged

	// UnownedCurvature stands for F at the parameters that no factored layer
	// owns; above 0.
	UnownedCurvature float64

	// Extensions also factors the kinds of layers that the authors' code does
	// not, embeddings: see [kron.Layer].
	Extensions bool

	Options
}

// AdaFisherDefaults returns the defaults of the paper and of the authors' code,
// for AdaFisher and AdaFisherW: a learning rate of 1e-3, beta 0.9, lambda 1e-3,
// gamma 0.8, factors every 100 steps, no weight decay, the published variant,
// and F = 1 where no layer gives it.
func AdaFisherDefaults() AdaFisherConfig {
	return AdaFisherConfig{
		LR:               1e-3,
		Beta:             0.9,
		Lambda:           1e-3,
		Gamma:            0.8,
		TCov:             100,
		Variant:          kron.Published,
		UnownedCurvature: 1,
	}
}

// AdaFisher is AdaFisher or AdaFisherW (arXiv 2405.16397): momentum divided by a
// diagonal curvature that each layer's Kronecker factors form, without a square
// root. In the k-th step of a parameter with gradient g, in AdaFisher d = g +
// WeightDecay*w and in AdaFisherW d = g:
//
//	m = Beta*m + (1-Beta)*d
//	F = H*S + Lambda        entry by entry; see package kron
//	w = w - LR * m/(1-Beta^k) / F
//
// AdaFisherW first takes LR*WeightDecay*w from w.
//
// With the constants of [kron.Published], and Gamma and Lambda at their
// defaults, F is lambda to within 8 % from about the third update of the factors
// on: the rule is then momentum SGD with the step LR/Lambda, which is 1. Until
// the second update, in the first TCov steps, F is about 7.5*Lambda.
// [AdaFisher.Reports] shows it for each layer. In the other variants F reaches
// up to 1, and LR must be tuned anew.
//
// In all variants a layer with a single output, the last one of a scalar regression
// or a binary classifier, has F = Lambda before long, and moves by LR/Lambda times
// the momentum: see package kron. [Calibrated] has a curvature there, too.
//
// In a step that updates the factors, the pass must have the statistics of
// every layer with a gradient of a parameter that is not frozen.
//
// It keeps m, 4 bytes a weight, and beside it H and S, a number for every input and
// output of a layer: twice, since the next ones are prepared beside the current ones,
// and in [kron.Paper] four times, with what their normalisation gives.
type AdaFisher struct {
	core
	config    AdaFisherConfig
	decoupled bool
	layers    layers[*kron.Factors]
	owners    []*factored[*kron.Factors] // of each slot, nil if no layer owns the parameter
	zero      [1]float32
}

// NewAdaFisher returns an AdaFisher optimizer for the model's parameters.
func NewAdaFisher(m Model, c AdaFisherConfig) (*AdaFisher, error) {
	return newAdaFisher(m, c, "AdaFisher", false)
}

// NewAdaFisherW returns an AdaFisherW optimizer for the model's parameters.
func NewAdaFisherW(m Model, c AdaFisherConfig) (*AdaFisher, error) {
	return newAdaFisher(m, c, "AdaFisherW", true)
}

func newAdaFisher(m Model, c AdaFisherConfig, name string, decoupled bool) (*AdaFisher, error) {
	err := checkSettings(name,
		setting{"Beta", c.Beta, decay},
		setting{"Lambda", c.Lambda, divisor},
		setting{"Gamma", c.Gamma, decay},
		setting{"WeightDecay", c.WeightDecay, weightDecay},
		setting{"UnownedCurvature", c.UnownedCurvature, divisor})
	if err != nil {
		return nil, err
	}
	if err := checkPositive(name, "TCov", c.TCov); err != nil {
		return nil, err
	}
	if err := c.Variant.Check(); err != nil {
		return nil, fmt.Errorf("optim: %s: %w", name, err)
	}
	o := &AdaFisher{config: c, decoupled: decoupled}
	err = o.init(m, o, name, settings{c.LR, o.maxLR(c.Beta), c.WeightDecay, maxGradient, c.Options})
	if err != nil {
		return nil, err
	}
	o.stateRule = name + " " + c.Variant.String()
	o.keep(moment{name: "momentum"})
	o.layers, err = newLayers(m, func(l *kron.Layer) (*kron.Factors, bool, error) {
		if l != nil && l.Extension && !c.Extensions {
			return nil, false, nil
		}
		f, err := kron.NewFactors(l, c.Variant, c.Gamma)
		return f, true, err
	})
	if err != nil {
		return nil, o.wrap(err)
	}
	for _, l := range o.layers.list {
		o.names.vectors = append(o.names.vectors, l.keyH, l.keyS)
	}
	o.owners = make([]*factored[*kron.Factors], len(o.slots))
	for i := range o.slots {
		s := &o.slots[i]
		o.owners[i] = o.layers.owners[s.param]
		if l := o.owners[i]; l != nil && s.param == l.averages.Layer().Weight {
			s.unit = l.averages.Layer().Outputs()
		}
	}
	return o, nil
}

func (o *AdaFisher) maxLR(beta float64) float64 {
	return maxRate(maxGradient, 1/(1-beta)/min(o.config.Lambda, o.config.UnownedCurvature))
}

// SetMomentum changes Beta from the next step on, for a [Schedule] of it. It fails
// where the configuration would.
func (o *AdaFisher) SetMomentum(beta float64) error {
	return o.setMomentum(&o.config.Beta, "Beta", beta, o.maxLR(beta))
}

// NeedsStatistics is [kron.CollectFactors] where the next step updates the factors:
// the first one, and every TCov steps.
func (o *AdaFisher) NeedsStatistics() kron.Collect {
	if every := int64(o.config.TCov); every > 0 && o.steps%every == 0 {
		return kron.CollectFactors
	}
	return kron.CollectNone
}

// Step does one step; see [Optimizer].
func (o *AdaFisher) Step(p *kron.Pass) error {
	if err := o.prepare(p); err != nil {
		return err
	}
	if o.NeedsStatistics() != kron.CollectNone {
		if err := o.layers.stageMoving(p, &o.core); err != nil {
			return o.wrap(err)
		}
		o.layers.commit(o.check)
	}
	o.move()
	return nil
}

func (o *AdaFisher) update(s *slot, lo, hi int) {
	c := &o.config
	scalars := kernels.AdaFisherParams{
		Beta:   float32(c.Beta),
		Add:    float32(1 - c.Beta),
		Step:   float32(o.rate(s) / (1 - float.Power(c.Beta, s.steps))),
		Lambda: float32(c.Lambda),
	}
	scalars.WeightDecay, scalars.Keep = o.split(s, c.WeightDecay, o.decoupled)
	w, m, g := s.param.Value[lo:hi], s.moments[0][lo:hi], s.grad[lo:hi]
	row, col := o.factors(s)
	switch {
	case row == nil:
		// Beside a row of 0, F is its damping alone whatever finite column there is:
		// the gradient has the right length.
		row, col = o.zero[:], g
		scalars.Lambda = float32(c.UnownedCurvature)
	case len(row) == 1:
		col = col[lo:hi]
	default: // whole rows
		row = row[lo/len(col) : hi/len(col)]
	}
	kernels.AdaFisherStep(w, m, g, row, col, scalars)
}

// factors returns the factors that belong to the rows and columns of a
// parameter; nil if no layer owns it.
func (o *AdaFisher) factors(s *slot) (row, col []float32) {
	l := o.owners[s.number]
	if l == nil {
		return nil, nil
	}
	h, col := l.averages.Used()
	if s.param == l.averages.Layer().Bias {
		return h[len(h)-1:], col
	}
	return h[:s.size/len(col)], col
}

// Curvature stores in dst the F that the last step divided p's momentum by, in
// the layout of p. It fails on a parameter of another model and on a wrong
// length.
func (o *AdaFisher) Curvature(dst []float32, p *kron.Param) error {
	if err := o.made(); err != nil {
		return err
	}
	s := o.index[p]
	if s == nil {
		return fmt.Errorf("optim: %s: Curvature: the parameter is not one of the model", o.name)
	}
	if len(dst) != s.size {
		return fmt.Errorf("optim: %s: Curvature of %s: length of dst is %d: want %d", o.name, p.Name, len(dst), s.size)
	}
	row, col := o.factors(s)
	damping := float32(o.config.Lambda)
	if row == nil {
		damping = float32(o.config.UnownedCurvature)
	}
	for i := range dst {
		dst[i] = damping
	}
	if row != nil {
		kernels.Ger(dst, row, col, 1)
	}
	return nil
}

// State returns a copy of the counters, momenta and factors; see [Optimizer].
func (o *AdaFisher) State() *State {
	st := new(State)
	o.SaveState(st)
	return st
}

// SaveState stores a copy of the counters, momenta and factors in st; see
// [Optimizer].
func (o *AdaFisher) SaveState(st *State) {
	o.core.SaveState(st)
	for i := range o.layers.list {
		l := &o.layers.list[i]
		h, s := l.averages.Averages()
		st.save(l.keyH, h)
		st.save(l.keyS, s)
	}
}

// Restore continues from a copy of st; see [Optimizer].
func (o *AdaFisher) Restore(st *State) error {
	if err := o.checkState(st); err != nil {
		return err
	}
	for i := range o.layers.list {
		l := &o.layers.list[i]
		if err := l.averages.StageAverages(st.Vectors[l.keyH], st.Vectors[l.keyS]); err != nil {
			return o.stateError(err)
		}
	}
	o.layers.commitAll()
	o.load(st)
	return nil
}
