package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A matrix packed at any level gives at any other the bits of the product without
// packing, over several blocks of k and all numbers of rows that tiles differ for.
func TestPackedProducts(t *testing.T) {
	keepLevel(t)
	r := rand.New(rand.NewPCG(90, 91))
	scratch := make([]float32, GemmScratch)
	for turn, s := range []shape{
		{n: 1, k: 1}, {n: 7, k: 600, pad: 5}, {n: 10, k: 300}, {n: 16, k: 257}, {n: 33, k: 9, pad: 2}, {n: 40, k: 40}, {n: 64, k: 64}, {n: 70, k: 520},
		{n: 131, k: 256, pad: 3}, {n: 300, k: 20}, {n: 140, k: 100, pad: 4}, {n: 528, k: 5}, {n: 530, k: 260, pad: 1}, {n: 24, k: 1 << 13}, {n: 32, k: 0}, {n: 0, k: 3},
	} {
		draw := normal
		if onBochs {
			draw = func(r *rand.Rand) float32 { return withoutTies(func() float32 { return normal(r) })() }
		}
		b := withStride(r, s.k, s.n, s.n+s.pad, draw)
		halved := withStride(r, s.k, s.n, s.n+s.pad, normal)
		half := make([]uint16, len(b.Data))
		ToFloat16(half, b.Data)
		FromFloat16(halved.Data, half)
		rows := []int{1, 2, 3, 6, 7, 15, 33}
		if s.k < 300 {
			rows = append(rows, 5, 8, 14, 257)
		}
		for _, m := range rows {
			a, start := withStride(r, m, s.k, s.k+s.pad, normal), withStride(r, m, s.n, s.n+s.pad, normal)
			g := Gemm{Accumulate: (turn+m)%2 == 0, Scratch: scratch}
			if (turn+m)%3 > 0 {
				g.Bias = draws(r, s.n, normal)
			}
			var want, wantHalf []float32
			levels := Levels()
			if m*s.n*s.k > 1<<16 { // the others are compared with the reference elsewhere
				levels = levels[min(1, len(levels)-1):]
			}
			for _, packed := range Levels() {
				require.NoError(t, SetLevel(packed))
				p, h := Pack(make([]float32, s.k*s.n), b), PackFloat16(make([]uint16, s.k*s.n), b)
				for _, l := range levels {
					require.NoError(t, SetLevel(l))
					multiply := func(f func(c Matrix)) []float32 {
						c := start
						c.Data = slices.Clone(start.Data)
						f(c)
						return c.Data
					}
					if want == nil {
						want = multiply(func(c Matrix) { g.Multiply(c, a, b) })
						wantHalf = multiply(func(c Matrix) { g.Multiply(c, a, halved) })
					}
					name := fmt.Sprintf("%v with %d rows, packed at %s, at %s", s, m, packed, l)
					require.True(t, equalFloats(want, multiply(func(c Matrix) { g.Multiply(c, a, b) })), name)
					require.True(t, equalFloats(want, multiply(func(c Matrix) { g.MultiplyPacked(c, a, p) })), name)
					require.True(t, equalFloats(wantHalf, multiply(func(c Matrix) { g.MultiplyPackedFloat16(c, a, h) })), "float16: "+name)
				}
			}
		}
	}
}

// Workers give a product with a packed matrix the bits that one alone gives it, split
// by rows and by columns, and whatever level it was packed at.
func TestPackedProductsByWorkers(t *testing.T) {
	keepLevel(t)
	defer func(flops int) { poolFlops = flops }(poolFlops)
	poolFlops = 1
	var pools []*Pool
	for _, workers := range []int{1, 2, 3, 16} {
		pool, err := NewPool(workers)
		require.NoError(t, err)
		defer pool.Close()
		pools = append(pools, pool)
	}
	r := rand.New(rand.NewPCG(96, 97))
	for turn, s := range []shape{
		{m: 1, n: 33, k: 9}, {m: 1, n: 200, k: 300, pad: 3}, {m: 3, n: 1, k: 5}, {m: 5, n: 130, k: 40, pad: 1}, {m: 32, n: 31, k: 7}, {m: 40, n: 40, k: 20, pad: 2},
		{m: 70, n: 6, k: 260}, {m: 257, n: 70, k: 3, pad: 5}, {m: 4, n: 40, k: 0}, {m: 0, n: 40, k: 3}, {m: 40, n: 0, k: 3},
	} {
		a, b := withStride(r, s.m, s.k, s.k+s.pad, special), withStride(r, s.k, s.n, s.n+s.pad, special)
		start := withStride(r, s.m, s.n, s.n+s.pad, special)
		g := Gemm{Accumulate: turn%2 == 0, Bias: draws(r, s.n, normal), Activation: Activation(turn % 3)}
		var want []float32
		for _, packed := range Levels() {
			require.NoError(t, SetLevel(packed))
			p := Pack(make([]float32, s.k*s.n), b)
			for _, l := range Levels() {
				require.NoError(t, SetLevel(l))
				for _, pool := range append([]*Pool{nil}, pools...) {
					c := start
					c.Data = slices.Clone(start.Data)
					pool.MultiplyPacked(g, c, a, p)
					if want == nil {
						want = slices.Clone(start.Data)
						c := start
						c.Data = want
						g.Multiply(c, a, b)
					}
					require.True(t, equalFloats(want, c.Data), "%v, packed at %s, at %s, %d workers", s, packed, l, pool.Workers())
				}
			}
		}
	}
}

// A transpose is packed as the matrix itself is.
func TestPackTransposed(t *testing.T) {
	r := rand.New(rand.NewPCG(94, 95))
	eachLevel(t, func(t *testing.T) {
		for _, s := range []shape{{n: 1, k: 1}, {n: 7, k: 3, pad: 2}, {n: 16, k: 16}, {n: 33, k: 9, pad: 2}, {n: 70, k: 52}, {n: 131, k: 25, pad: 3}, {n: 40, k: 2*rowChunk + 5}, {n: 0, k: 3}, {n: 3, k: 0}} {
			b := withStride(r, s.n, s.k, s.k+s.pad, special)
			transposed := NewMatrix(s.k, s.n, make([]float32, s.k*s.n))
			Transpose(transposed, b)
			want, got := Pack(make([]float32, s.k*s.n), transposed), PackTransposed(make([]float32, s.k*s.n+1), b)
			require.Equal(t, [2]int{s.k, s.n}, [2]int{got.Rows(), got.Cols()})
			require.Equal(t, want.packing.width, got.packing.width)
			require.True(t, equalFloats(want.packing.data, got.packing.data), s)
		}
	})
	require.PanicsWithValue(t, "kernels: Pack: data is shorter than the matrix", func() {
		PackTransposed(make([]float32, 5), NewMatrix(2, 3, make([]float32, 6)))
	})
}

// The shape of a packed matrix is its own: nobody can make it one that its data is too
// short for.
func TestPackedShapes(t *testing.T) {
	m := NewMatrix(4, 3, make([]float32, 12))
	p, h := Pack(make([]float32, 12), m), PackFloat16(make([]uint16, 12), m)
	require.Equal(t, [4]int{4, 3, 4, 3}, [4]int{p.Rows(), p.Cols(), h.Rows(), h.Cols()})
	for _, packed := range []any{p, h} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(packed)) {
			require.False(t, field.IsExported(), "%T.%s", packed, field.Name)
		}
	}
	scratch := make([]float32, GemmScratch)
	eachLevel(t, func(t *testing.T) {
		empty := Matrix{Rows: 5}
		Gemm{}.MultiplyPacked(empty, empty, PackedMatrix{})
		Gemm{Scratch: scratch}.MultiplyPackedFloat16(empty, empty, PackedFloat16Matrix{})
		Pack(nil, Matrix{Cols: math.MaxInt, Stride: math.MaxInt})
		PackFloat16(nil, Matrix{Cols: math.MaxInt, Stride: math.MaxInt})
		Gemm{}.Multiply(Matrix{Rows: math.MaxInt}, Matrix{Rows: math.MaxInt}, Matrix{})
	})
}

// An activation in a product has the bits of its kernel after the product, in every
// kind of product, also where C has more rows than one block.
func TestActivations(t *testing.T) {
	kernel := map[Activation]func(y, x []float32){
		ActivationNone: func(y, x []float32) { Copy(y, x) }, ActivationReLU: ReLU, ActivationTanh: Tanh, ActivationSigmoid: Sigmoid,
		ActivationSiLU: SiLU, ActivationGELU: GELU, ActivationGELUTanh: GELUTanh,
	}
	r := rand.New(rand.NewPCG(92, 93))
	pool, err := NewPool(3)
	require.NoError(t, err)
	defer pool.Close()
	scratch := make([]float32, 3*GemmScratchLarge)
	eachLevel(t, func(t *testing.T) {
		for turn, s := range []shape{
			{m: 1, n: 10, k: 3}, {m: 1, n: 1, k: 0}, {m: 6, n: 16, k: 300, pad: 1}, {m: 2, n: 70, k: 20}, {m: 70, n: 40, k: 30, pad: 3}, {m: 64, n: 1500, k: 4}, {m: 1700, n: 40, k: 3}, {m: 40, n: 7, k: 260},
		} {
			for mode := range 8 {
				if testing.Short() && mode%4 != turn%4 {
					continue
				}
				g := Gemm{TransA: mode&1 != 0, TransB: mode&2 != 0, Accumulate: mode&4 != 0, Scratch: scratch}
				shaped := func(rows, cols int, transposed bool) Matrix {
					if transposed {
						rows, cols = cols, rows
					}
					return withStride(r, rows, cols, cols+s.pad, special)
				}
				a, b := shaped(s.m, s.k, g.TransA), shaped(s.k, s.n, g.TransB)
				start := withStride(r, s.m, s.n, s.n+s.pad, normal)
				if mode != 2 { // where C may be computed transposed
					g.Bias = draws(r, s.n, normal)
				}
				plain := start
				plain.Data = slices.Clone(start.Data)
				g.Multiply(plain, a, b)
				for act := range ActivationGELUTanh + 1 {
					want := slices.Clone(start.Data)
					for i := range s.m {
						kernel[act](want[i*start.Stride:][:s.n], plain.Row(i))
					}
					g.Activation = act
					check := func(what string, f func(c Matrix)) {
						c := start
						c.Data = slices.Clone(start.Data)
						f(c)
						require.True(t, equalFloats(want, c.Data), "%s, activation %d, mode %d, %v", what, act, mode, s)
					}
					check("Multiply", func(c Matrix) { g.Multiply(c, a, b) })
					check("Pool.Multiply", func(c Matrix) { pool.Multiply(g, c, a, b) })
					if !g.TransA && !g.TransB {
						check("MultiplyPacked", func(c Matrix) { g.MultiplyPacked(c, a, Pack(make([]float32, s.k*s.n), b)) })
					}
				}
				if g.TransA || g.TransB {
					continue
				}
				half := Float16Matrix{Rows: s.k, Cols: s.n, Stride: b.Stride, Data: make([]uint16, len(b.Data))}
				ToFloat16(half.Data, b.Data)
				g.Activation = ActivationNone
				plain.Data = slices.Clone(start.Data)
				g.MultiplyFloat16(plain, a, half)
				for act := range ActivationGELUTanh + 1 {
					want := slices.Clone(start.Data)
					for i := range s.m {
						kernel[act](want[i*start.Stride:][:s.n], plain.Row(i))
					}
					g.Activation = act
					for _, packed := range []bool{false, true} {
						c := start
						c.Data = slices.Clone(start.Data)
						if packed {
							g.MultiplyPackedFloat16(c, a, PackFloat16(make([]uint16, s.k*s.n), b))
						} else {
							g.MultiplyFloat16(c, a, half)
						}
						require.True(t, equalFloats(want, c.Data), "float16, packed %v, activation %d, mode %d, %v", packed, act, mode, s)
					}
				}
			}
		}
	})
}
