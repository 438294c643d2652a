package nn

import (
	"fmt"
	"math"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// normEpsilon is what normalisations add to a variance, PyTorch's default.
const normEpsilon = 1e-5

// LayerNorm describes layer normalisation of the features of each position, with
// a scale and a shift for each feature (arXiv 1607.06450):
//
//	y = (x-mean) / sqrt(variance+1e-5) * weight + bias
func LayerNorm() Layer { return LayerNormWith(normEpsilon) }

// LayerNormWith describes [LayerNorm] with another epsilon, from 1.2e-38 to 3.4e38, in
// place of 1e-5.
func LayerNormWith(epsilon float64) Layer { return layerNorm{epsilon} }

type layerNorm struct{ epsilon float64 }

func (layerNorm) kind() string { return "LayerNorm" }

func (l layerNorm) build(b *builder, in Shape) (module, Shape, error) {
	if err := checkEpsilon(l.epsilon); err != nil {
		return nil, nil, err
	}
	n := in.Features()
	weight, bias := b.param("weight", constant(1), nil, n), b.param("bias", constant(0), nil, n)
	return &layerNormModule{b.factored(weight, bias), in, float32(l.epsilon)}, in, nil
}

func checkEpsilon(epsilon float64) error {
	if !(epsilon >= 0x1p-126 && epsilon <= math.MaxFloat32) {
		return fmt.Errorf("epsilon %v: want a number from 1.2e-38 to 3.4e38", epsilon)
	}
	return nil
}

type layerNormModule struct {
	*kron.Layer
	shape   Shape
	epsilon float32
}

func (m *layerNormModule) forwarder(p *plan) forwarder {
	f := &layerNormForwarder{layerNormModule: m}
	p.scratchRows(&f.mean, m.shape.Positions())
	p.scratchRows(&f.rstd, m.shape.Positions())
	return f
}

type layerNormForwarder struct {
	*layerNormModule
	mean, rstd []float32 // of each position
}

func (f *layerNormForwarder) forward(y, x []float32, rows int) {
	n := rows * f.shape.Positions()
	kernels.LayerNorm(y, f.mean[:n], f.rstd[:n], x, f.Weight.Value, f.Bias.Value, f.epsilon)
}

func (m *layerNormModule) ignoresOutput() bool { return true }

func (m *layerNormModule) trainer(p *plan) trainer {
	t := &layerNormTrainer{layerNormForwarder: layerNormForwarder{layerNormModule: m}, workers: &p.session.workers}
	t.normalize, t.differentiate = t.normalizeSome, t.differentiateSome
	p.keepRows(&t.mean, m.shape.Positions())
	p.keepRows(&t.rstd, m.shape.Positions())
	p.scratchRows(&t.unused, m.shape.Size())
	p.scratch(&t.sums, product(2*m.shape.Features(), rowBlocks(product(p.batch, m.shape.Positions()))))
	p.gradient(&t.dgamma, m.Weight)
	p.gradient(&t.dbeta, m.Bias)
	p.factors(&t.h, &t.s, m.Layer)
	return t
}

type layerNormTrainer struct {
	layerNormForwarder
	dgamma, dbeta []float32
	h, s          []float32
	unused        []float32 // the gradient at x where nobody asks for it

	workers   *workers
	normalize func(from, to int, _ []float32) // positions from x to y
	x, y      []float32

	differentiate func(from, to int, _ []float32) // blocks of positions
	dx, dy        []float32
	sums          []float32 // of each block, for gamma and beta
}

func (t *layerNormTrainer) forward(y, x []float32, rows int) {
	t.x, t.y = x, y
	t.workers.split(rows*t.shape.Positions(), len(x), t.normalize)
}

func (t *layerNormTrainer) normalizeSome(from, to int, _ []float32) {
	n := t.shape.Features()
	kernels.LayerNorm(t.y[from*n:to*n], t.mean[from:to], t.rstd[from:to], t.x[from*n:to*n], t.Weight.Value, t.Bias.Value, t.epsilon)
}

func (t *layerNormTrainer) backward(dx, dy, x, _ []float32, rows int, collect kron.Collect) error {
	if dx == nil {
		dx = t.unused[:len(x)]
	}
	n := rows * t.shape.Positions()
	t.x, t.dx, t.dy = x, dx, dy
	blocks := rowBlocks(n)
	t.workers.split(blocks, len(x), t.differentiate)
	for b := range blocks {
		dgamma, dbeta := t.blockSums(b)
		if b == 0 {
			copy(t.dgamma, dgamma)
			copy(t.dbeta, dbeta)
			continue
		}
		kernels.Add(t.dgamma, t.dgamma, dgamma)
		kernels.Add(t.dbeta, t.dbeta, dbeta)
	}
	switch {
	case t.h == nil:
	case collect == kron.CollectMoments:
		kernels.ColSumSquares(t.s, dy)
		return kron.NormMoments(t.h, t.s, n)
	case collect == kron.CollectFactors:
		return kron.LayerNormFactors(t.h, t.s, x, t.dbeta, rows, t.shape[0])
	}
	return nil
}

// blockSums is the place of one block's part of the gradients at gamma and beta.
func (t *layerNormTrainer) blockSums(b int) (dgamma, dbeta []float32) {
	n := t.shape.Features()
	sums := t.sums[2*n*b:][:2*n]
	return sums[:n], sums[n:]
}

// differentiateSome has the bits of one call on all blocks.
func (t *layerNormTrainer) differentiateSome(from, to int, _ []float32) {
	n, positions := t.shape.Features(), len(t.x)/t.shape.Features()
	for b := from; b < to; b++ {
		lo, hi := b*blockRows, min((b+1)*blockRows, positions)
		dgamma, dbeta := t.blockSums(b)
		kernels.LayerNormBackward(t.dx[lo*n:hi*n], dgamma, dbeta, t.dy[lo*n:hi*n], t.x[lo*n:hi*n], t.mean[lo:hi], t.rstd[lo:hi], t.Weight.Value)
	}
}
