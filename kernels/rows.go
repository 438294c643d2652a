package kernels

// Ger adds an outer product to the contiguous len(x) x len(y) matrix a: the
// rank-1 update A += alpha * x * y^T.
//
//	t = alpha * x[i]
//	a[i,j] = fma(t, y[j], a[i,j])
//
// It panics if len(a) is not len(x)*len(y).
func Ger(a, x, y []float32, alpha float32) {
	if len(a) != len(x)*len(y) {
		panic("kernels: Ger: length of a is not len(x)*len(y)")
	}
	ger(a, x, y, alpha)
}

func gerRef(a, x, y []float32, alpha float32) {
	for i, v := range x {
		t := float32(alpha * v)
		row := a[i*len(y):][:len(y)]
		for j, w := range y {
			row[j] = fma32(t, w, row[j])
		}
	}
}

// Precondition divides the contiguous len(row) x len(col) matrix m by a damped
// rank-1 (block-diagonal Kronecker) curvature.
//
//	dst[i,j] = m[i,j] / fma(row[i], col[j], lambda)
//
// It panics if len(dst) or len(m) is not len(row)*len(col).
func Precondition(dst, m, row, col []float32, lambda float32) {
	if len(m) != len(row)*len(col) {
		panic("kernels: Precondition: length of m is not len(row)*len(col)")
	}
	if len(dst) != len(m) {
		panic("kernels: Precondition: lengths of dst and m differ")
	}
	precondition(dst, m, row, col, lambda)
}

func preconditionRef(dst, m, row, col []float32, lambda float32) {
	for i, r := range row {
		d, v := dst[i*len(col):][:len(col)], m[i*len(col):][:len(col)]
		for j, c := range col {
			d[j] = float32(v[j] / fma32(r, c, lambda))
		}
	}
}

// blockRows is the number of consecutive rows that one chain of a column sum
// runs over, as blockK is for a matrix product.
const blockRows = 256

// ColSums stores the sums of the columns of the contiguous row-major matrix x
// with len(dst) columns.
//
//	dst[j] = sum over blocks of 256 rows of (sum over i of x[i,j], from +0)
//
// It panics if len(x) is not a multiple of len(dst). No rows give zeros.
func ColSums(dst, x []float32) {
	s := newColSum(dst, x, false, colSumsMismatch)
	s.sums(0, len(dst))
}

const colSumsMismatch = "kernels: ColSums: length of x is not a multiple of the length of dst"

// ColSums is the function of that name, split among the workers where the matrix is
// large. The result has the same bits.
func (p *Pool) ColSums(dst, x []float32) {
	s := newColSum(dst, x, false, colSumsMismatch)
	if !p.worth(len(x)) {
		s.sums(0, len(dst))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.colSum = s
	p.columns(&p.colSum, len(dst))
	p.colSum = colSum{}
}

func colSumsRef(dst, x []float32, rows, stride, add int) {
	for j := range dst {
		s := float32(0)
		for i := range rows {
			s += x[i*stride+j]
		}
		if add != 0 {
			s = dst[j] + s
		}
		dst[j] = s
	}
}

// Over few columns the sums of several blocks of rows run beside each other: one
// chain a column waits for its own additions.
const (
	narrowCols      = 8
	narrowBlocks    = 4 // of one matrix
	narrowBlocksTwo = 2 // of two
)

// carry tells a kernel of column sums to go on with the chains that dst holds.
const carry = 2

// narrow reports whether the next rows are such blocks.
func narrow(cols, rows, blocks int) bool { return cols <= narrowCols && rows >= blocks*blockRows }

func colSumsNarrowRef(dst, x []float32, rows, stride, block, add int) {
	for b := range narrowBlocks {
		colSumsRef(dst, x[b*block:], rows, stride, max(add, min(b, 1)))
	}
}

// ColSumSquares stores the sums of the squares of the columns of the contiguous
// row-major matrix x with len(dst) columns.
//
//	dst[j] = sum over blocks of 256 rows of (chain of s = fma(x[i,j], x[i,j], s), from +0)
//
// It panics if len(x) is not a multiple of len(dst). No rows give zeros.
func ColSumSquares(dst, x []float32) {
	s := newColSum(dst, x, true, "kernels: ColSumSquares: length of x is not a multiple of the length of dst")
	s.sums(0, len(dst))
}

func colSumSquaresRef(dst, x []float32, rows, stride, add int) {
	for j := range dst {
		s := float32(0)
		for i := range rows {
			v := x[i*stride+j]
			s = fma32(v, v, s)
		}
		if add != 0 {
			s = dst[j] + s
		}
		dst[j] = s
	}
}

// ColDots stores the inner products of the columns of the contiguous row-major
// matrices x and y with len(dst) columns: the gradient at scale of [ColMul].
//
//	dst[j] = sum over blocks of 256 rows of (chain of s = fma(x[i,j], y[i,j], s), from +0)
//
// It panics if the lengths of x and y differ or are not a multiple of len(dst). No
// rows give zeros.
func ColDots(dst, x, y []float32) {
	if len(x) != len(y) {
		panic("kernels: ColDots: lengths of x and y differ")
	}
	n := len(dst)
	rows := rowLen(n, x, "kernels: ColDots: length of x is not a multiple of the length of dst")
	if rows == 0 {
		clear(dst)
	}
	for r := 0; r < rows; r += blockRows {
		b := min(blockRows, rows-r)
		for c := 0; c < n; c += columnChunk / 2 { // two matrices
			e := min(c+columnChunk/2, n)
			lo, hi := r*n+c, (r+b-1)*n+e
			colDots(dst[c:e], x[lo:hi], y[lo:hi], b, n, min(r, 1))
		}
	}
}

func colDotsRef(dst, x, y []float32, rows, stride, add int) {
	for j := range dst {
		s := float32(0)
		for i := range rows {
			p := i*stride + j
			s = fma32(x[p], y[p], s)
		}
		if add != 0 {
			s = dst[j] + s
		}
		dst[j] = s
	}
}

// columnChunk bounds the columns of one call over blockRows rows.
const columnChunk = 512

// colSum is one call of ColSums or ColSumSquares.
type colSum struct {
	dst, x []float32

	rows    int
	squares bool
}

func newColSum(dst, x []float32, squares bool, mismatch string) colSum {
	return colSum{dst, x, rowLen(len(dst), x, mismatch), squares}
}

// sums goes over blocks of rows and columns. A kernel call sums rows of the given
// stride and stores (add 0) or adds (add 1) the block's sums.
func (s *colSum) sums(c0, c1 int) {
	n, r := len(s.dst), 0
	if s.rows == 0 {
		clear(s.dst[c0:c1])
		return
	}
	if !s.squares {
		for ; narrow(c1-c0, s.rows-r, narrowBlocks); r += narrowBlocks * blockRows {
			colSumsNarrow(s.dst[c0:c1], s.x[r*n+c0:(r+narrowBlocks*blockRows-1)*n+c1], blockRows, n, blockRows*n, min(r, 1))
		}
	}
	for ; r < s.rows; r += blockRows {
		b := min(blockRows, s.rows-r)
		for c := c0; c < c1; c += columnChunk {
			e := min(c+columnChunk, c1)
			if block := s.x[r*n+c : (r+b-1)*n+e]; s.squares {
				colSumSquares(s.dst[c:e], block, b, n, min(r, 1))
			} else {
				colSums(s.dst[c:e], block, b, n, min(r, 1))
			}
		}
	}
}
