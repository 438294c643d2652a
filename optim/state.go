package optim

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/adafisher-go/adafisher/kernels"
)

// A State is what an optimizer carries from one step to the next, by name. With it,
// an optimizer of the same configuration goes on with the very same bits. Apart from
// the learning rate it holds no hyper-parameters.
//
// A whole run has more than that: the parameters, the running moments of batch
// normalisation, the random numbers of dropout, averages of the weights. A
// checkpoint.Run of package nn/checkpoint saves and restores them all.
type State struct {
	Rule     string               // what the state belongs to: "AdamW", "AdaFisher published"
	LR       float64              // learning rate of the next step
	Counters map[string]int64     // "steps", "<parameter>/steps" for each parameter, and "<layer>/updates"
	Vectors  map[string][]float32 // "<parameter>/<moment>", and "<layer>/H", "<layer>/S" and "<layer>/mean"
}

const stepsKey = "steps"

// State returns a copy of the counters and moments; see [Optimizer].
func (c *core) State() *State {
	st := new(State)
	c.SaveState(st)
	return st
}

// SaveState stores a copy of the counters and moments in st; see [Optimizer].
func (c *core) SaveState(st *State) {
	st.begin(c.stateRule)
	st.LR = c.lr
	st.Counters[stepsKey] = c.steps
	for i := range c.slots {
		s := &c.slots[i]
		st.Counters[s.counter] = s.steps
		for k, key := range s.keys {
			st.save(key, s.moments[k])
		}
	}
}

// begin makes a state ready for what a rule saves; one of the same rule is used
// again.
func (s *State) begin(rule string) {
	if s.Rule != rule || s.Counters == nil || s.Vectors == nil {
		*s = State{Rule: rule, Counters: make(map[string]int64), Vectors: make(map[string][]float32)}
	}
}

// save stores a copy of v.
func (s *State) save(key string, v []float32) { s.Vectors[key] = append(s.Vectors[key][:0], v...) }

// Restore continues from a copy of st; see [Optimizer].
func (c *core) Restore(st *State) error {
	if err := c.checkState(st); err != nil {
		return err
	}
	c.load(st)
	return nil
}

// checkState returns an error unless st belongs to this rule and model; the values of
// layers are for the caller to check.
func (c *core) checkState(st *State) error {
	if err := c.made(); err != nil {
		return err
	}
	if st == nil {
		return c.stateError(errors.New("there is none"))
	}
	if st.Rule != c.stateRule {
		return c.stateError(fmt.Errorf("it is of %q: want %q", st.Rule, c.stateRule))
	}
	if err := c.checkLR(st.LR, c.maxLR); err != nil {
		return err
	}
	if err := c.names.check(st); err != nil {
		return c.stateError(err)
	}
	if err := checkCounter(st, stepsKey); err != nil {
		return c.stateError(err)
	}
	for i := range c.slots {
		s := &c.slots[i]
		if err := checkCounter(st, s.counter); err != nil {
			return c.stateError(err)
		}
		for k, key := range s.keys {
			if err := checkVector(st, key, len(s.moments[k]), s.kinds[k].square); err != nil {
				return c.stateError(err)
			}
		}
	}
	return nil
}

func (c *core) stateError(err error) error {
	return fmt.Errorf("optim: %s: state: %w", c.name, err)
}

// stateNames are the names of the counters and vectors in a state, each there once.
type stateNames struct{ counters, vectors []string }

// check returns an error that lists what is missing in a state, and what is unknown.
func (n *stateNames) check(st *State) error {
	errs := n.missing(st)
	if errs == nil && len(st.Counters) == len(n.counters) && len(st.Vectors) == len(n.vectors) {
		return nil
	}
	errs = unknown(errs, "counter", st.Counters, n.counters)
	return errors.Join(unknown(errs, "vector", st.Vectors, n.vectors)...)
}

// missing returns an error for each name that a state lacks.
func (n *stateNames) missing(st *State) (errs []error) {
	for _, name := range n.counters {
		if _, ok := st.Counters[name]; !ok {
			errs = append(errs, fmt.Errorf("counter %q is missing", name))
		}
	}
	for _, name := range n.vectors {
		if _, ok := st.Vectors[name]; !ok {
			errs = append(errs, fmt.Errorf("vector %q is missing", name))
		}
	}
	return errs
}

// unknown adds an error for each of the names in got that is not one of want.
func unknown[V any](errs []error, kind string, got map[string]V, want []string) []error {
	known := make(map[string]bool, len(want))
	for _, name := range want {
		known[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if !known[name] {
			errs = append(errs, fmt.Errorf("%s %q is unknown", kind, name))
		}
	}
	return errs
}

// checkCounter and checkVector check what a state has.

// maxCounter is the largest counter of a state: float64 holds all numbers up to it,
// and no run reaches what is left up to the end of int64.
const maxCounter = 1 << 53

func checkCounter(st *State, key string) error {
	if n := st.Counters[key]; n < 0 || n > maxCounter {
		return fmt.Errorf("counter %q is %d: want a number from 0 to 2^53", key, n)
	}
	return nil
}

func checkVector(st *State, key string, n int, square bool) error {
	v := st.Vectors[key]
	switch {
	case len(v) != n:
		return fmt.Errorf("vector %q has %d entries: want %d", key, len(v), n)
	case !kernels.AllFinite(v):
		return fmt.Errorf("vector %q has an entry that is not finite", key)
	}
	if lo, _ := kernels.MinMax(v); square && lo < 0 {
		return fmt.Errorf("vector %q has a negative entry: want squares", key)
	}
	return nil
}

// load copies a state that has been checked.
func (c *core) load(st *State) {
	c.lr, c.steps = st.LR, st.Counters[stepsKey]
	for i := range c.slots {
		s := &c.slots[i]
		s.steps = st.Counters[s.counter]
		for k, key := range s.keys {
			copy(s.moments[k], st.Vectors[key])
		}
	}
}
