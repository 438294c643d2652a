package optim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// EMA keeps an exponential moving average of a model's weights, which often
// predicts better than the weights themselves (Polyak and Juditsky 1992; Tarvainen
// and Valpola, arXiv 1703.01780). It stands beside the optimizer:
//
//	loss, err := session.TrainSoftmaxCrossEntropy(opt, x, labels)
//	err = ema.Update()
//	...
//	err = ema.CopyTo(served)            // a model of the same parameters, or
//	ema.Swap()                          // the model itself,
//	... evaluate ...
//	ema.Swap()                          // and back
//
// The first Update copies the weights, and the k-th, with a decay d, does
//
//	average = d*average + (1-d)*weight
//
// Before the first, the averages are the weights that the model had in NewEMA. Those
// of [NewEMAWarmup] forget the first weights sooner.
//
// The averages are those of parameters alone. Buffers, such as the running mean and
// variance of batch normalisation, are averages already: averaged weights are used
// with the buffers that the model has. A model with buffers has a method Buffers, as
// that of package nn.
//
// It keeps 4 bytes a weight. An EMA serves one goroutine, the one that trains; a
// checkpoint.Run of package nn/checkpoint saves and restores it with the rest of
// the run.
type EMA struct {
	decay    float64
	warmup   bool
	params   []*kron.Param
	buffers  []*kron.Buffer
	averages [][]float32
	names    stateNames // of State; vectors in the order of params
	updates  int64
	swapped  bool // the averages are in the model and the weights in averages
}

const emaName = "EMA"

// NewEMA returns averages of the model's parameters with a decay in [0, 1); usual
// ones are 0.99 to 0.9999. It fails if a weight is not finite.
func NewEMA(m Model, decayOf float64) (*EMA, error) {
	if err := checkSettings(emaName, setting{"the decay", decayOf, decay}); err != nil {
		return nil, err
	}
	params, err := checkModel(m)
	if err != nil {
		return nil, fmt.Errorf("optim: EMA: %w", err)
	}
	e := &EMA{decay: decayOf, params: params, buffers: buffersOf(m), names: stateNames{counters: []string{stepsKey}}}
	for _, p := range params {
		if err := checkWeights(p); err != nil {
			return nil, err
		}
		e.averages = append(e.averages, slices.Clone(p.Value))
		e.names.vectors = append(e.names.vectors, p.Name+"/average")
	}
	return e, nil
}

// NewEMAWarmup returns averages whose decay comes to its value from below, as with the
// num_updates of TensorFlow's ExponentialMovingAverage: the k-th Update has a decay of
//
//	min(decay, (1+k)/(10+k))
//
// which is 0.25 for the second, 0.9 for the 80th and 0.999 for the 8990th: until then
// about the last ninth of the updates counts. A state has k; like the decay, the
// warm-up is for who restores it to choose again. NewEMAWarmup fails as NewEMA does.
func NewEMAWarmup(m Model, decayOf float64) (*EMA, error) {
	e, err := NewEMA(m, decayOf)
	if err == nil {
		e.warmup = true
	}
	return e, err
}

// made returns an error if e is nil or zero.
func (e *EMA) made() error {
	if e == nil || e.params == nil {
		return errors.New("optim: EMA: it is nil or zero: want one of NewEMA")
	}
	return nil
}

// Update takes the model's weights into the averages. It fails while they are
// swapped, and if a weight is not finite; then the averages stay as they are.
func (e *EMA) Update() error {
	if err := e.made(); err != nil {
		return err
	}
	if e.swapped {
		return errors.New("optim: EMA: Update while the averages are in the model: swap back before")
	}
	for i, p := range e.params {
		if err := e.checkSize(i, p); err != nil {
			return err
		}
		if err := checkWeights(p); err != nil {
			return err
		}
	}
	// What is added complements the rounded decay: else the averages would be off by up
	// to 2^-25/(1-decay) of the weights, 3e-4 for a decay of 0.9999.
	decayOf := e.decay
	if k := float64(e.updates + 1); e.warmup {
		decayOf = min(decayOf, (1+k)/(10+k))
	}
	keep := float32(decayOf)
	if e.updates == 0 {
		keep = 0
	}
	for i, p := range e.params {
		if keep == 0 {
			kernels.Copy(e.averages[i], p.Value)
		} else {
			kernels.EMA(e.averages[i], p.Value, keep, 1-keep)
		}
	}
	e.updates++
	return nil
}

func checkWeights(p *kron.Param) error {
	if !kernels.AllFinite(p.Value) {
		return fmt.Errorf("optim: EMA: parameter %s has an entry that is not finite", p.Name)
	}
	return nil
}

// buffersOf returns the buffers of a model, if it has any.
func buffersOf(m Model) []*kron.Buffer {
	if m, ok := m.(interface{ Buffers() []*kron.Buffer }); ok {
		return m.Buffers()
	}
	return nil
}

func (e *EMA) checkSize(i int, p *kron.Param) error {
	if len(p.Value) != len(e.averages[i]) {
		return fmt.Errorf("optim: EMA: parameter %s has %d entries: want %d", p.Name, len(p.Value), len(e.averages[i]))
	}
	return nil
}

// Swap exchanges the averages and the model's weights; a second call brings both
// back. No training step or Update may come between, and to evaluate, take a
// predictor: a session's passes are those of training. The model's buffers stay.
func (e *EMA) Swap() {
	var buffer [1 << 10]float32
	for i, p := range e.params {
		a, w := e.averages[i], p.Value
		for lo := 0; lo < len(a); lo += len(buffer) {
			hi := min(lo+len(buffer), len(a))
			b := buffer[:hi-lo]
			copy(b, w[lo:hi])
			copy(w[lo:hi], a[lo:hi])
			copy(a[lo:hi], b)
		}
	}
	e.swapped = !e.swapped
}

// Swapped reports whether the averages are in the model.
func (e *EMA) Swapped() bool { return e.swapped }

// average returns the averages of a parameter, wherever they are.
func (e *EMA) average(i int) []float32 {
	if e.swapped {
		return e.params[i].Value
	}
	return e.averages[i]
}

// CopyTo copies the averages, and the buffers as the trained model has them, into
// another model, such as one that serves. Its parameters and buffers must have the
// same names and lengths; if they haven't, it fails and changes nothing.
func (e *EMA) CopyTo(m Model) error {
	if err := e.made(); err != nil {
		return err
	}
	params, err := checkModel(m)
	if err != nil {
		return fmt.Errorf("optim: EMA: CopyTo: %w", err)
	}
	if len(params) != len(e.params) {
		return fmt.Errorf("optim: EMA: CopyTo: the model has %d parameters: want %d", len(params), len(e.params))
	}
	for i, p := range params {
		if p.Name != e.params[i].Name {
			return fmt.Errorf("optim: EMA: CopyTo: parameter %d of the model is %s: want %s", i, p.Name, e.params[i].Name)
		}
		if err := e.checkSize(i, p); err != nil {
			return err
		}
	}
	buffers := buffersOf(m)
	if len(buffers) != len(e.buffers) {
		return fmt.Errorf("optim: EMA: CopyTo: the model has %d buffers: want %d", len(buffers), len(e.buffers))
	}
	for i, b := range buffers {
		if from := e.buffers[i]; b.Name != from.Name || len(b.Value) != len(from.Value) {
			return fmt.Errorf("optim: EMA: CopyTo: buffer %d of the model is %s with %d entries: want %s with %d",
				i, b.Name, len(b.Value), from.Name, len(from.Value))
		}
	}
	for i, p := range params {
		kernels.Copy(p.Value, e.average(i))
	}
	for i, b := range buffers {
		copy(b.Value, e.buffers[i].Value)
	}
	return nil
}

// State returns a copy of the averages and of the number of updates: its Rule is
// "EMA", its LR 0, its Vectors are named "<parameter>/average".
func (e *EMA) State() *State {
	st := new(State)
	e.SaveState(st)
	return st
}

// SaveState stores in st what State returns; as with an [Optimizer], a state that
// was saved before is used again, and nothing is allocated.
func (e *EMA) SaveState(st *State) {
	st.begin(emaName)
	st.Counters[stepsKey] = e.updates
	for i, key := range e.names.vectors {
		st.save(key, e.average(i))
	}
}

// Restore continues from a state, which it copies. It fails while the averages are
// swapped, and on a state of something else or of another model; then nothing has
// changed.
func (e *EMA) Restore(st *State) error {
	if err := e.made(); err != nil {
		return err
	}
	fail := func(err error) error { return fmt.Errorf("optim: EMA: state: %w", err) }
	switch {
	case e.swapped:
		return errors.New("optim: EMA: Restore while the averages are in the model: swap back before")
	case st == nil:
		return fail(errors.New("there is none"))
	case st.Rule != emaName:
		return fail(fmt.Errorf("it is of %q: want %q", st.Rule, emaName))
	}
	if err := e.names.check(st); err != nil {
		return fail(err)
	}
	if err := checkCounter(st, stepsKey); err != nil {
		return fail(err)
	}
	for i, key := range e.names.vectors {
		if err := checkVector(st, key, len(e.averages[i]), false); err != nil {
			return fail(err)
		}
	}
	for i, key := range e.names.vectors {
		copy(e.averages[i], st.Vectors[key])
	}
	e.updates = st.Counters[stepsKey]
	return nil
}
