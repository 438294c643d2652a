package kernels

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
	s := newColSums(dst, x)
	s.sums(0, len(dst))
}

// ColSums is the function of that name, split among the workers where the matrix is
// large. The result has the same bits.
func (p *Pool) ColSums(dst, x []float32) {
	s := newColSums(dst, x)
	if !p.worth(len(x)) {
		s.sums(0, len(dst))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.colSum = *s
	p.columns(&p.colSum, len(dst))
	p.colSum = colSum{}
}

// newColSums returns a pointer, as do the literals of colSum below: a copy of what was
// just made waits for it, by some 5 ns.
func newColSums(dst, x []float32) *colSum {
	rows := rowLen(len(dst), x, "kernels: ColSums: length of x is not a multiple of the length of dst")
	return &colSum{kind: sumOf, dst: dst, x: x, rows: rows}
}

// ColSumSquares stores the sums of the squares of the columns of the contiguous
// row-major matrix x with len(dst) columns.
//
//	dst[j] = sum over blocks of 256 rows of (chain of s = fma(x[i,j], x[i,j], s), from +0)
//
// It panics if len(x) is not a multiple of len(dst). No rows give zeros.
func ColSumSquares(dst, x []float32) {
	rows := rowLen(len(dst), x, "kernels: ColSumSquares: length of x is not a multiple of the length of dst")
	s := &colSum{kind: sumOfSquares, dst: dst, x: x, rows: rows}
	s.sums(0, len(dst))
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
	rows := rowLen(len(dst), x, "kernels: ColDots: length of x is not a multiple of the length of dst")
	s := &colSum{kind: sumOfProducts, dst: dst, x: x, y: y, rows: rows}
	s.sums(0, len(dst))
}

// Over few columns the sums of several blocks of rows run beside each other: one
// chain a column waits for its own additions.
const (
	narrowCols      = 8
	narrowBlocks    = 4 // of one matrix
	narrowBlocksTwo = 2 // of two
)

// narrow reports whether the next rows are such blocks.
func narrow(cols, rows, blocks int) bool { return cols <= narrowCols && rows >= blocks*blockRows }

// columnChunk bounds the columns of one call over blockRows rows, wideChunk those of
// one over fewer, longChunk those of one over parts of long rows. (Measured on a Zen 4:
// 8192 x 8192 at 25 GB/s by whole rows, at 19 by 2048 columns; a sum over all at 23.)
const (
	columnChunk = 512
	wideChunk   = 2048
	longChunk   = 8192
)

// carry tells a kernel of column sums to go on with the chains that dst holds.
const carry = 2

// sumRows returns how many of a number of rows of n elements a call of a kernel of
// column sums takes. A kernel goes down some columns at a time: through a large
// matrix it gets faster by few rows, which memory is read ahead in. (Measured with AVX2
// on a Zen 3: 8192 x 8192 at 22 GB/s by 8 rows, 12 by 256; from the second cache 96, 72.
// Two matrices of 8 MiB take 10 % less time by 4 rows of each than by 8. With AVX-512 on a
// Zen 4: 8192 x 8192 at 18 and 13 GB/s; from the second cache 106 and 114, from the third,
// of 32 MiB, 76 and 83 with 8 MiB, 41 and 31 with 16.)
func sumRows(n, rows, matrices int) int {
	var large int // elements of all matrices
	switch CurrentLevel() {
	case AVX2:
		large = 1 << 12 * matrices
	case AVX512:
		large = 1 << 21
	default:
		return blockRows
	}
	if n <= 64 || rows*n*matrices <= large {
		return blockRows
	}
	if some := 8 / matrices; rows >= 2*some {
		return some
	}
	return blockRows
}

// sumKind is what a column sum adds up.
type sumKind int

const (
	sumOf               sumKind = iota // x
	sumOfSquares                       // x*x
	sumOfProducts                      // x*y
	sumOfShifted                       // x-shift
	sumOfShiftedSquares                // (x-shift)^2
)

// A colSum is a sum over the rows of contiguous matrices, one for each column, by
// blocks of rows.
type colSum struct {
	kind             sumKind
	dst, x, y, shift []float32 // dst and shift have an element a column

	rows int
}

// sums stores the sums of columns c0 to c1.
func (s *colSum) sums(c0, c1 int) {
	if s.rows == 0 {
		clear(s.dst[c0:c1])
		return
	}
	matrices := 1
	if s.y != nil {
		matrices = 2
	}
	step := sumRows(c1-c0, s.rows, matrices)
	if s.rows <= step && c1-c0 <= columnChunk/2 { // one call
		s.add(s.dst[c0:c1], 0, s.rows, c0, 0)
		return
	}
	if step < blockRows && s.rows > blockRows {
		if c1-c0 <= wideChunk {
			s.byBlocks(c0, c1, step)
		} else {
			s.byLongBlocks(c0, c1, step)
		}
		return
	}
	r := 0
	for ; s.kind != sumOfSquares && s.kind != sumOfProducts && narrow(c1-c0, s.rows-r, narrowBlocks); r += narrowBlocks * blockRows {
		s.narrow(r, c0, c1)
	}
	most, next := columnChunk, 1
	if step < blockRows {
		most, next = longChunk, carry
	}
	most /= matrices
	for add := min(r, 1); r < s.rows; r, add = r+step, next {
		for c := c0; c < c1; c += most {
			s.add(s.dst[c:min(c+most, c1)], r, min(r+step, s.rows), c, add)
		}
	}
}

// byBlocks is sums for calls on some rows of several blocks: the chains of those
// after the first run beside the sums.
//
//go:noinline
func (s *colSum) byBlocks(c0, c1, step int) {
	var buffer [wideChunk]float32
	s.blocks(c0, c1, step, buffer[:])
}

// byLongBlocks has a larger buffer for more columns.
//
//go:noinline
func (s *colSum) byLongBlocks(c0, c1, step int) {
	var buffer [longChunk]float32
	s.blocks(c0, c1, step, buffer[:])
}

func (s *colSum) blocks(c0, c1, step int, buffer []float32) {
	for c := c0; c < c1; c += len(buffer) {
		dst := s.dst[c:min(c+len(buffer), c1)]
		chains := dst
		for r := 0; r < s.rows; r += blockRows {
			end := min(r+blockRows, s.rows)
			for i, add := r, 0; i < end; i, add = i+step, carry {
				s.add(chains, i, min(i+step, end), c, add)
			}
			if r > 0 {
				Add(dst, dst, chains)
			}
			chains = buffer[:len(dst)]
		}
	}
}

// add sums rows r0 to r1 of the columns from c on to dst: it stores the sums (add 0),
// adds them to what is there (1), or goes on with the chains there (carry).
func (s *colSum) add(dst []float32, r0, r1, c, add int) {
	n, rows := len(s.dst), r1-r0
	lo, hi := r0*n+c, (r1-1)*n+c+len(dst)
	switch s.kind {
	case sumOf:
		colSums(dst, s.x[lo:hi], rows, n, add)
	case sumOfSquares:
		colSumSquares(dst, s.x[lo:hi], rows, n, add)
	case sumOfProducts:
		colDots(dst, s.x[lo:hi], s.y[lo:hi], rows, n, add)
	case sumOfShifted:
		colSumsShifted(dst, s.x[lo:hi], s.shift[c:][:len(dst)], rows, n, add)
	case sumOfShiftedSquares:
		colSumSquaresShifted(dst, s.x[lo:hi], s.shift[c:][:len(dst)], rows, n, add)
	}
}

// narrow adds up the blocks from row r on that run beside each other.
func (s *colSum) narrow(r, c0, c1 int) {
	n, dst, add := len(s.dst), s.dst[c0:c1], min(r, 1)
	x := s.x[r*n+c0 : (r+narrowBlocks*blockRows-1)*n+c1]
	switch s.kind {
	case sumOf:
		colSumsNarrow(dst, x, blockRows, n, blockRows*n, add)
	case sumOfShifted:
		colSumsShiftedNarrow(dst, x, s.shift[c0:c1], blockRows, n, blockRows*n, add)
	case sumOfShiftedSquares:
		colSumSquaresShiftedNarrow(dst, x, s.shift[c0:c1], blockRows, n, blockRows*n, add)
	}
}

// chainStart returns where the chain of a column begins, and chainEnd what is stored
// of it: see colSum.add.
func chainStart(dst float32, add int) float32 {
	if add == carry {
		return dst
	}
	return 0
}

func chainEnd(dst, s float32, add int) float32 {
	if add == 1 {
		return dst + s
	}
	return s
}

func colSumsRef(dst, x []float32, rows, stride, add int) {
	for j := range dst {
		s := chainStart(dst[j], add)
		for i := range rows {
			s += x[i*stride+j]
		}
		dst[j] = chainEnd(dst[j], s, add)
	}
}

func colSumsNarrowRef(dst, x []float32, rows, stride, block, add int) {
	for b := range narrowBlocks {
		colSumsRef(dst, x[b*block:], rows, stride, max(add, min(b, 1)))
	}
}

func colSumSquaresRef(dst, x []float32, rows, stride, add int) {
	colDotsRef(dst, x, x, rows, stride, add)
}

func colDotsRef(dst, x, y []float32, rows, stride, add int) {
	for j := range dst {
		s := chainStart(dst[j], add)
		for i := range rows {
			p := i*stride + j
			s = fma32(x[p], y[p], s)
		}
		dst[j] = chainEnd(dst[j], s, add)
	}
}
