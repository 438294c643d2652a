package kernels

import "math"

// Softmax stores the softmax of the vector x.
//
//	m      = max(x)
//	e[i]   = exp(x[i]-m)
//	dst[i] = e[i] * (1/sum(e))      sum by 64 lanes, as Sum
//
// The error is at most 4 ulp, and relative to dst[i] besides (|x[i]-m| + len(x)/64) *
// 2^-24 for the rounding of the difference and of the sum. A NaN or +Inf in x makes
// every element NaN, and so do elements that are all -Inf. It panics if the lengths
// differ.
func Softmax(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Softmax: lengths of dst and x differ")
	}
	softmaxRow(dst, x, 1)
}

// SoftmaxRows stores the softmax of each row of alpha*x: with alpha 1 that of
// [Softmax].
//
//	m        = max(x[i,:])
//	e[j]     = exp(alpha*(x[i,j]-m))
//	dst[i,j] = e[j] * (1/sum(e))      sum by 64 lanes, as Sum
//
// The error is that of [Softmax], with 2*alpha*|x[i,j]-m| for the difference, which is
// rounded twice. A NaN or +Inf in a row makes the row NaN, and so do elements that are
// all -Inf. dst may be x. It panics if the shapes differ, a matrix is shorter than its
// shape, or alpha is negative, infinite or NaN.
func SoftmaxRows(dst, x Matrix, alpha float32) {
	dst.check()
	x.check()
	if dst.Rows != x.Rows || dst.Cols != x.Cols {
		panic("kernels: SoftmaxRows: shapes of dst and x differ")
	}
	if !(alpha >= 0 && alpha <= math.MaxFloat32) {
		panic("kernels: SoftmaxRows: alpha is negative, infinite or NaN")
	}
	if x.Cols > chunkLen {
		for i := range x.Rows {
			softmaxRow(dst.Row(i), x.Row(i), alpha)
		}
		return
	}
	softmaxMatrix(&dst, &x, alpha, 0)
}

// CausalSoftmaxRows is [SoftmaxRows] for the scores of attention in which a
// position sees itself and the ones before it: x is a square block, or several
// below each other, as those of the samples and heads of a batch. Row i of a block
// has the elements 0 to i; the others are not read, and set to +0 in dst.
//
// It panics if the shapes differ, the rows are not a multiple of the columns, a
// matrix is shorter than its shape, or alpha is negative, infinite or NaN.
func CausalSoftmaxRows(dst, x Matrix, alpha float32) {
	dst.check()
	x.check()
	if dst.Rows != x.Rows || dst.Cols != x.Cols {
		panic("kernels: CausalSoftmaxRows: shapes of dst and x differ")
	}
	if !(alpha >= 0 && alpha <= math.MaxFloat32) {
		panic("kernels: CausalSoftmaxRows: alpha is negative, infinite or NaN")
	}
	if !squareBlocks(&x) {
		panic("kernels: CausalSoftmaxRows: rows are not a multiple of the columns")
	}
	softmaxMatrix(&dst, &x, alpha, 1)
}

func squareBlocks(m *Matrix) bool {
	if m.Cols == 0 {
		return m.Rows == 0
	}
	return m.Rows%m.Cols == 0
}

// Some rows at a time go through the steps of a softmax: as many as stay in the
// first cache.
const (
	stepRows     = 64
	stepElements = 1 << 12
)

// stepOf returns the number of rows of a step.
func stepOf(rows, cols int) int {
	if rows <= stepRows && rows*cols <= stepElements { // a division less
		return rows
	}
	return max(1, min(stepRows, stepElements/cols))
}

// eachStep calls f with the half-open ranges of rows of a step, and the number of
// elements after those of the first one.
func (m *Matrix) eachStep(grow int, f func(r0, r1, after int)) {
	if m.Rows == 0 || m.Cols == 0 {
		return
	}
	step := stepOf(m.Rows, m.Cols)
	for r := 0; r < m.Rows; r += step {
		f(r, min(r+step, m.Rows), m.after(r, grow))
	}
}

// after returns the number of elements after those of row r: 0 unless each row of a
// square block has one more than the one before, with grow 1.
func (m *Matrix) after(r, grow int) int {
	if grow == 0 {
		return 0
	}
	return m.Cols - 1 - r%m.Cols
}

// span returns the data of some rows.
func (m *Matrix) span(r0, r1 int) []float32 {
	return m.Data[r0*m.Stride : (r1-1)*m.Stride+m.Cols]
}

func softmaxMatrix(dst, x *Matrix, alpha float32, grow int) {
	var maxima, sums [stepRows]float32
	x.eachStep(grow, func(r0, r1, after int) {
		from, to, m, s := x.span(r0, r1), dst.span(r0, r1), maxima[:r1-r0], sums[:r1-r0]
		rowMaxima(m, from, x.Cols, x.Stride, after, grow)
		expRows(to, from, m, x.Cols, dst.Stride, x.Stride, after, grow, alpha)
		rowSums(s, to, x.Cols, dst.Stride, after, grow)
		reciprocals(s)
		scaleRows(to, to, s, x.Cols, dst.Stride, dst.Stride, after, grow)
	})
}

// softmaxRow stores the softmax of alpha*x for a row of any length.
func softmaxRow(dst, x []float32, alpha float32) {
	_, m := MinMax(x)
	s := expSums(dst, x, m, alpha)
	Scale(dst, dst, float32(1/s))
}

// In the references of kernels over rows, row i of a matrix has cols-after elements;
// after becomes less by grow from one row to the next, and begins again at cols-1.
func eachRef(rows, cols, after, grow int, f func(i, n int)) {
	for i := range rows {
		f(i, cols-after)
		if after -= grow; after < 0 {
			after += cols
		}
	}
}

func rowMaximaRef(dst, x []float32, cols, xStride, after, grow int) {
	eachRef(len(dst), cols, after, grow, func(i, n int) { dst[i] = maximumRef(x[i*xStride:][:n]) })
}

func expRowsRef(dst, x, m []float32, cols, dstStride, xStride, after, grow int, alpha float32) {
	eachRef(len(m), cols, after, grow, func(i, n int) {
		dst := dst[i*dstStride:]
		for j, v := range x[i*xStride:][:n] {
			dst[j] = expNonPositive(float32(alpha * (v - m[i])))
		}
	})
}

func scaleRowsRef(dst, x, q []float32, cols, dstStride, xStride, after, grow int) {
	eachRef(len(q), cols, after, grow, func(i, n int) {
		row := dst[i*dstStride:][:cols]
		scaleRef(row[:n], x[i*xStride:][:n], q[i])
		clear(row[n:])
	})
}

// reciprocals replaces the numbers of a step by their reciprocals.
func reciprocals(v []float32) {
	div(v, ones[:len(v)], v)
}

// SoftmaxRowsBackward stores the gradient at the input x of [SoftmaxRows] from the
// gradient dy at its output y. dx may be dy.
//
//	s       = sum of fma(dy[i,j], y[i,j])      by 64 lanes, as Dot
//	dx[i,j] = alpha * (y[i,j]*(dy[i,j]-s))
//
// It panics if the shapes differ or a matrix is shorter than its shape.
func SoftmaxRowsBackward(dx, dy, y Matrix, alpha float32) {
	dx.check()
	dy.check()
	y.check()
	if dx.Rows != y.Rows || dx.Cols != y.Cols || dy.Rows != y.Rows || dy.Cols != y.Cols {
		panic("kernels: SoftmaxRowsBackward: shapes of dx, dy and y differ")
	}
	if y.Cols > chunkLen {
		for i := range y.Rows {
			softmaxRowBackward(dx.Row(i), dy.Row(i), y.Row(i), alpha)
		}
		return
	}
	softmaxMatrixBackward(&dx, &dy, &y, alpha, 0)
}

// CausalSoftmaxRowsBackward is [SoftmaxRowsBackward] for [CausalSoftmaxRows]:
// the elements after those of a row are not read in dy and y, and set to +0 in dx.
//
// It panics if the shapes differ, the rows are not a multiple of the columns, or a
// matrix is shorter than its shape.
func CausalSoftmaxRowsBackward(dx, dy, y Matrix, alpha float32) {
	dx.check()
	dy.check()
	y.check()
	if dx.Rows != y.Rows || dx.Cols != y.Cols || dy.Rows != y.Rows || dy.Cols != y.Cols {
		panic("kernels: CausalSoftmaxRowsBackward: shapes of dx, dy and y differ")
	}
	if !squareBlocks(&y) {
		panic("kernels: CausalSoftmaxRowsBackward: rows are not a multiple of the columns")
	}
	softmaxMatrixBackward(&dx, &dy, &y, alpha, 1)
}

func softmaxMatrixBackward(dx, dy, y *Matrix, alpha float32, grow int) {
	if y.Cols == 0 {
		return
	}
	var dots [stepRows]float32
	// A small matrix takes a tenth longer by a closure of eachStep.
	for r0, step := 0, stepOf(y.Rows, y.Cols); r0 < y.Rows; r0 += step {
		r1, after := min(r0+step, y.Rows), y.after(r0, grow)
		d, s := dy.span(r0, r1), dots[:r1-r0]
		rowDots(s, d, y.span(r0, r1), y.Cols, dy.Stride, y.Stride, after, grow)
		softmaxBackward(dx.span(r0, r1), d, y.span(r0, r1), s, y.Cols, dx.Stride, dy.Stride, y.Stride, after, grow, alpha)
	}
}

func rowDotsRef(dst, x, y []float32, cols, xStride, yStride, after, grow int) {
	eachRef(len(dst), cols, after, grow, func(i, n int) {
		dst[i] = dotRef(nil, x[i*xStride:][:n], y[i*yStride:][:n])
	})
}

func softmaxBackwardRef(dx, dy, y, s []float32, cols, dxStride, dyStride, yStride, after, grow int, alpha float32) {
	eachRef(len(s), cols, after, grow, func(i, n int) {
		dx, dy, y := dx[i*dxStride:][:cols], dy[i*dyStride:][:n], y[i*yStride:][:n]
		for j, v := range dy {
			dx[j] = float32(alpha * float32(y[j]*(v-s[i])))
		}
		clear(dx[n:])
	})
}

// softmaxRowBackward is the gradient for a row that is too long for one call.
func softmaxRowBackward(dx, dy, y []float32, alpha float32) {
	var sums [1 << 10]float32
	Fill(sums[:], Dot(dy, y))
	for len(dx) > 0 {
		n := min(len(dx), len(sums))
		sub(dx[:n], dy[:n], sums[:n])
		mul(dx[:n], dx[:n], y[:n])
		scale(dx[:n], dx[:n], alpha)
		dx, dy, y = dx[n:], dy[n:], y[n:]
	}
}

// LogSoftmax stores the logarithm of the softmax of the vector x.
//
//	m      = max(x)
//	dst[i] = (x[i]-m) - log(sum(exp(x-m)))      sum by 64 lanes, as Sum
//
// The largest error seen is 2 ulp of max(|dst[i]|, 1). A NaN or +Inf in x makes
// every element NaN, and so do elements that are all -Inf. It panics if the
// lengths differ.
func LogSoftmax(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: LogSoftmax: lengths of dst and x differ")
	}
	_, m := MinMax(x)
	l := logOf(sumExp(x, m))
	logSoftmax(dst, x, m, l)
}

// logOf returns log x. One element of the kernel takes a fifth of log32's time,
// whose fused multiply-adds are software.
func logOf(x float32) float32 {
	v := [1]float32{x}
	log(v[:], v[:])
	return v[0]
}

func logSoftmaxRef(dst, x []float32, m, l float32) {
	for i, v := range x {
		dst[i] = float32(v-m) - l
	}
}

// sumExp returns the sum of exp(x-m).
func sumExp(x []float32, m float32) float32 {
	if len(x) <= chunkLen {
		return expTotal(nil, x, m)
	}
	var acc [lanes]float32
	for len(x) > chunkLen {
		expTotal(&acc, x[:chunkLen], m)
		x = x[chunkLen:]
	}
	return expTotal(&acc, x, m)
}

func expTotalRef(acc *[lanes]float32, x []float32, m float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		acc[i%lanes] += expNonPositive(v - m)
	}
	return tree(acc)
}

// LogSoftmaxBackward stores the gradient at the input of [LogSoftmax] from the
// gradient dy at its output y. dx may be dy.
//
//	dx[i] = fma(-exp(y[i]), sum(dy), dy[i])      sum as Sum, exp as Exp
//
// It panics if the lengths differ.
func LogSoftmaxBackward(dx, dy, y []float32) {
	if len(dy) != len(dx) || len(y) != len(dx) {
		panic("kernels: LogSoftmaxBackward: lengths of dx, dy and y differ")
	}
	s := Sum(dy)
	logSoftmaxBackward(dx, dy, y, s)
}

func logSoftmaxBackwardRef(dx, dy, y []float32, s float32) {
	for i, v := range dy {
		dx[i] = fnma32(exp32(y[i]), s, v)
	}
}

// LogSoftmaxRows stores the [LogSoftmax] of each row of x.
//
//	m        = max(x[i,:])
//	dst[i,j] = (x[i,j]-m) - log(sum(exp(x[i,:]-m)))      sum by 64 lanes, as Sum
//
// dst may be x. It panics if the shapes differ or a matrix is shorter than its shape.
func LogSoftmaxRows(dst, x Matrix) {
	dst.check()
	x.check()
	if dst.Rows != x.Rows || dst.Cols != x.Cols {
		panic("kernels: LogSoftmaxRows: shapes of dst and x differ")
	}
	if x.Cols > stepElements {
		for i := range x.Rows {
			LogSoftmax(dst.Row(i), x.Row(i))
		}
		return
	}
	logSoftmaxMatrix(&dst, &x)
}

func logSoftmaxMatrix(dst, x *Matrix) {
	var maxima, sums [stepRows]float32
	var exps [stepElements]float32 // dst may be x
	x.eachStep(0, func(r0, r1, _ int) {
		from, to, e, m, s := x.span(r0, r1), dst.span(r0, r1), exps[:(r1-r0)*x.Cols], maxima[:r1-r0], sums[:r1-r0]
		rowMaxima(m, from, x.Cols, x.Stride, 0, 0)
		expRows(e, from, m, x.Cols, x.Cols, x.Stride, 0, 0, 1)
		rowSums(s, e, x.Cols, x.Cols, 0, 0)
		log(s, s)
		logSoftmaxRows(to, from, m, s, x.Cols, dst.Stride, x.Stride, 0, 0)
	})
}

func logSoftmaxRowsRef(dst, x, m, l []float32, cols, dstStride, xStride, after, grow int) {
	eachRef(len(m), cols, after, grow, func(i, n int) {
		logSoftmaxRef(dst[i*dstStride:][:n], x[i*xStride:][:n], m[i], l[i])
	})
}

// LogSoftmaxRowsBackward stores the gradient at the input of [LogSoftmaxRows] from the
// gradient dy at its output y. dx may be dy.
//
//	dx[i,j] = fma(-exp(y[i,j]), sum(dy[i,:]), dy[i,j])      sum as Sum, exp as Exp
//
// It panics if the shapes differ or a matrix is shorter than its shape.
func LogSoftmaxRowsBackward(dx, dy, y Matrix) {
	dx.check()
	dy.check()
	y.check()
	if dx.Rows != y.Rows || dx.Cols != y.Cols || dy.Rows != y.Rows || dy.Cols != y.Cols {
		panic("kernels: LogSoftmaxRowsBackward: shapes of dx, dy and y differ")
	}
	if y.Cols > stepElements {
		for i := range y.Rows {
			LogSoftmaxBackward(dx.Row(i), dy.Row(i), y.Row(i))
		}
		return
	}
	logSoftmaxMatrixBackward(&dx, &dy, &y)
}

func logSoftmaxMatrixBackward(dx, dy, y *Matrix) {
	var sums [stepRows]float32
	y.eachStep(0, func(r0, r1, _ int) {
		d, s := dy.span(r0, r1), sums[:r1-r0]
		rowSums(s, d, y.Cols, dy.Stride, 0, 0)
		logSoftmaxRowsBackward(dx.span(r0, r1), d, y.span(r0, r1), s, y.Cols, dx.Stride, dy.Stride, y.Stride, 0, 0)
	})
}

func logSoftmaxRowsBackwardRef(dx, dy, y, s []float32, cols, dxStride, dyStride, yStride, after, grow int) {
	eachRef(len(s), cols, after, grow, func(i, n int) {
		logSoftmaxBackwardRef(dx[i*dxStride:][:n], dy[i*dyStride:][:n], y[i*yStride:][:n], s[i])
	})
}

// expSums stores exp(alpha*(x-m)) and returns its sum.
func expSums(dst, x []float32, m, alpha float32) float32 {
	if len(x) <= chunkLen {
		return expSum(nil, dst, x, m, alpha)
	}
	var acc [lanes]float32
	for len(x) > chunkLen {
		expSum(&acc, dst[:chunkLen], x[:chunkLen], m, alpha)
		dst, x = dst[chunkLen:], x[chunkLen:]
	}
	return expSum(&acc, dst, x, m, alpha)
}

func expSumRef(acc *[lanes]float32, dst, x []float32, m, alpha float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		e := expNonPositive(float32(alpha * (v - m)))
		dst[i] = e
		acc[i%lanes] += e
	}
	return tree(acc)
}
