package nn

import "github.com/adafisher-go/adafisher/kernels"

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

// map1 computes y = f(x), element by element.
func (w *workers) map1(f func(y, x []float32), y, x []float32) {
	w.unary, w.y, w.a = f, y, x
	w.split((len(y)+mapBlock-1)/mapBlock, len(y), w.mapped)
	w.unary = nil
}

// map2 computes y = f(a, b), element by element.
func (w *workers) map2(f func(y, a, b []float32), y, a, b []float32) {
	w.binary, w.y, w.a, w.b = f, y, a, b
	w.split((len(y)+mapBlock-1)/mapBlock, len(y), w.mapped)
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
