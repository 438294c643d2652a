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
	tanhBackward(dx, dy, y)
}

func tanhBackwardRef(dx, dy, y []float32) {
	for i, v := range dy {
		dx[i] = float32(v * fnma32(y[i], y[i], 1))
	}
}

// Sigmoid stores the logistic function 1/(1 + e^(-x)). The largest error is
// 2.41 ulp. It panics if the lengths differ.
func Sigmoid(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Sigmoid: lengths of dst and x differ")
	}
	sigmoid(dst, x)
}

func sigmoidRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = sigmoid32(v)
	}
}

// SigmoidBackward stores the gradient at the input of [Sigmoid] from the gradient
// dy at its output y. dx may be dy.
//
//	dx[i] = dy[i] * fma(-y[i], y[i], y[i])
//
// It panics if the lengths differ.
func SigmoidBackward(dx, dy, y []float32) {
	if len(dy) != len(dx) || len(y) != len(dx) {
		panic("kernels: SigmoidBackward: lengths of dx, dy and y differ")
	}
	sigmoidBackward(dx, dy, y)
}

func sigmoidBackwardRef(dx, dy, y []float32) {
	for i, v := range dy {
		dx[i] = float32(v * fnma32(y[i], y[i], y[i]))
	}
}

// SiLU stores x*sigmoid(x), also called swish; -0 at -Inf. The largest error is
// 3.35 ulp, and below 2^-100, for x < -73, 52.1 ulp: the exponential is subnormal
// there. It panics if the lengths differ.
func SiLU(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: SiLU: lengths of dst and x differ")
	}
	silu(dst, x)
}

func siluRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = silu32(v)
	}
}

// SiLUBackward stores the gradient at the input x of [SiLU] from the gradient dy
// at its output. dx may be dy.
//
//	s     = sigmoid(x[i])
//	dx[i] = dy[i] * (s + x[i]*s*(1-s))
//
// The factor of dy has an absolute error below 5*2^-24. It panics if the lengths
// differ.
func SiLUBackward(dx, dy, x []float32) {
	if len(dy) != len(dx) || len(x) != len(dx) {
		panic("kernels: SiLUBackward: lengths of dx, dy and x differ")
	}
	siluBackward(dx, dy, x)
}

func siluBackwardRef(dx, dy, x []float32) {
	for i, v := range dy {
		dx[i] = float32(v * siluSlope32(x[i]))
	}
}

// GELU stores x*Phi(x), Phi the distribution function of the standard normal
// distribution: x/2 * (1 + erf(x/sqrt 2)) (Hendrycks and Gimpel,
// arXiv:1606.08415), without the cancellation of that form; -0 at -Inf. The
// largest error is 5 ulp, and below 2^-100, for x < -11.2, 9.2 ulp. It panics if
// the lengths differ.
func GELU(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: GELU: lengths of dst and x differ")
	}
	gelu(dst, x)
}

func geluRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = gelu32(v)
	}
}

// GELUBackward stores the gradient at the input x of [GELU] from the gradient dy
// at its output. dx may be dy.
//
//	dx[i] = dy[i] * (Phi(x[i]) + x[i]*phi(x[i]))    phi(x) = e^(-x*x/2)/sqrt(2*pi)
//
// The factor of dy has an absolute error below 5*2^-24. It panics if the lengths
// differ.
func GELUBackward(dx, dy, x []float32) {
	if len(dy) != len(dx) || len(x) != len(dx) {
		panic("kernels: GELUBackward: lengths of dx, dy and x differ")
	}
	geluBackward(dx, dy, x)
}

func geluBackwardRef(dx, dy, x []float32) {
	for i, v := range dy {
		dx[i] = float32(v * geluSlope32(x[i]))
	}
}

// GELUTanh stores the approximation of [GELU] by a hyperbolic tangent,
// x/2 * (1 + tanh(u)) with u = sqrt(2/pi)*(x + 0.044715*x^3), as x*sigmoid(2u);
// -0 at -Inf. The largest error is 3.2 ulp, and below 2^-100, for x < -8.9,
// 6.6 ulp. It panics if the lengths differ.
func GELUTanh(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: GELUTanh: lengths of dst and x differ")
	}
	geluTanh(dst, x)
}

func geluTanhRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = geluTanh32(v)
	}
}

// GELUTanhBackward stores the gradient at the input x of [GELUTanh] from the
// gradient dy at its output. dx may be dy.
//
//	s     = sigmoid(2u),  u = sqrt(2/pi)*(x[i] + 0.044715*x[i]^3)
//	dx[i] = dy[i] * (s + x[i]*s*(1-s)*w),  w = 2*sqrt(2/pi)*(1 + 3*0.044715*x[i]^2)
//
// The factor of dy has an absolute error below 5*2^-24. It panics if the lengths
// differ.
func GELUTanhBackward(dx, dy, x []float32) {
	if len(dy) != len(dx) || len(x) != len(dx) {
		panic("kernels: GELUTanhBackward: lengths of dx, dy and x differ")
	}
	geluTanhBackward(dx, dy, x)
}

func geluTanhBackwardRef(dx, dy, x []float32) {
	for i, v := range dy {
		dx[i] = float32(v * geluTanhSlope32(x[i]))
	}
}

// BiasReLU adds a bias to each row of the contiguous row-major matrix x with
// len(bias) columns and stores the rectified sums. dst may be x.
//
//	v        = x[i,j] + bias[j]
//	dst[i,j] = +0 if v < 0, else v
//
// It panics if the lengths of dst and x differ or len(x) is not a multiple of
// len(bias).
func BiasReLU(dst, x, bias []float32) {
	if len(x) != len(dst) {
		panic("kernels: BiasReLU: lengths of dst and x differ")
	}
	n := len(bias)
	rows := rowLen(n, x, "kernels: BiasReLU: length of x is not a multiple of the length of bias")
	biasReLU(dst, x, bias, rows)
}

func biasReLURef(dst, x, bias []float32, rows int) {
	n := len(bias)
	for i := range rows {
		dst, x := dst[i*n:][:n], x[i*n:][:n]
		for j, v := range x {
			dst[j] = maxOr(0, v+bias[j])
		}
	}
}

// BiasTanh adds a bias to each row of the contiguous row-major matrix x with
// len(bias) columns and stores the hyperbolic tangents, as [Tanh]. dst may be x.
//
//	dst[i,j] = tanh(x[i,j] + bias[j])
//
// It panics if the lengths of dst and x differ or len(x) is not a multiple of
// len(bias).
func BiasTanh(dst, x, bias []float32) {
	if len(x) != len(dst) {
		panic("kernels: BiasTanh: lengths of dst and x differ")
	}
	n := len(bias)
	rows := rowLen(n, x, "kernels: BiasTanh: length of x is not a multiple of the length of bias")
	biasTanh(dst, x, bias, rows)
}

func biasTanhRef(dst, x, bias []float32, rows int) {
	n := len(bias)
	for i := range rows {
		dst, x := dst[i*n:][:n], x[i*n:][:n]
		for j, v := range x {
			dst[j] = tanh32(v + bias[j])
		}
	}
}
