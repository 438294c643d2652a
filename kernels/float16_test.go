package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// exact16 is the value of a float16 that is a number, by its definition.
func exact16(h uint16) float64 {
	value := float64(h & 0x3ff)
	if e := int(h >> 10 & 0x1f); e > 0 {
		value = math.Ldexp(value+0x400, e-1)
	}
	return math.Copysign(value*0x1p-24, -float64(h>>15)+0.5)
}

// TestFromFloat16 converts all there are, at every level.
func TestFromFloat16(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	eachLevel(t, func(t *testing.T) {
		got, back := make([]float32, len(all)), make([]uint16, len(all))
		FromFloat16(got, all)
		ToFloat16(back, got)
		for i, h := range all {
			switch magnitude := h & 0x7fff; {
			case magnitude > 0x7c00: // quiet, with the payload
				want := uint32(h>>15)<<31 | 0x7fc00000 | uint32(h&0x3ff)<<13
				require.Equal(t, want, math.Float32bits(got[i]), "%04x", h)
				require.Equal(t, h|0x200, back[i])
				continue
			case magnitude == 0x7c00:
				require.Equal(t, math.Inf(1-2*int(h>>15)), float64(got[i]), "%04x", h)
			default:
				require.Equal(t, math.Float64bits(exact16(h)), math.Float64bits(float64(got[i])), "%04x", h)
			}
			require.Equal(t, h, back[i])
		}
	})
}

// nearest16 rounds to the nearest of two neighbours, to the even one in a tie. The
// distances are exact.
func nearest16(x float32) uint16 {
	sign := uint16(math.Float32bits(x)>>31) << 15
	m := math.Abs(float64(x))
	if m >= 0x1p16 {
		return sign | 0x7c00
	}
	i, _ := slices.BinarySearch(positive16, m)
	if positive16[i] == m {
		return sign | uint16(i)
	}
	below, above := m-positive16[i-1], positive16[i]-m
	if below < above || below == above && i%2 == 1 {
		i--
	}
	return sign | uint16(i)
}

// positive16 are the values of the float16 from +0 on, and 2^16 in place of infinity.
var positive16 = func() (v []float64) {
	for h := range uint16(0x7c00) {
		v = append(v, exact16(h))
	}
	return append(v, 0x1p16)
}()

// TestToFloat16 takes every float16, the points half way between them, and what is
// next to both.
func TestToFloat16(t *testing.T) {
	var x []float32
	for i, v := range positive16 {
		points := []float64{v}
		if i > 0 {
			points = append(points, (v+positive16[i-1])/2)
		}
		for _, p := range points {
			b := math.Float32bits(float32(p))
			for _, b := range []uint32{b, b + 1, max(b, 1) - 1} {
				x = append(x, math.Float32frombits(b), math.Float32frombits(b|1<<31))
			}
		}
	}
	r := rand.New(rand.NewPCG(80, 81))
	for _, mix := range mixes {
		x = append(x, draws(r, 2000, mix.draw)...)
	}
	x = append(x, math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)))
	want := make([]uint16, len(x))
	for i, v := range x {
		if onBochs {
			v = withoutTies(func() float32 { return v })()
			x[i] = v
		}
		if b := math.Float32bits(v); v != v {
			want[i] = uint16(b>>31)<<15 | 0x7e00 | uint16(b>>13)&0x3ff
		} else {
			want[i] = nearest16(v)
		}
	}
	eachLevel(t, func(t *testing.T) {
		got := make([]uint16, len(x))
		ToFloat16(got, x)
		for i, h := range want {
			if got[i] != h {
				t.Fatalf("%s: %04x, want %04x", show(x[i]), got[i], h)
			}
		}
	})
}

// TestFloat16Lengths: all lengths and places, with guards that must survive.
func TestFloat16Lengths(t *testing.T) {
	r := rand.New(rand.NewPCG(82, 83))
	eachLevel(t, func(t *testing.T) {
		for n := range 200 {
			for offset := range 3 {
				const guard = 0x7bcd
				x := slices.Repeat([]uint16{guard}, n+20)
				for i := range n {
					x[offset+i] = uint16(r.Uint32()) &^ 0x4000 // finite
				}
				y := slices.Repeat([]float32{guard}, n+20)
				FromFloat16(y[offset:][:n], x[offset:][:n])
				z := slices.Repeat([]uint16{guard}, n+20)
				ToFloat16(z[offset:][:n], y[offset:][:n])
				require.Equal(t, x, z, "n=%d, offset %d", n, offset)
				for i, v := range y {
					if i < offset || i >= offset+n {
						require.Equal(t, float32(guard), v)
					}
				}
			}
		}
	})
}

// TestMultiplyFloat16 compares with the product of the converted matrix.
func TestMultiplyFloat16(t *testing.T) {
	r := rand.New(rand.NewPCG(84, 85))
	scratch := make([]float32, GemmScratch)
	eachLevel(t, func(t *testing.T) {
		for _, s := range []shape{
			{m: 1, n: 1, k: 1}, {m: 1, n: 300, k: 20}, {m: 1, n: 264, k: 300, pad: 3}, {m: 2, n: 131, k: 257}, {m: 2, n: 64, k: 5, pad: 1},
			{m: 3, n: 70, k: 300}, {m: 6, n: 50, k: 31}, {m: 8, n: 41, k: 12}, {m: 14, n: 100, k: 260}, {m: 15, n: 64, k: 7}, {m: 17, n: 33, k: 9, pad: 2}, {m: 5, n: 7, k: 600}, {m: 4, n: 7, k: 30, pad: 5}, {m: 600, n: 40, k: 10}, {m: 1, n: 16, k: 0}, {m: 1, n: 32, k: 64},
		} {
			for variant := range 4 {
				a, c := withStride(r, s.m, s.k, s.k+s.pad, normal), withStride(r, s.m, s.n, s.n+s.pad, normal)
				b := Float16Matrix{Rows: s.k, Cols: s.n, Stride: s.n + s.pad, Data: make([]uint16, s.k*(s.n+s.pad))}
				ToFloat16(b.Data, draws(r, len(b.Data), normal))
				wide := Matrix{Rows: s.k, Cols: s.n, Stride: b.Stride, Data: make([]float32, len(b.Data))}
				FromFloat16(wide.Data, b.Data)
				g := Gemm{Accumulate: variant&1 != 0, Scratch: scratch}
				if variant&2 != 0 {
					g.Bias = draws(r, s.n, normal)
				}
				want := c
				want.Data = slices.Clone(c.Data)
				g.Multiply(want, a, wide)
				g.MultiplyFloat16(c, a, b)
				for i := range want.Data {
					require.True(t, sameFloat(want.Data[i], c.Data[i]), "%v, variant %d, element %d", s, variant, i)
				}
			}
		}
	})
}
