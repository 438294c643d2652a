package kernels

// Softmax stores the softmax of the vector x.
//
//	m      = max(x)
//	e[i]   = exp(x[i]-m)
//	dst[i] = e[i] * (1/sum(e))      sum by 64 lanes, as Sum
//
// The largest error seen is 4 ulp. A NaN or +Inf in x makes every element NaN, and
// so do elements that are all -Inf. It panics if the lengths differ.
func Softmax(dst, x []float32) {
	if len(x) != len(dst) {
		panic("kernels: Softmax: lengths of dst and x differ")
	}
	_, hi := MinMax(x)
	s := expSums(dst, x, hi)
	Scale(dst, dst, float32(1/s))
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
	for len(dst) > chunkLen {
		logSoftmax(dst[:chunkLen], x[:chunkLen], m, l)
		dst, x = dst[chunkLen:], x[chunkLen:]
	}
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
	for len(dx) > chunkLen {
		logSoftmaxBackward(dx[:chunkLen], dy[:chunkLen], y[:chunkLen], s)
		dx, dy, y = dx[chunkLen:], dy[chunkLen:], y[chunkLen:]
	}
	logSoftmaxBackward(dx, dy, y, s)
}

func logSoftmaxBackwardRef(dx, dy, y []float32, s float32) {
	for i, v := range dy {
		dx[i] = fnma32(exp32(y[i]), s, v)
	}
}

// SoftmaxCrossEntropy returns the cross entropy of the softmax of the scores x
// with the class label and stores its gradient times scale (for the mean over
// a batch, one over its size).
//
//	m     = max(x)
//	e[i]  = exp(x[i]-m)
//	dx[i] = e[i] * (scale/sum(e))      except dx[label] = -sum of the others
//	loss  = log(sum(e)) - (x[label]-m)
//
// Both sums are those of [Sum], with a zero in place of dx[label]: where the
// label is nearly certain, dx[label]-scale would cancel.
//
// dx may be x. It panics if the lengths differ or label is outside [0, len(x)).
func SoftmaxCrossEntropy(dx, x []float32, label int, scale float32) (loss float32) {
	if len(x) != len(dx) {
		panic("kernels: SoftmaxCrossEntropy: lengths of dx and x differ")
	}
	if uint(label) >= uint(len(x)) {
		panic("kernels: SoftmaxCrossEntropy: label out of range")
	}
	_, hi := MinMax(x)
	score := x[label] - hi
	s := expSums(dx, x, hi)
	Scale(dx, dx, float32(scale/s))
	dx[label] = 0
	dx[label] = -Sum(dx)
	return logOf(s) - score
}

// expSums stores exp(x-m) and returns its sum.
func expSums(dst, x []float32, m float32) float32 {
	if len(x) <= chunkLen {
		return expSum(nil, dst, x, m)
	}
	var acc [lanes]float32
	for len(x) > chunkLen {
		expSum(&acc, dst[:chunkLen], x[:chunkLen], m)
		dst, x = dst[chunkLen:], x[chunkLen:]
	}
	return expSum(&acc, dst, x, m)
}

func expSumRef(acc *[lanes]float32, dst, x []float32, m float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		e := expNonPositive(v - m)
		dst[i] = e
		acc[i%lanes] += e
	}
	return tree(acc)
}
