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

// dst = x * (alpha/s[i]), then +0
func divideRows(k *vec.Kernel) {
	dst, x, s := k.Out("dst"), k.In("x"), k.In("s")
	alpha := k.Scalar("alpha")
	k.StridedPasses(s, []*vec.Slice{dst, x}, []*vec.Slice{dst}, func() {
		r := k.Div(alpha, k.Row(s))
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
