package kernels

import "math"

// A float16 is an IEEE 754 binary16 in a uint16: a sign, 5 bits of exponent, 10 of
// significand. It takes half the memory of a float32, and the bandwidth of memory
// bounds what a network with few samples at a time can do. Calculations are in
// float32.

// FromFloat16 stores float16 numbers as float32, exactly.
//
//	dst[i] = x[i]
//
// A NaN becomes a quiet one with the same payload. It panics if the lengths differ.
func FromFloat16(dst []float32, x []uint16) {
	if len(x) != len(dst) {
		panic("kernels: FromFloat16: lengths of dst and x differ")
	}
	fromFloat16(dst, x)
}

func fromFloat16Ref(dst []float32, x []uint16) {
	for i, h := range x {
		dst[i] = float32of16(h)
	}
}

// float32of16 returns the value of a float16.
func float32of16(h uint16) float32 {
	sign, magnitude := uint32(h>>15)<<31, uint32(h&0x7fff)
	switch {
	case magnitude > 0x7c00: // NaN
		return math.Float32frombits(sign | 0x7fc00000 | magnitude<<13)
	case magnitude == 0x7c00:
		return math.Float32frombits(sign | 0x7f800000)
	case magnitude >= 0x400: // normal: another bias of the exponent
		return math.Float32frombits(sign | (magnitude<<13 + (127-15)<<23))
	}
	return math.Float32frombits(sign | math.Float32bits(float32(magnitude)*0x1p-24))
}

// ToFloat16 stores float32 numbers as float16, rounded to the nearest, ties to even.
//
//	dst[i] = x[i]
//
// From 65520 on that is infinity, and up to 2^-25 zero. A NaN becomes a quiet one
// with the first bits of the payload. It panics if the lengths differ.
func ToFloat16(dst []uint16, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: ToFloat16: lengths of dst and x differ")
	}
	toFloat16(dst, x)
}

func toFloat16Ref(dst []uint16, x []float32) {
	for i, v := range x {
		dst[i] = float16of32(v)
	}
}

// float16of32 returns the float16 nearest to x.
func float16of32(x float32) uint16 {
	b := math.Float32bits(x)
	sign, magnitude := uint16(b>>31)<<15, b&0x7fffffff
	switch {
	case magnitude > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(magnitude>>13)&0x3ff
	case magnitude >= 0x477ff000: // 65520, half way to 2^16
		return sign | 0x7c00
	case magnitude >= 0x38800000: // 2^-14: normal
		magnitude += 0xfff + magnitude>>13&1 // half a unit, less a tie to even
		return sign | uint16((magnitude-(127-15)<<23)>>13)
	}
	// The sum with 1/2 is rounded to a multiple of 2^-24.
	return sign | uint16(math.Float32bits(math.Float32frombits(magnitude)+0.5))
}

// Float16Matrix is a row-major view of float16 data: element (i, j) is
// Data[i*Stride+j]. Stride is at least Cols.
type Float16Matrix struct {
	Rows, Cols, Stride int
	Data               []uint16
}

// NewFloat16Matrix returns data as a contiguous matrix. It panics if data holds
// fewer than rows*cols elements or a dimension is negative.
func NewFloat16Matrix(rows, cols int, data []uint16) Float16Matrix {
	m := Float16Matrix{Rows: rows, Cols: cols, Stride: cols, Data: data}
	m.check()
	return m
}

// check panics unless every element of m lies inside its data.
func (m *Float16Matrix) check() { checkShape(m.Rows, m.Cols, m.Stride, len(m.Data)) }

// MultiplyFloat16 is [Gemm.Multiply] with B of float16, with the same bits as if it
// were converted first: a product of few rows, as of a single sample with the
// weights of a layer, reads half the memory.
//
// Scratch of GemmScratch elements is needed. There are no transposed forms. It
// panics as Multiply does.
func (g Gemm) MultiplyFloat16(c, a Matrix, b Float16Matrix) {
	b.check()
	g.multiplyFloat16(&c, &a, b.Rows, b.Cols, &b, nil)
}

// multiplyFloat16 multiplies by a right-hand side in one of two forms; the other is nil.
func (g *Gemm) multiplyFloat16(c, a *Matrix, k, n int, b *Float16Matrix, packed *PackedFloat16Matrix) {
	if g.plain(c, a, k, n); len(g.Scratch) < GemmScratch {
		panic("kernels: Gemm: products with float16 need Scratch of GemmScratch elements")
	}
	if g.trivial(c, k) {
		return
	}
	for i, step := 0, g.step(a.Rows, n); i < a.Rows; i += step {
		cb, ab := g.block(c, a, i, min(i+step, a.Rows))
		if packed != nil {
			multiplyPackedFloat16(&cb, &ab, packed, cb.Rows, n, k, g)
		} else {
			multiplyFloat16(&cb, &ab, b, cb.Rows, n, k, g)
		}
		g.activate(&cb)
	}
}

// plain checks a product without transposed forms, with a right-hand side that has
// checked itself.
func (g *Gemm) plain(c, a *Matrix, rows, cols int) {
	a.check()
	c.check()
	if a.Cols != rows || c.Rows != a.Rows || c.Cols != cols {
		panic("kernels: Gemm: shapes of C, A and B don't match")
	}
	if g.TransA || g.TransB {
		panic("kernels: Gemm: no transposed forms with packed or float16 matrices")
	}
	if g.Bias != nil && len(g.Bias) != cols {
		panic("kernels: Gemm: length of Bias is not the columns of C")
	}
	g.checkActivation()
}

func gemmFloat16Ref(c, a *Matrix, b *Float16Matrix, m, n, k int, g *Gemm) {
	for i := range m {
		row, left := c.Row(i), a.Row(i)
		for j := range n {
			for k0 := 0; k0 < k; k0 += blockK {
				s := float32(0)
				for p := k0; p < min(k0+blockK, k); p++ {
					s = fma32(left[p], float32of16(b.Data[p*b.Stride+j]), s)
				}
				if k0 == 0 && !g.Accumulate {
					row[j] = s
				} else {
					row[j] += s
				}
			}
		}
		g.finish(row)
	}
}
