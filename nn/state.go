package nn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// A Tensor is a named array in PyTorch's layout: linear weights are [out, in],
// convolutional ones [out, in/groups, kernel rows, kernel columns].
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32 // row-major
}

// StateDict returns copies of all parameters and buffers, as PyTorch's
// state_dict has them.
func (m *Model) StateDict() []Tensor {
	var all []Tensor
	for _, e := range m.state() {
		all = append(all, Tensor{e.name, e.theirs(), e.data()})
	}
	return all
}

// LoadStateDict copies the tensors into the parameters and buffers of the same
// names. PyTorch's counter "num_batches_tracked" of a batch normalisation may be
// among them; it is not used.
//
// It fails, lists all that is wrong, and changes nothing, if a tensor is missing,
// is there twice, has another shape or length than it should, or belongs to
// nothing in the model.
func (m *Model) LoadStateDict(tensors []Tensor) error {
	if err := m.made("LoadStateDict"); err != nil {
		return err
	}
	given := make(map[string]Tensor, len(tensors))
	var all []outline
	for _, t := range tensors {
		given[t.Name] = t
		all = append(all, outline{t.Name, t.Shape, len(t.Data)})
	}
	if err := m.match(all); err != nil {
		return fmt.Errorf("nn: LoadStateDict: %w", err)
	}
	for _, e := range m.state() {
		e.load(given[e.name].Data)
	}
	return nil
}

// outline is a tensor without its numbers.
type outline struct {
	name  string
	shape []int
	size  int // how many numbers there are
}

// match returns an error that lists what keeps the tensors from being the model's
// state.
func (m *Model) match(tensors []outline) error {
	var errs []error
	given := make(map[string]outline, len(tensors))
	for _, t := range tensors {
		if _, twice := given[t.name]; twice {
			errs = append(errs, fmt.Errorf("%s is there twice", t.name))
		}
		given[t.name] = t
	}
	state := m.state()
	known := make(map[string]bool, len(state))
	for _, e := range state {
		known[e.name] = true
		t, ok := given[e.name]
		switch want := e.theirs(); {
		case !ok:
			errs = append(errs, fmt.Errorf("%s of shape %v is missing", e.name, want))
		case !slices.Equal(t.shape, want):
			errs = append(errs, fmt.Errorf("%s has shape %v: want %v", e.name, t.shape, want))
		case t.size != len(e.value):
			errs = append(errs, fmt.Errorf("%s has %d numbers: want %d, as its shape %v", e.name, t.size, len(e.value), want))
		}
	}
	for _, t := range tensors {
		if !known[t.name] && !countsBatches(t.name, known) {
			errs = append(errs, fmt.Errorf("%s is nothing in the model", t.name))
		}
	}
	return errors.Join(errs...)
}

// countsBatches reports whether name is PyTorch's counter of a batch
// normalisation, among the names of a model.
func countsBatches(name string, known map[string]bool) bool {
	layer, ok := strings.CutSuffix(name, "num_batches_tracked")
	return ok && known[layer+"running_mean"]
}

// stateEntry is a parameter or a buffer in both layouts.
type stateEntry struct {
	name        string
	shape       []int // ours
	value       []float32
	permutation []int // to theirs; nil if they are the same
}

func (m *Model) state() []stateEntry {
	var all []stateEntry
	for i, p := range m.params {
		all = append(all, stateEntry{p.Name, p.Shape, p.Value, m.permutations[i]})
	}
	for _, b := range m.buffers {
		all = append(all, stateEntry{b.Name, []int{len(b.Value)}, b.Value, nil})
	}
	return all
}

// theirs is the shape in PyTorch's layout.
func (e *stateEntry) theirs() []int {
	shape := slices.Clone(e.shape)
	for i, d := range e.permutation {
		shape[i] = e.shape[d]
	}
	return shape
}

// data returns a copy of the values in PyTorch's layout.
func (e *stateEntry) data() []float32 {
	data := make([]float32, len(e.value))
	e.each(func(theirs, ours int) { data[theirs] = e.value[ours] })
	return data
}

// writeTo writes what data returns, little-endian.
func (e *stateEntry) writeTo(w io.Writer) (err error) {
	const chunk = 16 << 10
	buf := make([]byte, 0, chunk)
	flush := func() {
		if err == nil {
			_, err = w.Write(buf)
		}
		buf = buf[:0]
	}
	e.each(func(_, ours int) {
		buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(e.value[ours]))
		if len(buf) == chunk {
			flush()
		}
	})
	flush()
	return err
}

// load copies values from PyTorch's layout.
func (e *stateEntry) load(data []float32) {
	e.each(func(theirs, ours int) { e.value[ours] = data[theirs] })
}

// each calls f for each element in their order, with its places in both layouts.
func (e *stateEntry) each(f func(theirs, ours int)) {
	if e.permutation == nil {
		for i := range e.value {
			f(i, i)
		}
		return
	}
	stride := make([]int, len(e.shape)) // ours, of each of their dimensions
	for i, d := range e.permutation {
		stride[i] = 1
		for _, n := range e.shape[d+1:] {
			stride[i] *= n
		}
	}
	shape := e.theirs()
	at := make([]int, len(shape))
	ours := 0
	for theirs := range e.value {
		f(theirs, ours)
		for d := len(at) - 1; d >= 0; d-- {
			at[d]++
			ours += stride[d]
			if at[d] < shape[d] {
				break
			}
			ours -= at[d] * stride[d]
			at[d] = 0
		}
	}
}
