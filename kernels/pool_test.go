package kernels

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// smallPools returns pools of one to four workers that split all work, however small.
func smallPools(t testing.TB) (pools [4]*Pool) {
	flops, elements, rows := poolFlops, poolElements, leastRows
	poolFlops, poolElements, leastRows = 1, 1, 1
	t.Cleanup(func() { poolFlops, poolElements, leastRows = flops, elements, rows })
	for i := range pools {
		p, err := NewPool(i + 1)
		require.NoError(t, err)
		t.Cleanup(p.Close)
		pools[i] = p
	}
	return pools
}

func TestPoolRunsEveryPartOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 16} {
		p, err := NewPool(workers)
		require.NoError(t, err)
		require.Equal(t, workers, p.Workers())
		for parts := range 40 {
			counts := make([]atomic.Int32, parts)
			p.Run(parts, func(i int) { counts[i].Add(1) })
			for i := range counts {
				require.EqualValues(t, 1, counts[i].Load(), "part %d of %d, %d workers", i, parts, workers)
			}
		}
		p.Close()
		p.Close()
		done := 0
		p.Run(3, func(int) { done++ }) // closed: in the caller's goroutine
		require.Equal(t, 3, done)
	}
	for _, p := range []*Pool{nil, {}} {
		done := 0
		p.Run(2, func(int) { done++ })
		require.Equal(t, 2, done)
		require.Equal(t, 1, p.Workers())
		a := NewMatrix(200, 200, make([]float32, 200*200))
		p.Multiply(Gemm{}, NewMatrix(200, 200, make([]float32, 200*200)), a, a)
		p.Close()
	}
	for _, n := range []int{-1, 0, maxWorkers + 1} {
		_, err := NewPool(n)
		require.ErrorContains(t, err, "want 1 to 1024")
	}
}

// TestPoolOfManyParts: their number may be larger than an int32.
func TestPoolOfManyParts(t *testing.T) {
	for _, workers := range []int{1, 3} {
		p := &Pool{}
		for range workers {
			p.workers = append(p.workers, &worker{wake: make(chan struct{}, 1)})
		}
		calls := 0
		var caller sync.WaitGroup
		caller.Go(func() {
			p.Run(math.MaxInt/4, func(int) {
				calls++
				runtime.Goexit() // all parts would take a minute
			})
		})
		caller.Wait()
		require.Equal(t, 1, calls, "%d workers", workers)
	}
}

// TestPoolDoesNotWait: workers that don't come, awake or asleep, hold up no job, and find
// none when they come later.
func TestPoolDoesNotWait(t *testing.T) {
	p := &Pool{}
	for range 3 {
		p.workers = append(p.workers, &worker{wake: make(chan struct{}, 1)})
	}
	p.workers[2].state.Store(asleep)
	for parts := range 10 {
		done := 0
		p.Run(parts, func(int) { done++ }) // in this goroutine
		require.Equal(t, parts, done)
	}
	p.Close()
	for _, w := range p.workers[1:] {
		require.False(t, w.wait())
	}
}

func TestPoolGoroutinesEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		p, err := NewPool(8)
		require.NoError(t, err)
		p.Run(8, func(int) {})
		p.Close()
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "goroutines left: %d, were %d", runtime.NumGoroutine(), before)
	}
}

// Products have the same bits for any number of workers, with several callers on
// one pool.
func TestPoolProducts(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	fill := func(rows, cols int) Matrix {
		m := NewMatrix(rows, cols, make([]float32, rows*cols))
		for i := range m.Data {
			m.Data[i] = float32(random.NormFloat64())
		}
		return m
	}
	type call struct {
		g       Gemm
		c, a, b Matrix
	}
	var calls []call
	for _, s := range [][3]int{{300, 130, 70}, {30, 700, 150}, {257, 129, 300}, {10, 2000, 110}} {
		m, n, k := s[0], s[1], s[2]
		for mode := range 4 {
			g := Gemm{TransA: mode&1 != 0, TransB: mode&2 != 0, Accumulate: mode == 1}
			a, b := fill(m, k), fill(k, n)
			if g.TransA {
				a = fill(k, m)
			}
			if g.TransB {
				b = fill(n, k)
			} else {
				g.Bias = fill(1, n).Data
			}
			calls = append(calls, call{g, fill(m, n), a, b})
		}
	}
	run := func(t *testing.T, i int, p *Pool) []float32 {
		x := calls[i]
		x.c.Data = append([]float32(nil), x.c.Data...)
		x.g.Scratch = make([]float32, p.Workers()*GemmScratch)
		p.Multiply(x.g, x.c, x.a, x.b)
		return x.c.Data
	}
	var want [][]float32
	for i := range calls {
		want = append(want, run(t, i, nil))
	}
	for _, workers := range []int{1, 2, 3, 16} {
		p, err := NewPool(workers)
		require.NoError(t, err)
		var callers sync.WaitGroup
		for caller := range 3 {
			callers.Go(func() {
				for i := range calls {
					i = (i + caller) % len(calls)
					if got := run(t, i, p); !equalFloats(got, want[i]) {
						t.Errorf("product %d: other bits with %d workers", i, workers)
					}
				}
			})
		}
		callers.Wait()
		p.Close()
	}
}

func equalFloats(a, b []float32) bool {
	for i := range a {
		if !sameFloat(a[i], b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestPoolProductsDoNotAllocate(t *testing.T) {
	p, err := NewPool(2)
	require.NoError(t, err)
	defer p.Close()
	a, b, c := make([]float32, 256*256), make([]float32, 256*256), make([]float32, 256*256)
	g := Gemm{}
	m := func(x []float32) Matrix { return NewMatrix(256, 256, x) }
	require.Zero(t, testing.AllocsPerRun(20, func() { p.Multiply(g, m(c), m(a), m(b)) }))
	packed := Pack(make([]float32, 256*256), m(b))
	require.Zero(t, testing.AllocsPerRun(20, func() { p.MultiplyPacked(g, m(c), m(a), packed) }))
}

// Kernels of columns and rows have the same bits for any number of workers, also
// where some of them get none.
func TestPoolColumns(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	fill := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(random.NormFloat64())
		}
		return x
	}
	for _, s := range [][2]int{{0, 5}, {0, 0}, {3, 7}, {5000, 7}, {5000, 16}, {1100, 41}, {130, 600}, {40, 1500}} {
		rows, n := s[0], s[1]
		x, dy, mean, rstd, gamma, scale, shift := fill(rows*n), fill(rows*n), fill(n), fill(n), fill(n), fill(n), fill(n)
		all := func(p *Pool) (results [][]float32) {
			out := func(n int) []float32 {
				results = append(results, fill(n))
				return results[len(results)-1]
			}
			p.BatchNormBackward(nil, out(n), out(n), dy, x, mean, rstd, gamma)
			p.BatchNormBackward(out(rows*n), out(n), out(n), dy, x, mean, rstd, gamma)
			p.BatchNormReLUBackward(nil, out(n), out(n), dy, x, mean, rstd, gamma, scale, shift)
			p.BatchNormReLUBackward(out(rows*n), out(n), out(n), dy, x, mean, rstd, gamma, scale, shift)
			p.ColMeanVariance(out(n), out(n), x)
			p.ColSums(out(n), x)
			return results
		}
		want := all(nil)
		for _, workers := range []int{1, 2, 3, 4, 16} {
			p, err := NewPool(workers)
			require.NoError(t, err)
			for i, got := range all(p) {
				require.True(t, equalFloats(want[i], got), "result %d of %d x %d with %d workers", i, rows, n, workers)
			}
			p.Close()
		}
	}
}

func TestPoolColumnsDoNotAllocate(t *testing.T) {
	const rows, n = 5000, 16
	p, err := NewPool(2)
	require.NoError(t, err)
	defer p.Close()
	x, y := make([]float32, rows*n), make([]float32, rows*n)
	u, v, w := make([]float32, n), make([]float32, n), make([]float32, n)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		p.ColSums(v, x)
		p.ColMeanVariance(v, u, x)
		p.BatchNormBackward(y, v, u, x, x, w, w, w)
	}))
}
