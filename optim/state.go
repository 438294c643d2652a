package optim

import (
	"errors"
	"fmt"

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
	if err := c.checkState(st, 0, 0); err != nil {
		return err
	}
	c.load(st)
	return nil
}

// checkState returns an error unless st belongs to this rule and model; there are so
// many vectors in it beside the moments, and counters beside those of steps.
func (c *core) checkState(st *State, vectors, counters int) error {
	if st == nil {
		return c.stateError(errors.New("there is none"))
	}
	if st.Rule != c.stateRule {
		return c.stateError(fmt.Errorf("it is of %q: want %q", st.Rule, c.stateRule))
	}
	if err := c.checkLR(st.LR, c.maxLR); err != nil {
		return err
	}
	if got, want := len(st.Counters), 1+len(c.slots)+counters; got != want {
		return c.stateError(fmt.Errorf("it has %d counters: want %d", got, want))
	}
	want := vectors
	for i := range c.slots {
		want += len(c.slots[i].moments)
	}
	if got := len(st.Vectors); got != want {
		return c.stateError(fmt.Errorf("it has %d vectors: want %d", got, want))
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

func checkCounter(st *State, key string) error {
	n, ok := st.Counters[key]
	switch {
	case !ok:
		return fmt.Errorf("counter %q is missing", key)
	case n < 0:
		return fmt.Errorf("counter %q is %d: want 0 or more", key, n)
	}
	return nil
}

func checkVector(st *State, key string, n int, square bool) error {
	v, ok := st.Vectors[key]
	switch {
	case !ok:
		return fmt.Errorf("vector %q is missing", key)
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
