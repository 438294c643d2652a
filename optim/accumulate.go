package optim

import (
	"errors"
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// An Accumulator is an optimizer that takes one step for several passes: for a
// batch that is too large for one session. It stands in its place:
//
//	opt, err := optim.NewAccumulator(model, adam, 4)
//	loss, err := session.TrainSoftmaxCrossEntropy(opt, x, labels)     // every fourth one steps
//
// The passes are those of equal parts of one batch, each with the loss that is the
// mean over its part. From K of them the optimizer gets what one pass over the whole
// would give:
//
//	gradient = mean over passes
//	H        = mean over passes
//	S        = mean over passes / K^2
//	Mean     = mean over passes
//
// S takes the square for the reason that [kron.Collective] gives. Up to rounding
// that is exact for layers whose raw factors are means over rows: linear ones,
// convolutions, embeddings. The factors of a normalisation are squares of sums over
// the batch, of which it is an estimate.
//
// A pass may lack a parameter; that counts as a gradient of zero, unless all lack it.
// It may lack the statistics of a layer: then H, S and Mean are means over the passes
// that have them, as one pass over the whole would take them over the rows that reach
// the layer. K is still the number of all passes, by which the loss is divided. A pass
// that Step refuses is not counted.
//
// An Accumulator keeps 4 bytes a weight besides the optimizer's state. Save that
// when none are pending: a Restore drops the pending passes.
type Accumulator struct {
	Optimizer
	passes  int // for a step
	pending int
	index   map[*kron.Param]*sum
	layers  map[*kron.Layer]*factorSum
	check   uint64

	sums     []sum // in the model's order, as sum is
	factors  []factorSum
	combined kron.Pass
}

// sum is what the pending passes hold of a parameter.
type sum struct {
	param    *kron.Param
	gradient []float32
	some     bool   // a pending pass has a gradient
	checked  uint64 // the last check that met one
}

// factorSum is what the pending passes hold of a layer.
type factorSum struct {
	statistics kron.Statistics
	means      []float32 // room for the means, which not all statistics have
	passes     int
	checked    uint64
}

// NewAccumulator returns an optimizer of the model that calls the Step of opt, another
// one of it, for every so many passes.
func NewAccumulator(m Model, opt Optimizer, passes int) (*Accumulator, error) {
	const name = "Accumulator"
	if isNil(opt) {
		return nil, errors.New("optim: Accumulator: there is no optimizer")
	}
	if err := checkPositive(name, "the number of passes", passes); err != nil {
		return nil, err
	}
	params, err := checkModel(m)
	if err != nil {
		return nil, fmt.Errorf("optim: Accumulator: %w", err)
	}
	if err := checkSameModel(opt, params); err != nil {
		return nil, fmt.Errorf("optim: Accumulator: %w", err)
	}
	a := &Accumulator{
		Optimizer: opt,
		passes:    passes,
		sums:      make([]sum, len(params)),
		index:     make(map[*kron.Param]*sum),
		layers:    make(map[*kron.Layer]*factorSum),
	}
	for i, p := range params {
		a.sums[i] = sum{param: p, gradient: make([]float32, len(p.Value))}
		a.index[p] = &a.sums[i]
	}
	layers := m.Layers()
	a.factors = make([]factorSum, len(layers))
	for i, l := range layers {
		if err := l.Check(); err != nil {
			return nil, fmt.Errorf("optim: Accumulator: %w", err)
		}
		a.factors[i].statistics = kron.Statistics{Layer: l, H: make([]float32, l.Inputs()), S: make([]float32, l.Outputs())}
		a.factors[i].means = make([]float32, l.Inputs())
		a.layers[l] = &a.factors[i]
	}
	a.combined.Gradients = make([]kron.Gradient, 0, len(params))
	a.combined.Statistics = make([]kron.Statistics, 0, len(layers))
	return a, nil
}

// made returns an error if a is nil or zero.
func (a *Accumulator) made() error {
	if a == nil || a.Optimizer == nil {
		return errUnmade
	}
	return nil
}

func (a *Accumulator) isFor(params []*kron.Param) bool { return hasKeys(a.index, params) }

// Pending is how many passes are waiting for the next step.
func (a *Accumulator) Pending() int { return a.pending }

// Step adds a pass, or, where it is the last one of a step, takes the step with the
// mean of all. A pass with a gradient that is not finite, with statistics that are
// NaN or negative squares, or that doesn't belong to the model, is an error and is
// not added. Where the
// optimizer refuses the step the passes are dropped, and nothing else has changed.
func (a *Accumulator) Step(p *kron.Pass) error {
	if err := a.made(); err != nil {
		return err
	}
	if err := a.checkPass(p); err != nil {
		return fmt.Errorf("optim: Accumulator: %w", err)
	}
	for _, g := range p.Gradients {
		if g.Param.Frozen {
			continue
		}
		s := a.index[g.Param]
		if s.some {
			kernels.Add(s.gradient, s.gradient, g.Data)
		} else {
			kernels.Copy(s.gradient, g.Data)
			s.some = true
		}
	}
	if a.NeedsStatistics() != kron.CollectNone {
		for _, st := range p.Statistics {
			f := a.layers[st.Layer]
			if f.passes > 0 {
				kernels.Add(f.statistics.H, f.statistics.H, st.H)
				kernels.Add(f.statistics.S, f.statistics.S, st.S)
				kernels.Add(f.statistics.Mean, f.statistics.Mean, st.Mean)
			} else {
				kernels.Copy(f.statistics.H, st.H)
				kernels.Copy(f.statistics.S, st.S)
				f.statistics.Mean = f.means[:len(st.Mean)]
				kernels.Copy(f.statistics.Mean, st.Mean)
			}
			f.passes++
		}
	}
	if a.pending++; a.pending < a.passes {
		return nil
	}
	return a.Flush()
}

// Flush takes a step with the mean of the pending passes, if there are any, as at
// the end of an epoch.
func (a *Accumulator) Flush() error {
	if err := a.made(); err != nil {
		return err
	}
	if a.pending == 0 {
		return nil
	}
	a.combine()
	err := a.Optimizer.Step(&a.combined)
	a.Drop()
	return err
}

// Drop forgets the pending passes.
func (a *Accumulator) Drop() {
	a.pending = 0
	for i := range a.sums {
		a.sums[i].some = false
	}
	for i := range a.factors {
		a.factors[i].passes = 0
	}
}

// SetLR changes the learning rate of the optimizer.
func (a *Accumulator) SetLR(lr float64) error {
	if err := a.made(); err != nil {
		return err
	}
	return a.Optimizer.SetLR(lr)
}

// Restore continues from a state of the optimizer, and drops the pending passes.
func (a *Accumulator) Restore(st *State) error {
	if err := a.made(); err != nil {
		return err
	}
	if err := a.Optimizer.Restore(st); err != nil {
		return err
	}
	a.Drop()
	return nil
}

// combine makes the means of the pending passes.
func (a *Accumulator) combine() {
	c := &a.combined
	c.Gradients, c.Statistics = c.Gradients[:0], c.Statistics[:0]
	share := float32(1 / float64(a.pending))
	for i := range a.sums {
		if s := &a.sums[i]; s.some {
			kernels.Scale(s.gradient, s.gradient, share)
			c.Gradients = append(c.Gradients, kron.Gradient{Param: s.param, Data: s.gradient})
		}
	}
	for i := range a.factors {
		if f := &a.factors[i]; f.passes > 0 {
			// S is a mean of squares, over the rows of k passes, of gradients of a mean
			// loss. In the mean over all passes a row's gradient is 1/pending of that in
			// its own, whether or not the others have rows for the layer.
			k, all := float64(f.passes), float64(a.pending)
			kernels.Scale(f.statistics.H, f.statistics.H, float32(1/k))
			kernels.Scale(f.statistics.S, f.statistics.S, float32(1/float64(k*all*all)))
			kernels.Scale(f.statistics.Mean, f.statistics.Mean, float32(1/k))
			c.Statistics = append(c.Statistics, f.statistics)
		}
	}
}

// checkPass returns an error if a pass can't be added.
func (a *Accumulator) checkPass(p *kron.Pass) error {
	if p == nil {
		return errors.New("there is no pass")
	}
	a.check++
	for i := range p.Gradients {
		g := &p.Gradients[i]
		if g.Param == nil {
			return fmt.Errorf("gradient %d of the pass has no parameter", i)
		}
		s := a.index[g.Param]
		if s == nil {
			return fmt.Errorf("gradient of %s: %w", g.Param.Name, errNotInModel)
		}
		if err := checkGradient(g, len(s.gradient), s.checked == a.check); err != nil {
			return fmt.Errorf("gradient of %s: %w", g.Param.Name, err)
		}
		if !g.Param.Frozen && !kernels.AllFinite(g.Data) {
			return fmt.Errorf("gradient of %s: an entry is not finite", g.Param.Name)
		}
		s.checked = a.check
	}
	if a.NeedsStatistics() == kron.CollectNone {
		return nil
	}
	for i, st := range p.Statistics {
		f := a.layers[st.Layer]
		if err := checkStatistics(i, st.Layer, f != nil, f != nil && f.checked == a.check); err != nil {
			return err
		}
		switch {
		case len(st.H) != len(f.statistics.H) || len(st.S) != len(f.statistics.S):
			return fmt.Errorf("statistics of layer %s: lengths are %d and %d: want %d and %d",
				st.Layer.Name, len(st.H), len(st.S), len(f.statistics.H), len(f.statistics.S))
		case f.passes > 0 && len(st.Mean) != len(f.statistics.Mean) || len(st.Mean) > len(f.means):
			return fmt.Errorf("statistics of layer %s: there are %d means, unlike in other passes", st.Layer.Name, len(st.Mean))
		case !areSquares(st.H) || !areSquares(st.S) || isNaN(kernels.MaxAbs(st.Mean)):
			return fmt.Errorf("statistics of layer %s: an entry is NaN, or negative in H or S", st.Layer.Name)
		}
		f.checked = a.check
	}
	return nil
}

// areSquares reports whether no entry is NaN or negative.
func areSquares(x []float32) bool {
	lo, _ := kernels.MinMax(x)
	return lo >= 0 && !isNaN(kernels.MaxAbs(x))
}

func isNaN(x float32) bool { return x != x }
