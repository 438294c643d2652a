package kernels

// Exp stores e^x. The largest error is 0.9 ulp, also below the normal range. It
// panics if the lengths differ.
func Exp(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Exp: lengths of dst and x differ")
	}
	exp(dst, x)
}

func expRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = exp32(v)
	}
}

// Log stores the natural logarithm of x: -Inf for a zero, NaN for x < 0. The
// largest error is 0.93 ulp. It panics if the lengths differ.
func Log(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Log: lengths of dst and x differ")
	}
	log(dst, x)
}

func logRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = log32(v)
	}
}

// Sqrt stores the correctly rounded square root of x: NaN for x < 0, -0 for -0.
// It panics if the lengths differ.
func Sqrt(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Sqrt: lengths of dst and x differ")
	}
	sqrt(dst, x)
}

func sqrtRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = sqrt32(v)
	}
}

// RSqrt stores 1/sqrt(x), rounded once: an infinity for a zero, with its sign,
// NaN for x < 0. It panics if the lengths differ.
func RSqrt(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: RSqrt: lengths of dst and x differ")
	}
	rsqrt(dst, x)
}

func rsqrtRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = rsqrt32(v)
	}
}

// Erf stores the error function, 2/sqrt(pi) times the integral of e^(-t*t) from
// 0 to x. The largest error is 1.12 ulp. It panics if the lengths differ.
func Erf(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Erf: lengths of dst and x differ")
	}
	erf(dst, x)
}

func erfRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = erf32(v)
	}
}

// Softplus stores log(1 + e^x); its derivative is [Sigmoid]. The largest error
// is 1.87 ulp. It panics if the lengths differ.
func Softplus(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Softplus: lengths of dst and x differ")
	}
	softplus(dst, x)
}

func softplusRef(dst, x []float32) {
	for i, v := range x {
		dst[i] = softplus32(v)
	}
}
