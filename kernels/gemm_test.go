package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Large products pack their operands: with and without the workspace, on every
// level, the bits are those of the contract.
func TestLargeProducts(t *testing.T) {
	keepLevel(t)
	random := rand.New(rand.NewPCG(5, 6))
	fill := func(x []float32) []float32 {
		for i := range x {
			x[i] = float32(random.NormFloat64())
		}
		return x
	}
	scratch := make([]float32, GemmScratchLarge)
	for turn, s := range []struct{ m, n, k, extra int }{
		{64, 1100, 300, 0},    // two blocks of columns, a partial panel
		{530, 70, 513, 3},     // three blocks of rows and of k
		{401, 402, 400, 0},    // just large
		{514, 10, 300, 0},     // narrow
		{130, 1024, 70, 1024}, // rows a page apart
		{67, 1029, 1, 0},      // an outer product, in whole rows
		{67, 130, 1, 2},       // and in tiles
		{200, 300, 270, 0},    // two blocks of rows
		{13, 300, 270, 0},     // the fewest rows that pack anything
		{209, 305, 260, 0},    // two blocks, the last with a partial tile and panel
		{20, 100, 600, 0},     // swapped, with more k than the small workspace has room for
		{43, 500, 300, 0},     // a row more than whole tiles
		{50, 40, 300, 24},     // rows of B that share sets of the cache
		{60, 170, 530, 0},     // three blocks of k
		{1, 1099, 530, 1},     // a single row
		{1, 200, 259, 5},      // the last block of three k
		{1, 203, 512, 0},      // with two blocks of k at a time
		{1, 83, 1300, 748},    // with four, and what remains
		{1, 100, 300, 212},    // with too few for that
		{1, 16500, 256, 0},    // with a B that is far away
		{29, 200, 260, 0},     // the fewest rows that AVX-512 packs: tiles of 9 and of 10
		{33, 200, 260, 0},     // of 11
	} {
		for mode := range 8 {
			if testing.Short() && (mode%4 != turn%4 || s.n*s.k > 1<<22) { // each mode with a shape or two
				continue
			}
			g := Gemm{TransA: mode&1 != 0, TransB: mode&2 != 0, Accumulate: mode&4 != 0}
			if mode&4 == 0 && turn%4 != 2 {
				g.Bias = fill(make([]float32, s.n))
			}
			shape := func(rows, cols int, transposed bool) Matrix {
				if transposed {
					rows, cols = cols, rows
				}
				stride := cols + s.extra
				return Matrix{Rows: rows, Cols: cols, Stride: stride, Data: fill(make([]float32, rows*stride))}
			}
			a, b := shape(s.m, s.k, g.TransA), shape(s.k, s.n, g.TransB)
			start := shape(s.m, s.n, false)
			name := fmt.Sprintf("%+v mode %d", s, mode)
			var want []float32
			for _, l := range Levels()[min(1, len(Levels())-1):] {
				require.NoError(t, SetLevel(l))
				for _, g.Scratch = range [][]float32{scratch[:GemmScratch], scratch} {
					c := start
					c.Data = append([]float32(nil), start.Data...)
					g.Multiply(c, a, b)
					if want == nil {
						want = c.Data
						for i := range s.m { // what lies between rows stays
							for j := s.n; j < c.Stride; j++ {
								require.Equal(t, start.Data[i*c.Stride+j], c.Data[i*c.Stride+j], "%s: C[%d,%d] at %v", name, i, j, l)
							}
						}
						// Entries by the contract, without the reference's loops.
						for range 40 {
							i, j := random.IntN(s.m), random.IntN(s.n)
							got := c.Data[i*c.Stride+j]
							require.Equal(t, contractEntry(g, start, a, b, i, j), got, "%s: C[%d,%d] at %v", name, i, j, l)
						}
						continue
					}
					for i := range want {
						if !sameFloat(want[i], c.Data[i]) {
							t.Fatalf("%s: element %d at %v with %d of workspace: %x, want %x",
								name, i, l, len(g.Scratch), c.Data[i], want[i])
						}
					}
				}
			}
		}
	}
}

// contractEntry is C[i,j] of a product, as the documentation of Multiply says.
func contractEntry(g Gemm, c, a, b Matrix, i, j int) float32 {
	at := func(m Matrix, i, j int, transposed bool) float32 {
		if transposed {
			i, j = j, i
		}
		return m.Data[i*m.Stride+j]
	}
	k := a.Cols
	if g.TransA {
		k = a.Rows
	}
	out := c.Data[i*c.Stride+j]
	for p := 0; p < k; {
		s := float32(0)
		for end := min(p+256, k); p < end; p++ {
			s = fma32(at(a, i, p, g.TransA), at(b, p, j, g.TransB), s)
		}
		if p <= 256 && !g.Accumulate {
			out = s
		} else {
			out += s
		}
	}
	if g.Bias != nil {
		out += g.Bias[j]
	}
	return out
}

// A sum starts from +0, also that of a single product.
func TestProductsOfZeros(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, n := range []int{3, 40} {
			for k := 1; k <= 2; k++ {
				x, y := make([]float32, 5*k), make([]float32, k*n)
				Fill(x, float32(math.Copysign(0, -1)))
				Fill(y, 1)
				c := make([]float32, 5*n)
				Gemm{TransA: true}.Multiply(NewMatrix(5, n, c), NewMatrix(k, 5, x), NewMatrix(k, n, y))
				for i, v := range c {
					require.Zero(t, math.Float32bits(v), "n=%d k=%d element %d", n, k, i)
				}
			}
		}
	})
}

// TestSmallProducts compares the products of all sizes up to 40 with the reference:
// each in one form, and with ADAFISHER_TEST_ROUNDS in all, by one to four workers, with
// strides and values that are drawn.
func TestSmallProducts(t *testing.T) {
	keepLevel(t)
	pools, forms := smallPools(t), gemms()
	const sizes = 41
	step := 1
	if testing.Short() {
		step = 97
	}
	each := 1
	if os.Getenv("ADAFISHER_TEST_ROUNDS") != "" {
		each = len(forms)
	}
	var w workspace
	pick := rand.New(rand.NewPCG(94, 95))
	for size := 0; size < sizes*sizes*sizes; size += step {
		d := digits(size, sizes, sizes, sizes)
		first := pick.IntN(len(forms))
		for i := range each {
			pool := pools[pick.IntN(len(pools))]
			c := trial{kernel: &forms[(first+i)%len(forms)], pool: pool, shape: shape{m: d[0], n: d[1], k: d[2], pad: pick.IntN(4)}, offset: pick.IntN(16)}
			c.values, c.origin = drawn(mixes[pick.IntN(len(mixes))], uint64(size*len(forms)+i))
			c.run(t, &w)
		}
	}
	t.Logf("%d results compared with the reference, levels %v: no difference", w.compared, Levels()[1:])
}
