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
// A pass needs the moments of all layers with a gradient of the weight. Centred keeps
// the averages of the moments, and 4 bytes for each weight that it centres, to work
// with.
type Centred struct {
	Optimizer
	inner   string // of the optimizer's state
	rule    string // of its own
	layers  []centredLayer
	byLayer map[*kron.Layer]*centredLayer // nil for layers that have no means
	byParam map[*kron.Param]*centredLayer
	check   uint64
	pass    kron.Pass
}

// CentredGamma is the usual decay of the means.
const CentredGamma = 0.95

type centredLayer struct {
	layerMoments
	gradient      []float32 // of the weight, centred
	shift         []float32 // the projection, where there is no gradient of the bias
	before, after []float32 // W'mu around a step

	// Of the pass in progress; nil without.
	weight, bias []float32
	at           int // of the weight's gradient in it
}

// NewCentred returns an optimizer that centres the gradients for opt, with means that
// are averaged with the decay gamma in [0, 1).
func NewCentred(m Model, opt Optimizer, gamma float64) (*Centred, error) {
	if opt == nil {
		return nil, errors.New("optim: Centred: there is no optimizer")
	}
	if _, err := checkModel(m); err != nil {
		return nil, fmt.Errorf("optim: Centred: %w", err)
	}
	if opt.NeedsStatistics() != kron.CollectNone {
		return nil, fmt.Errorf("optim: Centred: %s takes statistics of its own", opt.Name())
	}
	layers := m.Layers()
	c := &Centred{
		Optimizer: opt,
		inner:     opt.State().Rule,
		layers:    make([]centredLayer, 0, len(layers)),
		byLayer:   make(map[*kron.Layer]*centredLayer),
		byParam:   make(map[*kron.Param]*centredLayer),
	}
	c.rule = c.inner + " centred"
	for _, l := range layers {
		moments, err := kron.NewMoments(l, gamma, 1, true)
		if err != nil {
			return nil, fmt.Errorf("optim: Centred: %w", err)
		}
		if _, ok := c.byLayer[l]; ok {
			return nil, fmt.Errorf("optim: Centred: the model lists layer %s twice", l.Name)
		}
		c.byLayer[l] = nil
		if len(moments.Preconditioner().Mean) == 0 {
			continue
		}
		c.layers = append(c.layers, centredLayer{
			layerMoments: newLayerMoments(moments),
			gradient:     make([]float32, len(l.Weight.Value)),
			shift:        make([]float32, l.Outputs()),
			before:       make([]float32, l.Outputs()),
			after:        make([]float32, l.Outputs()),
		})
		own := &c.layers[len(c.layers)-1]
		c.byLayer[l] = own
		for _, p := range []*kron.Param{l.Weight, l.Bias} {
			if p == nil {
				continue
			}
			if other := c.byParam[p]; other != nil {
				return nil, fmt.Errorf("optim: Centred: layers %s and %s share the parameter %s", other.Layer().Name, l.Name, p.Name)
			}
			c.byParam[p] = own
		}
	}
	return c, nil
}

// Name is that of the rule, and "centred".
func (c *Centred) Name() string { return c.Optimizer.Name() + " centred" }

// NeedsStatistics is [kron.CollectMoments].
func (c *Centred) NeedsStatistics() kron.Collect { return kron.CollectMoments }

// Step does one step; see [Optimizer].
func (c *Centred) Step(p *kron.Pass) error {
	if p == nil {
		return c.wrap(errors.New("there is no pass"))
	}
	if err := c.stage(p); err != nil {
		return c.wrap(err)
	}
	for i := range c.layers {
		if l := &c.layers[i]; l.weight != nil {
			l.centre()
			c.pass.Gradients[l.at].Data = l.gradient
		}
	}
	if err := c.Optimizer.Step(&c.pass); err != nil {
		return err
	}
	for i := range c.layers {
		l := &c.layers[i]
		if l.weight != nil && l.bias != nil {
			bias := l.Layer().Bias.Value
			l.outputs(l.after)
			kernels.Sub(l.before, l.before, l.after)
			kernels.Add(bias, bias, l.before)
		}
		if l.checked == c.check {
			l.Commit()
		}
	}
	return nil
}

func (c *Centred) wrap(err error) error { return fmt.Errorf("optim: %s: %w", c.Name(), err) }

// stage prepares the next moments, and notes what the pass has of each layer. What
// else is wrong with the pass the optimizer will find.
func (c *Centred) stage(p *kron.Pass) error {
	c.check++
	for i := range c.layers {
		c.layers[i].weight, c.layers[i].bias = nil, nil
	}
	c.pass.Gradients = append(c.pass.Gradients[:0], p.Gradients...)
	for i, g := range p.Gradients {
		l := c.byParam[g.Param]
		if l == nil || g.Param.Frozen || len(g.Data) != len(g.Param.Value) {
			continue
		}
		if g.Param == l.Layer().Bias {
			l.bias = g.Data
		} else if len(g.Data) == len(l.gradient) {
			l.weight, l.at = g.Data, i
		}
	}
	for i, st := range p.Statistics {
		l, ok := c.byLayer[st.Layer]
		if err := checkStatistics(i, st.Layer, ok, l != nil && l.checked == c.check); err != nil {
			return err
		}
		if l == nil {
			continue
		}
		if err := l.Stage(st); err != nil {
			return err
		}
		l.checked = c.check
	}
	for i := range c.layers {
		if l := &c.layers[i]; l.weight != nil && l.checked != c.check {
			return fmt.Errorf("statistics of layer %s are missing", l.Layer().Name)
		}
	}
	return nil
}

// centre stores the centred gradient of the weight.
func (l *centredLayer) centre() {
	p := l.Staged()
	shift := l.bias
	if shift == nil {
		shift = l.shift
		l.product(shift, p.Projection, l.weight)
	} else {
		l.outputs(l.before)
	}
	kernels.Copy(l.gradient, l.weight)
	kernels.Ger(l.gradient, p.Mean, shift, -1)
}

// outputs stores W'mu, with the means of the pass in progress.
func (l *centredLayer) outputs(dst []float32) {
	l.product(dst, l.Staged().Mean, l.Layer().Weight.Value)
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
	for i := range c.layers {
		c.layers[i].save(st)
	}
}

// Restore continues from a copy of st; see [Optimizer].
func (c *Centred) Restore(st *State) error {
	switch {
	case st == nil:
		return c.wrap(errors.New("state: there is none"))
	case st.Rule != c.rule:
		return c.wrap(fmt.Errorf("state: it is of %q: want %q", st.Rule, c.rule))
	}
	inner := &State{Rule: c.inner, LR: st.LR, Counters: maps.Clone(st.Counters), Vectors: maps.Clone(st.Vectors)}
	for i := range c.layers {
		l := &c.layers[i]
		if err := l.restore(st); err != nil {
			return c.wrap(fmt.Errorf("state: %w", err))
		}
		delete(inner.Counters, l.counter)
		for _, key := range []string{l.keyH, l.keyS, l.keyMean} {
			delete(inner.Vectors, key)
		}
	}
	if err := c.Optimizer.Restore(inner); err != nil {
		return err
	}
	for i := range c.layers {
		c.layers[i].Commit()
	}
	return nil
}
