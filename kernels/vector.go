package kernels

// chunkLen bounds the elements of one assembly call, and is a multiple of lanes.
// Assembly can't be preempted, so long vectors go piece by piece through a Go
// function, which the dispatch does for most kernels: a chunk of the widest one
// stays below 50 microseconds at the speed of memory.
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
	ema(y, x, keep, add)
}

func emaRef(y, x []float32, keep, add float32) {
	for i, v := range x {
		y[i] = flush(fma32(keep, y[i], float32(add*v)))
	}
}

// Add stores the sum of x and y.
//
//	dst[i] = x[i] + y[i]
//
// It panics if the lengths differ.
func Add(dst, x, y []float32) {
	if len(x) != len(dst) || len(y) != len(dst) {
		panic("kernels: Add: lengths of dst, x and y differ")
	}
	add(dst, x, y)
}

func addRef(dst, x, y []float32) {
	for i, v := range x {
		dst[i] = v + y[i]
	}
}

// Sub stores the difference of x and y.
//
//	dst[i] = x[i] - y[i]
//
// It panics if the lengths differ.
func Sub(dst, x, y []float32) {
	if len(x) != len(dst) || len(y) != len(dst) {
		panic("kernels: Sub: lengths of dst, x and y differ")
	}
	sub(dst, x, y)
}

func subRef(dst, x, y []float32) {
	for i, v := range x {
		dst[i] = v - y[i]
	}
}

// Mul stores the element-wise (Hadamard) product of x and y.
//
//	dst[i] = x[i] * y[i]
//
// It panics if the lengths differ.
func Mul(dst, x, y []float32) {
	if len(x) != len(dst) || len(y) != len(dst) {
		panic("kernels: Mul: lengths of dst, x and y differ")
	}
	mul(dst, x, y)
}

func mulRef(dst, x, y []float32) {
	for i, v := range x {
		dst[i] = float32(v * y[i])
	}
}

// Div stores the element-wise quotient of x and y, correctly rounded.
//
//	dst[i] = x[i] / y[i]
//
// It panics if the lengths differ.
func Div(dst, x, y []float32) {
	if len(x) != len(dst) || len(y) != len(dst) {
		panic("kernels: Div: lengths of dst, x and y differ")
	}
	div(dst, x, y)
}

func divRef(dst, x, y []float32) {
	for i, v := range x {
		dst[i] = v / y[i]
	}
}

// MulAdd stores the element-wise product of x and y plus z, rounded once.
//
//	dst[i] = fma(x[i], y[i], z[i])
//
// It panics if the lengths differ.
func MulAdd(dst, x, y, z []float32) {
	if len(x) != len(dst) || len(y) != len(dst) || len(z) != len(dst) {
		panic("kernels: MulAdd: lengths of dst, x, y and z differ")
	}
	mulAdd(dst, x, y, z)
}

func mulAddRef(dst, x, y, z []float32) {
	for i, v := range x {
		dst[i] = fma32(v, y[i], z[i])
	}
}

// ScaleAdd stores a linear combination of x and y.
//
//	dst[i] = fma(alpha, x[i], beta*y[i])
//
// It panics if the lengths differ.
func ScaleAdd(dst, x, y []float32, alpha, beta float32) {
	if len(x) != len(dst) || len(y) != len(dst) {
		panic("kernels: ScaleAdd: lengths of dst, x and y differ")
	}
	scaleAdd(dst, x, y, alpha, beta)
}

func scaleAddRef(dst, x, y []float32, alpha, beta float32) {
	for i, v := range x {
		dst[i] = fma32(alpha, v, float32(beta*y[i]))
	}
}

// Copy stores x. Unlike the built-in copy it can be preempted between chunks;
// partial overlap is not allowed.
//
//	dst[i] = x[i]
//
// It panics if the lengths differ.
func Copy(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Copy: lengths of dst and x differ")
	}
	copyVector(dst, x)
}

func copyVectorRef(dst, x []float32) { copy(dst, x) }

// Fill stores one value.
//
//	dst[i] = value
func Fill(dst []float32, value float32) {
	fill(dst, value)
}

func fillRef(dst []float32, value float32) {
	for i := range dst {
		dst[i] = value
	}
}

// Clamp limits x to the interval from lo to hi.
//
//	v      = lo if x[i] < lo, else x[i]
//	dst[i] = hi if v > hi, else v
//
// A NaN stays a NaN; a bound that is a NaN does not limit. With lo > hi every
// number becomes hi. It panics if the lengths differ.
func Clamp(dst, x []float32, lo, hi float32) {
	if len(x) != len(dst) {
		panic("kernels: Clamp: lengths of dst and x differ")
	}
	clamp(dst, x, lo, hi)
}

func clampRef(dst, x []float32, lo, hi float32) {
	for i, v := range x {
		if v < lo {
			v = lo
		}
		if v > hi {
			v = hi
		}
		dst[i] = v
	}
}

// Abs stores the magnitudes of x.
//
//	dst[i] = |x[i]|
//
// It panics if the lengths differ.
func Abs(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Abs: lengths of dst and x differ")
	}
	abs(dst, x)
}

func absRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = abs32(v)
	}
}
