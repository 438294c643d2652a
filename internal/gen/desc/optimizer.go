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

// d = fma(-mean, shift, g) if centred, else d = g
// m = flush(fma(beta, m, add*d))
// u = ((step*row) * fma(share, m, add*d)) * col
// moved = fma(mean, u, moved) if centred
// w = fma(keep, w, -u)
func calibrated(centred bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		w, m, g := k.InOut("w"), k.InOut("m"), k.In("grad")
		row, col := k.In("row"), k.In("col")
		cols := []*vec.Slice{col}
		var mean, shift, moved *vec.Slice
		if centred {
			mean, shift, moved = k.In("mean"), k.In("shift"), k.InOut("moved")
			cols = append(cols, shift, moved)
		}
		beta, add, share := k.Scalar("beta"), k.Scalar("add"), k.Scalar("share")
		step, keep := k.Scalar("step"), k.Scalar("keep")
		var r, mu *vec.Value
		k.Rows(4, row, col, []*vec.Slice{w, m, g}, cols,
			func() {
				if centred {
					mu = k.Row(mean)
				}
				r = k.Mul(step, k.Row(row))
			},
			func() {
				weight, d := k.Load(w), k.Load(g)
				if centred {
					d = k.FNMA(mu, k.Load(shift), d)
				}
				part := k.Mul(add, d)
				moment := k.Flush(k.FMA(beta, k.Load(m), part))
				k.Store(m, moment)
				u := k.Mul(k.Mul(r, k.FMA(share, moment, part)), k.Load(col))
				if centred {
					k.Store(moved, k.FMA(mu, u, k.Load(moved)))
				}
				k.Store(w, k.FMS(keep, weight, u))
			})
	}
}

// dst = row*row * sum of (x*col)^2 over a row, where x = d, as in calibrated, or
// x = fma(share, flush(fma(beta, m, add*d)), add*d) for an update
func rowSquares(centred, update bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		dst := k.Out("dst")
		var m *vec.Slice
		var mats []*vec.Slice
		if update {
			m = k.In("m")
			mats = append(mats, m)
		}
		g, row, col := k.In("grad"), k.In("row"), k.In("col")
		mats = append(mats, g)
		cols := []*vec.Slice{col}
		var mean, shift *vec.Slice
		if centred {
			mean, shift = k.In("mean"), k.In("shift")
			cols = append(cols, shift)
		}
		var beta, add, share *vec.Value
		if update {
			beta, add, share = k.Scalar("beta"), k.Scalar("add"), k.Scalar("share")
		}
		k.Passes(dst, col, mats, cols, func() {
			var mu *vec.Value
			if centred {
				mu = k.Row(mean)
			}
			sum := k.Total(func(acc *vec.Value) *vec.Value {
				d := k.Load(g)
				if centred {
					d = k.FNMA(mu, k.Load(shift), d)
				}
				if update {
					part := k.Mul(add, d)
					d = k.FMA(share, k.Flush(k.FMA(beta, k.Load(m), part)), part)
				}
				v := k.Fill(k.Mul(d, k.Load(col)), k.Const(0))
				return k.FMA(v, v, acc)
			})
			r := k.Row(row)
			k.StoreRow(dst, k.Mul(k.Mul(r, r), sum))
		})
	}
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
func adam(k *vec.Kernel) { describeAdam(k, false, false) }

// adamBounded is adam where 1 <= correct2 <= 2^100; scaled2 is correct2 * 2^24.
func adamBounded(k *vec.Kernel) { describeAdam(k, false, true) }

// amsGrad is adam with top = flush(v > top ? v : top) under the root in v's place.
func amsGrad(k *vec.Kernel) { describeAdam(k, true, false) }

// amsGradBounded is to amsGrad what adamBounded is to adam.
func amsGradBounded(k *vec.Kernel) { describeAdam(k, true, true) }

func describeAdam(k *vec.Kernel, amsGrad, bounded bool) {
	w, m, v := k.InOut("w"), k.InOut("m"), k.InOut("v")
	var top *vec.Slice
	if amsGrad {
		top = k.InOut("top")
	}
	g := k.In("grad")
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
		if amsGrad {
			second = k.Flush(k.Greatest(second, k.Load(top)))
			k.Store(top, second)
		}
		var s *vec.Value
		if bounded {
			s = k.RootSum(second, correct2, scaled2, epsilon)
		} else {
			s = k.Add(k.Sqrt(k.Mul(second, correct2)), epsilon)
		}
		k.Store(w, k.FNMA(step, k.Div(moment, s), k.Mul(keep, weight)))
	})
}

// d = fma(decay, w, g)
// s = flush(fma(d, d, s))
// w = fma(-step, d/(sqrt(s)+epsilon), w)
func adagrad(k *vec.Kernel) {
	w, s, g := k.InOut("w"), k.InOut("s"), k.In("grad")
	step, epsilon, decay := k.Scalar("step"), k.Scalar("epsilon"), k.Scalar("decay")
	k.Each(4, func() {
		weight := k.Load(w)
		d := k.FMA(decay, weight, k.Load(g))
		sum := k.Flush(k.FMA(d, d, k.Load(s)))
		k.Store(s, sum)
		k.Store(w, k.FNMA(step, k.Div(d, k.Add(k.Sqrt(sum), epsilon)), weight))
	})
}

// d = fma(decay, w, g)
// v = flush(fma(alpha, v, (add*d)*d))
// a = flush(fma(alpha, a, add*d)), s = max(fma(-a, a, v), 0) if centered, else s = v
// q = d/(sqrt(s)+epsilon)
// b = flush(fma(momentum, b, q)), w = fma(-lr, b, w) with momentum, else w = fma(-lr, q, w)
func rmsProp(centered, withMomentum bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		w, v := k.InOut("w"), k.InOut("v")
		var a, b *vec.Slice
		if centered {
			a = k.InOut("a")
		}
		if withMomentum {
			b = k.InOut("b")
		}
		g := k.In("grad")
		alpha, add, epsilon := k.Scalar("alpha"), k.Scalar("add"), k.Scalar("epsilon")
		var momentum *vec.Value
		if withMomentum {
			momentum = k.Scalar("momentum")
		}
		lr, decay := k.Scalar("lr"), k.Scalar("decay")
		zero := k.Const(0)
		k.Each(4, func() {
			weight := k.Load(w)
			d := k.FMA(decay, weight, k.Load(g))
			part := k.Mul(add, d)
			s := k.Flush(k.FMA(alpha, k.Load(v), k.Mul(part, d)))
			k.Store(v, s)
			if centered {
				mean := k.Flush(k.FMA(alpha, k.Load(a), part))
				k.Store(a, mean)
				s = k.Greatest(zero, k.FNMA(mean, mean, s))
			}
			q := k.Div(d, k.Add(k.Sqrt(s), epsilon))
			if withMomentum {
				q = k.Flush(k.FMA(momentum, k.Load(b), q))
				k.Store(b, q)
			}
			k.Store(w, k.FNMA(lr, q, weight))
		})
	}
}

// c = fma(beta1, m, add1*g)
// m = flush(fma(beta2, m, add2*g))
// w = fma(-step, c > 0 ? 1 : c < 0 ? -1 : 0, keep*w)
func lion(k *vec.Kernel) {
	w, m, g := k.InOut("w"), k.InOut("m"), k.In("grad")
	beta1, add1, beta2, add2 := k.Scalar("beta1"), k.Scalar("add1"), k.Scalar("beta2"), k.Scalar("add2")
	step, keep := k.Scalar("step"), k.Scalar("keep")
	zero := k.Const(0)
	k.Each(4, func() {
		grad, moment := k.Load(g), k.Load(m)
		c := k.FMA(beta1, moment, k.Mul(add1, grad))
		k.Store(m, k.Flush(k.FMA(beta2, moment, k.Mul(add2, grad))))
		sign := k.Select(k.Less(zero, c), k.Const(1), k.Keep(k.Less(c, zero), k.Const(-1)))
		k.Store(w, k.FNMA(step, sign, k.Mul(keep, k.Load(w))))
	})
}
