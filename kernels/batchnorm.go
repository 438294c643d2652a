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
	b := newBatchNorm(dx, dgamma, dbeta, dy, x, mean, rstd, gamma)
	b.backward()
}

// BatchNormBackward is the function of that name, split among the workers where the
// matrix is large. The result has the same bits.
func (p *Pool) BatchNormBackward(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) {
	p.batchNorm(newBatchNorm(dx, dgamma, dbeta, dy, x, mean, rstd, gamma))
}

func newBatchNorm(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) batchNorm {
	n := len(gamma)
	if len(dgamma) != n || len(dbeta) != n || len(mean) != n || len(rstd) != n {
		panic("kernels: BatchNormBackward: lengths of dgamma, dbeta, mean, rstd and gamma differ")
	}
	if len(dy) != len(x) || dx != nil && len(dx) != len(x) {
		panic("kernels: BatchNormBackward: lengths of dx, dy and x differ")
	}
	rows := rowLen(n, x, "kernels: BatchNormBackward: length of x is not a multiple of the length of gamma")
	return batchNorm{dx, dgamma, dbeta, dy, x, mean, rstd, gamma, nil, nil, rows}
}

// BatchNormReLUBackward stores the gradients of batch normalisation with the
// rectifier after it, from the gradient dy at the rectifier's output. That output
// is not needed: [ColAffineReLU] with the same scale and shift made it from x.
//
//	v[i,j] = dy[i,j] if fma(x[i,j], scale[j], shift[j]) > 0, else +0
//
// It then stores what [BatchNormBackward] does from v in place of dy, under the same
// rules for lengths and overlaps; the lengths of scale and shift are that of gamma.
func BatchNormReLUBackward(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, scale, shift []float32) {
	b := newBatchNormReLU(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, scale, shift)
	b.backward()
}

// BatchNormReLUBackward is the function of that name, split as BatchNormBackward is.
func (p *Pool) BatchNormReLUBackward(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, scale, shift []float32) {
	p.batchNorm(newBatchNormReLU(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, scale, shift))
}

func newBatchNormReLU(dx, dgamma, dbeta, dy, x, mean, rstd, gamma, scale, shift []float32) batchNorm {
	n := len(gamma)
	if len(dgamma) != n || len(dbeta) != n || len(mean) != n || len(rstd) != n || len(scale) != n || len(shift) != n {
		panic("kernels: BatchNormReLUBackward: lengths of dgamma, dbeta, mean, rstd, gamma, scale and shift differ")
	}
	if len(dy) != len(x) || dx != nil && len(dx) != len(x) {
		panic("kernels: BatchNormReLUBackward: lengths of dx, dy and x differ")
	}
	rows := rowLen(n, x, "kernels: BatchNormReLUBackward: length of x is not a multiple of the length of gamma")
	return batchNorm{dx, dgamma, dbeta, dy, x, mean, rstd, gamma, scale, shift, rows}
}

// A batchNorm is one call of BatchNormReLUBackward, or of BatchNormBackward without
// scale and shift.
type batchNorm struct {
	dx, dgamma, dbeta, dy, x, mean, rstd, gamma, scale, shift []float32

	rows int // of the whole matrix
}

func (b *batchNorm) relu() bool { return b.scale != nil }

// backward computes the gradients at the parameters, then that at the input.
func (b *batchNorm) backward() {
	b.sums(0, len(b.gamma))
	b.some(0, b.rows)
}

func (p *Pool) batchNorm(b batchNorm) {
	if !p.worth(2 * len(b.x)) {
		b.backward()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.norm = b
	p.columns(&p.norm, len(b.gamma))
	p.rows(&p.norm, b.rows)
	p.norm = batchNorm{}
}

// sums computes the gradients at the parameters of columns from c0 to c1.
func (b *batchNorm) sums(c0, c1 int) {
	n, r := len(b.gamma), 0
	if b.rows == 0 {
		clear(b.dgamma[c0:c1])
		clear(b.dbeta[c0:c1])
		return
	}
	for ; narrow(c1-c0, b.rows-r, narrowBlocksTwo); r += narrowBlocksTwo * blockRows {
		lo, hi, add := r*n+c0, (r+narrowBlocksTwo*blockRows-1)*n+c1, min(r, 1)
		if b.relu() {
			batchNormReLUSumsNarrow(b.dgamma[c0:c1], b.dbeta[c0:c1], b.dy[lo:hi], b.x[lo:hi], b.mean[c0:c1], b.scale[c0:c1], b.shift[c0:c1], blockRows, n, blockRows*n, add)
		} else {
			batchNormSumsNarrow(b.dgamma[c0:c1], b.dbeta[c0:c1], b.dy[lo:hi], b.x[lo:hi], b.mean[c0:c1], blockRows, n, blockRows*n, add)
		}
	}
	if step := sumRows(c1-c0, b.rows, 2); step < blockRows {
		b.byBlocks(c0, c1, step)
	} else {
		for ; r < b.rows; r += blockRows {
			for c := c0; c < c1; c += columnChunk / 2 { // two matrices
				e := min(c+columnChunk/2, c1)
				b.add(b.dgamma[c:e], b.dbeta[c:e], r, min(r+blockRows, b.rows), c, min(r, 1))
			}
		}
	}
	Mul(b.dgamma[c0:c1], b.dgamma[c0:c1], b.rstd[c0:c1])
}

// byBlocks is sums for calls on some rows of several blocks, as that of colSum is.
//
//go:noinline
func (b *batchNorm) byBlocks(c0, c1, step int) {
	const most = wideChunk / 2 // two matrices
	var buffer [2][most]float32
	for c := c0; c < c1; c += most {
		e := min(c+most, c1)
		dgamma, dbeta := b.dgamma[c:e], b.dbeta[c:e]
		s, t := dgamma, dbeta
		for r := 0; r < b.rows; r += blockRows {
			end := min(r+blockRows, b.rows)
			for i, add := r, 0; i < end; i, add = i+step, carry {
				b.add(s, t, i, min(i+step, end), c, add)
			}
			if r > 0 {
				Add(dgamma, dgamma, s)
				Add(dbeta, dbeta, t)
			}
			s, t = buffer[0][:e-c], buffer[1][:e-c]
		}
	}
}

// add sums rows r0 to r1 of the columns from c on to dgamma and dbeta, as that of colSum
// does.
func (b *batchNorm) add(dgamma, dbeta []float32, r0, r1, c, add int) {
	n, rows, e := len(b.gamma), r1-r0, c+len(dgamma)
	lo, hi := r0*n+c, (r1-1)*n+e
	if b.relu() {
		batchNormReLUSums(dgamma, dbeta, b.dy[lo:hi], b.x[lo:hi], b.mean[c:e], b.scale[c:e], b.shift[c:e], rows, n, add)
	} else {
		batchNormSums(dgamma, dbeta, b.dy[lo:hi], b.x[lo:hi], b.mean[c:e], rows, n, add)
	}
}

// some stores the gradient at the input for rows from r0 to r1.
func (b *batchNorm) some(r0, r1 int) {
	if b.dx == nil || r0 == r1 {
		return
	}
	n, part := len(b.gamma), *b
	part.dx, part.dy, part.x = b.dx[r0*n:r1*n], b.dy[r0*n:r1*n], b.x[r0*n:r1*n]
	switch {
	case n <= smallColumns && r1-r0 < smallRows:
		var buffer [batchNormFactors * smallColumns]float32
		part.input(buffer[:])
	case n <= columnChunk:
		part.inputLarge()
	default:
		part.inputWide()
	}
}

// A small matrix takes no longer than a large buffer, which is cleared, and the filling
// of it.
const (
	smallColumns = 128
	smallRows    = 64
)

//go:noinline
func (b *batchNorm) inputLarge() {
	var buffer [batchNormFactors * columnChunk]float32
	b.input(buffer[:])
}

// inputWide has a larger buffer: the longer the pieces of rows, the better memory is
// read ahead.
//
//go:noinline
func (b *batchNorm) inputWide() {
	var buffer [batchNormFactors * 4 * columnChunk]float32
	b.input(buffer[:])
}

// The gradient at the input needs so many vectors of columns, the first of which are
// computed.
const (
	batchNormColumns = 6
	batchNormFactors = 3
)

// input stores the gradient at the input, with what is the same for all elements of
// a column in buffer.
func (b *batchNorm) input(buffer []float32) {
	n := len(b.gamma)
	rows := len(b.x) / n
	wide := wideRow(n, rows)
	widen := n < wide && wide <= len(buffer)/batchNormColumns
	step := len(buffer) / batchNormFactors
	if widen {
		step = wide
	}
	var cols [batchNormColumns][]float32 // slope, add, factor, mean, scale, shift
	part := func(lo, hi, w int) {
		dx, dy, x, rows := b.dx[lo:hi], b.dy[lo:hi], b.x[lo:hi], (hi-lo)/w
		slope, add, factor, mean := cols[0][:w], cols[1][:w], cols[2][:w], cols[3][:w]
		if b.relu() {
			batchNormReLUBackward(dx, dy, x, mean, slope, add, factor, cols[4][:w], cols[5][:w], rows)
		} else {
			batchNormBackward(dx, dy, x, mean, slope, add, factor, rows)
		}
	}
	for c := 0; c < n; c += step {
		e := min(c+step, n)
		w := e - c
		for i := range batchNormFactors {
			cols[i] = buffer[i*step:][:w]
		}
		cols[3] = b.mean[c:e]
		if b.relu() {
			cols[4], cols[5] = b.scale[c:e], b.shift[c:e]
		}
		batchNormColumnFactors(cols[0], cols[1], cols[2], b.dgamma[c:e], b.dbeta[c:e], b.rstd[c:e], b.gamma[c:e], float32(b.rows))
		switch {
		case widen: // short rows become longer ones
			for i, v := range cols {
				cols[i] = buffer[i*wide:][:wide]
				copy(cols[i], v)
				repeat(cols[i], n)
			}
			eachWide(len(b.x), wide, part)
		case w == n:
			eachWide(len(b.x), n, part)
		default:
			for r := range rows {
				part(r*n+c, r*n+e, w)
			}
		}
	}
}

func batchNormColumnFactorsRef(slope, a, b, dgamma, dbeta, rstd, gamma []float32, rows float32) {
	for j, r := range rstd {
		slope[j] = float32(gamma[j] * r)
		a[j] = dbeta[j] / rows
		b[j] = float32(float32(dgamma[j]/rows) * r)
	}
}

func batchNormSumsRef(dgamma, dbeta, dy, x, mean []float32, rows, stride, add int) {
	for j := range dgamma {
		s, t := chainStart(dgamma[j], add), chainStart(dbeta[j], add)
		for i := range rows {
			p := i*stride + j
			s = fma32(dy[p], x[p]-mean[j], s)
			t += dy[p]
		}
		dgamma[j], dbeta[j] = chainEnd(dgamma[j], s, add), chainEnd(dbeta[j], t, add)
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

func batchNormReLUSumsRef(dgamma, dbeta, dy, x, mean, scale, shift []float32, rows, stride, add int) {
	for j := range dgamma {
		s, t := chainStart(dgamma[j], add), chainStart(dbeta[j], add)
		for i := range rows {
			p := i*stride + j
			v := rectified(dy[p], x[p], scale[j], shift[j])
			s = fma32(v, x[p]-mean[j], s)
			t += v
		}
		dgamma[j], dbeta[j] = chainEnd(dgamma[j], s, add), chainEnd(dbeta[j], t, add)
	}
}

func batchNormReLUSumsNarrowRef(dgamma, dbeta, dy, x, mean, scale, shift []float32, rows, stride, block, add int) {
	for b := range narrowBlocksTwo {
		batchNormReLUSumsRef(dgamma, dbeta, dy[b*block:], x[b*block:], mean, scale, shift, rows, stride, max(add, min(b, 1)))
	}
}

func batchNormReLUBackwardRef(dx, dy, x, mean, slope, a, b, scale, shift []float32, rows int) {
	n := len(mean)
	for i := range rows {
		dx, dy, x := dx[i*n:][:n], dy[i*n:][:n], x[i*n:][:n]
		for j, v := range dy {
			v = rectified(v, x[j], scale[j], shift[j])
			dx[j] = float32(slope[j] * fnma32(x[j]-mean[j], b[j], v-a[j]))
		}
	}
}

// rectified is the gradient before a rectifier of fma(x, scale, shift).
func rectified(dy, x, scale, shift float32) float32 {
	if !(fma32(x, scale, shift) > 0) {
		return 0
	}
	return dy
}
