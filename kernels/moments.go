package kernels

import "math"

// RowSums stores the sums of the rows of the contiguous row-major matrix x with
// len(dst) rows.
//
//	dst[i] = Sum(x[i,:])
//
// It panics if len(x) is not a multiple of len(dst).
func RowSums(dst, x []float32) {
	n := rowLen(len(dst), x, "kernels: RowSums: length of x is not a multiple of the length of dst")
	if n > chunkLen {
		for i := range dst {
			dst[i] = Sum(x[i*n:][:n])
		}
		return
	}
	eachRows(len(dst), n, func(r0, r1 int) { rowSums(dst[r0:r1], x[r0*n:r1*n], n, n, 0, 0) })
}

func rowSumsRef(dst, x []float32, cols, xStride, after, grow int) {
	eachRef(len(dst), cols, after, grow, func(i, n int) { dst[i] = sumRef(nil, x[i*xStride:][:n]) })
}

// eachRows cuts rows of n <= chunkLen elements into blocks for one call each.
func eachRows(rows, n int, f func(r0, r1 int)) {
	if 0 < rows && rows <= rowChunk && rows*n <= chunkLen { // a division less
		f(0, rows)
		return
	}
	step := min(rowChunk, chunkLen/max(n, 1))
	for r := 0; r < rows; r += step {
		f(r, min(r+step, rows))
	}
}

// rowLen returns the length of each of the rows (or columns) of the contiguous
// matrix x; it panics if they have not all one length.
func rowLen(rows int, x []float32, mismatch string) int {
	if rows == 0 {
		if len(x) != 0 {
			panic(mismatch)
		}
		return 0
	}
	n := len(x) / rows
	if n*rows != len(x) { // a division less
		panic(mismatch)
	}
	return n
}

// RowMeanVariance stores the mean and the (biased) variance of the rows of the
// contiguous row-major matrix x with len(mean) rows of n elements, in two passes
// over a row. The sums are by 64 lanes, as in [Sum] and [SumSquares].
//
//	shift       = x[i,0]
//	q           = sum(x[i,j]-shift) / n
//	mean[i]     = shift + q
//	lost        = q - (mean[i]-shift)
//	variance[i] = max(0, sum((x[i,j]-mean[i])^2)/n - lost*lost)
//
// The shift keeps the mean, and lost, which the mean's rounding dropped, keeps the
// variance accurate where the mean is many times the standard deviation. A NaN or
// an infinity in a row makes its variance NaN and its mean NaN or infinite; both
// are NaN for a row without elements. It panics if the lengths of mean and variance
// differ or len(x) is not a multiple of them.
func RowMeanVariance(mean, variance, x []float32) {
	if len(variance) != len(mean) {
		panic("kernels: RowMeanVariance: lengths of mean and variance differ")
	}
	n := rowLen(len(mean), x, "kernels: RowMeanVariance: length of x is not a multiple of the length of mean")
	switch {
	case n == 0:
		Fill(mean, float32(math.NaN()))
		Fill(variance, float32(math.NaN()))
	case n > chunkLen:
		for i := range mean {
			mean[i], variance[i] = momentsOfRow(x[i*n:][:n])
		}
	default:
		for r, step := 0, stepOf(len(mean), 2*n); r < len(mean); r += step {
			e := min(r+step, len(mean))
			x, m, v := x[r*n:e*n], mean[r:e], variance[r:e]
			rowMeans(m, v, x, n, float32(n))
			rowVariances(v, x, m, v, n, float32(n))
		}
	}
}

// rowMeansRef stores the means, and what their rounding lost.
func rowMeansRef(mean, lost, x []float32, cols int, n float32) {
	for i := range mean {
		row := x[i*cols:][:cols]
		mean[i], lost[i] = shiftedMean(row[0], sumShiftedRef(nil, row, row[0]), n)
	}
}

func rowVariancesRef(variance, x, mean, lost []float32, cols int, n float32) {
	for i, m := range mean {
		variance[i] = correctedVariance(sumSquaresShiftedRef(nil, x[i*cols:][:cols], m), lost[i], n)
	}
}

func rowDeviationsRef(rstd, x, mean, lost []float32, cols int, eps, n float32) {
	rowVariancesRef(rstd, x, mean, lost, cols, n)
	for i, v := range rstd {
		rstd[i] = 1 / sqrt32(v+eps)
	}
}

// momentsOfRow is [RowMeanVariance] for a row of any length above 0.
func momentsOfRow(row []float32) (mean, variance float32) {
	n, shift := float32(len(row)), row[0]
	mean, lost := shiftedMean(shift, shiftedSum(row, shift), n)
	return mean, correctedVariance(shiftedSquares(row, mean), lost, n)
}

// shiftedMean returns the mean of n elements from the sum of their distances to
// shift, and what its rounding lost.
func shiftedMean(shift, sum, n float32) (mean, lost float32) {
	q := sum / n
	mean = shift + q
	return mean, q - (mean - shift)
}

// correctedVariance returns the variance from the sum of the squared distances to
// the rounded mean.
func correctedVariance(squares, lost, n float32) float32 {
	return maxOr(0, squares/n-float32(lost*lost))
}

// shiftedSum returns the sum of x-shift by 64 lanes.
func shiftedSum(x []float32, shift float32) float32 {
	return sumShifted(nil, x, shift)
}

func sumShiftedRef(acc *[lanes]float32, x []float32, shift float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		acc[i%lanes] += v - shift
	}
	return tree(acc)
}

// shiftedSquares returns the sum of the squares of x-shift by 64 lanes.
func shiftedSquares(x []float32, shift float32) float32 {
	return sumSquaresShifted(nil, x, shift)
}

func sumSquaresShiftedRef(acc *[lanes]float32, x []float32, shift float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		d := v - shift
		acc[i%lanes] = fma32(d, d, acc[i%lanes])
	}
	return tree(acc)
}

// ColMeanVariance stores the mean and the (biased) variance of the columns of the
// contiguous row-major matrix x with len(mean) columns and n rows: the statistics
// of batch normalisation. It is [RowMeanVariance] for columns, with the sums by
// blocks of 256 rows, as in [ColSums] and [ColSumSquares].
//
//	shift       = x[0,j]
//	q           = sum(x[i,j]-shift) / n
//	mean[j]     = shift + q
//	lost        = q - (mean[j]-shift)
//	variance[j] = max(0, sum((x[i,j]-mean[j])^2)/n - lost*lost)
//
// No rows give NaN. It panics if the lengths of mean and variance differ or len(x)
// is not a multiple of them.
func ColMeanVariance(mean, variance, x []float32) {
	m := newColMoments(mean, variance, x)
	m.sums(0, len(mean))
}

// ColMeanVariance is the function of that name, split among the workers where the
// matrix is large. The result has the same bits.
func (p *Pool) ColMeanVariance(mean, variance, x []float32) {
	m := newColMoments(mean, variance, x)
	if !p.worth(2 * len(x)) {
		m.sums(0, len(mean))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moments = *m
	p.columns(&p.moments, len(mean))
	p.moments = colMoments{}
}

// colMoments is one call of ColMeanVariance.
type colMoments struct {
	mean, variance, x []float32

	rows int
}

func newColMoments(mean, variance, x []float32) *colMoments {
	if len(variance) != len(mean) {
		panic("kernels: ColMeanVariance: lengths of mean and variance differ")
	}
	rows := rowLen(len(mean), x, "kernels: ColMeanVariance: length of x is not a multiple of the length of mean")
	return &colMoments{mean, variance, x, rows}
}

func (m *colMoments) sums(c0, c1 int) {
	if m.rows == 0 {
		Fill(m.mean[c0:c1], float32(math.NaN()))
		Fill(m.variance[c0:c1], float32(math.NaN()))
		return
	}
	if c1-c0 <= columnChunk {
		var buffer [columnChunk]float32
		m.by(c0, c1, buffer[:])
	} else {
		m.wide(c0, c1)
	}
}

// wide has a larger buffer for more columns.
//
//go:noinline
func (m *colMoments) wide(c0, c1 int) {
	var buffer [wideChunk]float32
	m.by(c0, c1, buffer[:])
}

// by stores the moments of columns c0 to c1, by as many as the buffer has room for.
func (m *colMoments) by(c0, c1 int, buffer []float32) {
	x, rows := m.x, m.rows
	sums := &colSum{kind: sumOfShifted, dst: m.mean, x: x, shift: x[:len(m.mean)], rows: rows}
	squares := &colSum{kind: sumOfShiftedSquares, dst: m.variance, x: x, shift: m.mean, rows: rows}
	for c := c0; c < c1; c += len(buffer) {
		e := min(c+len(buffer), c1)
		mean, variance, lost := m.mean[c:e], m.variance[c:e], buffer[:e-c]
		sums.sums(c, e)
		shiftedMeans(mean, lost, x[c:e], float32(rows))
		squares.sums(c, e)
		correctedVariances(variance, lost, float32(rows))
	}
}

func shiftedMeansRef(mean, lost, shift []float32, rows float32) {
	for j, sum := range mean {
		mean[j], lost[j] = shiftedMean(shift[j], sum, rows)
	}
}

func correctedVariancesRef(variance, lost []float32, rows float32) {
	for j, squares := range variance {
		variance[j] = correctedVariance(squares, lost[j], rows)
	}
}

func colSumsShiftedRef(dst, x, shift []float32, rows, stride, add int) {
	for j := range dst {
		s := chainStart(dst[j], add)
		for i := range rows {
			s += x[i*stride+j] - shift[j]
		}
		dst[j] = chainEnd(dst[j], s, add)
	}
}

func colSumSquaresShiftedRef(dst, x, shift []float32, rows, stride, add int) {
	for j := range dst {
		s := chainStart(dst[j], add)
		for i := range rows {
			d := x[i*stride+j] - shift[j]
			s = fma32(d, d, s)
		}
		dst[j] = chainEnd(dst[j], s, add)
	}
}

func colSumsShiftedNarrowRef(dst, x, shift []float32, rows, stride, block, add int) {
	for b := range narrowBlocks {
		colSumsShiftedRef(dst, x[b*block:], shift, rows, stride, max(add, min(b, 1)))
	}
}

func colSumSquaresShiftedNarrowRef(dst, x, shift []float32, rows, stride, block, add int) {
	for b := range narrowBlocks {
		colSumSquaresShiftedRef(dst, x[b*block:], shift, rows, stride, max(add, min(b, 1)))
	}
}
