package kernels

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// A Pool runs parts of large kernels on goroutines of its own, beside the
// caller's. Work is split over outputs, never inside a sum, so the number of
// workers doesn't change a bit. A Pool does one job at a time: concurrent callers
// take turns.
type Pool struct {
	workers int
	wake    []chan struct{} // one a goroutine; closed by Close
	mu      sync.Mutex      // held during a job
	busy    sync.WaitGroup  // the others that work on it
	left    atomic.Int32    // how many they are
	closed  bool
	job     job
}

// job is what the workers are doing: a function of the part, a convolution, or a
// product, symmetric or not.
type job struct {
	f       func(part int)
	parts   int
	conv    convolution // if it has lines
	c, a, b Matrix
	m, n, k int
	g       Gemm
	columns bool // the product is split by columns

	syrk     Syrk
	triangle bool // the product is symmetric
}

// maxWorkers bounds a pool: more is a mistake.
const maxWorkers = 1024

// NewPool returns a pool of the given number of workers, the caller of its
// kernels included: it starts workers-1 goroutines, which Close ends.
func NewPool(workers int) (*Pool, error) {
	if workers < 1 || workers > maxWorkers {
		return nil, fmt.Errorf("kernels: pool of %d workers: want 1 to %d", workers, maxWorkers)
	}
	p := &Pool{workers: workers, wake: make([]chan struct{}, workers-1)}
	for i := range p.wake {
		p.wake[i] = make(chan struct{}, 1)
		go p.work(p.wake[i], i+1)
	}
	return p, nil
}

// Workers returns the number of workers, 1 for a nil pool.
func (p *Pool) Workers() int {
	if p == nil {
		return 1
	}
	return p.workers
}

// Close ends the goroutines after the job in hand. A closed pool still works, on
// the caller's goroutine alone.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		for _, c := range p.wake {
			close(c)
		}
	}
}

// Run calls f(0) to f(parts-1), in any order and some at the same time, and
// returns when all have. f must neither use the pool nor panic. A nil pool calls
// them in order.
func (p *Pool) Run(parts int, f func(part int)) {
	if p == nil {
		for i := range parts {
			f(i)
		}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.job = job{f: f, parts: parts}
	p.run()
}

// run does p.job; the caller holds the lock.
func (p *Pool) run() {
	helpers := max(0, min(len(p.wake), p.job.parts-1))
	if p.closed {
		helpers = 0
	}
	p.left.Store(int32(helpers))
	p.busy.Add(helpers)
	for _, c := range p.wake[:helpers] {
		c <- struct{}{}
	}
	p.share(0, helpers+1)
	// The others are about to finish, too: look a little before going to sleep.
	for i := 0; i < 5000 && p.left.Load() > 0; i++ {
	}
	p.busy.Wait()
	p.job = job{}
}

// work is the goroutine of one worker.
func (p *Pool) work(wake chan struct{}, worker int) {
	for range wake {
		p.share(worker, min(len(p.wake), p.job.parts-1)+1)
		p.left.Add(-1)
		p.busy.Done()
	}
}

// share does the parts of one of several workers.
func (p *Pool) share(worker, workers int) {
	for part := worker; part < p.job.parts; part += workers {
		switch {
		case p.job.f != nil:
			p.job.f(part)
		case p.job.conv.lines > 0:
			p.job.conv.run(part)
		case p.job.triangle:
			p.job.multiplyTriangle(part)
		default:
			p.job.multiply(part)
		}
	}
}

// poolFlops is the size of a product from which on waking others pays.
const poolFlops = 4 << 20

// Multiply is g.Multiply, split among the workers where the product is large. With
// TransB each worker takes an equal share of Scratch, which must be at least
// GemmScratch long for it to take part. The result has the same bits.
func (p *Pool) Multiply(g Gemm, c, a, b Matrix) {
	m, n, k := g.shape(&c, &a, &b)
	parts := p.Workers()
	if g.TransB {
		parts = min(parts, len(g.Scratch)/GemmScratch)
	}
	columns := m < 32*parts
	if columns {
		parts = min(parts, (n+packCols-1)/packCols)
	}
	if parts < 2 || 2*m*n*k < poolFlops {
		g.run(&c, &a, &b, 1)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.job = job{parts: parts, c: c, a: a, b: b, m: m, n: n, k: k, g: g, columns: columns}
	p.run()
}

// multiply computes one part of a product: a range of rows, or of columns in
// multiples of a panel.
func (j *job) multiply(part int) {
	c, a, b, g := j.c, j.a, j.b, j.g
	scratch := len(g.Scratch) / j.parts
	g.Scratch = g.Scratch[part*scratch:][:scratch]
	m, n := j.m, j.n
	if j.columns {
		panels := (n + packCols - 1) / packCols
		from, to := panels*part/j.parts*packCols, min(panels*(part+1)/j.parts*packCols, n)
		n = to - from
		c.Data, c.Cols = c.Data[from:], n
		if g.TransB {
			b.Data, b.Rows = b.Data[from*b.Stride:], n
		} else {
			b.Data, b.Cols = b.Data[from:], n
		}
		if g.Bias != nil {
			g.Bias = g.Bias[from:to]
		}
	} else {
		from, to := m*part/j.parts, m*(part+1)/j.parts
		m = to - from
		c.Data, c.Rows = c.Data[from*c.Stride:], m
		if g.TransA {
			a.Data, a.Cols = a.Data[from:], m
		} else {
			a.Data, a.Rows = a.Data[from*a.Stride:], m
		}
	}
	g.multiply(&c, &a, &b, m, n, j.k, 1)
}
