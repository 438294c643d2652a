package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A symmetric rank-k update has the bits of the product of the matrix and its
// transpose: for all forms, levels and workspaces, and any number of workers.
func TestSyrkIsAProduct(t *testing.T) {
	keepLevel(t)
	random := rand.New(rand.NewPCG(9, 10))
	var pools []*Pool
	for _, workers := range []int{1, 2, 3, 16} {
		p, err := NewPool(workers)
		require.NoError(t, err)
		defer p.Close()
		pools = append(pools, p)
	}
	shared := make([]float32, max(16*GemmScratch, GemmScratchLarge))
	for turn, s := range []struct{ n, k, extra int }{
		{1, 1, 0}, {1, 600, 3}, {5, 0, 1}, {0, 4, 0}, {33, 7, 5}, {130, 257, 0}, {257, 64, 3}, {520, 40, 0},
		{700, 300, 4}, {1100, 20, 0}, {96, 1030, 1024},
	} {
		for mode := range 4 {
			if testing.Short() && s.n > 100 && mode%4 != turn%4 {
				continue
			}
			form := Syrk{Trans: mode&1 != 0, Accumulate: mode&2 != 0}
			rows, cols := s.n, s.k
			if form.Trans {
				rows, cols = cols, rows
			}
			a := randomMatrix(random, rows, cols+s.extra, normal)
			a.Cols = cols
			start := randomMatrix(random, s.n, s.n+s.extra, normal)
			start.Cols = s.n
			// What counts is above the diagonal; the product is told so.
			symmetric := clone(start)
			for i := range s.n {
				for j := range i {
					symmetric.Data[i*start.Stride+j] = start.Data[j*start.Stride+i]
				}
			}
			g := Gemm{TransA: form.Trans, TransB: !form.Trans, Accumulate: form.Accumulate, Scratch: shared}
			for _, l := range Levels() {
				if l == Generic && s.n*s.n*s.k > 1<<22 {
					continue // slow, and compared with the others at smaller sizes
				}
				require.NoError(t, SetLevel(l))
				want := clone(symmetric)
				g.Multiply(want, a, a)
				check := func(how string, update func(c Matrix)) {
					got := clone(start)
					update(got)
					for i := range got.Data {
						if !sameFloat(want.Data[i], got.Data[i]) && i%got.Stride < s.n {
							t.Fatalf("%+v mode %d at %v, %s: [%d,%d] is %s, want %s",
								s, mode, l, how, i/got.Stride, i%got.Stride, show(got.Data[i]), show(want.Data[i]))
						}
						if i%got.Stride >= s.n {
							require.Equal(t, start.Data[i], got.Data[i], "outside of C")
						}
					}
				}
				for _, form.Scratch = range [][]float32{shared[:GemmScratch], shared} {
					check(fmt.Sprint("workspace ", len(form.Scratch)), func(c Matrix) { form.Multiply(c, a) })
				}
				for _, p := range pools {
					check(fmt.Sprint("workers ", p.Workers()), func(c Matrix) { p.MultiplySymmetric(form, c, a) })
				}
			}
		}
	}
}

// clone returns a copy of m with data of its own.
func clone(m Matrix) Matrix {
	m.Data = append([]float32(nil), m.Data...)
	return m
}

func TestPoolSyrkDoesNotAllocate(t *testing.T) {
	p, err := NewPool(2)
	require.NoError(t, err)
	defer p.Close()
	a, c := NewMatrix(256, 256, make([]float32, 256*256)), NewMatrix(256, 256, make([]float32, 256*256))
	require.Zero(t, testing.AllocsPerRun(20, func() { p.MultiplySymmetric(Syrk{Trans: true}, c, a) }))
}
