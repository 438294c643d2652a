package kernels

// ReLU stores the rectified x.
//
//	dst[i] = +0 if x[i] < 0, else x[i]
//
// A NaN stays a NaN and -0 stays -0. It panics if the lengths differ.
func ReLU(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: ReLU: lengths of dst and x differ")
	}
	for len(dst) > chunkLen {
		relu(dst[:chunkLen], x[:chunkLen])
		dst, x = dst[chunkLen:], x[chunkLen:]
	}
	relu(dst, x)
}

func reluRef(dst, x []float32) {
	for i, v := range x {
		if v < 0 {
			v = 0
		}
		dst[i] = v
	}
}

// ReLUBackward stores the gradient at the input of [ReLU] from the gradient dy
// at its output y. dx may be dy.
//
//	dx[i] = dy[i] if y[i] > 0, else +0
//
// It panics if the lengths differ.
func ReLUBackward(dx, dy, y []float32) {
	if len(dy) != len(dx) || len(y) != len(dx) {
		panic("kernels: ReLUBackward: lengths of dx, dy and y differ")
	}
	for len(dx) > chunkLen {
		reluBackward(dx[:chunkLen], dy[:chunkLen], y[:chunkLen])
		dx, dy, y = dx[chunkLen:], dy[chunkLen:], y[chunkLen:]
	}
	reluBackward(dx, dy, y)
}

func reluBackwardRef(dx, dy, y []float32) {
	for i, v := range dy {
		if !(y[i] > 0) {
			v = 0
		}
		dx[i] = v
	}
}

// Tanh stores the hyperbolic tangent of x, by one polynomial on every level;
// the largest error is 1.94 ulp. It panics if the lengths differ.
func Tanh(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Tanh: lengths of dst and x differ")
	}
	for len(dst) > chunkLen {
		tanh(dst[:chunkLen], x[:chunkLen])
		dst, x = dst[chunkLen:], x[chunkLen:]
	}
	tanh(dst, x)
}

func tanhRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = tanh32(v)
	}
}

// TanhBackward stores the gradient at the input of [Tanh] from the gradient dy
// at its output y. dx may be dy.
//
//	dx[i] = dy[i] * fma(-y[i], y[i], 1)
//
// It panics if the lengths differ.
func TanhBackward(dx, dy, y []float32) {
	if len(dy) != len(dx) || len(y) != len(dx) {
		panic("kernels: TanhBackward: lengths of dx, dy and y differ")
	}
	for len(dx) > chunkLen {
		tanhBackward(dx[:chunkLen], dy[:chunkLen], y[:chunkLen])
		dx, dy, y = dx[chunkLen:], dy[chunkLen:], y[chunkLen:]
	}
	tanhBackward(dx, dy, y)
}

func tanhBackwardRef(dx, dy, y []float32) {
	for i, v := range dy {
		dx[i] = float32(v * fnma32(y[i], y[i], 1))
	}
}
