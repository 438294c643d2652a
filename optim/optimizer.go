package optim

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// A Model is what an optimizer needs to know of a network. The lists must stay
// as they are while an optimizer uses them.
type Model interface {
	Params() []*kron.Param
	Layers() []*kron.Layer // those with Kronecker-factored curvature
}

// An Optimizer changes the parameters of a model, step by step.
type Optimizer interface {
	// Name is the name of the rule, such as "AdamW".
	Name() string

	// NeedsStatistics reports whether the next Step reads the statistics of the
	// pass. Otherwise it ignores them.
	NeedsStatistics() bool

	// Step moves the parameters that the pass has a gradient of, or returns an
	// error and changes nothing.
	Step(p *kron.Pass) error

	// LR is the learning rate of the next step.
	LR() float64

	// SetLR changes the learning rate. A negative or non-finite one, or one too
	// large for float32 after the bias correction, is an error.
	SetLR(lr float64) error

	// State returns a copy of everything that the steps so far have left.
	State() *State

	// SaveState stores in s what State returns. s is new, or was saved from the
	// same optimizer before: its memory is used again, and nothing is allocated.
	SaveState(s *State)

	// Restore continues from a state, which it copies. A state of another rule or
	// model is an error and changes nothing.
	Restore(s *State) error
}

// core is what all optimizers share: the parameters with their moments, the
// learning rate, and the checks of a pass.
type core struct {
	name  string
	rule  string   // what a State must come from
	kinds []string // names of the moments in a State

	lr    float64
	maxLR float64 // the largest whose derived scalars fit float32

	steps int64
	slots []slot
	index map[*kron.Param]*slot
	check uint64 // number of the check in progress
}

// slot is one parameter and what an optimizer keeps for it.
type slot struct {
	param   *kron.Param
	number  int         // position in core.slots
	steps   int64       // how often the parameter has moved
	moments [][]float32 // one for each of core.kinds, as long as the parameter
	keys    []string    // of the moments in a State
	counter string      // of steps in a State
	checked uint64      // the last check that met a gradient of it
}

// newCore prepares moments for every parameter of the model. amplify is the
// most that a rule multiplies the learning rate by.
func newCore(m Model, name string, lr, amplify float64, kinds ...string) (core, error) {
	c := core{name: name, rule: name, kinds: kinds, lr: lr, maxLR: math.MaxFloat32 / max(1, amplify)}
	if err := c.checkLR(lr); err != nil {
		return core{}, err
	}
	if m == nil {
		return core{}, fmt.Errorf("optim: %s: there is no model", name)
	}
	params := m.Params()
	if len(params) == 0 {
		return core{}, fmt.Errorf("optim: %s: the model has no parameters", name)
	}
	c.slots = make([]slot, len(params))
	c.index = make(map[*kron.Param]*slot, len(params))
	names := make(map[string]bool, len(params))
	for i, p := range params {
		switch {
		case p == nil:
			return core{}, fmt.Errorf("optim: %s: parameter %d of the model is nil", name, i)
		case c.index[p] != nil:
			return core{}, fmt.Errorf("optim: %s: the model lists parameter %s twice", name, p.Name)
		case names[p.Name]:
			return core{}, fmt.Errorf("optim: %s: two parameters of the model are named %q", name, p.Name)
		}
		names[p.Name] = true
		s := &c.slots[i]
		s.param, s.number, s.counter = p, i, p.Name+"/"+stepsKey
		for _, kind := range kinds {
			s.moments = append(s.moments, make([]float32, len(p.Value)))
			s.keys = append(s.keys, p.Name+"/"+kind)
		}
		c.index[p] = s
	}
	return c, nil
}

// Name is the name of the rule.
func (c *core) Name() string { return c.name }

// NeedsStatistics is false: the rule uses gradients alone.
func (c *core) NeedsStatistics() bool { return false }

// LR is the learning rate of the next step.
func (c *core) LR() float64 { return c.lr }

// SetLR changes the learning rate from the next step on; see [Optimizer].
func (c *core) SetLR(lr float64) error {
	if err := c.checkLR(lr); err != nil {
		return err
	}
	c.lr = lr
	return nil
}

func (c *core) checkLR(lr float64) error {
	if !(lr >= 0 && lr <= c.maxLR) {
		return fmt.Errorf("optim: %s: LR is %v: want a number in [0, %.3g]", c.name, lr, c.maxLR)
	}
	return nil
}

// checkGradients returns an error if a gradient of the pass can't be used.
func (c *core) checkGradients(p *kron.Pass) error {
	if p == nil {
		return fmt.Errorf("optim: %s: there is no pass", c.name)
	}
	c.check++
	for i := range p.Gradients {
		g := &p.Gradients[i]
		if g.Param == nil {
			return fmt.Errorf("optim: %s: gradient %d of the pass has no parameter", c.name, i)
		}
		s := c.index[g.Param]
		if s == nil {
			return fmt.Errorf("optim: %s: gradient of %s: the parameter is not one of the model", c.name, g.Param.Name)
		}
		if err := c.checkGradient(s, g.Data); err != nil {
			return fmt.Errorf("optim: %s: gradient of %s: %w", c.name, g.Param.Name, err)
		}
		s.checked = c.check
	}
	return nil
}

func (c *core) checkGradient(s *slot, g []float32) error {
	n := len(s.moments[0])
	switch {
	case s.checked == c.check:
		return errors.New("the pass has it twice")
	case len(s.param.Value) != n:
		return fmt.Errorf("the parameter has %d entries now: it had %d", len(s.param.Value), n)
	case len(g) != n:
		return fmt.Errorf("length is %d: want %d", len(g), n)
	case !s.param.Frozen && !kernels.AllFinite(g):
		i := slices.IndexFunc(g, notFinite)
		return fmt.Errorf("entry %d is %v: want finite numbers", i, g[i])
	}
	return nil
}

func notFinite(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) }

// begin returns the slot of a parameter that is about to move, with the step
// counted, or nil if it is frozen.
func (c *core) begin(p *kron.Param) *slot {
	if p.Frozen {
		return nil
	}
	s := c.index[p]
	s.steps++
	return s
}

// power returns b^k by repeated squaring: the same operations everywhere, and
// nothing to save but k.
func power(b float64, k int64) float64 {
	p := 1.0
	for ; k > 0; k >>= 1 {
		if k&1 == 1 {
			p = float64(p * b)
		}
		b = float64(b * b)
	}
	return p
}
