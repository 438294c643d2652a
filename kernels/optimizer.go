package kernels

// AdaFisherParams are the scalars of [AdaFisherStep].
type AdaFisherParams struct {
	Beta        float32 // decay of the momentum
	Add         float32 // weight of the new gradient, 1-Beta
	Step        float32 // learning rate over the bias correction, lr/(1-Beta^k)
	Lambda      float32 // damping, added to every entry of the curvature
	WeightDecay float32 // L2 term added to the gradient (AdaFisher); 0 for AdaFisherW
	Keep        float32 // decoupled weight decay (AdaFisherW), 1-lr*decay; 1 for AdaFisher
}

// AdaFisherStep does one step of AdaFisher or AdaFisherW (arXiv 2405.16397) on
// the contiguous len(row) x len(col) weight matrix w with momentum m and
// gradient g, in one pass: momentum, preconditioner, weight decay, update.
//
//	d      = fma(WeightDecay, w[i,j], g[i,j]); g[i,j] without WeightDecay
//	m[i,j] = flush(fma(Beta, m[i,j], Add*d))
//	f      = fma(row[i], col[j], Lambda)
//	w[i,j] = fma(-Step, m[i,j]/f, Keep*w[i,j])
//
// row and col are the diagonal Kronecker factors of the rows and the columns.
// It panics if len(w), len(m) or len(g) is not len(row)*len(col).
func AdaFisherStep(w, m, g, row, col []float32, p AdaFisherParams) {
	n := len(col)
	if len(w) != len(row)*n || len(m) != len(w) || len(g) != len(w) {
		panic("kernels: AdaFisherStep: length of w, m or g is not len(row)*len(col)")
	}
	plain := p.Keep == 1 && p.Step >= 0x1p-100 && p.Step <= 0x1p100 // quotients need no divider, see the generator
	switch {
	case p.WeightDecay != 0:
		adaFisher(w, m, g, row, col, p.Beta, p.Add, p.Step, p.Lambda, p.WeightDecay, p.Keep)
	case plain:
		adaFisherPlain(w, m, g, row, col, p.Beta, p.Add, p.Step, p.Lambda)
	default:
		adaFisherDecoupled(w, m, g, row, col, p.Beta, p.Add, p.Step, p.Lambda, p.Keep)
	}
}

func adaFisherPlainRef(w, m, g, row, col []float32, beta, add, step, lambda float32) {
	adaFisherRef(w, m, g, row, col, beta, add, step, lambda, 0, 1)
}

func adaFisherDecoupledRef(w, m, g, row, col []float32, beta, add, step, lambda, keep float32) {
	adaFisherRef(w, m, g, row, col, beta, add, step, lambda, 0, keep)
}

func adaFisherRef(w, m, g, row, col []float32, beta, add, step, lambda, decay, keep float32) {
	for i, r := range row {
		lo := i * len(col)
		w, m, g := w[lo:][:len(col)], m[lo:][:len(col)], g[lo:][:len(col)]
		for j, c := range col {
			d := decayed(g[j], w[j], decay)
			m[j] = flush(fma32(beta, m[j], float32(add*d)))
			f := fma32(r, c, lambda)
			w[j] = fma32(-step, float32(m[j]/f), float32(keep*w[j]))
		}
	}
}

// decayed is a gradient with the L2 term of its weight, if there is one.
func decayed(g, w, decay float32) float32 {
	if decay == 0 {
		return g
	}
	return fma32(decay, w, g)
}

// CalibratedParams are the scalars of [CalibratedStep].
type CalibratedParams struct {
	Beta  float32 // decay of the momentum
	Add   float32 // weight of the new gradient in it, 1-Beta
	Share float32 // of the momentum in the update: Nesterov's, Beta/(1-Beta^k)
	Step  float32 // learning rate, times what scales the update
	Keep  float32 // decoupled weight decay, 1-lr*decay
}

// CalibratedStep does one step of Nesterov's momentum on the contiguous len(row) x
// len(col) weight matrix w with momentum m and gradient g, in one pass. row and col
// are the factors of the preconditioner.
//
//	d        = fma(-mean[i], shift[j], g[i,j])
//	m[i,j]   = flush(fma(Beta, m[i,j], Add*d))
//	u        = ((Step*row[i]) * fma(Share, m[i,j], Add*d)) * col[j]
//	moved[j] = fma(mean[i], u, moved[j])          rows in order
//	w[i,j]   = fma(Keep, w[i,j], -u)
//
// With the means of the inputs and the gradient at the bias as shift, d is the
// gradient of a layer whose inputs have mean 0, and moved what its outputs change by
// because they have not; it must not overlap the others. mean may be nil: then d =
// g, and shift and moved are not used.
//
// It panics if len(w), len(m) or len(g) is not len(row)*len(col), or, with mean,
// if len(mean) is not len(row) or len(shift) or len(moved) is not len(col).
func CalibratedStep(w, m, g, row, col, mean, shift, moved []float32, p CalibratedParams) {
	n := len(col)
	if len(w) != len(row)*n || len(m) != len(w) || len(g) != len(w) {
		panic("kernels: CalibratedStep: length of w, m or g is not len(row)*len(col)")
	}
	if mean != nil && (len(mean) != len(row) || len(shift) != n || len(moved) != n) {
		panic("kernels: CalibratedStep: length of mean is not len(row), or of shift or moved not len(col)")
	}
	if mean == nil {
		calibrated(w, m, g, row, col, p.Beta, p.Add, p.Share, p.Step, p.Keep)
	} else {
		calibratedCentred(w, m, g, row, col, mean, shift, moved, p.Beta, p.Add, p.Share, p.Step, p.Keep)
	}
}

func calibratedRef(w, m, g, row, col []float32, beta, add, share, step, keep float32) {
	for i, r := range row {
		lo := i * len(col)
		w, m, g := w[lo:][:len(col)], m[lo:][:len(col)], g[lo:][:len(col)]
		r = float32(step * r)
		for j, c := range col {
			weight := w[j]
			u := nextMomentum(&m[j], g[j], beta, add, share)
			u = float32(float32(r*u) * c)
			w[j] = fma32(keep, weight, -u)
		}
	}
}

func calibratedCentredRef(w, m, g, row, col, mean, shift, moved []float32, beta, add, share, step, keep float32) {
	for i, r := range row {
		lo := i * len(col)
		w, m, g := w[lo:][:len(col)], m[lo:][:len(col)], g[lo:][:len(col)]
		r = float32(step * r)
		for j, c := range col {
			weight := w[j]
			u := nextMomentum(&m[j], fnma32(mean[i], shift[j], g[j]), beta, add, share)
			u = float32(float32(r*u) * c)
			moved[j] = fma32(mean[i], u, moved[j])
			w[j] = fma32(keep, weight, -u)
		}
	}
}

// nextMomentum moves a momentum towards d, and returns what it and d make the update.
func nextMomentum(m *float32, d, beta, add, share float32) float32 {
	part := float32(add * d)
	*m = flush(fma32(beta, *m, part))
	return fma32(share, *m, part)
}

// CalibratedSquares stores, for each row, the sum of squares of what a
// [CalibratedStep] with the same arguments multiplies by Step, and changes nothing
// else; or, with m nil, of the preconditioned gradient alone.
//
//	d      = fma(-mean[i], shift[j], g[i,j]), g[i,j] without mean
//	x      = fma(Share, flush(fma(Beta, m[i,j], Add*d)), Add*d), d without m
//	dst[i] = (row[i]*row[i]) * sum over j of (x*col[j])^2
//
// The sum is that of [SumSquares], by blocks of 32768 columns which are added in
// order. It panics if len(g) is not len(row)*len(col), if len(dst) is not len(row),
// or if what is not nil of m, mean and shift has another length than in
// [CalibratedStep]. dst must not overlap the others.
func CalibratedSquares(dst, m, g, row, col, mean, shift []float32, p CalibratedParams) {
	n := len(col)
	if len(g) != len(row)*n || m != nil && len(m) != len(g) {
		panic("kernels: CalibratedSquares: length of g or m is not len(row)*len(col)")
	}
	if len(dst) != len(row) {
		panic("kernels: CalibratedSquares: lengths of dst and row differ")
	}
	if mean != nil && (len(mean) != len(row) || len(shift) != n) {
		panic("kernels: CalibratedSquares: length of mean is not len(row), or of shift not len(col)")
	}
	clear(dst)
	eachBlock(len(row), n, func(r0, r1, c0, c1 int) {
		lo, hi := r0*n+c0, (r1-1)*n+c1
		before, to, g, row, col := dst[r0], dst[r0:r1], g[lo:hi], row[r0:r1], col[c0:c1]
		switch {
		case m == nil && mean == nil:
			gradientSquares(to, g, row, col)
		case m == nil:
			gradientSquaresCentred(to, g, row, col, mean[r0:r1], shift[c0:c1])
		case mean == nil:
			updateSquares(to, m[lo:hi], g, row, col, p.Beta, p.Add, p.Share)
		default:
			updateSquaresCentred(to, m[lo:hi], g, row, col, mean[r0:r1], shift[c0:c1], p.Beta, p.Add, p.Share)
		}
		if c0 > 0 {
			dst[r0] += before
		}
	})
}

func gradientSquaresRef(dst, g, row, col []float32) {
	rowSquaresRef(dst, nil, g, row, col, nil, nil, 0, 0, 0)
}

func gradientSquaresCentredRef(dst, g, row, col, mean, shift []float32) {
	rowSquaresRef(dst, nil, g, row, col, mean, shift, 0, 0, 0)
}

func updateSquaresRef(dst, m, g, row, col []float32, beta, add, share float32) {
	rowSquaresRef(dst, m, g, row, col, nil, nil, beta, add, share)
}

func updateSquaresCentredRef(dst, m, g, row, col, mean, shift []float32, beta, add, share float32) {
	rowSquaresRef(dst, m, g, row, col, mean, shift, beta, add, share)
}

func rowSquaresRef(dst, m, g, row, col, mean, shift []float32, beta, add, share float32) {
	for i := range dst {
		var acc [lanes]float32
		for j, c := range col {
			x := g[i*len(col)+j]
			if mean != nil {
				x = fnma32(mean[i], shift[j], x)
			}
			if m != nil {
				moment := m[i*len(col)+j]
				x = nextMomentum(&moment, x, beta, add, share)
			}
			v := float32(x * c)
			acc[j%lanes] = fma32(v, v, acc[j%lanes])
		}
		dst[i] = float32(float32(row[i]*row[i]) * tree(&acc))
	}
}

// SGDParams are the scalars of [SGDStep].
type SGDParams struct {
	Momentum    float32 // decay of the velocity
	Add         float32 // weight of the new gradient in it, 1-dampening
	GradPart    float32 // share of the gradient in the update: 0, or 1 with Nesterov
	VelPart     float32 // share of the velocity in the update: 1, or Momentum with Nesterov
	LR          float32 // learning rate
	WeightDecay float32 // L2 term added to the gradient
}

// SGDStep does one step of stochastic gradient descent with momentum on the
// weights w with velocity v and gradient g, in one pass.
//
//	d    = fma(WeightDecay, w[i], g[i])
//	v[i] = flush(fma(Momentum, v[i], Add*d))
//	u    = fma(VelPart, v[i], GradPart*d)
//	w[i] = fma(-LR, u, w[i])
//
// It panics if the lengths differ.
func SGDStep(w, v, g []float32, p SGDParams) {
	if len(v) != len(w) || len(g) != len(w) {
		panic("kernels: SGDStep: lengths of w, v and g differ")
	}
	sgd(w, v, g, p.Momentum, p.Add, p.GradPart, p.VelPart, p.LR, p.WeightDecay)
}

func sgdRef(w, v, g []float32, momentum, add, gradPart, velPart, lr, decay float32) {
	for i := range w {
		d := fma32(decay, w[i], g[i])
		v[i] = flush(fma32(momentum, v[i], float32(add*d)))
		u := fma32(velPart, v[i], float32(gradPart*d))
		w[i] = fma32(-lr, u, w[i])
	}
}

// AdamParams are the scalars of [AdamStep].
type AdamParams struct {
	Beta1, Add1 float32 // decay of the first moment and 1-Beta1
	Beta2, Add2 float32 // decay of the second moment and 1-Beta2
	Step        float32 // learning rate over the bias correction, lr/(1-Beta1^k)
	Correct2    float32 // bias correction of the second moment, 1/(1-Beta2^k)
	Epsilon     float32
	WeightDecay float32 // L2 term added to the gradient (Adam); 0 for AdamW
	Keep        float32 // decoupled weight decay (AdamW), 1-lr*decay; 1 for Adam
}

// bounded reports whether Correct2 is such that roots need no divider, see the generator.
func (p *AdamParams) bounded() bool { return p.Correct2 >= 1 && p.Correct2 <= 0x1p100 }

// AdamStep does one step of Adam or AdamW on the weights w with first moment m,
// second moment v and gradient g, in one pass.
//
//	d    = fma(WeightDecay, w[i], g[i]); g[i] without WeightDecay
//	m[i] = flush(fma(Beta1, m[i], Add1*d))
//	v[i] = flush(fma(Beta2, v[i], (Add2*d)*d)), +0 too where that is negative
//	w[i] = fma(-Step, m[i]/(sqrt(v[i]*Correct2)+Epsilon), Keep*w[i])
//
// It is slow where Correct2 is less than 1, which no correction is, or over 2^100. It
// panics if the lengths differ.
func AdamStep(w, m, v, g []float32, p AdamParams) {
	if len(m) != len(w) || len(v) != len(w) || len(g) != len(w) {
		panic("kernels: AdamStep: lengths of w, m, v and g differ")
	}
	scaled2 := p.Correct2 * 0x1p24
	switch {
	case !p.bounded():
		adamRef(w, m, v, g, p.Beta1, p.Add1, p.Beta2, p.Add2, p.Step, p.Correct2, scaled2, p.Epsilon, p.WeightDecay, p.Keep)
	case p.WeightDecay != 0:
		adam(w, m, v, g, p.Beta1, p.Add1, p.Beta2, p.Add2, p.Step, p.Correct2, scaled2, p.Epsilon, p.WeightDecay, p.Keep)
	case p.Keep == 1:
		adamPlain(w, m, v, g, p.Beta1, p.Add1, p.Beta2, p.Add2, p.Step, p.Correct2, scaled2, p.Epsilon)
	default:
		adamDecoupled(w, m, v, g, p.Beta1, p.Add1, p.Beta2, p.Add2, p.Step, p.Correct2, scaled2, p.Epsilon, p.Keep)
	}
}

func adamPlainRef(w, m, v, g []float32, beta1, add1, beta2, add2, step, correct2, scaled2, epsilon float32) {
	adamRef(w, m, v, g, beta1, add1, beta2, add2, step, correct2, scaled2, epsilon, 0, 1)
}

func adamDecoupledRef(w, m, v, g []float32, beta1, add1, beta2, add2, step, correct2, scaled2, epsilon, keep float32) {
	adamRef(w, m, v, g, beta1, add1, beta2, add2, step, correct2, scaled2, epsilon, 0, keep)
}

func adamRef(w, m, v, g []float32, beta1, add1, beta2, add2, step, correct2, _, epsilon, decay, keep float32) {
	for i := range w {
		d := decayed(g[i], w[i], decay)
		m[i] = flush(fma32(beta1, m[i], float32(add1*d)))
		v[i] = flushSquare(fma32(beta2, v[i], float32(float32(add2*d)*d)))
		s := sqrt32(float32(v[i]*correct2)) + epsilon
		w[i] = fma32(-step, float32(m[i]/s), float32(keep*w[i]))
	}
}

// AMSGradStep does one step of Adam or AdamW in the variant AMSGrad (Reddi et al.
// 2018, "On the Convergence of Adam and Beyond"), in one pass: the largest second
// moment so far stands under the root.
//
//	d      = fma(WeightDecay, w[i], g[i]); g[i] without WeightDecay
//	m[i]   = flush(fma(Beta1, m[i], Add1*d))
//	v[i]   = flush(fma(Beta2, v[i], (Add2*d)*d)), +0 too where that is negative
//	top[i] = flush(v[i] if v[i] > top[i], else top[i]), +0 too where that is negative
//	w[i]   = fma(-Step, m[i]/(sqrt(top[i]*Correct2)+Epsilon), Keep*w[i])
//
// It is slow where AdamStep is. It panics if the lengths differ.
func AMSGradStep(w, m, v, top, g []float32, p AdamParams) {
	if len(m) != len(w) || len(v) != len(w) || len(top) != len(w) || len(g) != len(w) {
		panic("kernels: AMSGradStep: lengths of w, m, v, top and g differ")
	}
	scaled2 := p.Correct2 * 0x1p24
	switch {
	case !p.bounded():
		amsGradRef(w, m, v, top, g, p.Beta1, p.Add1, p.Beta2, p.Add2, p.Step, p.Correct2, scaled2, p.Epsilon, p.WeightDecay, p.Keep)
	case p.WeightDecay != 0:
		amsGrad(w, m, v, top, g, p.Beta1, p.Add1, p.Beta2, p.Add2, p.Step, p.Correct2, scaled2, p.Epsilon, p.WeightDecay, p.Keep)
	default:
		amsGradDecoupled(w, m, v, top, g, p.Beta1, p.Add1, p.Beta2, p.Add2, p.Step, p.Correct2, scaled2, p.Epsilon, p.Keep)
	}
}

func amsGradDecoupledRef(w, m, v, top, g []float32, beta1, add1, beta2, add2, step, correct2, scaled2, epsilon, keep float32) {
	amsGradRef(w, m, v, top, g, beta1, add1, beta2, add2, step, correct2, scaled2, epsilon, 0, keep)
}

func amsGradRef(w, m, v, top, g []float32, beta1, add1, beta2, add2, step, correct2, _, epsilon, decay, keep float32) {
	for i := range w {
		d := decayed(g[i], w[i], decay)
		m[i] = flush(fma32(beta1, m[i], float32(add1*d)))
		v[i] = flushSquare(fma32(beta2, v[i], float32(float32(add2*d)*d)))
		if v[i] > top[i] {
			top[i] = v[i]
		}
		top[i] = flushSquare(top[i])
		s := sqrt32(float32(top[i]*correct2)) + epsilon
		w[i] = fma32(-step, float32(m[i]/s), float32(keep*w[i]))
	}
}

// AdagradParams are the scalars of [AdagradStep].
type AdagradParams struct {
	Step        float32 // learning rate of this step
	Epsilon     float32
	WeightDecay float32 // L2 term added to the gradient
}

// AdagradStep does one step of Adagrad (Duchi et al. 2011, "Adaptive Subgradient
// Methods") on the weights w with sum of squares s and gradient g, in one pass.
//
//	d    = fma(WeightDecay, w[i], g[i])
//	s[i] = flush(fma(d, d, s[i])), +0 too where that is negative
//	w[i] = fma(-Step, d/(sqrt(s[i])+Epsilon), w[i])
//
// It panics if the lengths differ.
func AdagradStep(w, s, g []float32, p AdagradParams) {
	if len(s) != len(w) || len(g) != len(w) {
		panic("kernels: AdagradStep: lengths of w, s and g differ")
	}
	adagrad(w, s, g, p.Step, p.Epsilon, p.WeightDecay)
}

func adagradRef(w, s, g []float32, step, epsilon, decay float32) {
	for i := range w {
		d := fma32(decay, w[i], g[i])
		s[i] = flushSquare(fma32(d, d, s[i]))
		w[i] = fma32(-step, float32(d/(sqrt32(s[i])+epsilon)), w[i])
	}
}

// RMSPropParams are the scalars of [RMSPropStep].
type RMSPropParams struct {
	Alpha, Add  float32 // decay of the averages and 1-Alpha
	Epsilon     float32
	Momentum    float32 // decay of the velocity b; unused without one
	LR          float32 // learning rate
	WeightDecay float32 // L2 term added to the gradient
}

// RMSPropStep does one step of RMSprop (Tieleman and Hinton 2012, Coursera lecture
// 6.5) as PyTorch has it, in one pass, on the weights w with mean of squares v,
// mean of gradients a, velocity b and gradient g. Each of a and b may be nil: then
// the squares aren't centred, and there is no momentum.
//
//	d    = fma(WeightDecay, w[i], g[i])
//	v[i] = flush(fma(Alpha, v[i], (Add*d)*d)), +0 too where that is negative
//	a[i] = flush(fma(Alpha, a[i], Add*d))
//	s    = fma(-a[i], a[i], v[i]), +0 if that is negative; v[i] without a
//	q    = d/(sqrt(s)+Epsilon)
//	b[i] = flush(fma(Momentum, b[i], q))
//	w[i] = fma(-LR, b[i], w[i]); fma(-LR, q, w[i]) without b
//
// It panics if the lengths differ.
func RMSPropStep(w, v, a, b, g []float32, p RMSPropParams) {
	if len(v) != len(w) || a != nil && len(a) != len(w) || b != nil && len(b) != len(w) || len(g) != len(w) {
		panic("kernels: RMSPropStep: lengths of w, v, a, b and g differ")
	}
	switch {
	case a == nil && b == nil:
		rmsProp(w, v, g, p.Alpha, p.Add, p.Epsilon, p.LR, p.WeightDecay)
	case b == nil:
		rmsPropCentered(w, v, a, g, p.Alpha, p.Add, p.Epsilon, p.LR, p.WeightDecay)
	case a == nil:
		rmsPropMomentum(w, v, b, g,
			p.Alpha, p.Add, p.Epsilon, p.Momentum, p.LR, p.WeightDecay)
	default:
		rmsPropCenteredMomentum(w, v, a, b, g,
			p.Alpha, p.Add, p.Epsilon, p.Momentum, p.LR, p.WeightDecay)
	}
}

func rmsPropRef(w, v, g []float32, alpha, add, epsilon, lr, decay float32) {
	rmsPropAnyRef(w, v, nil, nil, g, alpha, add, epsilon, 0, lr, decay)
}

func rmsPropCenteredRef(w, v, a, g []float32, alpha, add, epsilon, lr, decay float32) {
	rmsPropAnyRef(w, v, a, nil, g, alpha, add, epsilon, 0, lr, decay)
}

func rmsPropMomentumRef(w, v, b, g []float32, alpha, add, epsilon, momentum, lr, decay float32) {
	rmsPropAnyRef(w, v, nil, b, g, alpha, add, epsilon, momentum, lr, decay)
}

func rmsPropCenteredMomentumRef(w, v, a, b, g []float32, alpha, add, epsilon, momentum, lr, decay float32) {
	rmsPropAnyRef(w, v, a, b, g, alpha, add, epsilon, momentum, lr, decay)
}

func rmsPropAnyRef(w, v, a, b, g []float32, alpha, add, epsilon, momentum, lr, decay float32) {
	for i := range w {
		d := fma32(decay, w[i], g[i])
		part := float32(add * d)
		v[i] = flushSquare(fma32(alpha, v[i], float32(part*d)))
		s := v[i]
		if a != nil {
			a[i] = flush(fma32(alpha, a[i], part))
			if s = fma32(-a[i], a[i], s); s < 0 {
				s = 0
			}
		}
		q := float32(d / (sqrt32(s) + epsilon))
		if b != nil {
			b[i] = flush(fma32(momentum, b[i], q))
			q = b[i]
		}
		w[i] = fma32(-lr, q, w[i])
	}
}

// LionParams are the scalars of [LionStep].
type LionParams struct {
	Beta1, Add1 float32 // weight of the momentum in the update's sign, and 1-Beta1
	Beta2, Add2 float32 // decay of the momentum and 1-Beta2
	Step        float32 // learning rate
	Keep        float32 // decoupled weight decay, 1-lr*decay
}

// LionStep does one step of Lion (Chen et al. 2023, arXiv 2302.06675) on the
// weights w with momentum m and gradient g, in one pass. The sign of a zero or a
// NaN is 0.
//
//	c    = fma(Beta1, m[i], Add1*g[i])
//	m[i] = flush(fma(Beta2, m[i], Add2*g[i]))
//	w[i] = fma(-Step, sign(c), Keep*w[i])
//
// It panics if the lengths differ.
func LionStep(w, m, g []float32, p LionParams) {
	if len(m) != len(w) || len(g) != len(w) {
		panic("kernels: LionStep: lengths of w, m and g differ")
	}
	lion(w, m, g, p.Beta1, p.Add1, p.Beta2, p.Add2, p.Step, p.Keep)
}

func lionRef(w, m, g []float32, beta1, add1, beta2, add2, step, keep float32) {
	for i := range w {
		c := fma32(beta1, m[i], float32(add1*g[i]))
		m[i] = flush(fma32(beta2, m[i], float32(add2*g[i])))
		sign := float32(0)
		if c > 0 {
			sign = 1
		} else if c < 0 {
			sign = -1
		}
		w[i] = fma32(-step, sign, float32(keep*w[i]))
	}
}
