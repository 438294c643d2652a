package desc

import (
	"math"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// Softmax in three steps over some rows each, so that the steps of a row, each of
// which depends on the one before, run beside those of other rows.

// dst[i] = max(x[i,:])
func rowMaxima(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	bottom := k.Const(float32(math.Inf(-1)))
	k.StridedPasses(dst, []*vec.Slice{x}, nil, func() {
		k.StoreRow(dst, k.Extreme(vec.Greatest, bottom, func(hi *vec.Value) *vec.Value {
			return k.Greatest(k.Fill(k.Load(x), bottom), hi)
		}))
	})
}

// dst = exp(alpha*(x-m[i]))
func expRows(k *vec.Kernel) {
	dst, x, m := k.Out("dst"), k.In("x"), k.In("m")
	alpha := k.Scalar("alpha")
	k.StridedPasses(m, []*vec.Slice{dst, x}, nil, func() {
		hi := k.Row(m)
		k.Over(4, func() { k.Store(dst, expNonPositive(k, k.Mul(k.Sub(k.Load(x), hi), alpha))) })
	})
}

// dst = x * q[i], then +0
func scaleRows(k *vec.Kernel) {
	dst, x, q := k.Out("dst"), k.In("x"), k.In("q")
	k.StridedPasses(q, []*vec.Slice{dst, x}, []*vec.Slice{dst}, func() {
		r := k.Row(q)
		k.Over(8, func() { k.Store(dst, k.Mul(k.Load(x), r)) })
	})
}

// dst[i] = sum of fma(x, y)
func rowDots(k *vec.Kernel) {
	dst, x, y := k.Out("dst"), k.In("x"), k.In("y")
	k.StridedPasses(dst, []*vec.Slice{x, y}, nil, func() {
		k.StoreRow(dst, k.Total(func(acc *vec.Value) *vec.Value {
			return k.FMA(k.Fill(k.Load(x), negativeZero(k)), k.Load(y), acc)
		}))
	})
}

// dx = alpha * (y*(dy-s[i])), then +0
func softmaxBackward(k *vec.Kernel) {
	dx, dy, y, s := k.Out("dx"), k.In("dy"), k.In("y"), k.In("s")
	alpha := k.Scalar("alpha")
	k.StridedPasses(s, []*vec.Slice{dx, dy, y}, []*vec.Slice{dx}, func() {
		sum := k.Row(s)
		k.Over(4, func() {
			k.Store(dx, k.Mul(alpha, k.Mul(k.Load(y), k.Sub(k.Load(dy), sum))))
		})
	})
}

// dst = (x-m[i]) - l[i]
func logSoftmaxRows(k *vec.Kernel) {
	dst, x, m, l := k.Out("dst"), k.In("x"), k.In("m"), k.In("l")
	k.StridedPasses(m, []*vec.Slice{dst, x}, nil, func() {
		hi, log := k.Row(m), k.Row(l)
		k.Over(8, func() { k.Store(dst, k.Sub(k.Sub(k.Load(x), hi), log)) })
	})
}

// dx = fma(-exp(y), s[i], dy)
func logSoftmaxRowsBackward(k *vec.Kernel) {
	dx, dy, y, s := k.Out("dx"), k.In("dy"), k.In("y"), k.In("s")
	k.StridedPasses(s, []*vec.Slice{dx, dy, y}, nil, func() {
		sum := k.Row(s)
		k.Over(4, func() { k.Store(dx, k.FNMA(exp(k, k.Load(y)), sum, k.Load(dy))) })
	})
}

// lane = fma(x-shift, y, lane)
func dotShifted(k *vec.Kernel) {
	x, y := k.In("x"), k.In("y")
	shift := k.Scalar("shift")
	k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		return k.FMA(k.Fill(k.Sub(k.Load(x), shift), negativeZero(k)), k.Load(y), acc)
	}})
}

// With a = t*p, b = 1-t, the logistic function s and l = log(1 + e^(-|x|)):
// loss = w * fma(a, max(-x, 0)+l, b*(max(x, 0)+l));  dx = (scale*w) * fma(b, s(x), -a*s(-x))
func sigmoidCrossEntropy(k *vec.Kernel) {
	dx, loss, x, t := k.Out("dx"), k.Out("loss"), k.In("x"), k.In("t")
	w, p := k.In("w"), k.In("p")
	scale := k.Scalar("scale")
	k.Each(2, func() {
		v := k.Load(x)
		e := expNonPositive(k, negAbs(k, v))
		l := log1p(k, e)
		near := k.Div(k.Const(1), k.Add(e, k.Const(1))) // s(|x|)
		far := k.Mul(e, near)                           // s(-|x|)
		negative := k.Less(v, k.Const(0))
		up := k.Select(negative, far, near)
		down := k.Select(negative, near, far)
		target := k.Load(t)
		a, b := k.Mul(target, k.Load(p)), k.Sub(k.Const(1), target)
		rising := k.Mul(b, k.Add(k.Greatest(k.Const(0), v), l))
		falling := k.Add(k.Greatest(k.Const(0), k.Xor(v, k.Bits(sign))), l)
		k.Store(loss, k.Mul(k.FMA(a, falling, rising), k.Load(w)))
		k.Store(dx, k.Mul(k.FMS(b, up, k.Mul(a, down)), k.Mul(scale, k.Load(w))))
	})
}
