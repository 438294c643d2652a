package kernels

// chunkLen bounds the elements of one assembly call. Assembly can't be
// preempted, so long vectors go piece by piece through a Go function: a chunk
// of the widest kernel stays below 50 microseconds at the speed of memory.
const chunkLen = 1 << 15

// Axpy adds a multiple of x to y.
//
//	y[i] = fma(alpha, x[i], y[i])
//
// It panics if the lengths differ.
func Axpy(y, x []float32, alpha float32) {
	if len(x) != len(y) {
		panic("kernels: Axpy: lengths of y and x differ")
	}
	for len(y) > chunkLen {
		axpy(y[:chunkLen], x[:chunkLen], alpha)
		y, x = y[chunkLen:], x[chunkLen:]
	}
	axpy(y, x, alpha)
}

func axpyRef(y, x []float32, alpha float32) {
	for i, v := range x {
		y[i] = fma32(alpha, v, y[i])
	}
}

// Scale stores a multiple of x.
//
//	dst[i] = alpha * x[i]
//
// It panics if the lengths differ.
func Scale(dst, x []float32, alpha float32) {
	if len(x) != len(dst) {
		panic("kernels: Scale: lengths of dst and x differ")
	}
	for len(dst) > chunkLen {
		scale(dst[:chunkLen], x[:chunkLen], alpha)
		dst, x = dst[chunkLen:], x[chunkLen:]
	}
	scale(dst, x, alpha)
}

func scaleRef(dst, x []float32, alpha float32) {
	for i, v := range x {
		dst[i] = float32(alpha * v)
	}
}

// EMA moves y, an exponential moving average, towards x. The new average is
// state and therefore flushed below 2^-126.
//
//	y[i] = flush(fma(keep, y[i], add*x[i]))
//
// The classical average has keep = decay and add = 1-decay. It panics if the
// lengths differ.
func EMA(y, x []float32, keep, add float32) {
	if len(x) != len(y) {
		panic("kernels: EMA: lengths of y and x differ")
	}
	for len(y) > chunkLen {
		ema(y[:chunkLen], x[:chunkLen], keep, add)
		y, x = y[chunkLen:], x[chunkLen:]
	}
	ema(y, x, keep, add)
}

func emaRef(y, x []float32, keep, add float32) {
	for i, v := range x {
		y[i] = flush(fma32(keep, y[i], float32(add*v)))
	}
}
