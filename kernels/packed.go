package kernels

import "math/bits"

// A PackedMatrix is the right-hand side of products, in the order in which they read
// it: packing a matrix once makes each of its products faster, and changes none of
// their bits. A product of a few rows reads it at the bandwidth of the memory or
// cache that it lies in; one of many rows keeps what it reads in the first cache.
//
// The order is the best for the level at the time of packing. Products at other
// levels have the same bits. The zero value is a matrix without elements.
type PackedMatrix struct{ packing packing[float32] }

// A PackedFloat16Matrix is a [PackedMatrix] of float16 numbers.
type PackedFloat16Matrix struct{ packing packing[uint16] }

// Rows returns the rows of the matrix.
func (p PackedMatrix) Rows() int { return p.packing.rows }

// Cols returns the columns of the matrix.
func (p PackedMatrix) Cols() int { return p.packing.cols }

// Rows returns the rows of the matrix.
func (p PackedFloat16Matrix) Rows() int { return p.packing.rows }

// Cols returns the columns of the matrix.
func (p PackedFloat16Matrix) Cols() int { return p.packing.cols }

// A packing has the columns of a matrix in panels of some width, the last of what
// remains, one after the other. Panels are contiguous and row-major.
type packing[T any] struct {
	rows, cols int
	width      int // a power of two
	data       []T // of all panels
}

// panel returns the part that has column j in it, from row k on, and its number of
// columns from j on. Its stride is its columns.
func (p *packing[T]) panel(k, j int) (data []T, stride, left int) {
	first := j - j%p.width
	stride = min(p.width, p.cols-first)
	return p.data[first*p.rows+k*stride+j-first:], stride, first + stride - j
}

// A strip is what one call packs: panels of cols columns, from column j on, and rows of
// them, from row i on, to what is at the place at. There is one panel if those are not
// all rows.
type strip struct{ at, i, rows, j, cols, panels int }

// next makes s the strip after it, the first one if it is zero, and reports whether
// there is one.
func (p *packing[T]) next(s *strip) bool {
	s.at += s.rows * s.cols * s.panels
	if s.i += s.rows; s.i == p.rows {
		s.i, s.j = 0, s.j+s.cols*s.panels
	}
	if p.rows == 0 || s.j == p.cols {
		return false
	}
	s.rows, s.cols, s.panels = min(rowChunk, p.rows-s.i), min(p.width, p.cols-s.j), 1
	if s.cols == p.width {
		s.panels = (p.cols - s.j) >> bits.Len(uint(p.width-1))
		if s.panels*p.rows > rowChunk { // before a division
			s.panels = max(1, rowChunk/p.rows)
		}
	}
	return true
}

// each calls f with where the rows of the panels are in b, and how long they are: all
// at once if there is nothing between them.
func (s *strip) each(b *Matrix, f func(at, n int)) {
	if s.cols == b.Stride {
		f(s.i*b.Stride, s.rows*s.cols)
		return
	}
	for panel := range s.panels {
		for i := range s.rows {
			f((s.i+i)*b.Stride+s.j+panel*s.cols, s.cols)
		}
	}
}

// packed returns the part of data that a packed b takes. (A packing is made field by
// field: to copy one just after that would take longer than to pack a small matrix.)
func packed[T any](data []T, b *Matrix) []T {
	n := b.Rows * b.Cols
	if len(data) < n {
		panic("kernels: Pack: data is shorter than the matrix")
	}
	return data[:n:n]
}

// columns returns some of the columns, from the first of a panel on.
func (p PackedMatrix) columns(from, to int) PackedMatrix {
	b := p.packing
	b.cols, b.data = to-from, b.data[from*b.rows:to*b.rows]
	return PackedMatrix{b}
}

// Pack copies b, in another order, to the first Rows*Cols elements of data, which
// the result refers to. data may be used again for another matrix of that shape;
// results don't depend on where it lies, but are fastest at a multiple of 64 bytes.
//
// It panics if data is shorter; it must not overlap b.
func Pack(data []float32, b Matrix) (m PackedMatrix) {
	b.check()
	p := &m.packing
	p.rows, p.cols, p.width = b.Rows, b.Cols, packWidth()
	m.packing.data = packed(data, &b) // not through p, which would move data to the heap
	var s strip                       // of the loop, it would be copied each time
	for p.next(&s) {
		packPanels(p.data[s.at:], &b, &s)
	}
	return m
}

// PackTransposed is [Pack] of the transpose of b, which it makes on the way: for a
// weight that lies as PyTorch's do, [out, in].
func PackTransposed(data []float32, b Matrix) (m PackedMatrix) {
	b.check()
	p := &m.packing
	p.rows, p.cols, p.width = b.Cols, b.Rows, packWidth()
	m.packing.data = packed(data, &b) // see Pack
	var s strip                       // of the loop, it would be copied each time
	for p.next(&s) {
		for panel := range s.panels {
			transpose(CurrentLevel(), &Matrix{Rows: s.rows, Cols: s.cols, Stride: s.cols, Data: p.data[s.at+panel*s.rows*s.cols:]},
				&Matrix{Rows: s.cols, Cols: s.rows, Stride: b.Stride, Data: b.Data[(s.j+panel*s.cols)*b.Stride+s.i:]})
		}
	}
	return m
}

// PackFloat16 is [Pack] with numbers rounded as by [ToFloat16].
func PackFloat16(data []uint16, b Matrix) (m PackedFloat16Matrix) {
	b.check()
	p := &m.packing
	p.rows, p.cols, p.width = b.Rows, b.Cols, packWidth()
	m.packing.data = packed(data, &b) // see Pack
	var s strip                       // of the loop, it would be copied each time
	for p.next(&s) {
		packPanelsFloat16(p.data[s.at:], &b, &s)
	}
	return m
}

// MultiplyPacked is [Gemm.Multiply] with a packed B, with the same bits. There are no
// transposed forms, and no Scratch is needed. It panics as Multiply does.
func (g Gemm) MultiplyPacked(c, a Matrix, b PackedMatrix) {
	g.plain(&c, &a, b.Rows(), b.Cols())
	m, n, k := a.Rows, b.Cols(), a.Cols
	if g.trivial(&c, k) {
		return
	}
	if n <= b.packing.width { // in order
		g.multiply(&c, &a, &Matrix{Rows: k, Cols: n, Stride: n, Data: b.packing.data}, m, n, k, 1)
		return
	}
	for i, step := 0, g.step(m, n); i < m; i += step {
		cb, ab := g.block(&c, &a, i, min(i+step, m))
		multiplyPacked(&cb, &ab, &b, cb.Rows, n, k, &g)
		g.activate(&cb)
	}
}

// MultiplyPackedFloat16 is [Gemm.MultiplyFloat16] with a packed B, with the same bits:
// as if it were converted first. Scratch of GemmScratch elements is needed. There are
// no transposed forms. It panics as Multiply does.
func (g Gemm) MultiplyPackedFloat16(c, a Matrix, b PackedFloat16Matrix) {
	g.multiplyFloat16(&c, &a, b.Rows(), b.Cols(), nil, &b)
}

func gemmPackedRef(c, a *Matrix, b *PackedMatrix, m, n, k int, g *Gemm) {
	for i := range m {
		row, left := c.Row(i), a.Row(i)
		for j := range n {
			panel, stride, _ := b.packing.panel(0, j)
			for k0 := 0; k0 < k; k0 += blockK {
				s := float32(0)
				for p := k0; p < min(k0+blockK, k); p++ {
					s = fma32(left[p], panel[p*stride], s)
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

func gemmPackedFloat16Ref(c, a *Matrix, b *PackedFloat16Matrix, m, n, k int, g *Gemm) {
	for i := range m {
		row, left := c.Row(i), a.Row(i)
		for j := range n {
			panel, stride, _ := b.packing.panel(0, j)
			for k0 := 0; k0 < k; k0 += blockK {
				s := float32(0)
				for p := k0; p < min(k0+blockK, k); p++ {
					s = fma32(left[p], float32of16(panel[p*stride]), s)
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

func packPanelsRef(dst []float32, b *Matrix, s *strip) {
	s.each(b, func(at, n int) { dst = dst[copy(dst, b.Data[at:][:n]):] })
}

func packPanelsFloat16Ref(dst []uint16, b *Matrix, s *strip) {
	s.each(b, func(at, n int) {
		ToFloat16(dst[:n], b.Data[at:][:n])
		dst = dst[n:]
	})
}
