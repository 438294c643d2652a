package kernels

import "math/bits"

// Matrix is a row-major view of float32 data: element (i, j) is
// Data[i*Stride+j]. Stride is at least Cols.
type Matrix struct {
	Rows, Cols, Stride int
	Data               []float32
}

// NewMatrix returns data as a contiguous matrix. It panics if data holds fewer
// than rows*cols elements or a dimension is negative.
func NewMatrix(rows, cols int, data []float32) Matrix {
	checkShape(rows, cols, cols, len(data))
	return Matrix{Rows: rows, Cols: cols, Stride: cols, Data: data}
}

// Row returns row i; it is empty if m has no columns. It panics if m has no row i.
func (m Matrix) Row(i int) []float32 {
	if uint(i) >= uint(m.Rows) {
		panic("kernels: Matrix.Row: no such row")
	}
	if m.Cols == 0 {
		return nil
	}
	return m.Data[i*m.Stride:][:m.Cols]
}

// check panics unless every element of m lies inside its data.
func (m *Matrix) check() { checkShape(m.Rows, m.Cols, m.Stride, len(m.Data)) }

func checkShape(rows, cols, stride, length int) {
	if rows < 0 || cols < 0 {
		panic("kernels: matrix with a negative dimension")
	}
	if stride < cols {
		panic("kernels: matrix stride is less than its columns")
	}
	if rows == 0 || cols == 0 {
		return
	}
	over, last := bits.Mul(uint(rows-1), uint(stride)) // where the last row begins
	if length < cols || over > 0 || last > uint(length-cols) {
		panic("kernels: matrix data is shorter than its shape needs")
	}
}

// rowChunk bounds the rows of one call: a row takes up to 20 ns, however short it
// is.
const rowChunk = 1 << 11

// eachBlock cuts a contiguous rows x cols matrix into blocks of at most chunkLen
// elements and rowChunk rows, whole rows where a row fits, and calls f with the
// half-open ranges of rows and columns of each; a block's elements are contiguous.
func eachBlock(rows, cols int, f func(r0, r1, c0, c1 int)) {
	if cols == 0 {
		return
	}
	if cols > chunkLen {
		for r := range rows {
			for c := 0; c < cols; c += chunkLen {
				f(r, r+1, c, min(c+chunkLen, cols))
			}
		}
		return
	}
	step := min(rowChunk, chunkLen/cols)
	for r := 0; r < rows; r += step {
		f(r, min(r+step, rows), 0, cols)
	}
}

// wideCols is about the length of the rows that a contiguous matrix of few columns
// is cut into where a kernel treats all rows alike: a row costs time of its own.
const wideCols = 256

// wideRow returns the length of such rows, a multiple of cols: for a matrix of many
// columns, or of few rows, cols itself.
func wideRow(cols, rows int) int {
	if cols > wideCols/2 || rows < 8 { // before a division
		return cols
	}
	if times := wideCols / cols; rows >= 4*times {
		return times * cols
	}
	return cols
}

// worthRepeating reports whether it pays to repeat factors of columns, in some 80 ns,
// for rows of wideRow. Rows of whole vectors cost too little for that.
func worthRepeating(cols, rows int) bool {
	return (cols <= 8 || cols%8 != 0) && rows >= 64 && wideRow(cols, rows) > cols
}

// repeat fills v with its first n elements, over and over.
func repeat(v []float32, n int) {
	for n < len(v) {
		n += copy(v[n:], v[:n])
	}
}

// eachWide cuts a contiguous matrix of n elements into rows of w, the last of which
// may be shorter, and calls f with ranges of elements and the length of their rows.
func eachWide(n, w int, f func(lo, hi, w int)) {
	whole := n - n%w
	step := max(1, min(rowChunk, chunkLen/w)) * w
	for lo := 0; lo < whole; lo += step {
		f(lo, min(lo+step, whole), w)
	}
	if whole < n {
		f(whole, n, n-whole)
	}
}

// Transpose stores the transpose of src.
//
//	dst[j,i] = src[i,j]
//
// It panics if dst is not src.Cols x src.Rows, or a matrix is shorter than its
// shape; dst must not overlap src.
func Transpose(dst, src Matrix) {
	dst.check()
	src.check()
	if dst.Rows != src.Cols || dst.Cols != src.Rows {
		panic("kernels: Transpose: shape of dst is not that of the transpose of src")
	}
	if src.Rows == 0 || src.Cols == 0 {
		return
	}
	transpose(CurrentLevel(), &dst, &src)
}

func transposeRef(dst, src *Matrix) {
	for i := range src.Rows {
		for j, v := range src.Row(i) {
			dst.Data[j*dst.Stride+i] = v
		}
	}
}

// ColAffine scales and shifts the columns of the contiguous row-major matrix x
// with len(scale) columns: the application of batch normalisation, with
// scale = gamma*rstd and shift = beta-mean*scale.
//
//	dst[i,j] = fma(x[i,j], scale[j], shift[j])
//
// It panics if the lengths of dst and x or of scale and shift differ, or len(x) is
// not a multiple of len(scale).
func ColAffine(dst, x, scale, shift []float32) {
	if len(x) != len(dst) {
		panic("kernels: ColAffine: lengths of dst and x differ")
	}
	if len(shift) != len(scale) {
		panic("kernels: ColAffine: lengths of scale and shift differ")
	}
	rowLen(len(scale), x, "kernels: ColAffine: length of x is not a multiple of the length of scale")
	affine(dst, x, scale, shift, false)
}

// ColAffineReLU is [ColAffine] with the rectifier after it.
//
//	v        = fma(x[i,j], scale[j], shift[j])
//	dst[i,j] = +0 if v < 0, else v
//
// It panics as [ColAffine] does.
func ColAffineReLU(dst, x, scale, shift []float32) {
	if len(x) != len(dst) {
		panic("kernels: ColAffineReLU: lengths of dst and x differ")
	}
	if len(shift) != len(scale) {
		panic("kernels: ColAffineReLU: lengths of scale and shift differ")
	}
	rowLen(len(scale), x, "kernels: ColAffineReLU: length of x is not a multiple of the length of scale")
	affine(dst, x, scale, shift, true)
}

func affine(dst, x, scale, shift []float32, relu bool) {
	n := len(scale)
	if n == 0 {
		return
	}
	rows := len(x) / n
	if worthRepeating(n, rows) {
		affineNarrow(dst, x, scale, shift, relu)
		return
	}
	affineBlock(dst, x, scale, shift, rows, relu)
}

// affineNarrow is for many rows of few columns.
//
//go:noinline
func affineNarrow(dst, x, scale, shift []float32, relu bool) {
	var scales, shifts [wideCols]float32
	w := wideRow(len(scale), len(x)/len(scale))
	repeat(scales[:w], copy(scales[:], scale))
	repeat(shifts[:w], copy(shifts[:], shift))
	eachWide(len(x), w, func(lo, hi, w int) {
		affineBlock(dst[lo:hi], x[lo:hi], scales[:w], shifts[:w], (hi-lo)/w, relu)
	})
}

func affineBlock(dst, x, scale, shift []float32, rows int, relu bool) {
	if relu {
		colAffineReLU(dst, x, scale, shift, rows)
	} else {
		colAffine(dst, x, scale, shift, rows)
	}
}

func colAffineRef(dst, x, scale, shift []float32, rows int) {
	n := len(scale)
	for i := range rows {
		dst, x := dst[i*n:][:n], x[i*n:][:n]
		for j, v := range x {
			dst[j] = fma32(v, scale[j], shift[j])
		}
	}
}

func colAffineReLURef(dst, x, scale, shift []float32, rows int) {
	n := len(scale)
	for i := range rows {
		dst, x := dst[i*n:][:n], x[i*n:][:n]
		for j, v := range x {
			dst[j] = maxOr(0, fma32(v, scale[j], shift[j]))
		}
	}
}

// ColMul scales the columns of the contiguous row-major matrix x with len(scale)
// columns. dst may be x.
//
//	dst[i,j] = x[i,j] * scale[j]
//
// It panics if the lengths of dst and x differ or len(x) is not a multiple of
// len(scale). The gradient at scale is [ColDots] of x and the gradient at dst.
func ColMul(dst, x, scale []float32) {
	if len(x) != len(dst) {
		panic("kernels: ColMul: lengths of dst and x differ")
	}
	n := len(scale)
	rows := rowLen(n, x, "kernels: ColMul: length of x is not a multiple of the length of scale")
	if n > 0 && worthRepeating(n, rows) {
		colMulNarrow(dst, x, scale)
		return
	}
	colMul(dst, x, scale, rows)
}

// colMulNarrow is [ColMul] for many rows of few columns.
//
//go:noinline
func colMulNarrow(dst, x, scale []float32) {
	var scales [wideCols]float32
	w := wideRow(len(scale), len(x)/len(scale))
	repeat(scales[:w], copy(scales[:], scale))
	eachWide(len(x), w, func(lo, hi, w int) {
		colMul(dst[lo:hi], x[lo:hi], scales[:w], (hi-lo)/w)
	})
}

func colMulRef(dst, x, scale []float32, rows int) {
	n := len(scale)
	for i := range rows {
		mulRef(dst[i*n:][:n], x[i*n:][:n], scale)
	}
}
