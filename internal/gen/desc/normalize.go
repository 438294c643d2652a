package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// standard returns (x-mean)*rstd.
func standard(k *vec.Kernel, x, mean, rstd *vec.Value) *vec.Value {
	return k.Mul(k.Sub(x, mean), rstd)
}

// dst[i] = sum of row i of x
func rowSums(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	k.StridedPasses(dst, []*vec.Slice{x}, nil, func() {
		k.StoreRow(dst, k.Total(func(acc *vec.Value) *vec.Value { return k.Add(acc, k.Load(x)) }))
	})
}

// The moments of rows, and what needs them, in steps over some rows each, as softmax.

// q = sum of x-x[i,0] / n;  mean[i] = x[i,0] + q;  lost[i] = q - (mean[i]-x[i,0])
func rowMeans(k *vec.Kernel) {
	mean, lost, x := k.Out("mean"), k.Out("lost"), k.In("x")
	n := k.Scalar("n")
	k.Passes(mean, nil, []*vec.Slice{x}, nil, func() {
		shift := k.First(x)
		q := k.Div(k.Total(func(acc *vec.Value) *vec.Value {
			return k.Add(acc, k.Fill(k.Sub(k.Load(x), shift), k.Const(0)))
		}), n)
		m := k.Add(shift, q)
		k.StoreRow(mean, m)
		k.StoreRow(lost, k.Sub(q, k.Sub(m, shift)))
	})
}

// rowVariance: max(0, sum of (x-mean[i])^2 / n - lost[i]*lost[i])
func rowVariance(k *vec.Kernel, x, mean, lost *vec.Slice, n *vec.Value) *vec.Value {
	m, l := k.Row(mean), k.Row(lost)
	squares := k.Total(func(acc *vec.Value) *vec.Value {
		d := k.Fill(k.Sub(k.Load(x), m), k.Const(0))
		return k.FMA(d, d, acc)
	})
	return k.Greatest(k.Const(0), k.Sub(k.Div(squares, n), k.Mul(l, l)))
}

func rowVariances(k *vec.Kernel) {
	variance, x, mean, lost := k.Out("variance"), k.In("x"), k.In("mean"), k.In("lost")
	n := k.Scalar("n")
	k.Passes(mean, nil, []*vec.Slice{x}, nil, func() {
		k.StoreRow(variance, rowVariance(k, x, mean, lost, n))
	})
}

// rstd[i] = 1/sqrt(variance+eps)
func rowDeviations(k *vec.Kernel) {
	rstd, x, mean, lost := k.Out("rstd"), k.In("x"), k.In("mean"), k.In("lost")
	eps, n := k.Scalar("eps"), k.Scalar("n")
	k.Passes(mean, nil, []*vec.Slice{x}, nil, func() {
		variance := rowVariance(k, x, mean, lost, n)
		k.StoreRow(rstd, k.Div(k.Const(1), k.Sqrt(k.Add(variance, eps))))
	})
}

// q = mean/rows;  mean = shift + q;  lost = q - (mean-shift)
func shiftedMeans(k *vec.Kernel) {
	mean, lost, shift := k.InOut("mean"), k.Out("lost"), k.In("shift")
	rows := k.Scalar("rows")
	k.Each(2, func() {
		s := k.Load(shift)
		q := k.Div(k.Load(mean), rows)
		m := k.Add(s, q)
		k.Store(mean, m)
		k.Store(lost, k.Sub(q, k.Sub(m, s)))
	})
}

// variance = max(0, variance/rows - lost*lost)
func correctedVariances(k *vec.Kernel) {
	variance, lost := k.InOut("variance"), k.In("lost")
	rows := k.Scalar("rows")
	k.Each(2, func() {
		l := k.Load(lost)
		k.Store(variance, k.Greatest(k.Const(0), k.Sub(k.Div(k.Load(variance), rows), k.Mul(l, l))))
	})
}

// dst = fma((x-mean[i])*rstd[i], gamma, beta)
func layerNormRows(k *vec.Kernel) {
	dst, x, mean, rstd := k.Out("dst"), k.In("x"), k.In("mean"), k.In("rstd")
	gamma, beta := k.In("gamma"), k.In("beta")
	k.Passes(mean, gamma, []*vec.Slice{dst, x}, []*vec.Slice{gamma, beta}, func() {
		m, r := k.Row(mean), k.Row(rstd)
		k.Over(4, func() {
			k.Store(dst, k.FMA(standard(k, k.Load(x), m, r), k.Load(gamma), k.Load(beta)))
		})
	})
}

// a = sum of dy*gamma / n;  b = sum of (dy*gamma)*h / n with h = (x-mean[i])*rstd[i]
// stats[i,:] = mean[i], rstd[i], a, b: fewer pointers for the next step
func layerNormDots(k *vec.Kernel) {
	stats, dy, x := k.Out("stats"), k.In("dy"), k.In("x")
	mean, rstd, gamma := k.In("mean"), k.In("rstd"), k.In("gamma")
	n := k.Scalar("n")
	k.Passes(mean, gamma, []*vec.Slice{dy, x}, []*vec.Slice{gamma}, func() {
		m, r := k.Row(mean), k.Row(rstd)
		a := k.Div(k.Total(func(acc *vec.Value) *vec.Value {
			return k.FMA(k.Fill(k.Load(dy), negativeZero(k)), k.Load(gamma), acc)
		}), n)
		b := k.Div(k.Total(func(acc *vec.Value) *vec.Value {
			h := k.Fill(standard(k, k.Load(x), m, r), negativeZero(k))
			return k.FMA(k.Mul(k.Load(dy), k.Load(gamma)), h, acc)
		}), n)
		for _, v := range []*vec.Value{m, r, a, b} {
			k.StoreRow(stats, v)
		}
	})
}

// dx = rstd * fma(-h, b, dy*gamma-a) with mean, rstd, a, b = stats[i,:]
// dgamma = fma(dy, h, dgamma);  dbeta = dbeta + dy
func layerNormBackwardRows(k *vec.Kernel) {
	dx, dgamma, dbeta, dy, x := k.Out("dx"), k.InOut("dgamma"), k.InOut("dbeta"), k.In("dy"), k.In("x")
	gamma, stats := k.In("gamma"), k.In("stats")
	k.Passes(nil, gamma, []*vec.Slice{dx, dy, x}, []*vec.Slice{gamma, dgamma, dbeta}, func() {
		m, r, a, b := k.Row(stats), k.Row(stats), k.Row(stats), k.Row(stats)
		k.Over(4, func() {
			h, v := standard(k, k.Load(x), m, r), k.Load(dy)
			dg, db := k.FMA(v, h, k.Load(dgamma)), k.Add(v, k.Load(dbeta))
			g := k.Mul(r, k.FNMA(h, b, k.Sub(k.Mul(v, k.Load(gamma)), a)))
			k.Store(dgamma, dg)
			k.Store(dbeta, db)
			k.Store(dx, g)
		})
	})
}

// The same for rows that are too long for one call, with the sums by reductions:

// dst = fma((x-mean)*rstd, gamma, beta)
func layerNorm(k *vec.Kernel) {
	dst, x, gamma, beta := k.Out("dst"), k.In("x"), k.In("gamma"), k.In("beta")
	mean, rstd := k.Scalar("mean"), k.Scalar("rstd")
	k.Each(4, func() {
		h := standard(k, k.Load(x), mean, rstd)
		k.Store(dst, k.FMA(h, k.Load(gamma), k.Load(beta)))
	})
}

// lane = fma(dy*gamma, (x-mean)*rstd, lane)
func layerNormDot(k *vec.Kernel) {
	dy, x, gamma := k.In("dy"), k.In("x"), k.In("gamma")
	mean, rstd := k.Scalar("mean"), k.Scalar("rstd")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		h := k.Fill(standard(k, k.Load(x), mean, rstd), negativeZero(k))
		return k.FMA(k.Mul(k.Load(dy), k.Load(gamma)), h, acc)
	}})
}

// dx = rstd * fma(-h, b, dy*gamma-a) with h = (x-mean)*rstd
func layerNormBackward(k *vec.Kernel) {
	dx, dy, x, gamma := k.Out("dx"), k.In("dy"), k.In("x"), k.In("gamma")
	mean, rstd, a, b := k.Scalar("mean"), k.Scalar("rstd"), k.Scalar("a"), k.Scalar("b")
	k.Each(4, func() {
		h := standard(k, k.Load(x), mean, rstd)
		g := k.Sub(k.Mul(k.Load(dy), k.Load(gamma)), a)
		k.Store(dx, k.Mul(rstd, k.FNMA(h, b, g)))
	})
}

// dgamma[j] = chain of s = fma(dy[i,j], (x[i,j]-mean[i])*rstd[i], s);  dbeta[j] = sum of dy[i,j]
func layerNormSums(k *vec.Kernel) {
	dgamma, dbeta, dy, x := k.InOut("dgamma"), k.InOut("dbeta"), k.In("dy"), k.In("x")
	mean, rstd := k.In("mean"), k.In("rstd")
	var v *vec.Value
	k.ColumnSums(4, []*vec.Slice{dy, x}, []*vec.Slice{mean, rstd}, nil,
		vec.ColumnSum{Dst: dgamma, Next: func(acc *vec.Value) *vec.Value {
			v = k.Load(dy)
			return k.FMA(v, standard(k, k.Load(x), k.Row(mean), k.Row(rstd)), acc)
		}},
		vec.ColumnSum{Dst: dbeta, Next: func(acc *vec.Value) *vec.Value { return k.Add(acc, v) }})
}

// dst[j] = sum of x[i,j]-shift[j]
func colSumsShifted(narrow bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		dst, x, shift := k.InOut("dst"), k.In("x"), k.In("shift")
		columnSums(k, narrow, 8, []*vec.Slice{x}, []*vec.Slice{shift}, vec.ColumnSum{Dst: dst, Next: func(acc *vec.Value) *vec.Value {
			return k.Add(acc, k.Sub(k.Load(x), k.Column(shift)))
		}})
	}
}

// dst[j] = chain of s = fma(d, d, s) with d = x[i,j]-shift[j]
func colSumSquaresShifted(narrow bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		dst, x, shift := k.InOut("dst"), k.In("x"), k.In("shift")
		columnSums(k, narrow, 8, []*vec.Slice{x}, []*vec.Slice{shift}, vec.ColumnSum{Dst: dst, Next: func(acc *vec.Value) *vec.Value {
			d := k.Sub(k.Load(x), k.Column(shift))
			return k.FMA(d, d, acc)
		}})
	}
}

// dst[i,j] = fma(x[i,j], scale[j], shift[j])
func colAffine(k *vec.Kernel) {
	dst, x, scale, shift := k.Out("dst"), k.In("x"), k.In("scale"), k.In("shift")
	k.Rows(4, nil, scale, []*vec.Slice{dst, x}, []*vec.Slice{scale, shift}, func() {}, func() {
		k.Store(dst, k.FMA(k.Load(x), k.Load(scale), k.Load(shift)))
	})
}

// dst[i,j] = x[i,j] * scale[j]
func colMul(k *vec.Kernel) {
	dst, x, scale := k.Out("dst"), k.In("x"), k.In("scale")
	k.Rows(4, nil, scale, []*vec.Slice{dst, x}, []*vec.Slice{scale}, func() {}, func() {
		k.Store(dst, k.Mul(k.Load(x), k.Load(scale)))
	})
}

// dst[i,j] = fma(x[i,j], scale[j], shift[j]) < 0 ? +0 : itself
func colAffineReLU(k *vec.Kernel) {
	dst, x, scale, shift := k.Out("dst"), k.In("x"), k.In("scale"), k.In("shift")
	k.Rows(4, nil, scale, []*vec.Slice{dst, x}, []*vec.Slice{scale, shift}, func() {}, func() {
		k.Store(dst, k.Greatest(k.Const(0), k.FMA(k.Load(x), k.Load(scale), k.Load(shift))))
	})
}

// dgamma[j] = chain of s = fma(dy[i,j], x[i,j]-mean[j], s);  dbeta[j] = sum of dy[i,j],
// with relu of fma(x[i,j], scale[j], shift[j]) > 0 ? dy[i,j] : +0
func batchNormSums(narrow, relu bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		dgamma, dbeta, dy, x, mean := k.InOut("dgamma"), k.InOut("dbeta"), k.In("dy"), k.In("x"), k.In("mean")
		cols := []*vec.Slice{mean}
		if relu {
			cols = append(cols, k.In("scale"), k.In("shift"))
		}
		var v *vec.Value
		columnSums(k, narrow, 4, []*vec.Slice{dy, x}, cols,
			vec.ColumnSum{Dst: dgamma, Next: func(acc *vec.Value) *vec.Value {
				v = k.Load(dy)
				u := k.Load(x)
				if relu {
					v = k.Keep(k.Less(k.Const(0), k.FMA(u, k.Column(cols[1]), k.Column(cols[2]))), v)
				}
				return k.FMA(v, k.Sub(u, k.Column(mean)), acc)
			}},
			vec.ColumnSum{Dst: dbeta, Next: func(acc *vec.Value) *vec.Value { return k.Add(acc, v) }})
	}
}

// slope = gamma*rstd;  a = dbeta/rows;  b = (dgamma/rows)*rstd
func batchNormColumnFactors(k *vec.Kernel) {
	slope, a, b := k.Out("slope"), k.Out("a"), k.Out("b")
	dgamma, dbeta, rstd, gamma := k.In("dgamma"), k.In("dbeta"), k.In("rstd"), k.In("gamma")
	rows := k.Scalar("rows")
	k.Each(2, func() {
		r := k.Load(rstd)
		s := k.Mul(k.Load(gamma), r)
		mean := k.Div(k.Load(dbeta), rows)
		slanted := k.Mul(k.Div(k.Load(dgamma), rows), r)
		k.Store(slope, s)
		k.Store(a, mean)
		k.Store(b, slanted)
	})
}

// dx[i,j] = slope[j] * fma(-(x[i,j]-mean[j]), b[j], dy[i,j]-a[j]), with relu of
// fma(x[i,j], scale[j], shift[j]) > 0 ? dy[i,j] : +0
func batchNormBackward(relu bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		dx, dy, x := k.Out("dx"), k.In("dy"), k.In("x")
		mean, slope, a, b := k.In("mean"), k.In("slope"), k.In("a"), k.In("b")
		cols := []*vec.Slice{mean, slope, a, b}
		if relu {
			cols = append(cols, k.In("scale"), k.In("shift"))
		}
		k.Rows(4, nil, mean, []*vec.Slice{dx, dy, x}, cols, func() {}, func() {
			u, v := k.Load(x), k.Load(dy)
			if relu {
				v = k.Keep(k.Less(k.Const(0), k.FMA(u, k.Load(cols[4]), k.Load(cols[5]))), v)
			}
			d := k.Sub(u, k.Load(mean))
			k.Store(dx, k.Mul(k.FNMA(d, k.Load(b), k.Sub(v, k.Load(a))), k.Load(slope)))
		})
	}
}
