package kernels

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Pool runs parts of large kernels on goroutines of its own, beside the
// caller's. Work is split over outputs, never inside a sum, so the number of
// workers doesn't change a bit. A Pool does one job at a time: concurrent callers
// take turns.
//
// A worker looks out for the next job for some time before it goes to sleep, so that
// the many short jobs of a training step find it awake; between steps that are
// further apart it sleeps. A worker that comes too late is not waited for: what nobody
// has begun the caller does itself.
//
// A nil pool and the zero value are a pool of one worker, the caller.
type Pool struct {
	workers []*worker  // the first is the caller
	mu      sync.Mutex // held during a job
	busy    sync.WaitGroup
	left    atomic.Int32 // workers beside the caller that are busy
	closed  bool

	// The job, and the places of what it works on.
	task    task
	team    []*worker // who does it
	product productTask
	syrk    syrkTask
	conv    convolution
	norm    batchNorm
	moments colMoments
	colSum  colSum
	ranges  rangesTask
}

// A task is a job in parts that don't depend on each other.
type task interface {
	// run does one part, by the worker of that number.
	run(part, worker int)
}

// tasks are parts of any kind.
type tasks func(part int)

func (f tasks) run(part, _ int) { f(part) }

// A worker does its own parts of a job, then what others have left of theirs.
type worker struct {
	next  atomic.Int64 // of its own parts
	end   int64
	state atomic.Uint32
	wake  chan struct{} // ends its sleep
	_     [64]byte      // the next worker is in another line of the cache
}

// States of a worker.
const (
	awake  = iota // it looks at its state
	asleep        // it waits to be woken
	called        // there is a job for it
	ended         // there will be none
)

// maxWorkers bounds a pool: more is a mistake.
const maxWorkers = 1024

// NewPool returns a pool of the given number of workers, the caller of its
// kernels included: it starts workers-1 goroutines, which Close ends.
func NewPool(workers int) (*Pool, error) {
	if workers < 1 || workers > maxWorkers {
		return nil, fmt.Errorf("kernels: pool of %d workers: want 1 to %d", workers, maxWorkers)
	}
	p := &Pool{}
	for i := range workers {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		if i > 0 {
			go p.work(w, i)
		}
	}
	return p, nil
}

// Workers returns the number of workers, the caller included.
func (p *Pool) Workers() int {
	if p == nil {
		return 1
	}
	return max(1, len(p.workers))
}

// Close ends the goroutines after the job in hand. A closed pool still works, on
// the caller's goroutine alone.
func (p *Pool) Close() {
	if p.Workers() == 1 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		for _, w := range p.workers[1:] {
			w.tell(ended)
		}
	}
}

// tell sets the state of a worker, and wakes it.
func (w *worker) tell(state uint32) {
	if w.state.Swap(state) == asleep {
		w.wake <- struct{}{}
	}
}

// wait returns true when a worker has taken on a job, and false when there will be none.
func (w *worker) wait() bool {
	for {
		spin(func() bool { return w.state.Load() != awake })
		if w.state.CompareAndSwap(awake, asleep) {
			<-w.wake
		}
		if w.state.CompareAndSwap(called, awake) {
			return true
		}
		if w.state.Load() == ended {
			return false
		} // else it was called back
	}
}

// Run calls f(0) to f(parts-1), in any order and some at the same time, and
// returns when all have. f must neither use the pool nor panic. One worker calls
// them in order.
func (p *Pool) Run(parts int, f func(part int)) {
	if p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	if p.Workers() == 1 {
		for i := range parts {
			f(i)
		}
		return
	}
	p.do(len(p.workers), parts, tasks(f))
}

// do runs the parts of a task with at most so many workers; the caller holds the lock.
func (p *Pool) do(workers, parts int, t task) {
	p.task, p.team = t, p.workers[:max(1, min(workers, parts))]
	if p.closed {
		p.team = p.workers[:1]
	}
	for i, w := range p.team {
		w.next.Store(int64(parts) * int64(i) / int64(len(p.team)))
		w.end = int64(parts) * int64(i+1) / int64(len(p.team))
	}
	others := p.team[1:]
	p.left.Store(int32(len(others)))
	p.busy.Add(len(others))
	for _, w := range others {
		w.tell(called)
	}
	p.share(0)
	for _, w := range others {
		if w.state.CompareAndSwap(called, awake) { // called back
			p.left.Add(-1)
			p.busy.Done()
		}
	}
	// The others are about to finish, too.
	spin(func() bool { return p.left.Load() == 0 })
	p.busy.Wait()
	p.task = nil
}

// work is the goroutine of a worker.
func (p *Pool) work(w *worker, i int) {
	for w.wait() {
		p.share(i)
		p.left.Add(-1)
		p.busy.Done()
	}
}

// share does the parts of one worker, then those that the others have not begun.
func (p *Pool) share(worker int) {
	for i := range p.team {
		of := p.team[(worker+i)%len(p.team)]
		for part := of.next.Add(1) - 1; part < of.end; part = of.next.Add(1) - 1 {
			p.task.run(int(part), worker)
		}
	}
}

// spin waits for something that is soon, for about spinTime at most. It makes room
// for other goroutines now and then.
func spin(done func() bool) {
	const looks = 200 // less than a microsecond
	for start, now := time.Now(), time.Duration(0); now < spinTime; now = time.Since(start) {
		for range looks {
			if done() {
				return
			}
		}
		runtime.Gosched()
	}
}

// spinTime is a few times what wakes a goroutine that sleeps.
const spinTime = 100 * time.Microsecond

// What pays to wake others for. Tests lower it.
var (
	poolFlops    = 1 << 20 // of a product
	poolElements = 1 << 15 // of matrices
	leastRows    = 16      // of a product, for each worker
)

// workerParts is how many parts a worker has of kernels on rows, so that one which is
// held up can leave some to the others.
const workerParts = 2

// productTask is a product, split by rows or by columns.
type productTask struct {
	c, a, b Matrix
	packed  PackedMatrix // in place of b, if it is none without elements
	m, n, k int
	g       Gemm
	parts   int
	columns bool
	workers int
}

// Multiply is g.Multiply, split among the workers where the product is large. Each
// worker takes an equal share of Scratch: large products are fastest if that is
// GemmScratchLarge. With TransB it must be at least GemmScratch long for a worker to take
// part. The result has the same bits.
func (p *Pool) Multiply(g Gemm, c, a, b Matrix) {
	m, n, k := g.shape(&c, &a, &b)
	t := productTask{c: c, a: a, b: b, m: m, n: n, k: k, g: g, workers: p.Workers()}
	if g.TransB {
		t.workers = min(t.workers, len(g.Scratch)/GemmScratch)
	}
	if t.split(); t.parts < 2 || t.workers < 2 || 2*m*n*k < poolFlops {
		g.run(&c, &a, &b, 1)
		return
	}
	p.multiply(&t)
}

// MultiplyPacked is g.MultiplyPacked, split among the workers where the product is
// large. The result has the same bits.
func (p *Pool) MultiplyPacked(g Gemm, c, a Matrix, b PackedMatrix) {
	g.plain(&c, &a, b.Rows(), b.Cols())
	g.Scratch = nil
	t := productTask{c: c, a: a, packed: b, m: c.Rows, n: c.Cols, k: a.Cols, g: g, workers: p.Workers()}
	if t.split(); t.parts < 2 || 2*t.m*t.n*t.k < poolFlops {
		g.MultiplyPacked(c, a, b)
		return
	}
	p.multiply(&t)
}

// multiply does a product in parts.
func (p *Pool) multiply(t *productTask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.product = *t
	p.do(t.workers, t.parts, &p.product)
	p.product = productTask{}
}

// split chooses the parts, one for each worker: of the longer side, so that what all of
// them read is the smaller operand.
func (t *productTask) split() {
	if t.columns = t.n > t.m; t.columns {
		t.parts = min(t.workers, (t.n+packCols-1)/packCols)
	} else {
		t.parts = min(t.workers, t.m/leastRows)
	}
}

// run computes a range of rows, or of columns in multiples of a panel.
func (t *productTask) run(part, worker int) {
	c, a, b, packed, g := t.c, t.a, t.b, t.packed, t.g
	scratch := len(g.Scratch) / t.workers
	g.Scratch = g.Scratch[worker*scratch:][:scratch]
	m, n := t.m, t.n
	if t.columns {
		panels := (n + packCols - 1) / packCols
		from, to := panels*part/t.parts*packCols, min(panels*(part+1)/t.parts*packCols, n)
		n = to - from
		c.Data, c.Cols = c.Data[from:], n
		switch {
		case packed.Rows() > 0:
			packed = packed.columns(from, to)
		case g.TransB:
			b.Data, b.Rows = b.Data[from*b.Stride:], n
		default:
			b.Data, b.Cols = b.Data[from:], n
		}
		if g.Bias != nil {
			g.Bias = g.Bias[from:to]
		}
	} else {
		from, to := m*part/t.parts, m*(part+1)/t.parts
		m = to - from
		c.Data, c.Rows = c.Data[from*c.Stride:], m
		if g.TransA {
			a.Data, a.Cols = a.Data[from:], m
		} else {
			a.Data, a.Rows = a.Data[from*a.Stride:], m
		}
	}
	if packed.Rows() > 0 {
		g.MultiplyPacked(c, a, packed)
		return
	}
	g.multiply(&c, &a, &b, m, n, t.k, 1)
}

// worth reports whether a kernel on so many elements is to be split.
func (p *Pool) worth(elements int) bool { return p.Workers() > 1 && elements >= poolElements }

// byColumns is a kernel that sums the columns of a matrix.
type byColumns interface{ sums(c0, c1 int) }

// byRows is a kernel that treats each row of a matrix on its own.
type byRows interface{ some(r0, r1 int) }

// rangesTask is either, in parts of whole units of columns or rows.
type rangesTask struct {
	byColumns
	byRows
	n, unit, parts int
}

func (t *rangesTask) run(part, _ int) {
	units := t.n / t.unit
	from, to := units*part/t.parts*t.unit, units*(part+1)/t.parts*t.unit
	if part == t.parts-1 {
		to = t.n
	}
	if t.byColumns != nil {
		t.sums(from, to)
	} else {
		t.some(from, to)
	}
}

// columns sums n columns, some for each worker; the caller holds the lock.
func (p *Pool) columns(of byColumns, n int) {
	const vector = 8 // columns that cost hardly more than one
	p.ranges = rangesTask{byColumns: of, n: n, unit: min(n, vector), parts: max(1, min(p.Workers(), n/vector))}
	p.do(p.Workers(), p.ranges.parts, &p.ranges)
	p.ranges = rangesTask{}
}

// rows does n rows, some for each worker; the caller holds the lock.
func (p *Pool) rows(of byRows, n int) {
	p.ranges = rangesTask{byRows: of, n: n, unit: 1, parts: min(p.Workers()*workerParts, n)}
	p.do(p.Workers(), p.ranges.parts, &p.ranges)
	p.ranges = rangesTask{}
}
