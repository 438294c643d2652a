package kernels

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
	s := expSums(dx, x, hi, 1)
	Scale(dx, dx, float32(scale/s))
	dx[label] = 0
	dx[label] = -Sum(dx)
	return logOf(s) - score
}

// CrossEntropyParams are the parameters of [SoftmaxCrossEntropyRows].
type CrossEntropyParams struct {
	Scale        float32   // factor of the gradient: for the mean over a batch, one over its size
	Smoothing    float32   // part of the label's probability that is spread over all classes, from 0 to 1
	Weights      []float32 // one a row, or nil for ones
	ClassWeights []float32 // one a class, or nil for ones
}

// SoftmaxCrossEntropyRows stores the losses of the rows of the contiguous row-major
// matrix x, the scores of len(labels) samples for K classes, and their gradients:
// [SoftmaxCrossEntropy] of each row, with label smoothing (Szegedy et al. 2015,
// arXiv 1512.00567) and weights as PyTorch's cross_entropy has them before its
// reduction.
//
//	m       = max(x[i,:])
//	e[j]    = exp(x[i,j]-m)
//	l       = log(sum(e))
//	u       = smoothing / K
//	a       = (1-smoothing) * classWeights[label]
//	loss[i] = w[i] * (a*(l-(x[i,label]-m)) + u*(C*l - sum of fma(x[i,j]-m, classWeights[j])))
//	f       = scale * w[i]
//	dx[i,j] = fma(-f*u, classWeights[j], e[j] * ((f*(a+u*C))/sum(e)))
//	          except dx[i,label] = -sum of the others
//
// Without smoothing the terms with u are left out. C is the sum of the class
// weights; the sums are by 64 lanes, as in [Sum]. A row of weight 0 is left out: its
// loss and gradient are +0 and its label, in or out of range, is not looked at.
//
// dx may be x. It panics if len(losses) is not len(labels), the lengths of dx and x
// differ, len(x) is not a multiple of len(labels), there are not as many weights as
// rows or classes, smoothing is not between 0 and 1, or a label is out of range.
func SoftmaxCrossEntropyRows(losses, dx, x []float32, labels []int, p CrossEntropyParams) {
	if len(losses) != len(labels) {
		panic("kernels: SoftmaxCrossEntropyRows: lengths of losses and labels differ")
	}
	if len(dx) != len(x) {
		panic("kernels: SoftmaxCrossEntropyRows: lengths of dx and x differ")
	}
	n := rowLen(len(labels), x, "kernels: SoftmaxCrossEntropyRows: length of x is not a multiple of the length of labels")
	if p.Weights != nil && len(p.Weights) != len(labels) {
		panic("kernels: SoftmaxCrossEntropyRows: length of Weights is not that of labels")
	}
	if p.ClassWeights != nil && len(labels) > 0 && len(p.ClassWeights) != n {
		panic("kernels: SoftmaxCrossEntropyRows: length of ClassWeights is not the columns of x")
	}
	if !(p.Smoothing >= 0 && p.Smoothing <= 1) {
		panic("kernels: SoftmaxCrossEntropyRows: Smoothing is not between 0 and 1")
	}
	for i, label := range labels {
		if uint(label) >= uint(n) && (p.Weights == nil || p.Weights[i] != 0) {
			panic("kernels: SoftmaxCrossEntropyRows: label out of range")
		}
	}
	if len(x) == 0 {
		clear(losses)
		return
	}
	c := crossEntropy{CrossEntropyParams: p, classes: n, rest: 1 - p.Smoothing, total: float32(n)}
	if c.spread = p.Smoothing / float32(n); p.ClassWeights != nil {
		c.total = Sum(p.ClassWeights)
	}
	for r, step := 0, stepOf(len(labels), n); r < len(labels); {
		e := min(r+step, len(labels))
		c.step(losses[r:e], dx[r*n:e*n], x[r*n:e*n], labels[r:e])
		if r = e; p.Weights != nil {
			c.Weights = p.Weights[r:]
		}
	}
}

// crossEntropy holds what is the same for the rows of [SoftmaxCrossEntropyRows].
type crossEntropy struct {
	CrossEntropyParams         // with the weights of the rows to come
	classes            int     // K
	spread             float32 // u
	rest               float32 // 1 - smoothing
	total              float32 // C
}

// step does the rows of a step.
func (c *crossEntropy) step(losses, dx, x []float32, labels []int) {
	n, rows, smooth := c.classes, len(labels), c.Smoothing != 0
	var maxima, sums, logs, dots, factors [stepRows]float32
	m, s, l, d, q := maxima[:rows], sums[:rows], logs[:rows], dots[:rows], factors[:rows]

	if n > chunkLen { // one row
		_, m[0] = MinMax(x)
	} else {
		rowMaxima(m, x, n, n, 0, 0)
	}
	for i, label := range labels {
		row := x[i*n:][:n]
		if losses[i] = 0; c.weight(i) != 0 {
			losses[i] = row[label] - m[i]
		}
		if smooth {
			d[i] = c.shiftedSum(row, m[i])
		}
	}
	if n > chunkLen {
		s[0] = expSums(dx, x, m[0], 1)
	} else {
		expRows(dx, x, m, n, n, n, 0, 0, 1)
		rowSums(s, dx, n, n, 0, 0)
	}
	log(l, s)

	for i, label := range labels {
		w := c.weight(i)
		if w == 0 {
			continue
		}
		a, f := c.rest, float32(c.Scale*w)
		if c.ClassWeights != nil {
			a = float32(a * c.ClassWeights[label])
		}
		all, loss := a, float32(a*(l[i]-losses[i]))
		if smooth {
			all += float32(c.spread * c.total)
			loss += float32(c.spread * (float32(c.total*l[i]) - d[i]))
		}
		losses[i] = float32(w * loss)
		q[i] = float32(f*all) / s[i]
	}
	if n > chunkLen {
		Scale(dx, dx, q[0])
	} else {
		scaleRows(dx, dx, q, n, n, n, 0, 0)
	}
	for i, label := range labels {
		row := dx[i*n:][:n]
		w := c.weight(i)
		if w == 0 {
			clear(row)
			continue
		}
		if smooth {
			c.subtract(row, float32(float32(c.Scale*w)*c.spread))
		}
		row[label] = 0
	}
	if n > chunkLen {
		s[0] = Sum(dx)
	} else {
		rowSums(s, dx, n, n, 0, 0)
	}
	for i, label := range labels {
		if c.weight(i) != 0 {
			dx[i*n+label] = -s[i]
		}
	}
}

// weight is that of a row of the step.
func (c *crossEntropy) weight(i int) float32 {
	if c.Weights == nil {
		return 1
	}
	return c.Weights[i]
}

// shiftedSum returns the sum of x-shift, weighted by class.
func (c *crossEntropy) shiftedSum(x []float32, shift float32) float32 {
	y := c.ClassWeights
	if y == nil {
		return shiftedSum(x, shift)
	}
	return dotShifted(nil, x, y, shift)
}

// subtract takes v times the weights of the classes from a row.
func (c *crossEntropy) subtract(row []float32, v float32) {
	if c.ClassWeights != nil {
		Axpy(row, c.ClassWeights, -v)
		return
	}
	for len(row) > 0 {
		n := min(len(row), len(ones))
		axpy(row[:n], ones[:n], -v)
		row = row[n:]
	}
}

func dotShiftedRef(acc *[lanes]float32, x, y []float32, shift float32) float32 {
	if acc == nil {
		acc = new([lanes]float32)
	}
	for i, v := range x {
		acc[i%lanes] = fma32(v-shift, y[i], acc[i%lanes])
	}
	return tree(acc)
}

// ones stands for weights that are not given.
var ones = func() (v [1 << 9]float32) {
	for i := range v {
		v[i] = 1
	}
	return v
}()

// SigmoidCrossEntropyParams are the parameters of [SigmoidCrossEntropy].
type SigmoidCrossEntropyParams struct {
	Scale      float32   // factor of the gradient: for the mean over n elements, 1/n
	Weights    []float32 // one an element, or nil for ones
	PosWeights []float32 // of the positive part, one a column of a row-major x, or nil for ones
}

// SigmoidCrossEntropy returns the sum of the binary cross entropies of the logistic
// function of the scores x with targets in [0,1], and stores its gradient times
// scale. The weights are those of PyTorch's binary_cross_entropy_with_logits.
//
//	a     = targets[i] * posWeights[i mod len(posWeights)]
//	b     = 1 - targets[i]
//	g     = log(1 + e^(-|x[i]|))                 as in Softplus
//	s     = sigmoid(|x[i]|) = 1/(1 + e^(-|x[i]|)),  s' = sigmoid(-|x[i]|) = e^(-|x[i]|) * s
//	loss  = sum of w[i] * fma(a, max(-x[i],0)+g, b*(max(x[i],0)+g))    by 64 lanes, as Sum
//	dx[i] = (scale*w[i]) * fma(b, sigmoid(x[i]), -a*sigmoid(-x[i]))
//
// Nothing cancels where the target is 0 or 1: a loss or gradient of an element that
// is nearly certain keeps its relative accuracy. dx may be x. It panics if the
// lengths of dx, x, targets and, if given, Weights differ, or len(x) is not a
// multiple of the length of PosWeights.
func SigmoidCrossEntropy(dx, x, targets []float32, p SigmoidCrossEntropyParams) (loss float32) {
	if len(dx) != len(x) || len(targets) != len(x) {
		panic("kernels: SigmoidCrossEntropy: lengths of dx, x and targets differ")
	}
	if p.Weights != nil && len(p.Weights) != len(x) {
		panic("kernels: SigmoidCrossEntropy: length of Weights is not that of x")
	}
	if p.PosWeights != nil {
		rowLen(len(p.PosWeights), x, "kernels: SigmoidCrossEntropy: length of x is not a multiple of the length of PosWeights")
	}
	var acc [lanes]float32
	var terms, positive [len(ones)]float32
	for i := 0; i < len(x); i += len(terms) {
		e := min(i+len(terms), len(x))
		n := e - i
		w, pos := ones[:n], ones[:n]
		if p.Weights != nil {
			w = p.Weights[i:e]
		}
		if p.PosWeights != nil {
			pos = positive[:n]
			cycle(pos, p.PosWeights, i)
		}
		sigmoidCrossEntropy(dx[i:e], terms[:n], x[i:e], targets[i:e], w, pos, p.Scale)
		loss = sum(&acc, terms[:n])
	}
	return loss
}

// cycle fills dst with the elements of v from number i on, over and over.
func cycle(dst, v []float32, i int) {
	for len(dst) > 0 {
		n := copy(dst, v[i%len(v):])
		dst, i = dst[n:], i+n
	}
}

func sigmoidCrossEntropyRef(dx, loss, x, t, w, p []float32, scale float32) {
	for i, v := range x {
		e := expNonPositive(negAbs(v))
		g := log1p32(e)
		up := float32(1 / (e + 1))
		down := float32(e * up)
		if v < 0 {
			up, down = down, up
		}
		a, b, weight := float32(t[i]*p[i]), 1-t[i], w[i]
		rising := float32(b * (maxOr(0, v) + g))
		loss[i] = float32(fma32(a, maxOr(0, -v)+g, rising) * weight)
		dx[i] = float32(fma32(b, up, -float32(a*down)) * float32(scale*weight))
	}
}
