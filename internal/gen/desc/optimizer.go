package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// adaFisher describes a step with, or without, a decay in the gradient and one of the
// weights: multiplications are what steps near the processor are bound by.
//
//	d = fma(decay, w, g), or d = g
//	m = flush(fma(beta, m, add*d))
//	w = fma(-step, m/fma(row, col, lambda), keep*w), or keep = 1 and 2^-100 <= step <= 2^100
func adaFisher(coupled, decoupled bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		w, m, g := k.InOut("w"), k.InOut("m"), k.In("grad")
		row, col := k.In("row"), k.In("col")
		beta, add, step, lambda := k.Scalar("beta"), k.Scalar("add"), k.Scalar("step"), k.Scalar("lambda")
		decay, keep := decays(k, coupled, decoupled)
		unroll := 4
		if !decoupled {
			unroll = 3
		}
		var r, scaled *vec.Value
		k.Rows(unroll, row, col, []*vec.Slice{w, m, g}, []*vec.Slice{col},
			func() {
				r = k.Row(row)
				if !decoupled {
					scaled = k.Mul(step, k.Const(0x1p-24))
				}
			},
			func() {
				weight, d := k.Load(w), k.Load(g)
				if coupled {
					d = k.FMA(decay, weight, d)
				}
				moment := k.Flush(k.FMA(beta, k.Load(m), k.Mul(add, d)))
				k.Store(m, moment)
				f := k.FMA(r, k.Load(col), lambda)
				if decoupled {
					weight = k.FNMA(step, k.Div(moment, f), k.Mul(keep, weight))
				} else {
					weight = k.StepQuotient(weight, step, scaled, moment, f)
				}
				k.Store(w, weight)
			})
	}
}

// decays are the scalars of the decays that a step has.
func decays(k *vec.Kernel, coupled, decoupled bool) (decay, keep *vec.Value) {
	if coupled {
		decay = k.Scalar("decay")
	}
	if decoupled {
		keep = k.Scalar("keep")
	}
	return decay, keep
}

// flushSquare returns +0 where v < 2^-126, and v elsewhere. A comparison of numbers
// leaves the units alone that multiply.
func flushSquare(k *vec.Kernel, v *vec.Value) *vec.Value {
	return k.Drop(k.Less(v, k.Const(0x1p-126)), v)
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

// adam describes a step with, or without, a decay in the gradient and one of the
// weights, where 1 <= correct2 <= 2^100; scaled2 is correct2 * 2^24.
//
//	d = fma(decay, w, g), or d = g
//	m = flush(fma(beta1, m, add1*d))
//	v = flush(fma(beta2, v, (add2*d)*d))
//	w = fma(-step, m/(sqrt(v*correct2)+epsilon), keep*w), or keep = 1
//
// With amsGrad, top = flush(v > top ? v : top) is under the root in v's place.
func adam(amsGrad, coupled, decoupled bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		w, m, v := k.InOut("w"), k.InOut("m"), k.InOut("v")
		var top *vec.Slice
		if amsGrad {
			top = k.InOut("top")
		}
		g := k.In("grad")
		beta1, add1, beta2, add2 := k.Scalar("beta1"), k.Scalar("add1"), k.Scalar("beta2"), k.Scalar("add2")
		step, correct2, scaled2, epsilon := k.Scalar("step"), k.Scalar("correct2"), k.Scalar("scaled2"), k.Scalar("epsilon")
		decay, keep := decays(k, coupled, decoupled)
		k.Each(4, func() {
			weight, d := k.Load(w), k.Load(g)
			if coupled {
				d = k.FMA(decay, weight, d)
			}
			moment := k.Flush(k.FMA(beta1, k.Load(m), k.Mul(add1, d)))
			k.Store(m, moment)
			second := flushSquare(k, k.FMA(beta2, k.Load(v), k.Mul(k.Mul(add2, d), d)))
			k.Store(v, second)
			if amsGrad {
				second = flushSquare(k, k.Greatest(second, k.Load(top)))
				k.Store(top, second)
			}
			q := k.Div(moment, k.RootSum(second, correct2, scaled2, epsilon))
			if decoupled {
				weight = k.Mul(keep, weight)
			}
			k.Store(w, k.FNMA(step, q, weight))
		})
	}
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
		sum := flushSquare(k, k.FMA(d, d, k.Load(s)))
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
			s := flushSquare(k, k.FMA(alpha, k.Load(v), k.Mul(part, d)))
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
