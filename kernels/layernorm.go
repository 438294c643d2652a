package kernels

import "math"

// LayerNorm normalises the rows of the contiguous row-major matrix x with
// len(mean) rows and len(gamma) columns (Ba et al. 2016, arXiv 1607.06450), and
// stores what [LayerNormBackward] needs.
//
//	mean[i], variance = as RowMeanVariance
//	rstd[i]  = 1 / sqrt(variance+eps)
//	dst[i,j] = fma((x[i,j]-mean[i])*rstd[i], gamma[j], beta[j])
//
// dst may be x. A NaN or an infinity in a row makes the row NaN. It panics if
// len(rstd) is not len(mean), len(beta) is not len(gamma), or len(dst) or len(x)
// is not len(mean)*len(gamma).
func LayerNorm(dst, mean, rstd, x, gamma, beta []float32, eps float32) {
	if len(rstd) != len(mean) {
		panic("kernels: LayerNorm: lengths of mean and rstd differ")
	}
	if len(beta) != len(gamma) {
		panic("kernels: LayerNorm: lengths of gamma and beta differ")
	}
	n := len(gamma)
	if len(x) != len(mean)*n || len(dst) != len(x) {
		panic("kernels: LayerNorm: length of dst or x is not len(mean)*len(gamma)")
	}
	switch {
	case n == 0:
		Fill(mean, float32(math.NaN()))
		Fill(rstd, float32(math.NaN()))
	case n > chunkLen:
		layerNormLong(dst, mean, rstd, x, gamma, beta, eps)
	default:
		for r, step := 0, stepOf(len(mean), 2*n); r < len(mean); r += step {
			e := min(r+step, len(mean))
			x, m, s := x[r*n:e*n], mean[r:e], rstd[r:e]
			rowMeans(m, s, x, n, float32(n))
			rowDeviations(s, x, m, s, n, eps, float32(n))
			layerNormRows(dst[r*n:e*n], x, m, s, gamma, beta)
		}
	}
}

func layerNormRowsRef(dst, x, mean, rstd, gamma, beta []float32) {
	n := len(gamma)
	for i, m := range mean {
		layerNormRef(dst[i*n:][:n], x[i*n:][:n], gamma, beta, m, rstd[i])
	}
}

// layerNormLong is [LayerNorm] for rows of any length above 0.
func layerNormLong(dst, mean, rstd, x, gamma, beta []float32, eps float32) {
	n := len(gamma)
	for i := range mean {
		row := x[i*n:][:n]
		m, variance := momentsOfRow(row)
		mean[i], rstd[i] = m, 1/sqrt32(variance+eps)
		layerNorm(dst[i*n:][:n], row, gamma, beta, m, rstd[i])
	}
}

func layerNormRef(dst, x, gamma, beta []float32, mean, rstd float32) {
	for j, v := range x {
		dst[j] = fma32(standard(v, mean, rstd), gamma[j], beta[j])
	}
}

// standard returns a normalised element.
func standard(x, mean, rstd float32) float32 { return float32((x - mean) * rstd) }

// LayerNormBackward stores the gradients at the input and at the parameters of
// [LayerNorm] from the gradient dy at its output, for len(mean) rows of
// n = len(gamma) elements. The sums over a row are by 64 lanes, as in [Dot]; those
// over the rows by blocks of 256, as in [ColSums].
//
//	h[i,j]    = (x[i,j]-mean[i]) * rstd[i]
//	a[i]      = sum of dy[i,j]*gamma[j] / n              lane = fma(dy, gamma, lane)
//	b[i]      = sum of (dy[i,j]*gamma[j])*h[i,j] / n     lane = fma(dy*gamma, h, lane)
//	dx[i,j]   = rstd[i] * fma(-h[i,j], b[i], dy[i,j]*gamma[j]-a[i])
//	dgamma[j] = sum of fma(dy[i,j], h[i,j])
//	dbeta[j]  = sum of dy[i,j]
//
// dx may be dy or x; the other outputs may overlap nothing. It panics if len(rstd)
// is not len(mean), len(dgamma) or len(dbeta) is not len(gamma), or len(dx),
// len(dy) or len(x) is not len(mean)*len(gamma).
func LayerNormBackward(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) {
	if len(rstd) != len(mean) {
		panic("kernels: LayerNormBackward: lengths of mean and rstd differ")
	}
	n := len(gamma)
	if len(dgamma) != n || len(dbeta) != n {
		panic("kernels: LayerNormBackward: lengths of dgamma, dbeta and gamma differ")
	}
	if len(dy) != len(mean)*n || len(dx) != len(dy) || len(x) != len(dy) {
		panic("kernels: LayerNormBackward: length of dx, dy or x is not len(mean)*len(gamma)")
	}
	if len(dy) == 0 {
		clear(dgamma)
		clear(dbeta)
		return
	}
	switch {
	case n > chunkLen || n > sumsCols && len(mean) > blockRows:
		layerNormBackwardApart(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
	case len(mean) > blockRows:
		layerNormBackwardBlocks(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
	default:
		layerNormBackwardBlock(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
	}
}

// sumsCols bounds the columns of which layerNormBackwardBlocks keeps sums.
const sumsCols = 1 << 12

// layerNormBackwardBlocks is [LayerNormBackward] for several blocks of rows: chains
// of those after the first run beside the sums.
//
//go:noinline
func layerNormBackwardBlocks(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) {
	var buffer [2 * sumsCols]float32
	n := len(gamma)
	a, b := dgamma, dbeta
	for r := 0; r < len(mean); r += blockRows {
		e := min(r+blockRows, len(mean))
		layerNormBackwardBlock(dx[r*n:e*n], a, b, dy[r*n:e*n], x[r*n:e*n], mean[r:e], rstd[r:e], gamma)
		if r > 0 {
			Add(dgamma, dgamma, a)
			Add(dbeta, dbeta, b)
		}
		a, b = buffer[:n], buffer[sumsCols:][:n]
	}
}

// layerNormBackwardBlock is [LayerNormBackward] for a block of rows that are not too
// long for one call.
func layerNormBackwardBlock(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) {
	n := len(gamma)
	clear(dgamma)
	clear(dbeta)
	var stats [layerNormStats * layerNormStep]float32
	for r, step := 0, min(layerNormStep, stepOf(len(mean), 2*n)); r < len(mean); r += step {
		e := min(r+step, len(mean))
		lo, hi, s := r*n, e*n, stats[:layerNormStats*(e-r)]
		layerNormDots(s, dy[lo:hi], x[lo:hi], mean[r:e], rstd[r:e], gamma, float32(n))
		layerNormBackwardRows(dx[lo:hi], dgamma, dbeta, dy[lo:hi], x[lo:hi], gamma, s, e-r)
	}
}

// layerNormStep bounds the rows of a step, and what is cleared for them.
const layerNormStep = 16

// layerNormStats are the numbers of a row that its gradient takes: mean, rstd, a, b.
const layerNormStats = 4

func layerNormDotsRef(stats, dy, x, mean, rstd, gamma []float32, n float32) {
	cols := len(gamma)
	for i, m := range mean {
		dy, x, r := dy[i*cols:][:cols], x[i*cols:][:cols], rstd[i]
		a := dotRef(nil, dy, gamma) / n
		b := layerNormDotRef(nil, dy, x, gamma, m, r) / n
		copy(stats[i*layerNormStats:], []float32{m, r, a, b})
	}
}

func layerNormBackwardRowsRef(dx, dgamma, dbeta, dy, x, gamma, stats []float32, rows int) {
	n := len(gamma)
	for i := range rows {
		s := stats[i*layerNormStats:][:layerNormStats]
		dx, dy, x := dx[i*n:][:n], dy[i*n:][:n], x[i*n:][:n]
		layerNormSumsRef(dgamma, dbeta, dy, x, s[:1], s[1:2], 1, n, carry) // dx may be dy or x
		layerNormBackwardRef(dx, dy, x, gamma, s[0], s[1], s[2], s[3])
	}
}

// layerNormBackwardApart is [LayerNormBackward] for rows of any length above 0, block
// by block with the sums first.
func layerNormBackwardApart(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) {
	n := len(gamma)
	for r := 0; r < len(mean); r += blockRows {
		e := min(r+blockRows, len(mean))
		for c := 0; c < n; c += columnChunk / 2 { // two matrices
			d := min(c+columnChunk/2, n)
			lo, hi := r*n+c, (e-1)*n+d
			layerNormSums(dgamma[c:d], dbeta[c:d], dy[lo:hi], x[lo:hi], mean[r:e], rstd[r:e], e-r, n, min(r, 1))
		}
		layerNormBackwardLong(dx[r*n:e*n], dy[r*n:e*n], x[r*n:e*n], mean[r:e], rstd[r:e], gamma)
	}
}

// layerNormBackwardLong stores the gradient at the input for rows of any length.
func layerNormBackwardLong(dx, dy, x, mean, rstd, gamma []float32) {
	n := len(gamma)
	for i, m := range mean {
		dx, dy, x, r := dx[i*n:][:n], dy[i*n:][:n], x[i*n:][:n], rstd[i]
		a := Dot(dy, gamma) / float32(n)
		b := rowDotNormalized(dy, x, gamma, m, r) / float32(n)
		layerNormBackward(dx, dy, x, gamma, m, r, a, b)
	}
}

func layerNormBackwardRef(dx, dy, x, gamma []float32, mean, rstd, a, b float32) {
	for j, v := range dy {
		h := standard(x[j], mean, rstd)
		dx[j] = float32(rstd * fnma32(h, b, float32(v*gamma[j])-a))
	}
}

// rowDotNormalized returns the inner product of dy*gamma and the normalised x.
func rowDotNormalized(dy, x, gamma []float32, mean, rstd float32) float32 {
	return layerNormDot(nil, dy, x, gamma, mean, rstd)
}

func layerNormDotRef(acc *[lanes]float32, dy, x, gamma []float32, mean, rstd float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for j, v := range dy {
		acc[j%lanes] = fma32(float32(v*gamma[j]), standard(x[j], mean, rstd), acc[j%lanes])
	}
	return tree(acc)
}

// layerNormSumsRef stores for each column the inner product of dy and the x that is
// normalised by rows, and the sum of dy. With add 1 they are added to what is there;
// with carry they go on from it.
func layerNormSumsRef(dgamma, dbeta, dy, x, mean, rstd []float32, rows, stride, add int) {
	for j := range dgamma {
		g, b := chainStart(dgamma[j], add), chainStart(dbeta[j], add)
		for i := range rows {
			p := i*stride + j
			g = fma32(dy[p], standard(x[p], mean[i], rstd[i]), g)
			b += dy[p]
		}
		dgamma[j], dbeta[j] = chainEnd(dgamma[j], g, add), chainEnd(dbeta[j], b, add)
	}
}
