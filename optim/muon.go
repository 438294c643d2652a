package optim

import (
	"fmt"
	"math"
	"slices"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// MuonConfig is the configuration of [Muon].
type MuonConfig struct {
	LR          float64 // learning rate, of matrices and of the rest; 0 or more
	WeightDecay float64 // decoupled, of matrices and of the rest; in [0, 100]
	Momentum    float64 // decay of the momentum of matrices, in [0, 1)
	Nesterov    bool    // look ahead along the momentum
	Iterations  int     // of the orthogonalisation, 1 or more

	// AdamW lists matrices that AdamW moves all the same. The authors advise it for
	// embeddings and for the output layer: see [NotHidden].
	AdamW []*kron.Param

	Beta1, Beta2 float64 // decays of AdamW's moments, in [0, 1)
	Epsilon      float64 // of AdamW, above 0
	Options
}

// MuonDefaults returns a learning rate of 1e-3, a weight decay of 0.1, a momentum
// of 0.95 with Nesterov and 5 iterations, as torch.optim.Muon has them, and AdamW
// with betas 0.9 and 0.95 and epsilon 1e-8, as in arXiv 2502.16982.
func MuonDefaults() MuonConfig {
	return MuonConfig{
		LR:          1e-3,
		WeightDecay: 0.1,
		Momentum:    0.95,
		Nesterov:    true,
		Iterations:  5,
		Beta1:       0.9,
		Beta2:       0.95,
		Epsilon:     1e-8,
	}
}

// NotHidden returns the matrices that are no weight of a hidden layer: those of
// embeddings and positions, and that of the output, which is taken to be the last
// of the model's layers.
//
//	config := optim.MuonDefaults()
//	config.AdamW = optim.NotHidden(model)
func NotHidden(m Model) []*kron.Param {
	if isNil(m) {
		return nil
	}
	hidden := make(map[*kron.Param]bool)
	layers := m.Layers()
	for i, l := range layers {
		if l != nil {
			hidden[l.Weight] = !l.Extension && i < len(layers)-1
		}
	}
	var others []*kron.Param
	for _, p := range m.Params() {
		if p != nil && len(p.Shape) > 1 && !hidden[p] {
			others = append(others, p)
		}
	}
	return others
}

// Muon is Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural
// networks"), with weight decay and the scale of updates of Liu et al. (arXiv
// 2502.16982). It moves parameters of two or more dimensions, taken as matrices
// whose columns are the last one, [in, out]; AdamW moves the others and those that
// the configuration names. With a gradient g of a matrix:
//
//	m = Momentum*m + (1-Momentum)*g
//	u = Momentum*m + (1-Momentum)*g          or u = m without Nesterov
//	w = w - LR*(0.2*sqrt(max(in, out)) * orthogonal(u) + WeightDecay*w)
//
// The factor gives an update the size that AdamW's usually has, so that one
// learning rate serves all parameters. orthogonal(u) brings the singular values
// of u close to 1, between about 0.7 and 1.2, without computing them: Iterations
// of
//
//	x = 3.4445*x - 4.7750*(x*x')*x + 2.0315*(x*x')^2*x
//
// from u over its Frobenius norm, a Newton-Schulz iteration. Each costs 2 to 3 times
// min(in, out) multiply-adds a weight, where a training step costs 3 for each row of
// the batch.
//
// It keeps m, 4 bytes a weight of matrices, and 8 a weight of the others; beside
// them two copies of the largest matrix and two squares of its smaller side.
type Muon struct {
	core
	config MuonConfig
	adamW  AdamConfig

	x, y         []float32 // the iterate and the next one, as long as the largest matrix
	gram, square []float32
	scratch      []float32
}

// NewMuon returns an optimizer for the model's parameters.
func NewMuon(m Model, c MuonConfig) (*Muon, error) {
	const name = "Muon"
	o := &Muon{config: c, adamW: AdamConfig{Beta1: c.Beta1, Beta2: c.Beta2, Epsilon: c.Epsilon, WeightDecay: c.WeightDecay}}
	if err := checkAdam(name, o.adamW); err != nil {
		return nil, err
	}
	if err := checkSettings(name, setting{"Momentum", c.Momentum, decay}); err != nil {
		return nil, err
	}
	if err := checkPositive(name, "Iterations", c.Iterations); err != nil {
		return nil, err
	}
	err := o.init(m, o, name, settings{c.LR, maxRate(maxSquared, 1/(1-c.Beta1)/c.Epsilon), c.WeightDecay, maxSquared, c.Options})
	if err != nil {
		return nil, err
	}
	for i, p := range c.AdamW {
		switch {
		case o.index[p] == nil:
			return nil, o.wrap(fmt.Errorf("AdamW: parameter %d is not one of the model", i))
		case slices.Contains(c.AdamW[:i], p):
			return nil, o.wrap(fmt.Errorf("AdamW: parameter %s is there twice", p.Name))
		}
	}
	size, side := 0, 0
	for i := range o.slots {
		s := &o.slots[i]
		if len(s.param.Shape) < 2 || slices.Contains(c.AdamW, s.param) {
			o.keepFor(s, firstMoment, secondMoment)
			continue
		}
		if last := s.param.Shape[len(s.param.Shape)-1]; last < 1 || s.size%last != 0 {
			return nil, o.wrap(fmt.Errorf("parameter %s has %d entries and shape %v", s.param.Name, s.size, s.param.Shape))
		}
		o.keepFor(s, moment{name: "momentum"})
		s.whole = true
		rows, cols := s.matrix()
		size, side = max(size, s.size), max(side, min(rows, cols))
	}
	o.x, o.y = make([]float32, size), make([]float32, size)
	o.gram, o.square = make([]float32, side*side), make([]float32, side*side)
	o.SetPool(nil)
	return o, nil
}

// matrix is the shape of a parameter of two or more dimensions as a matrix.
func (s *slot) matrix() (rows, cols int) {
	cols = s.param.Shape[len(s.param.Shape)-1]
	return s.size / cols, cols
}

// SetMomentum changes Momentum from the next step on, for a [Schedule] of it. It
// fails where the configuration would.
func (o *Muon) SetMomentum(momentum float64) error {
	return o.setMomentum(&o.config.Momentum, "Momentum", momentum, o.maxLR)
}

// SetPool makes steps on large models share their work among the workers of a
// pool, which its owner closes; nil, as at first, keeps it in the caller's
// goroutine. Results don't depend on it. It allocates, and must not be called
// during a step.
func (o *Muon) SetPool(p *kernels.Pool) {
	o.core.SetPool(p)
	o.scratch = make([]float32, p.Workers()*kernels.GemmScratchLarge)
}

func (o *Muon) update(s *slot, lo, hi int) {
	if !s.whole {
		o.adam(s, lo, hi, &o.adamW, true)
		return
	}
	w, m, u := s.param.Value, s.moments[0], o.x[:s.size]
	keep, add := float32(o.config.Momentum), float32(1-o.config.Momentum)
	kernels.EMA(m, s.grad, keep, add)
	if o.config.Nesterov {
		kernels.ScaleAdd(u, m, s.grad, keep, add)
	} else {
		kernels.Copy(u, m)
	}
	_, keep = o.split(s, o.config.WeightDecay, true)
	norm := kernels.L2Norm(u)
	if norm < 0x1p-100 { // too small to be scaled
		kernels.Scale(w, w, keep)
		return
	}
	kernels.Scale(u, u, 1/norm)
	rows, cols := s.matrix()
	step := float32(o.rate(s) * 0.2 * math.Sqrt(float64(max(rows, cols))))
	kernels.ScaleAdd(w, o.orthogonal(u, rows, cols), w, -step, keep)
}

// orthogonal iterates from x, which is o.x, and returns the result, in o.x or o.y.
func (o *Muon) orthogonal(x []float32, rows, cols int) []float32 {
	const a, b, c = 3.4445, -4.7750, 2.0315
	y := o.y[:len(x)]
	side := min(rows, cols)
	gram, square := kernels.NewMatrix(side, side, o.gram), kernels.NewMatrix(side, side, o.square)
	gram.Data, square.Data = gram.Data[:side*side], square.Data[:side*side]
	product := kernels.Gemm{Scratch: o.scratch}
	for range o.config.Iterations {
		from, to := kernels.NewMatrix(rows, cols, x), kernels.NewMatrix(rows, cols, y)
		form := product
		form.TransA, form.TransB = rows >= cols, rows < cols
		o.pool.Multiply(form, gram, from, from)
		o.pool.Multiply(product, square, gram, gram)
		kernels.ScaleAdd(gram.Data, gram.Data, square.Data, b, c)
		for i := range side {
			gram.Data[i*side+i] += a
		}
		if rows >= cols {
			o.pool.Multiply(product, to, from, gram)
		} else {
			o.pool.Multiply(product, to, gram, from)
		}
		x, y = y, x
	}
	return x
}
