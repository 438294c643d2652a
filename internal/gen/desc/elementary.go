package desc

import (
	"math"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// each describes dst = f(x).
func each(unroll int, f func(k *vec.Kernel, x *vec.Value) *vec.Value) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		dst, x := k.Out("dst"), k.In("x")
		k.Each(unroll, func() { k.Store(dst, f(k, k.Load(x))) })
	}
}

// exp: e^x for any x, 2^n in two factors
func exp(k *vec.Kernel, x *vec.Value) *vec.Value {
	x = k.Greatest(k.Const(-104), k.Least(k.Const(89), x))
	r, n, t := expReduce(k, x, rounding+254)
	return k.ScaleWide(expPolynomial(k, r), n, t)
}

// log: x = m * 2^n, m in [0.75, 1.5);  n*ln 2 + log m
func log(k *vec.Kernel, x *vec.Value) *vec.Value {
	m, n := k.Parts(x)
	f := k.Sub(m, k.Const(1))
	q := horner(k, f, -0x1.71d8f8p-5, 0x1.acf52cp-4, -0x1.0d9c38p-3, 0x1.28822cp-3,
		-0x1.54edaap-3, 0x1.996984p-3, -0x1.000048p-2, 0x1.5555a4p-2, -0.5)
	return k.FMA(n, k.Const(ln2High), k.FMA(k.Mul(f, f), q, f))
}

// sqrt: the correctly rounded square root
func sqrt(k *vec.Kernel, x *vec.Value) *vec.Value { return k.Sqrt(x) }

// rsqrt: the correctly rounded 1/sqrt(x), from any y within 2^-24 of it and the
// exact residual 1 - x*y*y; zeros and infinities have no residual
func rsqrt(k *vec.Kernel, x *vec.Value) *vec.Value {
	one, half := k.Const(1), k.Const(0.5)
	estimate := k.RootEstimate(x)
	y := k.FMA(k.Mul(estimate, half), k.FNMA(k.Mul(x, estimate), estimate, one), estimate)
	p := k.Mul(x, y)
	e := k.FNMA(k.FMS(x, y, p), y, k.FNMA(p, y, one))
	r := k.FMA(k.Mul(y, half), k.FMA(k.Mul(e, k.Const(0.75)), e, e), y)
	return k.Select(k.Less(p, k.Const(float32(math.Inf(1)))), r, estimate)
}

// erf: an odd polynomial near 0, 1 - e^(-g(|x|)) elsewhere. Where x is needed again it is
// loaded again, so that the registers suffice for more vectors beside each other.
func erf(k *vec.Kernel) {
	const magic = rounding + 127
	dst, x := k.Out("dst"), k.In("x")
	k.Each(4, func() {
		c := k.Least(k.Const(4), abs(k, k.Load(x)))
		g := horner(k, c, 0x1.82a74ap-17, -0x1.558e7ep-12, 0x1.defd82p-9, -0x1.85bb94p-6,
			0x1.b3445cp-4, 0x1.453036p-1, 0x1.077b2cp-3)
		g = k.FMA(g, c, c)
		t := k.FNMA(g, k.Const(log2e), k.Const(magic))
		r := k.FMA(k.Sub(t, k.Const(magic)), k.Const(ln2High), g) // g + n*ln 2, which is -r
		e := k.Const(exp6)
		for _, c := range []float32{exp5, exp4, exp3, exp2, 1, 1} {
			e = k.FNMA(e, r, k.Const(c))
		}
		far := k.FNMA(e, k.ShiftLeft(t, 23), k.Const(1))
		v := k.Load(x)
		p := horner(k, k.Mul(v, v), -0x1.38fda4p-11, 0x1.46fb7ap-8, -0x1.b681aap-6,
			0x1.ce19e6p-4, -0x1.8126e4p-2, 0x1.06eba6p-3)
		a := abs(k, k.Load(x))
		near := k.FMA(p, a, a)
		k.Store(dst, k.CopySign(k.Select(k.Less(a, k.Const(0.9277)), near, far), k.Load(x)))
	})
}

// softplus: max(x, 0) + log(1 + e), e = e^(-|x|)
func softplus(k *vec.Kernel, x *vec.Value) *vec.Value {
	l := log1p(k, expNonPositive(k, negAbs(k, x)))
	return k.Add(k.Greatest(k.Const(0), x), l)
}

// log1p: log(1 + e) for e in [0, 1]
func log1p(k *vec.Kernel, e *vec.Value) *vec.Value {
	q := horner(k, e, 0x1.1139b4p-9, -0x1.c0a61p-7, 0x1.59013p-5, -0x1.54f25ep-4, 0x1.ff295ap-4,
		-0x1.4a72c4p-3, 0x1.978b56p-3, -0x1.ffc59ep-3, 0x1.5553b6p-2, -0x1.fffff8p-2)
	return k.FMA(k.Mul(e, e), q, e)
}
