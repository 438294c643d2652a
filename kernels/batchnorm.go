package kernels

// BatchNormBackward stores the gradients at the input and at the parameters of
// batch normalisation (Ioffe and Szegedy 2015, arXiv 1502.03167)
//
//	y[i,j] = (x[i,j]-mean[j]) * rstd[j] * gamma[j] + beta[j]
//
// from the gradient dy at its output, where mean and rstd = 1/sqrt(variance+eps)
// are those of the n rows of the contiguous row-major matrix x with len(gamma)
// columns: of N samples with H x W positions, n = N*H*W. The sums are by blocks of
// 256 rows, as in [ColSums].
//
//	dbeta[j]  = sum of dy[i,j]
//	dgamma[j] = rstd[j] * sum of fma(dy[i,j], x[i,j]-mean[j])
//	a         = dbeta[j] / n
//	b         = (dgamma[j]/n) * rstd[j]
//	dx[i,j]   = (gamma[j]*rstd[j]) * fma(-(x[i,j]-mean[j]), b, dy[i,j]-a)
//
// dx may be dy or x, or nil if the gradient at the input is not needed; the other
// outputs may overlap nothing. No rows give zeros. It panics if the lengths of
// dgamma, dbeta, mean, rstd and gamma differ, len(x) is not a multiple of them, or
// the lengths of dx, dy and x differ.
func BatchNormBackward(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) {
	n := len(gamma)
	if len(dgamma) != n || len(dbeta) != n || len(mean) != n || len(rstd) != n {
		panic("kernels: BatchNormBackward: lengths of dgamma, dbeta, mean, rstd and gamma differ")
	}
	if len(dy) != len(x) || dx != nil && len(dx) != len(x) {
		panic("kernels: BatchNormBackward: lengths of dx, dy and x differ")
	}
	rows := rowLen(n, x, "kernels: BatchNormBackward: length of x is not a multiple of the length of gamma")
	if rows == 0 {
		clear(dgamma)
		clear(dbeta)
		return
	}
	r := 0
	for ; narrow(n, rows-r, narrowBlocksTwo); r += narrowBlocksTwo * blockRows {
		lo, hi := r*n, (r+narrowBlocksTwo*blockRows)*n
		batchNormSumsNarrow(dgamma, dbeta, dy[lo:hi], x[lo:hi], mean, blockRows, n, blockRows*n, min(r, 1))
	}
	for ; r < rows; r += blockRows {
		b := min(blockRows, rows-r)
		for c := 0; c < n; c += columnChunk / 2 { // two matrices
			e := min(c+columnChunk/2, n)
			lo, hi := r*n+c, (r+b-1)*n+e
			batchNormSums(dgamma[c:e], dbeta[c:e], dy[lo:hi], x[lo:hi], mean[c:e], b, n, min(r, 1))
		}
	}
	Mul(dgamma, dgamma, rstd)
	if dx == nil {
		return
	}
	if n <= columnChunk {
		var buffer [4 * columnChunk]float32
		batchNormInput(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, buffer[:])
	} else {
		batchNormInputWide(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
	}
}

// batchNormInputWide has a larger buffer: the longer the pieces of rows, the better
// memory is read ahead.
//
//go:noinline
func batchNormInputWide(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) {
	var buffer [16 * columnChunk]float32
	batchNormInput(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, buffer[:])
}

// batchNormInput stores the gradient at the input, with what is the same for all
// elements of a column in buffer.
func batchNormInput(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, buffer []float32) {
	n, step := len(gamma), len(buffer)/4
	rows := len(x) / n
	section := func(i int) []float32 { return buffer[i*step:][:step] }
	slope, a, b, m := section(0), section(1), section(2), section(3)
	for c := 0; c < n; c += step {
		e := min(c+step, n)
		w := e - c
		copy(m, mean[c:e])
		mul(slope[:w], gamma[c:e], rstd[c:e])
		normalize(a[:w], dbeta[c:e], 0, float32(rows)) // (v-0) / rows
		normalize(b[:w], dgamma[c:e], 0, float32(rows))
		mul(b[:w], b[:w], rstd[c:e])
		if w == n {
			w = wideRow(n, rows)
			for _, v := range [...][]float32{slope, a, b, m} {
				repeat(v[:w], n)
			}
			eachWide(len(x), w, func(lo, hi, w int) {
				batchNormBackward(dx[lo:hi], dy[lo:hi], x[lo:hi], m[:w], slope[:w], a[:w], b[:w], (hi-lo)/w)
			})
			return
		}
		for r := range rows {
			lo, hi := r*n+c, r*n+e
			batchNormBackward(dx[lo:hi], dy[lo:hi], x[lo:hi], m[:w], slope[:w], a[:w], b[:w], 1)
		}
	}
}

func batchNormSumsRef(dgamma, dbeta, dy, x, mean []float32, rows, stride, add int) {
	for j := range dgamma {
		s, t := float32(0), float32(0)
		for i := range rows {
			p := i*stride + j
			s = fma32(dy[p], x[p]-mean[j], s)
			t += dy[p]
		}
		if add != 0 {
			s, t = dgamma[j]+s, dbeta[j]+t
		}
		dgamma[j], dbeta[j] = s, t
	}
}

func batchNormSumsNarrowRef(dgamma, dbeta, dy, x, mean []float32, rows, stride, block, add int) {
	for b := range narrowBlocksTwo {
		batchNormSumsRef(dgamma, dbeta, dy[b*block:], x[b*block:], mean, rows, stride, max(add, min(b, 1)))
	}
}

func batchNormBackwardRef(dx, dy, x, mean, slope, a, b []float32, rows int) {
	n := len(mean)
	for i := range rows {
		dx, dy, x := dx[i*n:][:n], dy[i*n:][:n], x[i*n:][:n]
		for j, v := range dy {
			dx[j] = float32(slope[j] * fnma32(x[j]-mean[j], b[j], v-a[j]))
		}
	}
}
