package nn

import (
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// workers are those who compute in a session, and what they need for it.
type workers struct {
	pool    *kernels.Pool
	scratch []float32 // of all together

	// The job in hand, of split and of the maps. Functions are made once: one for each
	// job would be an allocation.
	job      func(from, to int, scratch []float32)
	n, parts int
	part     func(part int)
	unary    func(y, x []float32)
	binary   func(y, a, b []float32)
	y, a, b  []float32
	mapped   func(from, to int, scratch []float32)
}

// splitElements is how many elements of a job are worth waking others.
const splitElements = 1 << 15

// hire makes the workers those of a pool, with so much workspace each; nil is the
// caller alone.
func (w *workers) hire(p *kernels.Pool, scratch int) {
	*w = workers{pool: p, scratch: make([]float32, p.Workers()*scratch)}
	w.part, w.mapped = w.doPart, w.doMapped
}

func (w *workers) multiply(g kernels.Gemm, c, a, b kernels.Matrix) {
	g.Scratch = w.scratch
	w.pool.Multiply(g, c, a, b)
}

// split calls job for ranges that cover 0 to n, with a share of the workspace; at the
// same time if so many elements are worth it.
func (w *workers) split(n, elements int, job func(from, to int, scratch []float32)) {
	w.parts = 1
	if elements >= splitElements {
		w.parts = min(w.pool.Workers(), n)
	}
	if w.parts <= 1 {
		job(0, n, w.scratch)
		return
	}
	w.job, w.n = job, n
	w.pool.Run(w.parts, w.part)
}

func (w *workers) doPart(part int) {
	share := len(w.scratch) / w.parts
	w.job(w.n*part/w.parts, w.n*(part+1)/w.parts, w.scratch[part*share:][:share])
}

// mapBlock is the length of the pieces that maps are cut at: some vectors.
const mapBlock = 256

func mapBlocks(n int) int { return (n + mapBlock - 1) / mapBlock }

// map1 computes y = f(x), element by element.
func (w *workers) map1(f func(y, x []float32), y, x []float32) {
	w.unary, w.y, w.a = f, y, x
	w.split(mapBlocks(len(y)), len(y), w.mapped)
	w.unary = nil
}

// map2 computes y = f(a, b), element by element.
func (w *workers) map2(f func(y, a, b []float32), y, a, b []float32) {
	w.binary, w.y, w.a, w.b = f, y, a, b
	w.split(mapBlocks(len(y)), len(y), w.mapped)
	w.binary = nil
}

func (w *workers) doMapped(from, to int, _ []float32) {
	from, to = from*mapBlock, min(to*mapBlock, len(w.y))
	if w.unary != nil {
		w.unary(w.y[from:to], w.a[from:to])
	} else {
		w.binary(w.y[from:to], w.a[from:to], w.b[from:to])
	}
}

// sampleTrainer splits by samples the passes of a layer that treats each on its own,
// and keeps nothing of them.
type sampleTrainer struct {
	layer   trainer
	workers *workers

	forwardSome, backwardSome func(from, to int, _ []float32) // jobs
	x, y                      []float32                       // or the gradients there
	rows                      int
}

// samples returns a trainer that shares a layer's samples among the workers.
func (p *plan) samples(layer trainer) trainer {
	t := &sampleTrainer{layer: layer, workers: &p.session.workers}
	t.forwardSome, t.backwardSome = t.doForward, t.doBackward
	return t
}

func (t *sampleTrainer) forward(y, x []float32, rows int) {
	t.x, t.y, t.rows = x, y, rows
	t.workers.split(rows, len(x), t.forwardSome)
}

func (t *sampleTrainer) backward(dx, dy, _, _ []float32, rows int, _ kron.Collect) error {
	if dx != nil {
		t.x, t.y, t.rows = dx, dy, rows
		t.workers.split(rows, len(dx), t.backwardSome)
	}
	return nil
}

// some returns what belongs to some samples.
func (t *sampleTrainer) some(from, to int) (x, y []float32) {
	in, out := len(t.x)/t.rows, len(t.y)/t.rows
	return t.x[from*in : to*in], t.y[from*out : to*out]
}

func (t *sampleTrainer) doForward(from, to int, _ []float32) {
	x, y := t.some(from, to)
	t.layer.forward(y, x, to-from)
}

func (t *sampleTrainer) doBackward(from, to int, _ []float32) {
	dx, dy := t.some(from, to)
	t.layer.backward(dx, dy, nil, nil, to-from, kron.CollectNone) // which never fails
}
