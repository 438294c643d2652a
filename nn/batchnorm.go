package nn

import (
	"fmt"
	"math"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// BatchNorm describes batch normalisation of each feature, with a scale and a
// shift (arXiv 1502.03167). In training, mean and variance are those over all
// positions of the batch; a predictor takes running averages of them, the
// buffers "running_mean" and "running_var", which each training pass moves by a
// tenth towards its own; of the variance it is the unbiased one.
//
//	y = (x-mean) / sqrt(variance+1e-5) * weight + bias
//
// A batch must have two positions at least: one number has no variance. So a model
// with a BatchNorm of plain features trains on two rows or more; see
// [Model.MinBatch], and [Batches.DropLast] for what is left of an epoch.
//
// On images it has Kronecker factors; on other shapes it has none, as in the
// authors' code.
func BatchNorm() Layer { return BatchNormWith(normEpsilon, 0.1) }

// BatchNormWith describes [BatchNorm] with another epsilon, from 1.2e-38 to 3.4e38, in
// place of 1e-5, and another momentum, in [0, 1], in place of a tenth.
func BatchNormWith(epsilon, momentum float64) Layer { return batchNorm{epsilon, momentum} }

type batchNorm struct{ epsilon, momentum float64 }

func (batchNorm) kind() string { return "BatchNorm" }

func (l batchNorm) build(b *builder, in Shape) (module, Shape, error) {
	if err := checkEpsilon(l.epsilon); err != nil {
		return nil, nil, err
	}
	if !(l.momentum >= 0 && l.momentum <= 1) {
		return nil, nil, fmt.Errorf("momentum %v: want a number in [0, 1]", l.momentum)
	}
	n := in.Features()
	m := &batchNormModule{
		weight:    b.param("weight", constant(1), nil, n),
		bias:      b.param("bias", constant(0), nil, n),
		mean:      b.buffer("running_mean", 0, n),
		variance:  b.buffer("running_var", 1, n),
		positions: in.Positions(),
		epsilon:   float32(l.epsilon),
		keep:      float32(1 - l.momentum),
		add:       float32(l.momentum),
	}
	if len(in) == 3 {
		m.layer = b.factored(m.weight, m.bias)
	}
	if m.positions == 1 {
		b.trainsOnPairs(l.kind())
	}
	return m, in, nil
}

type batchNormModule struct {
	weight, bias   *kron.Param
	mean, variance *kron.Buffer
	layer          *kron.Layer // nil if unfactored
	positions      int         // of a sample
	epsilon        float32
	keep, add      float32 // of the running averages
	relu           bool    // a rectifier follows, in the same pass
}

// affine stores scale and shift that normalise with the given moments, and
// 1/sqrt(variance+epsilon) in rstd.
//
//	scale = weight*rstd, shift = bias - mean*scale
func (m *batchNormModule) affine(scale, shift, rstd, mean, variance []float32) {
	for j, v := range variance {
		rstd[j] = 1 / float32(math.Sqrt(float64(v+m.epsilon)))
		scale[j] = float32(m.weight.Value[j] * rstd[j])
		shift[j] = m.bias.Value[j] - float32(mean[j]*scale[j])
	}
}

func (m *batchNormModule) forwarder(p *plan) forwarder {
	f := &batchNormForwarder{batchNormModule: m}
	for _, place := range []*[]float32{&f.scale, &f.shift, &f.rstd} {
		p.scratch(place, len(m.mean.Value))
	}
	return f
}

type batchNormForwarder struct {
	*batchNormModule
	scale, shift, rstd []float32
}

func (f *batchNormForwarder) forward(y, x []float32, _ int) {
	f.affine(f.scale, f.shift, f.rstd, f.mean.Value, f.variance.Value)
	f.apply(y, x, f.scale, f.shift)
}

// apply stores the outputs.
func (m *batchNormModule) apply(y, x, scale, shift []float32) {
	if m.relu {
		kernels.ColAffineReLU(y, x, scale, shift)
	} else {
		kernels.ColAffine(y, x, scale, shift)
	}
}

// fuse returns the passes with a rectifier after them, whose input is then no output
// of its own.
func (m *batchNormModule) fuse(next module) (passes, bool) {
	if next != module(relu) || m.relu {
		return nil, false
	}
	both := *m
	both.relu = true
	return &both, true
}

func (m *batchNormModule) ignoresOutput() bool { return !m.relu }

func (m *batchNormModule) trainer(p *plan) trainer {
	t := &batchNormTrainer{batchNormModule: m, workers: &p.session.workers}
	t.normalize = t.normalizeSome
	n := len(m.mean.Value)
	for _, place := range []*[]float32{&t.batchMean, &t.batchVariance, &t.rstd, &t.scale, &t.shift, &t.nextMean, &t.nextVariance} {
		p.keep(place, n)
	}
	p.gradient(&t.dgamma, m.weight)
	p.gradient(&t.dbeta, m.bias)
	p.factors(&t.h, &t.s, m.layer)
	if m.relu {
		p.scratch(&t.rectified, product(blockRows, n))
		p.scratch(&t.sums, n)
	}
	return t
}

type batchNormTrainer struct {
	*batchNormModule
	batchMean, batchVariance, rstd []float32 // of the last forward
	scale, shift                   []float32 // that it applied
	nextMean, nextVariance         []float32 // staged running averages
	dgamma, dbeta                  []float32
	h, s                           []float32
	rectified, sums                []float32 // of sumSquares, if a rectifier follows

	workers   *workers
	normalize func(from, to int, _ []float32) // rows from x to y
	x, y      []float32
}

func (t *batchNormTrainer) forward(y, x []float32, rows int) {
	t.workers.pool.ColMeanVariance(t.batchMean, t.batchVariance, x)
	t.affine(t.scale, t.shift, t.rstd, t.batchMean, t.batchVariance)
	t.x, t.y = x, y
	t.workers.split(rows*t.positions, len(x), t.normalize)
}

func (t *batchNormTrainer) normalizeSome(from, to int, _ []float32) {
	n := len(t.scale)
	t.apply(t.y[from*n:to*n], t.x[from*n:to*n], t.scale, t.shift)
}

func (t *batchNormTrainer) backward(dx, dy, x, y []float32, rows int, collect kron.Collect) error {
	if t.relu {
		t.workers.pool.BatchNormReLUBackward(dx, t.dgamma, t.dbeta, dy, x, t.batchMean, t.rstd, t.weight.Value, t.scale, t.shift)
	} else {
		t.workers.pool.BatchNormBackward(dx, t.dgamma, t.dbeta, dy, x, t.batchMean, t.rstd, t.weight.Value)
	}
	switch {
	case t.h == nil:
	case collect == kron.CollectMoments:
		t.sumSquares(dy, y)
		return kron.NormMoments(t.h, t.s, len(dy)/len(t.s))
	case collect == kron.CollectFactors:
		return kron.BatchNormFactors(t.h, t.s, x, t.dbeta, rows)
	}
	return nil
}

// blockRows is the number of rows in a block, whose sums the sums of columns in package
// kernels add up one after another.
const blockRows = 256

func rowBlocks(rows int) int { return (rows + blockRows - 1) / blockRows }

// sumSquares stores the sums of the squares of the gradients at the normalisation's
// outputs, whether or not a rectifier follows.
func (t *batchNormTrainer) sumSquares(dy, y []float32) {
	if !t.relu {
		kernels.ColSumSquares(t.s, dy)
		return
	}
	clear(t.s)
	for block := blockRows * len(t.s); len(dy) > 0; dy, y = dy[block:], y[block:] {
		block = min(block, len(dy))
		kernels.ReLUBackward(t.rectified[:block], dy[:block], y[:block])
		kernels.ColSumSquares(t.sums, t.rectified[:block])
		kernels.Add(t.s, t.s, t.sums)
	}
}

// stage computes the running averages after the last forward, which had two
// positions at least.
func (t *batchNormTrainer) stage(rows int) bool {
	n := float64(rows * t.positions)
	unbiased := float32(float64(t.add) * (n / (n - 1)))
	kernels.Copy(t.nextMean, t.mean.Value)
	kernels.EMA(t.nextMean, t.batchMean, t.keep, t.add)
	kernels.Copy(t.nextVariance, t.variance.Value)
	kernels.EMA(t.nextVariance, t.batchVariance, t.keep, unbiased)
	return kernels.AllFinite(t.nextMean) && kernels.AllFinite(t.nextVariance)
}

func (t *batchNormTrainer) commit() {
	kernels.Copy(t.mean.Value, t.nextMean)
	kernels.Copy(t.variance.Value, t.nextVariance)
}
