package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// y = fma(alpha, x, y)
func axpy(k *vec.Kernel) {
	y, x := k.InOut("y"), k.In("x")
	alpha := k.Scalar("alpha")
	k.Each(4, func() {
		k.Store(y, k.FMA(alpha, k.Load(x), k.Load(y)))
	})
}

// dst = alpha * x
func scale(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	alpha := k.Scalar("alpha")
	k.Each(4, func() {
		k.Store(dst, k.Mul(alpha, k.Load(x)))
	})
}

// y = flush(fma(keep, y, add*x))
func ema(k *vec.Kernel) {
	y, x := k.InOut("y"), k.In("x")
	keep, add := k.Scalar("keep"), k.Scalar("add")
	k.Each(4, func() {
		k.Store(y, k.Flush(k.FMA(keep, k.Load(y), k.Mul(add, k.Load(x)))))
	})
}

// dst = (x-lo) / width;  lane as in finiteSum
func normalize(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	lo, width := k.Scalar("lo"), k.Scalar("width")
	k.Reduce(0, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		v := k.Load(x)
		k.Store(dst, k.Div(k.Sub(v, lo), width))
		return k.FMA(v, k.Const(0), acc)
	}})
}

// normalizeBounded is normalize for what exactInverse of package kernels allows: the
// quotient by the rounded 1/width is off by little, and a multiply-add with the exact
// remainder rounds it as a division does, without the divider.
func normalizeBounded(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	lo, width, inverse := k.Scalar("lo"), k.Scalar("width"), k.Scalar("inverse")
	k.Reduce(0, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		v := k.Load(x)
		d := k.Sub(v, lo)
		q := k.Mul(d, inverse)
		k.Store(dst, k.FMA(k.FNMA(width, q, d), inverse, q))
		return k.FMA(v, k.Const(0), acc)
	}})
}

// y = flush(fma(keep, y, add*((x-lo)/width)));  lane as in finiteSum
func normalizeEMA(k *vec.Kernel) {
	y, x := k.InOut("y"), k.In("x")
	lo, width := k.Scalar("lo"), k.Scalar("width")
	keep, add := k.Scalar("keep"), k.Scalar("add")
	k.Reduce(0, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
		v := k.Load(x)
		norm := k.Div(k.Sub(v, lo), width)
		k.Store(y, k.Flush(k.FMA(keep, k.Load(y), k.Mul(add, norm))))
		return k.FMA(v, k.Const(0), acc)
	}})
}

// dst = x + y
func add(k *vec.Kernel) { binary(k, k.Add) }

// dst = x - y
func sub(k *vec.Kernel) { binary(k, k.Sub) }

// dst = x * y
func mul(k *vec.Kernel) { binary(k, k.Mul) }

// dst = x / y
func div(k *vec.Kernel) { binary(k, k.Div) }

func binary(k *vec.Kernel, op func(a, b *vec.Value) *vec.Value) {
	dst, x, y := k.Out("dst"), k.In("x"), k.In("y")
	k.Each(4, func() {
		k.Store(dst, op(k.Load(x), k.Load(y)))
	})
}

// dst = fma(x, y, z)
func mulAdd(k *vec.Kernel) {
	dst, x, y, z := k.Out("dst"), k.In("x"), k.In("y"), k.In("z")
	k.Each(4, func() {
		k.Store(dst, k.FMA(k.Load(x), k.Load(y), k.Load(z)))
	})
}

// dst = fma(alpha, x, beta*y)
func scaleAdd(k *vec.Kernel) {
	dst, x, y := k.Out("dst"), k.In("x"), k.In("y")
	alpha, beta := k.Scalar("alpha"), k.Scalar("beta")
	k.Each(4, func() {
		k.Store(dst, k.FMA(alpha, k.Load(x), k.Mul(beta, k.Load(y))))
	})
}

// dst = x
func copyVector(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	k.Each(8, func() {
		k.Store(dst, k.Load(x))
	})
}

// dst = value
func fill(k *vec.Kernel) {
	dst := k.Out("dst")
	value := k.Scalar("value")
	k.Each(8, func() {
		k.Store(dst, value)
	})
}

// dst = x < lo ? lo : x;  dst = dst > hi ? hi : dst
func clampBoth(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	lo, hi := k.Scalar("lo"), k.Scalar("hi")
	k.Each(4, func() {
		k.Store(dst, k.Least(hi, k.Greatest(lo, k.Load(x))))
	})
}

// dst = x, exactly
func fromFloat16(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.InHalf("x")
	k.Each(4, func() { k.Store(dst, k.Load(x)) })
}

// dst = x, rounded
func toFloat16(k *vec.Kernel) {
	dst, x := k.OutHalf("dst"), k.In("x")
	k.Each(4, func() { k.Store(dst, k.Load(x)) })
}
