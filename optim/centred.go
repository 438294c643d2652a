package optim

import (
	"errors"
	"fmt"
	"maps"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Centred is an optimizer to which the inputs of linear layers and convolutions
// have mean 0. It stands in the place of one that it hands the gradients to:
//
//	opt, err := optim.NewCentred(model, adamW, optim.CentredGamma)
//
// A network y = W'x + b is also y = W'(x-mu) + c with c = b + W'mu, whatever mu. With
// averages of the inputs as mu, the optimizer takes its step on W and c, whose
// gradients don't mix: with G and g, those of W and b,
//
//	gradient of W = G - mu*g'        that of c is g
//	b = c - W'mu                     after the step
//
// It is the part of [Calibrated] that needs no curvature, for any rule that keeps no
// statistics of its own. A bias that is frozen, or without a gradient in the pass,
// counts as none: then g is a projection of G, see [kron.Preconditioner], and b stays.
// What decoupled weight decay takes from W, b makes up for, too.
//
// A pass needs the moments of all layers with a gradient of the weight. It stays as
// it is: the optimizer gets a copy, in which those gradients are centred. The norm
// that its ClipNorm limits is of that copy. Centred keeps the averages of the
// moments, and 4 bytes a weight for the copy.
type Centred struct {
	Optimizer
	inner     string // of the optimizer's state
	rule      string // of its own
	layers    layers[*kron.Moments]
	names     stateNames     // of what a state has beside the optimizer's
	centred   []centredLayer // one for each of layers
	owners    map[*kron.Param]*centredLayer
	gradients map[*kron.Param][]float32 // of the copy
	pass      kron.Pass                 // the copy
	check     uint64
}

// CentredGamma is the usual decay of the means.
const CentredGamma = 0.95

type centredLayer struct {
	*factored[*kron.Moments]
	shift         []float32 // the projection, where there is no gradient of the bias
	before, after []float32 // W'mu around a step

	// The gradients of the pass in progress, copied; nil without.
	weight, bias []float32
}

// NewCentred returns an optimizer that centres the gradients for opt, an optimizer of
// the same model, with means that are averaged with the decay gamma in [0, 1).
func NewCentred(m Model, opt Optimizer, gamma float64) (*Centred, error) {
	fail := func(err error) (*Centred, error) { return nil, fmt.Errorf("optim: Centred: %w", err) }
	if isNil(opt) {
		return fail(errors.New("there is no optimizer"))
	}
	params, err := checkModel(m)
	if err != nil {
		return fail(err)
	}
	if err := checkSameModel(opt, params); err != nil {
		return fail(err)
	}
	if opt.NeedsStatistics() != kron.CollectNone {
		return fail(fmt.Errorf("%s takes statistics of its own", opt.Name()))
	}
	c := &Centred{
		Optimizer: opt,
		inner:     opt.State().Rule,
		owners:    make(map[*kron.Param]*centredLayer),
		gradients: make(map[*kron.Param][]float32, len(params)),
	}
	c.rule = c.inner + " centred"
	c.layers, err = newLayers(m, func(l *kron.Layer) (*kron.Moments, bool, error) {
		moments, err := kron.NewMoments(l, gamma, 1, true)
		return moments, err == nil && len(moments.Preconditioner().Mean) > 0, err
	})
	if err != nil {
		return fail(err)
	}
	nameMoments(&c.layers, &c.names)
	c.centred = make([]centredLayer, len(c.layers.list))
	for i := range c.centred {
		l := &c.layers.list[i]
		out := l.averages.Layer().Outputs()
		c.centred[i] = centredLayer{
			factored: l,
			shift:    make([]float32, out),
			before:   make([]float32, out),
			after:    make([]float32, out),
		}
		c.owners[l.averages.Layer().Weight] = &c.centred[i]
		if bias := l.averages.Layer().Bias; bias != nil {
			c.owners[bias] = &c.centred[i]
		}
	}
	for _, p := range params {
		c.gradients[p] = make([]float32, len(p.Value))
	}
	return c, nil
}

// made returns an error if c is nil or zero.
func (c *Centred) made() error {
	if c == nil || c.Optimizer == nil {
		return errUnmade
	}
	return nil
}

func (c *Centred) isFor(params []*kron.Param) bool { return hasKeys(c.gradients, params) }

// Name is that of the rule, and "centred".
func (c *Centred) Name() string { return c.Optimizer.Name() + " centred" }

// NeedsStatistics is [kron.CollectMoments].
func (c *Centred) NeedsStatistics() kron.Collect { return kron.CollectMoments }

// Step does one step; see [Optimizer].
func (c *Centred) Step(p *kron.Pass) error {
	if err := c.made(); err != nil {
		return err
	}
	if p == nil {
		return c.wrap(errors.New("there is no pass"))
	}
	c.check++
	if err := c.layers.stage(p, c.check); err != nil {
		return c.wrap(err)
	}
	c.copy(p)
	for i := range c.centred {
		l := &c.centred[i]
		if l.weight == nil {
			continue
		}
		if l.checked != c.check {
			return c.wrap(missingStatistics(l.averages.Layer(), c.Steps()))
		}
		l.centre()
	}
	if err := c.Optimizer.Step(&c.pass); err != nil {
		return err
	}
	for i := range c.centred {
		if l := &c.centred[i]; l.weight != nil && l.bias != nil {
			bias := l.averages.Layer().Bias.Value
			l.outputs(l.after)
			kernels.Sub(l.before, l.before, l.after)
			kernels.Add(bias, bias, l.before)
		}
	}
	c.layers.commit(c.check)
	return nil
}

// SetLR changes the learning rate of the optimizer.
func (c *Centred) SetLR(lr float64) error {
	if err := c.made(); err != nil {
		return err
	}
	return c.Optimizer.SetLR(lr)
}

func (c *Centred) wrap(err error) error { return fmt.Errorf("optim: %s: %w", c.Name(), err) }

// copy copies the gradients, and notes those of each layer. What can't be copied is
// frozen, or wrong, which the optimizer will find.
func (c *Centred) copy(p *kron.Pass) {
	for i := range c.centred {
		c.centred[i].weight, c.centred[i].bias = nil, nil
	}
	c.pass.Gradients = c.pass.Gradients[:0]
	for _, g := range p.Gradients {
		if own := c.gradients[g.Param]; own != nil && !g.Param.Frozen && len(g.Data) == len(own) && len(g.Param.Value) == len(own) {
			kernels.Copy(own, g.Data)
			g.Data = own
			if l := c.owners[g.Param]; l != nil {
				if g.Param == l.averages.Layer().Bias {
					l.bias = own
				} else {
					l.weight = own
				}
			}
		}
		c.pass.Gradients = append(c.pass.Gradients, g)
	}
}

// centre centres the gradient of the weight.
func (l *centredLayer) centre() {
	p := l.averages.Staged()
	shift := l.bias
	if shift == nil {
		shift = l.shift
		l.product(shift, p.Projection, l.weight)
	} else {
		l.outputs(l.before)
	}
	kernels.Ger(l.weight, p.Mean, shift, -1)
}

// outputs stores W'mu, with the means of the pass in progress.
func (l *centredLayer) outputs(dst []float32) {
	l.product(dst, l.averages.Staged().Mean, l.averages.Layer().Weight.Value)
}

// product stores dst = x*m for a matrix m of rows of as many numbers as dst has.
func (l *centredLayer) product(dst, x, m []float32) {
	kernels.Gemm{}.Multiply(kernels.NewMatrix(1, len(dst), dst), kernels.NewMatrix(1, len(x), x), kernels.NewMatrix(len(x), len(dst), m))
}

// State returns a copy of the optimizer's state and of the moments; see [Optimizer].
func (c *Centred) State() *State {
	st := new(State)
	c.SaveState(st)
	return st
}

// SaveState stores a copy of the optimizer's state and of the moments in st; see
// [Optimizer].
func (c *Centred) SaveState(st *State) {
	if st.Rule == c.rule {
		st.Rule = c.inner
	}
	c.Optimizer.SaveState(st)
	st.Rule = c.rule
	saveMoments(&c.layers, st)
}

// Restore continues from a copy of st; see [Optimizer].
func (c *Centred) Restore(st *State) error {
	if err := c.made(); err != nil {
		return err
	}
	switch {
	case st == nil:
		return c.wrap(errors.New("state: there is none"))
	case st.Rule != c.rule:
		return c.wrap(fmt.Errorf("state: it is of %q: want %q", st.Rule, c.rule))
	}
	if err := errors.Join(c.names.missing(st)...); err != nil {
		return c.wrap(fmt.Errorf("state: %w", err))
	}
	if err := stageMoments(&c.layers, st); err != nil {
		return c.wrap(fmt.Errorf("state: %w", err))
	}
	inner := &State{Rule: c.inner, LR: st.LR, Counters: maps.Clone(st.Counters), Vectors: maps.Clone(st.Vectors)}
	for _, name := range c.names.counters {
		delete(inner.Counters, name)
	}
	for _, name := range c.names.vectors {
		delete(inner.Vectors, name)
	}
	if err := c.Optimizer.Restore(inner); err != nil {
		return err
	}
	c.layers.commitAll()
	return nil
}
