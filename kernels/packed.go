package kernels

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
	rows, cols, width int
	data              []T // of all panels
}

// panel returns the part that has column j in it, from row k on, and its number of
// columns from j on. Its stride is its columns.
func (p *packing[T]) panel(k, j int) (data []T, stride, left int) {
	first := j - j%p.width
	stride = min(p.width, p.cols-first)
	return p.data[first*p.rows+k*stride+j-first:], stride, first + stride - j
}

func newPacking[T any](data []T, rows, cols int) packing[T] {
	n := rows * cols
	if len(data) < n {
		panic("kernels: Pack: data is shorter than the matrix")
	}
	return packing[T]{rows, cols, packWidth(), data[:n:n]}
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
func Pack(data []float32, b Matrix) PackedMatrix {
	b.check()
	p := newPacking(data, b.Rows, b.Cols)
	for j := 0; j < p.cols && p.rows > 0; j += p.width {
		panel, stride, cols := p.panel(0, j)
		for i := 0; i < b.Rows; i += rowChunk {
			packRows(panel[i*stride:], &b, i, min(i+rowChunk, b.Rows), j, cols)
		}
	}
	return PackedMatrix{p}
}

// PackTransposed is [Pack] of the transpose of b, which it makes on the way: for a
// weight that lies as PyTorch's do, [out, in].
func PackTransposed(data []float32, b Matrix) PackedMatrix {
	b.check()
	p := newPacking(data, b.Cols, b.Rows)
	for j := 0; j < p.cols && p.rows > 0; j += p.width {
		panel, stride, cols := p.panel(0, j)
		for i := 0; i < p.rows; i += rowChunk {
			rows := min(rowChunk, p.rows-i)
			transpose(CurrentLevel(), &Matrix{Rows: rows, Cols: cols, Stride: stride, Data: panel[i*stride:]},
				&Matrix{Rows: cols, Cols: rows, Stride: b.Stride, Data: b.Data[j*b.Stride+i:]})
		}
	}
	return PackedMatrix{p}
}

// PackFloat16 is [Pack] with numbers rounded as by [ToFloat16].
func PackFloat16(data []uint16, b Matrix) PackedFloat16Matrix {
	b.check()
	p := newPacking(data, b.Rows, b.Cols)
	var buffer [32 * packCols]float32
	for j := 0; j < p.cols && p.rows > 0; j += p.width {
		panel, stride, cols := p.panel(0, j)
		step := len(buffer) / stride
		for i := 0; i < b.Rows; i += step {
			end := min(i+step, b.Rows)
			packRows(buffer[:], &b, i, end, j, cols)
			n := (end - i) * stride
			ToFloat16(panel[i*stride:][:n], buffer[:n])
		}
	}
	return PackedFloat16Matrix{p}
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

// packRowsRef copies columns of rows from i to end to consecutive memory.
func packRowsRef(dst []float32, b *Matrix, i, end, j, cols int) {
	for ; i < end; i++ {
		dst = dst[copy(dst, b.Data[i*b.Stride+j:][:cols]):]
	}
}
