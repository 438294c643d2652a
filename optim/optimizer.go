package optim

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/adafisher-go/adafisher/internal/float"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// A Model is what an optimizer needs to know of a network: an nn.Model, or a type of
// the caller's own, as for two networks that are trained as one. The lists must stay
// as they are while an optimizer uses them. Each parameter and each layer is there
// once, under a name of its own, which a [State] knows it by: parameters of two
// networks need different names.
//
// A parameter has the curvature of one layer. Where several of a caller's own layers
// have one parameter, such as an embedding whose weight is that of the output layer,
// too, passes have the sum of its gradients, and Layers and passes have one of these
// layers, or none. [AdaFisher], [Calibrated] and [Centred] refuse a model that lists
// more, but for layers that they have no use for: embeddings in Centred, and in an
// AdaFisher without Extensions.
type Model interface {
	Params() []*kron.Param
	Layers() []*kron.Layer // those with Kronecker-factored curvature
}

// An Optimizer changes the parameters of a model, step by step.
type Optimizer interface {
	// Name is the name of the rule, such as "AdamW".
	Name() string

	// Params are the parameters that it was made for, in the model's order.
	Params() []*kron.Param

	// NeedsStatistics says which statistics of the pass the next Step reads. It
	// ignores them where that is none.
	NeedsStatistics() kron.Collect

	// Step moves the parameters that the pass has a gradient of, or returns an
	// error and changes nothing.
	Step(p *kron.Pass) error

	// Steps is how many steps were taken: what a [Schedule] of the next one takes.
	Steps() int64

	// LR is the learning rate of the next step.
	LR() float64

	// SetLR changes the learning rate. A negative or non-finite one, or one so
	// large that a step could overflow, is an error.
	SetLR(lr float64) error

	// SetPool makes steps on large models share their work among the workers of a
	// pool, which its owner closes; nil, as at first, keeps it in the caller's
	// goroutine. Results don't depend on it. It must not be called during a step.
	SetPool(p *kernels.Pool)

	// State returns a copy of everything that the steps so far have left.
	State() *State

	// SaveState stores in s what State returns. s is new, or was saved from the
	// same optimizer before: its memory is used again, and nothing is allocated.
	SaveState(s *State)

	// Restore continues from a state, which it copies. A state of another rule or
	// model is an error and changes nothing.
	Restore(s *State) error
}

// Options are the settings that all optimizers have in common.
type Options struct {
	// Groups are parameters with a learning rate or a weight decay of their own.
	Groups []Group

	// ClipNorm limits the Euclidean norm of all gradients of a step together
	// (Pascanu et al. 2013, "On the difficulty of training recurrent neural
	// networks"): those of a pass above it are scaled down, in the pass, once
	// nothing else can refuse the step. Frozen parameters don't count. 0 is no limit. The
	// optimizers' GradientNorm tells the norm for a log.
	ClipNorm float64
}

// Gradients beyond these magnitudes are refused, so that neither a moment nor a
// weight below the magnitude can overflow in a step. A rule that keeps squares has
// the smaller one.
const (
	maxGradient = 0x1p80 // 1.2e24
	maxSquared  = 0x1p50 // 1.1e15
)

// maxRate returns the largest learning rate with which a step moves no weight by
// more than 2^126. The rule moves it by the rate times gain times a gradient, which
// the L2 term of the weight decay makes at most 2^7 times as large as it may be.
func maxRate(gradient, gain float64) float64 { return 0x1p119 / gradient / gain }

// core is an optimizer but for its rule: the parameters with their moments, the
// learning rate, the checks of a pass, and the work of a step.
type core struct {
	name        string
	stateRule   string // what a State must come from
	rule        rule
	lr, maxLR   float64
	maxGradient float32
	clipNorm    float32
	pool        *kernels.Pool

	steps    int64
	lastNorm float32 // of the gradients of the last step, before they were clipped
	slots    []slot
	index    map[*kron.Param]*slot
	names    stateNames

	// The step in progress.
	check  uint64      // its number, refused ones included
	moving []*slot     // the parameters that it moves, in the model's order
	work   int         // their entries
	scale  float32     // of the gradients
	norm   float32     // of the gradients, if it was computed
	norms  [][]float32 // the gradients of moving
	passes atomic.Bool // the parts of the check that are done passed

	scanPart, movePart func(part int)
}

// A rule is what an optimizer does to one parameter.
type rule interface {
	// update changes the entries from lo to hi of a parameter by its gradient.
	update(s *slot, lo, hi int)
}

// slot is one parameter and what an optimizer keeps for it.
type slot struct {
	param   *kron.Param
	number  int     // position in core.slots
	size    int     // entries
	lr      float64 // its group's factor of the learning rate
	decay   float64 // its group's factor of the weight decay
	steps   int64   // how often the parameter has moved
	kinds   []moment
	moments [][]float32 // one for each kind, as long as the parameter unless single
	keys    []string    // of the moments in a State
	counter string      // of steps in a State

	// How a step may be split among workers: at multiples of unit, or not at all.
	unit  int
	whole bool

	// The step in progress.
	checked uint64 // the last check that met a gradient of it
	grad    []float32
	start   int // of its entries among those of all moving parameters
}

// A moment is a vector that an optimizer keeps for a parameter.
type moment struct {
	name   string // in a State
	square bool   // never negative
	single bool   // one number in all
}

// lineUnit keeps workers from sharing a cache line.
const lineUnit = 16

// settings are what an optimizer's configuration tells its core.
type settings struct {
	lr, maxLR   float64
	weightDecay float64
	maxGradient float64
	Options
}

// init prepares an optimizer for every parameter of the model.
func (c *core) init(m Model, r rule, name string, o settings) error {
	c.name, c.stateRule, c.rule, c.lr = name, name, r, o.lr
	c.maxLR, c.maxGradient = o.maxLR, float32(o.maxGradient)
	params, err := checkModel(m)
	if err != nil {
		return c.wrap(err)
	}
	c.names.counters = append(c.names.counters, stepsKey)
	c.slots = make([]slot, len(params))
	c.index = make(map[*kron.Param]*slot, len(params))
	for i, p := range params {
		c.slots[i] = slot{param: p, number: i, size: len(p.Value), lr: 1, decay: 1, unit: lineUnit, counter: p.Name + "/" + stepsKey}
		c.index[p] = &c.slots[i]
		c.names.counters = append(c.names.counters, c.slots[i].counter)
	}
	if err := c.group(o.Groups, o.weightDecay); err != nil {
		return c.wrap(err)
	}
	if !(o.ClipNorm >= 0 && o.ClipNorm <= o.maxGradient) || o.ClipNorm > 0 && o.ClipNorm < float.MinNormal {
		return c.wrap(fmt.Errorf("ClipNorm is %v: want 0 or a number in [1.2e-38, %.3g]", o.ClipNorm, o.maxGradient))
	}
	c.clipNorm = float32(o.ClipNorm)
	if err := c.checkLR(o.lr, o.maxLR); err != nil {
		return err
	}
	c.moving = make([]*slot, 0, len(c.slots))
	c.norms = make([][]float32, 0, len(c.slots))
	c.scanPart, c.movePart = c.scan, c.updatePart
	return nil
}

// keepFor makes moments for one parameter.
func (c *core) keepFor(s *slot, kinds ...moment) {
	s.kinds = kinds
	for _, k := range kinds {
		n := s.size
		if k.single {
			n = 1
		}
		s.moments = append(s.moments, make([]float32, n))
		s.keys = append(s.keys, s.param.Name+"/"+k.name)
	}
	c.names.vectors = append(c.names.vectors, s.keys...)
}

// keep makes moments for every parameter.
func (c *core) keep(kinds ...moment) {
	for i := range c.slots {
		c.keepFor(&c.slots[i], kinds...)
	}
}

// isNil reports whether an interface holds nothing, or a nil pointer.
func isNil(x any) bool {
	v := reflect.ValueOf(x)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// checkModel returns the parameters of a model.
func checkModel(m Model) ([]*kron.Param, error) {
	if isNil(m) {
		return nil, errors.New("there is no model")
	}
	params := m.Params()
	if len(params) == 0 {
		return nil, errors.New("the model has no parameters")
	}
	seen := make(map[*kron.Param]bool, len(params))
	names := make(map[string]bool, len(params))
	for i, p := range params {
		switch {
		case p == nil:
			return nil, fmt.Errorf("parameter %d of the model is nil", i)
		case seen[p]:
			return nil, fmt.Errorf("the model lists parameter %s twice", p.Name)
		case names[p.Name]:
			return nil, fmt.Errorf("two parameters of the model are named %q", p.Name)
		}
		seen[p], names[p.Name] = true, true
	}
	return params, nil
}

// checkSameModel returns an error if an optimizer of this package is not for these
// parameters.
func checkSameModel(opt Optimizer, params []*kron.Param) error {
	if o, ok := opt.(interface{ isFor([]*kron.Param) bool }); ok && !o.isFor(params) {
		return fmt.Errorf("%s is for another model", opt.Name())
	}
	return nil
}

// isFor reports whether the optimizer is for these parameters, each there once.
func (c *core) isFor(params []*kron.Param) bool { return hasKeys(c.index, params) }

// hasKeys reports whether a map has these keys, each there once, and no others.
func hasKeys[V any](m map[*kron.Param]V, keys []*kron.Param) bool {
	return len(m) == len(keys) && !slices.ContainsFunc(keys, func(p *kron.Param) bool { _, ok := m[p]; return !ok })
}

// made returns an error if c is zero.
func (c *core) made() error {
	if c.rule == nil {
		return errUnmade
	}
	return nil
}

var errUnmade = errors.New("optim: the optimizer is nil or zero: want one of its constructor")

func (c *core) wrap(err error) error { return fmt.Errorf("optim: %s: %w", c.name, err) }

// Name is the name of the rule.
func (c *core) Name() string { return c.name }

// Params returns the parameters that the optimizer was made for.
func (c *core) Params() []*kron.Param {
	params := make([]*kron.Param, len(c.slots))
	for i := range c.slots {
		params[i] = c.slots[i].param
	}
	return params
}

// NeedsStatistics is [kron.CollectNone]: the rule uses gradients alone.
func (c *core) NeedsStatistics() kron.Collect { return kron.CollectNone }

// Steps is how many steps were taken.
func (c *core) Steps() int64 { return c.steps }

// LR is the learning rate of the next step.
func (c *core) LR() float64 { return c.lr }

// GradientNorm is the Euclidean norm of all gradients of the last step together, as it
// was before ClipNorm limited it: above that, the step was clipped. It is 0 before the
// first step, and always without a ClipNorm, where no step computes it. A step that was
// refused does not count, and a state does not have it.
func (c *core) GradientNorm() float64 { return float64(c.lastNorm) }

// SetLR changes the learning rate from the next step on; see [Optimizer].
func (c *core) SetLR(lr float64) error {
	if err := c.checkLR(lr, c.maxLR); err != nil {
		return err
	}
	c.lr = lr
	return nil
}

// checkLR returns an error unless lr times the factor of every group is at most
// maxLR, and 2^38, which decoupled weight decay needs.
func (c *core) checkLR(lr, maxLR float64) error {
	if err := c.made(); err != nil {
		return err
	}
	factor := 1.0
	for i := range c.slots {
		factor = max(factor, c.slots[i].lr)
	}
	if maxLR = min(maxLR, 0x1p38) / factor; !(lr >= 0 && lr <= maxLR) {
		return c.wrap(fmt.Errorf("LR is %v: want a number in [0, %.3g]", lr, maxLR))
	}
	return nil
}

// setMomentum changes a decay, and with it the largest learning rate.
func (c *core) setMomentum(field *float64, name string, to, maxLR float64) error {
	if err := c.made(); err != nil {
		return err
	}
	if err := checkSettings(c.name, setting{name, to, decay}); err != nil {
		return err
	}
	if err := c.checkLR(c.lr, maxLR); err != nil {
		return err
	}
	*field, c.maxLR = to, maxLR
	return nil
}

// SetPool gives steps the workers of a pool; see [Optimizer].
func (c *core) SetPool(p *kernels.Pool) { c.pool = p }

// Step does one step; see [Optimizer].
func (c *core) Step(p *kron.Pass) error {
	if err := c.prepare(p); err != nil {
		return err
	}
	c.move()
	return nil
}

// prepare checks a pass and notes what it moves; nothing else has changed after it.
func (c *core) prepare(p *kron.Pass) error {
	if err := c.made(); err != nil {
		return err
	}
	if p == nil {
		return c.wrap(errors.New("there is no pass"))
	}
	c.check++
	for i := range p.Gradients {
		g := &p.Gradients[i]
		if g.Param == nil {
			return c.wrap(fmt.Errorf("gradient %d of the pass has no parameter", i))
		}
		s := c.index[g.Param]
		if s == nil {
			return c.gradientError(g.Param, errNotInModel)
		}
		if err := checkGradient(g, s.size, s.checked == c.check); err != nil {
			return c.gradientError(g.Param, err)
		}
		s.checked, s.grad = c.check, g.Data
	}
	c.moving, c.work = c.moving[:0], 0
	for i := range c.slots {
		if s := &c.slots[i]; s.checked == c.check && !s.param.Frozen {
			s.start = c.work
			c.work += s.size
			c.moving = append(c.moving, s)
		}
	}
	return c.checkEntries()
}

var errNotInModel = errors.New("the parameter is not one of the model")

func (c *core) gradientError(p *kron.Param, err error) error {
	return c.wrap(fmt.Errorf("gradient of %s: %w", p.Name, err))
}

// checkGradient returns an error if a gradient does not belong to a parameter of
// the given size, or is there twice.
func checkGradient(g *kron.Gradient, size int, twice bool) error {
	switch {
	case twice:
		return errors.New("the pass has it twice")
	case len(g.Param.Value) != size:
		return fmt.Errorf("the parameter has %d entries now: it had %d", len(g.Param.Value), size)
	case len(g.Data) != size:
		return fmt.Errorf("length is %d: want %d", len(g.Data), size)
	}
	return nil
}

// checkEntries returns an error if a gradient that counts has an entry that can't
// be used, and finds out how far the gradients are scaled down.
func (c *core) checkEntries() error {
	c.scale = 1
	if c.clipNorm > 0 {
		c.norms = c.norms[:0]
		for _, s := range c.moving {
			c.norms = append(c.norms, s.grad)
		}
		norm := kernels.GlobalNorm(c.norms)
		clear(c.norms)
		if c.norm = norm; norm <= math.MaxFloat32 { // no entry is infinite or NaN
			if norm > c.clipNorm {
				c.scale = c.clipNorm / norm
			}
			return nil
		}
		if err := c.findEntry(math.MaxFloat32); err != nil {
			return err
		}
		return c.wrap(errors.New("the norm of the gradients is beyond float32: they can't be clipped"))
	}
	c.passes.Store(true)
	if c.each(c.scanPart); c.passes.Load() {
		return nil
	}
	return c.findEntry(c.maxGradient)
}

// scan checks one part of the gradients.
func (c *core) scan(part int) {
	for _, s := range c.moving {
		if lo, hi := c.share(s, part); !(kernels.MaxAbs(s.grad[lo:hi]) <= c.maxGradient) {
			c.passes.Store(false)
		}
	}
}

// findEntry returns an error that names the first entry beyond a magnitude.
func (c *core) findEntry(magnitude float32) error {
	for _, s := range c.moving {
		if i := slices.IndexFunc(s.grad, func(x float32) bool { return !(x <= magnitude && x >= -magnitude) }); i >= 0 {
			want := "finite numbers"
			if x := float64(s.grad[i]); !math.IsNaN(x) && !math.IsInf(x, 0) {
				want = fmt.Sprintf("magnitudes up to %.3g, which can't overflow, or a ClipNorm", magnitude)
			}
			return c.gradientError(s.param, fmt.Errorf("entry %d is %v: want %s", i, s.grad[i], want))
		}
	}
	return nil
}

// move takes the step that prepare has checked.
func (c *core) move() {
	c.steps++
	c.lastNorm = c.norm
	for _, s := range c.moving {
		s.steps++
		if c.scale != 1 {
			kernels.Scale(s.grad, s.grad, c.scale)
		}
	}
	c.each(c.movePart)
	for _, s := range c.moving {
		if s.whole {
			c.rule.update(s, 0, s.size)
		}
		s.grad = nil // it belongs to the caller
	}
}

// updatePart moves one part of the parameters.
func (c *core) updatePart(part int) {
	for _, s := range c.moving {
		if s.whole {
			continue
		}
		if lo, hi := c.share(s, part); lo < hi {
			c.rule.update(s, lo, hi)
		}
	}
}

// pooledWork is the number of entries from which on waking other workers pays.
const pooledWork = 1 << 16

// parts is in how many parts a step is done.
func (c *core) parts() int {
	if c.work < pooledWork {
		return 1
	}
	return c.pool.Workers()
}

// each calls f for every part of a step.
func (c *core) each(f func(part int)) {
	if n := c.parts(); n > 1 {
		c.pool.Run(n, f)
	} else {
		f(0)
	}
}

// share returns the entries of a parameter that belong to a part: an equal range
// of the entries of all parameters, at multiples of the parameter's unit.
func (c *core) share(s *slot, part int) (lo, hi int) {
	n := c.parts()
	bound := func(part int) int {
		at := min(max(c.work/n*part-s.start, 0), s.size)
		if part == n {
			at = s.size
		}
		if at < s.size {
			at -= at % s.unit
		}
		return at
	}
	return bound(part), bound(part + 1)
}

// rate is the parameter's learning rate in this step.
func (c *core) rate(s *slot) float64 { return float64(c.lr * s.lr) }

// split is the weight decay of a parameter: an L2 term, and what decoupled decay
// keeps of a weight.
func (c *core) split(s *slot, decay float64, decoupled bool) (l2, keep float32) {
	decay = float64(decay * s.decay)
	if decoupled {
		return 0, float32(1 - float64(c.rate(s)*decay))
	}
	return float32(decay), 1
}
