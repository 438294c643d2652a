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
//	d      = fma(WeightDecay, w[i,j], g[i,j])
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
	// Quotients for such steps need no divider, see the generator.
	bounded := p.Step >= 0x1p-100 && p.Step <= 0x1p100 && p.Keep == 1
	eachBlock(len(row), n, func(r0, r1, c0, c1 int) {
		lo, hi := r0*n+c0, (r1-1)*n+c1
		if bounded {
			adaFisherBounded(w[lo:hi], m[lo:hi], g[lo:hi], row[r0:r1], col[c0:c1],
				p.Beta, p.Add, p.Step, p.Lambda, p.WeightDecay)
		} else {
			adaFisher(w[lo:hi], m[lo:hi], g[lo:hi], row[r0:r1], col[c0:c1],
				p.Beta, p.Add, p.Step, p.Lambda, p.WeightDecay, p.Keep)
		}
	})
}

func adaFisherBoundedRef(w, m, g, row, col []float32, beta, add, step, lambda, decay float32) {
	adaFisherRef(w, m, g, row, col, beta, add, step, lambda, decay, 1)
}

func adaFisherRef(w, m, g, row, col []float32, beta, add, step, lambda, decay, keep float32) {
	for i, r := range row {
		lo := i * len(col)
		w, m, g := w[lo:][:len(col)], m[lo:][:len(col)], g[lo:][:len(col)]
		for j, c := range col {
			d := fma32(decay, w[j], g[j])
			m[j] = flush(fma32(beta, m[j], float32(add*d)))
			f := fma32(r, c, lambda)
			w[j] = fma32(-step, float32(m[j]/f), float32(keep*w[j]))
		}
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
	for lo := 0; lo < len(w); lo += chunkLen {
		hi := min(lo+chunkLen, len(w))
		sgd(w[lo:hi], v[lo:hi], g[lo:hi], p.Momentum, p.Add, p.GradPart, p.VelPart, p.LR, p.WeightDecay)
	}
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

// AdamStep does one step of Adam or AdamW on the weights w with first moment m,
// second moment v and gradient g, in one pass.
//
//	d    = fma(WeightDecay, w[i], g[i])
//	m[i] = flush(fma(Beta1, m[i], Add1*d))
//	v[i] = flush(fma(Beta2, v[i], (Add2*d)*d))
//	w[i] = fma(-Step, m[i]/(sqrt(v[i]*Correct2)+Epsilon), Keep*w[i])
//
// It panics if the lengths differ.
func AdamStep(w, m, v, g []float32, p AdamParams) {
	if len(m) != len(w) || len(v) != len(w) || len(g) != len(w) {
		panic("kernels: AdamStep: lengths of w, m, v and g differ")
	}
	// The root of a bounded product can be computed without the divider.
	bounded := p.Correct2 >= 1 && p.Correct2 <= 0x1p100
	for lo := 0; lo < len(w); lo += chunkLen {
		hi := min(lo+chunkLen, len(w))
		if bounded {
			adamBounded(w[lo:hi], m[lo:hi], v[lo:hi], g[lo:hi], p.Beta1, p.Add1, p.Beta2, p.Add2,
				p.Step, p.Correct2, p.Epsilon, p.WeightDecay, p.Keep, p.Correct2*0x1p24)
		} else {
			adam(w[lo:hi], m[lo:hi], v[lo:hi], g[lo:hi], p.Beta1, p.Add1, p.Beta2, p.Add2,
				p.Step, p.Correct2, p.Epsilon, p.WeightDecay, p.Keep)
		}
	}
}

func adamBoundedRef(w, m, v, g []float32, beta1, add1, beta2, add2, step, correct2, epsilon, decay, keep, _ float32) {
	adamRef(w, m, v, g, beta1, add1, beta2, add2, step, correct2, epsilon, decay, keep)
}

func adamRef(w, m, v, g []float32, beta1, add1, beta2, add2, step, correct2, epsilon, decay, keep float32) {
	for i := range w {
		d := fma32(decay, w[i], g[i])
		m[i] = flush(fma32(beta1, m[i], float32(add1*d)))
		v[i] = flush(fma32(beta2, v[i], float32(float32(add2*d)*d)))
		s := sqrt32(float32(v[i]*correct2)) + epsilon
		w[i] = fma32(-step, float32(m[i]/s), float32(keep*w[i]))
	}
}
