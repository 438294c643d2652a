package checkpoint

import (
	"errors"
	"fmt"
	"strings"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// Names in the content of a run. Others are free for the caller.
const (
	ofModel     = "model/"
	ofOptimizer = "optimizer/"

	lrName       = ofOptimizer + "lr"
	ruleName     = ofOptimizer + "rule"
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
// its examples.
type Run struct {
	session   *nn.Session
	optimizer Optimizer
	values    []named     // of the model
	state     optim.State // of the last Content
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
// A caller may add others: the number of the epoch, say. The content shares its
// memory with the run: save it before the next step, and the next Content.
func (r *Run) Content() *Content {
	r.optimizer.SaveState(&r.state)
	seed, forwards := r.session.Random()
	c := &Content{
		Vectors: make(map[string][]float32),
		Floats:  map[string]float64{lrName: r.state.LR},
		Ints:    make(map[string]int64),
		Uints:   map[string]uint64{seedName: seed, forwardsName: forwards},
		Bytes:   make(map[string][]byte),
		Strings: map[string]string{ruleName: r.state.Rule},
	}
	for _, v := range r.values {
		c.Vectors[ofModel+v.name] = v.value
	}
	for name, v := range r.state.Vectors {
		c.Vectors[ofOptimizer+name] = v
	}
	for name, n := range r.state.Counters {
		c.Ints[ofOptimizer+name] = n
	}
	return c
}

// Restore makes the run continue from the content of another, of the same layers
// and with an optimizer of the same configuration: what follows has the bits that
// it would have had there. It copies what it needs.
//
// It fails, and changes nothing, if a value is missing, has another length or is
// not finite, if there is one that is nothing in the model, or if the optimizer
// refuses its state.
func (r *Run) Restore(c *Content) error {
	if err := r.restore(c); err != nil {
		return fmt.Errorf("checkpoint: Restore: %w", err)
	}
	return nil
}

func (r *Run) restore(c *Content) error {
	if c == nil {
		return errors.New("there is no content")
	}
	state := &optim.State{Counters: cut(c.Ints, ofOptimizer), Vectors: cut(c.Vectors, ofOptimizer)}
	var seed, forwards uint64
	for _, err := range []error{
		need(c.Strings, ruleName, &state.Rule),
		need(c.Floats, lrName, &state.LR),
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
	if err := r.optimizer.Restore(state); err != nil {
		return err
	}
	for i, v := range r.values {
		copy(v.value, saved[i])
	}
	r.session.SetRandom(seed, forwards)
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
