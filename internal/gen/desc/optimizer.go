package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// d = fma(decay, w, g)
// m = flush(fma(beta, m, add*d))
// w = fma(-step, m/fma(row, col, lambda), keep*w)
func adaFisher(k *vec.Kernel) {
	w, m, g := k.InOut("w"), k.InOut("m"), k.In("grad")
	row, col := k.In("row"), k.In("col")
	beta, add, step := k.Scalar("beta"), k.Scalar("add"), k.Scalar("step")
	lambda, decay, keep := k.Scalar("lambda"), k.Scalar("decay"), k.Scalar("keep")
	var r *vec.Value
	k.Rows(4, row, col, []*vec.Slice{w, m, g}, []*vec.Slice{col},
		func() { r = k.Row(row) },
		func() {
			weight := k.Load(w)
			d := k.FMA(decay, weight, k.Load(g))
			moment := k.Flush(k.FMA(beta, k.Load(m), k.Mul(add, d)))
			k.Store(m, moment)
			q := k.Div(moment, k.FMA(r, k.Load(col), lambda))
			k.Store(w, k.FNMA(step, q, k.Mul(keep, weight)))
		})
}

// adaFisherBounded is adaFisher where keep is 1 and 2^-100 <= step <= 2^100.
func adaFisherBounded(k *vec.Kernel) {
	w, m, g := k.InOut("w"), k.InOut("m"), k.In("grad")
	row, col := k.In("row"), k.In("col")
	beta, add, step := k.Scalar("beta"), k.Scalar("add"), k.Scalar("step")
	lambda, decay := k.Scalar("lambda"), k.Scalar("decay")
	var r, scaled *vec.Value
	k.Rows(3, row, col, []*vec.Slice{w, m, g}, []*vec.Slice{col},
		func() { r, scaled = k.Row(row), k.Mul(step, k.Const(0x1p-24)) },
		func() {
			weight := k.Load(w)
			d := k.FMA(decay, weight, k.Load(g))
			moment := k.Flush(k.FMA(beta, k.Load(m), k.Mul(add, d)))
			k.Store(m, moment)
			k.Store(w, k.StepQuotient(weight, step, scaled, moment, k.FMA(r, k.Load(col), lambda)))
		})
}

// d = fma(decay, w, g)
// v = flush(fma(momentum, v, add*d))
// w = fma(-lr, fma(velPart, v, gradPart*d), w)
func sgd(k *vec.Kernel) {
	w, v, g := k.InOut("w"), k.InOut("v"), k.In("grad")
	momentum, add := k.Scalar("momentum"), k.Scalar("add")
	gradPart, velPart := k.Scalar("gradPart"), k.Scalar("velPart")
	lr, decay := k.Scalar("lr"), k.Scalar("decay")
	k.Each(4, func() {
		weight := k.Load(w)
		d := k.FMA(decay, weight, k.Load(g))
		velocity := k.Flush(k.FMA(momentum, k.Load(v), k.Mul(add, d)))
		k.Store(v, velocity)
		u := k.FMA(velPart, velocity, k.Mul(gradPart, d))
		k.Store(w, k.FNMA(lr, u, weight))
	})
}

// d = fma(decay, w, g)
// m = flush(fma(beta1, m, add1*d))
// v = flush(fma(beta2, v, (add2*d)*d))
// w = fma(-step, m/(sqrt(v*correct2)+epsilon), keep*w)
func adam(k *vec.Kernel) { describeAdam(k, false) }

// adamBounded is adam where 1 <= correct2 <= 2^100; scaled2 is correct2 * 2^24.
func adamBounded(k *vec.Kernel) { describeAdam(k, true) }

func describeAdam(k *vec.Kernel, bounded bool) {
	w, m, v, g := k.InOut("w"), k.InOut("m"), k.InOut("v"), k.In("grad")
	beta1, add1, beta2, add2 := k.Scalar("beta1"), k.Scalar("add1"), k.Scalar("beta2"), k.Scalar("add2")
	step, correct2, epsilon := k.Scalar("step"), k.Scalar("correct2"), k.Scalar("epsilon")
	decay, keep := k.Scalar("decay"), k.Scalar("keep")
	var scaled2 *vec.Value
	if bounded {
		scaled2 = k.Scalar("scaled2")
	}
	k.Each(4, func() {
		weight := k.Load(w)
		d := k.FMA(decay, weight, k.Load(g))
		moment := k.Flush(k.FMA(beta1, k.Load(m), k.Mul(add1, d)))
		k.Store(m, moment)
		second := k.Flush(k.FMA(beta2, k.Load(v), k.Mul(k.Mul(add2, d), d)))
		k.Store(v, second)
		var s *vec.Value
		if bounded {
			s = k.RootSum(second, correct2, scaled2, epsilon)
		} else {
			s = k.Add(k.Sqrt(k.Mul(second, correct2)), epsilon)
		}
		k.Store(w, k.FNMA(step, k.Div(moment, s), k.Mul(keep, weight)))
	})
}
