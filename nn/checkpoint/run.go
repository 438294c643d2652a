package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// Names in the content of a run. Others are free for the caller.
const (
	ofModel     = "model/"
	ofOptimizer = "optimizer/"
	ofEMA       = "ema/"

	lrName       = "lr" // of a state
	ruleName     = "rule"
	seedName     = "session/seed"
	forwardsName = "session/forwards"
)

// An Optimizer is what a [Run] needs to know of one, as those of package optim
// have it.
type Optimizer interface {
	SaveState(*optim.State)
	Restore(*optim.State) error
}

// A Run is the training of a model: all that a step reads and changes, apart from
// its examples. It comes from [NewRun]: its zero value is not usable.
type Run struct {
	session   *nn.Session
	optimizer Optimizer
	ema       *optim.EMA  // nil without
	values    []named     // of the model
	state     optim.State // of the last Content
	averages  optim.State // likewise
}

// named are the values of a parameter or a buffer.
type named struct {
	name  string
	value []float32
}

// NewRun returns the run that trains m with s, a session of m, and opt, an
// optimizer of m. It fails if one of them is nil.
func NewRun(m *nn.Model, s *nn.Session, opt Optimizer) (*Run, error) {
	if m == nil || s == nil || opt == nil {
		return nil, errors.New("checkpoint: NewRun: want a model, a session and an optimizer")
	}
	r := &Run{session: s, optimizer: opt}
	for _, p := range m.Params() {
		r.values = append(r.values, named{p.Name, p.Value})
	}
	for _, b := range m.Buffers() {
		r.values = append(r.values, named{b.Name, b.Value})
	}
	return r, nil
}

// SetEMA makes averages of the model's weights a part of the run; nil, as at first,
// is none.
func (r *Run) SetEMA(ema *optim.EMA) { r.ema = ema }

// Content returns the state of the run between two steps:
//
//	Vectors  model/NAME        each parameter and buffer, in the model's own layout
//	         optimizer/NAME    each vector of the optimizer's state
//	Ints     optimizer/NAME    each of its counters
//	Floats   optimizer/lr      its learning rate
//	Strings  optimizer/rule    its rule
//	Uints    session/seed      what dropout draws from: see [nn.Session.Random]
//	         session/forwards
//
// and, with an EMA, its state as the optimizer's, under ema/. The parameters are the
// trained ones, also while the averages are in the model.
//
// A caller may add others: the number of the epoch, say. The content shares its
// memory with the run: save it before the next step, Swap or Content.
func (r *Run) Content() *Content {
	seed, forwards := r.session.Random()
	c := &Content{
		Vectors: make(map[string][]float32),
		Floats:  make(map[string]float64),
		Ints:    make(map[string]int64),
		Uints:   map[string]uint64{seedName: seed, forwardsName: forwards},
		Bytes:   make(map[string][]byte),
		Strings: make(map[string]string),
	}
	r.optimizer.SaveState(&r.state)
	c.add(ofOptimizer, &r.state)
	swapped := false
	if r.ema != nil {
		r.ema.SaveState(&r.averages)
		c.add(ofEMA, &r.averages)
		if swapped = r.ema.Swapped(); swapped {
			r.ema.Swap()
			defer r.ema.Swap()
		}
	}
	for _, v := range r.values {
		if swapped {
			v.value = slices.Clone(v.value)
		}
		c.Vectors[ofModel+v.name] = v.value
	}
	return c
}

// add shares the parts of a state under a prefix of their names.
func (c *Content) add(prefix string, st *optim.State) {
	c.Strings[prefix+ruleName], c.Floats[prefix+lrName] = st.Rule, st.LR
	for name, v := range st.Vectors {
		c.Vectors[prefix+name] = v
	}
	for name, n := range st.Counters {
		c.Ints[prefix+name] = n
	}
}

// state returns what add has added.
func (c *Content) state(prefix string) (*optim.State, error) {
	st := &optim.State{Counters: cut(c.Ints, prefix), Vectors: cut(c.Vectors, prefix)}
	if err := need(c.Strings, prefix+ruleName, &st.Rule); err != nil {
		return nil, err
	}
	return st, need(c.Floats, prefix+lrName, &st.LR)
}

// Restore makes the run continue from the content of another, of the same layers
// and with an optimizer of the same configuration: what follows has the bits that
// it would have had there. It copies what it needs. A run with an EMA needs the
// content of one with an EMA; one without leaves averages alone.
//
// It fails, and changes nothing, if a value is missing, has another length or is
// not finite, if there is one that is nothing in the model, or if the optimizer or
// the EMA refuses its state, as an EMA does whose averages are in the model.
func (r *Run) Restore(c *Content) error {
	if err := r.restore(c); err != nil {
		return fmt.Errorf("checkpoint: Restore: %w", err)
	}
	return nil
}

func (r *Run) restore(c *Content) error {
	switch {
	case r == nil || r.session == nil:
		return errors.New("the run is nil or zero: want one of NewRun")
	case c == nil:
		return errors.New("there is no content")
	}
	state, err := c.state(ofOptimizer)
	if err != nil {
		return err
	}
	var seed, forwards uint64
	for _, err := range []error{
		need(c.Uints, seedName, &seed),
		need(c.Uints, forwardsName, &forwards),
	} {
		if err != nil {
			return err
		}
	}
	saved := make([][]float32, len(r.values))
	for i, v := range r.values {
		if err := need(c.Vectors, ofModel+v.name, &saved[i]); err != nil {
			return err
		}
		switch {
		case len(saved[i]) != len(v.value):
			return fmt.Errorf("%s%s has %d numbers: want %d", ofModel, v.name, len(saved[i]), len(v.value))
		case !kernels.AllFinite(saved[i]):
			return fmt.Errorf("%s%s has a number that is not finite", ofModel, v.name)
		}
	}
	if n := len(cut(c.Vectors, ofModel)); n != len(r.values) {
		return fmt.Errorf("it has %d parameters and buffers: want %d", n, len(r.values))
	}
	if err := r.restoreStates(state, c); err != nil {
		return err
	}
	for i, v := range r.values {
		copy(v.value, saved[i])
	}
	r.session.SetRandom(seed, forwards)
	return nil
}

// restoreStates restores the optimizer and the EMA, both or none.
func (r *Run) restoreStates(state *optim.State, c *Content) error {
	if r.ema == nil {
		return r.optimizer.Restore(state)
	}
	averages, err := c.state(ofEMA)
	if err != nil {
		return err
	}
	before := r.ema.State()
	if err := r.ema.Restore(averages); err != nil {
		return err
	}
	if err := r.optimizer.Restore(state); err != nil {
		return errors.Join(err, r.ema.Restore(before))
	}
	return nil
}

// need stores the member with that name in dst.
func need[T any](all map[string]T, name string, dst *T) error {
	v, ok := all[name]
	if !ok {
		return fmt.Errorf("%s is missing", name)
	}
	*dst = v
	return nil
}

// cut returns the members whose names begin with prefix, without it.
func cut[T any](all map[string]T, prefix string) map[string]T {
	part := make(map[string]T)
	for name, v := range all {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			part[rest] = v
		}
	}
	return part
}
