package nn

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// PackConfig are the options of [Model.Pack].
type PackConfig struct {
	// Float16 rounds the weights of linear layers to float16: half the memory, and
	// half the time of a small batch, which is spent on reading them. Biases and all
	// other values stay float32, and so do the calculations: predictions are those of
	// a model with such weights, on every machine. Rounding changes a weight by at
	// most 1/2048 of it, those below 2^-14 by at most 2^-25; measure what that does
	// to the accuracy of a model.
	Float16 bool
}

// A PackedModel holds the values that a model had at one moment, laid out for
// predicting: the weights of linear layers lie in the order in which products read
// them. Its predictors are faster than the model's and give the same bits, unless its
// weights are float16.
//
// Any number of predictors may read it at the same time. It doesn't follow the model;
// [PackedModel.CopyFrom] makes it another version.
type PackedModel struct {
	model   *Model // without the weights that are packed
	float16 bool
}

// Pack returns the model's values, laid out for predicting.
//
// It fails if m has no layers, or a weight that shall be float16 is no finite number
// below 65520.
func (m *Model) Pack(c PackConfig) (*PackedModel, error) {
	if err := m.made("Pack"); err != nil {
		return nil, err
	}
	own, err := m.design.assemble()
	if err != nil {
		return nil, err
	}
	packed := make(map[*kron.Param]bool)
	for _, w := range own.linears {
		packed[w.param] = true
	}
	if err := own.allocate(func(p *kron.Param) bool { return !packed[p] }); err != nil {
		return nil, err
	}
	if err := own.allocateLinears(c.Float16); err != nil {
		return nil, err
	}
	p := &PackedModel{own, c.Float16}
	if err := p.copyFrom("Pack", m); err != nil {
		return nil, err
	}
	return p, nil
}

// made returns an error if p is nil or zero.
func (p *PackedModel) made(call string) error {
	if p == nil || p.model == nil {
		return fmt.Errorf("nn: %s: the packed model is nil or zero: want one of Pack", call)
	}
	return nil
}

// CopyFrom makes p the values that m has now, m being the model that it was made of, or
// one of the same layers, see [Model.CopyFrom]. No predictor may read p during the
// call. It allocates nothing where m is that model or a clone.
//
// It fails, and changes nothing, if m has other layers, or a weight that shall be
// float16 is no finite number below 65520.
func (p *PackedModel) CopyFrom(m *Model) error { return p.copyFrom("CopyFrom", m) }

func (p *PackedModel) copyFrom(call string, m *Model) error {
	if err := p.made(call); err != nil {
		return err
	}
	if err := p.model.checkLayers(call, m); err != nil {
		return err
	}
	if p.float16 {
		for _, w := range m.linears {
			if err := checkFloat16(call, w.param); err != nil {
				return err
			}
		}
	}
	for i, q := range p.model.params {
		copy(q.Value, m.params[i].Value)
	}
	for i, b := range p.model.buffers {
		copy(b.Value, m.buffers[i].Value)
	}
	for i, w := range p.model.linears {
		w.pack(m.linears[i].matrix(), p.float16)
	}
	return nil
}

// checkFloat16 returns an error unless all values of p round to finite float16
// numbers.
func checkFloat16(call string, p *kron.Param) error {
	const limit = 65520 // half way from the largest one to the next power of two
	if kernels.AllFinite(p.Value) && kernels.MaxAbs(p.Value) < limit {
		return nil
	}
	for i, v := range p.Value {
		if !(v < limit && v > -limit) {
			return fmt.Errorf("nn: %s: weight %d of %s is %v: float16 has numbers up to 65504", call, i, p.Name, v)
		}
	}
	return nil
}

// NewPredictor returns a predictor of p for batches of at most batch rows. It fails
// as [Model.NewPredictor] does.
func (p *PackedModel) NewPredictor(batch int) (*Predictor, error) {
	if err := p.made("NewPredictor"); err != nil {
		return nil, err
	}
	made, _, err := p.model.newPredictor(batch, p.float16)
	return made, err
}

// NumBytes returns the memory of all values.
func (p *PackedModel) NumBytes() int {
	if p.model == nil {
		return 0
	}
	n := 0
	for _, q := range p.model.params {
		n += 4 * len(q.Value)
	}
	for _, b := range p.model.buffers {
		n += 4 * len(b.Value)
	}
	for _, w := range p.model.linears {
		n += 4*len(w.float32s) + 2*len(w.float16s)
	}
	return n
}

// SetPacked makes the predictor read a packed model from the next call on, of the same
// layers as the model that it was made for, see [Model.CopyFrom]. It copies nothing, and
// allocates nothing where one is a clone of the other. It fails, and changes nothing,
// where the layers differ, or m has float16 weights and the predictor was made for
// float32 ones.
func (p *Predictor) SetPacked(m *PackedModel) error {
	const call = "SetPacked"
	if err := p.made(call); err != nil {
		return err
	}
	if m == nil {
		return fmt.Errorf("nn: %s: there is no model", call)
	}
	if err := p.model.checkLayers(call, m.model); err != nil {
		return err
	}
	if m.float16 && !p.float16 {
		return fmt.Errorf("nn: %s: the weights are float16: want a predictor that was made for such", call)
	}
	p.model.read(m.model)
	return nil
}

// A linearWeight is the weight of a linear layer, in one of three forms.
type linearWeight struct {
	param   *kron.Param // row-major, unless it has no values
	in, out int
	packed  kernels.PackedMatrix
	half    kernels.PackedFloat16Matrix

	float32s []float32 // memory of a packed form
	float16s []uint16
}

func (w *linearWeight) matrix() kernels.Matrix {
	return kernels.NewMatrix(w.in, w.out, w.param.Value)
}

// read makes w what another one is, without its memory.
func (w *linearWeight) read(other *linearWeight) { w.packed, w.half = other.packed, other.half }

func (w *linearWeight) pack(m kernels.Matrix, float16 bool) {
	if float16 {
		w.half = kernels.PackFloat16(w.float16s, m)
	} else {
		w.packed = kernels.Pack(w.float32s, m)
	}
}

// multiply computes c = a*w in the form g.
func (w *linearWeight) multiply(g kernels.Gemm, c, a kernels.Matrix) {
	switch {
	case w.half.Rows() > 0:
		g.MultiplyPackedFloat16(c, a, w.half)
	case w.packed.Rows() > 0:
		g.MultiplyPacked(c, a, w.packed)
	default:
		g.Multiply(c, a, w.matrix())
	}
}

// allocateLinears gives the weights of linear layers memory for a packed form.
func (m *Model) allocateLinears(float16 bool) error {
	var lengths []int
	for _, w := range m.linears {
		lengths = append(lengths, w.in*w.out)
	}
	if !float16 {
		values, err := carve[float32](lengths...)
		if err != nil {
			return fmt.Errorf("nn: the parameters need %w", err)
		}
		for i, w := range m.linears {
			w.float32s = values[i]
		}
		return nil
	}
	values, err := carve[uint16](lengths...)
	if err != nil {
		return fmt.Errorf("nn: the parameters need %w", err)
	}
	for i, w := range m.linears {
		w.float16s = values[i]
	}
	return nil
}
