package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// eachSlope describes dx = dy * f(x). f loads x again where it needs it again: so the
// registers suffice for more vectors beside each other.
func eachSlope(unroll int, f func(k *vec.Kernel, load func() *vec.Value) *vec.Value) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		dx, dy, x := k.Out("dx"), k.In("dy"), k.In("x")
		k.Each(unroll, func() {
			k.Store(dx, k.Mul(f(k, func() *vec.Value { return k.Load(x) }), k.Load(dy)))
		})
	}
}

// gate: x < 0 ? e : 1
func gate(k *vec.Kernel, x, e *vec.Value) *vec.Value {
	return k.Select(k.Less(x, k.Const(0)), e, k.Const(1))
}

// sigmoid: gate / (e+1), e = e^(-|x|)
func sigmoid(k *vec.Kernel, x *vec.Value) *vec.Value {
	e := expNonPositive(k, negAbs(k, x))
	return k.Div(gate(k, x, e), k.Add(e, k.Const(1)))
}

// dx = dy * (y - y*y)
func sigmoidBackward(k *vec.Kernel) {
	dx, dy, y := k.Out("dx"), k.In("dy"), k.In("y")
	k.Each(4, func() {
		v := k.Load(y)
		k.Store(dx, k.Mul(k.Load(dy), k.FNMA(v, v, v)))
	})
}

// timesLogistic: x * gate / (e+1), where a = -|x| is bounded
func timesLogistic(k *vec.Kernel, x, a, e *vec.Value) *vec.Value {
	y := k.Select(k.Less(x, k.Const(0)), k.Mul(a, e), x)
	return k.Div(y, k.Add(e, k.Const(1)))
}

// logisticSlope: s + v*w*s*(1-s), s = gate / (e+1)
func logisticSlope(k *vec.Kernel, load func() *vec.Value, e *vec.Value, vw func() *vec.Value) *vec.Value {
	negative := k.Less(load(), k.Const(0))
	s := k.Div(k.Select(negative, e, k.Const(1)), k.Add(e, k.Const(1)))
	c := k.Select(negative, k.Sub(k.Const(1), s), k.Mul(e, s))
	return k.FMA(k.Mul(vw(), c), s, s)
}

func silu(k *vec.Kernel, x *vec.Value) *vec.Value {
	a := k.Greatest(k.Const(-104), negAbs(k, x))
	return timesLogistic(k, x, a, expBounded(k, a))
}

func siluSlope(k *vec.Kernel, load func() *vec.Value) *vec.Value {
	e := expNonPositive(k, negAbs(k, load()))
	return logisticSlope(k, load, e, func() *vec.Value { return clamp(k, load(), 104) })
}

// gaussBias keeps 2^n normal down to e^-110.
const gaussBias = 40

// normalTail: Phi(-|x|) = P/(c*|x|*P + S) * e^(-x*x/2), with q and r of e^(-x*x/2) = (1+q*r) * 2^n
func normalTail(k *vec.Kernel, x *vec.Value) (tail, quotient, r, n, t *vec.Value) {
	const magic = rounding + 127 + gaussBias
	a := k.Least(k.Const(14.8), abs(k, x))
	p := horner(k, a, 0x1.66f1fcp-8, 0x1.95b112p-5, 0x1.ac2766p-3, 0x1.e38024p-2, 0.5)
	s := horner(k, a, 0x1.c1684ep-7, 0x1.fe8ddp-4, 0x1.f4a46ap-2, 1)
	ratio := k.Div(p, k.FMA(k.Mul(a, k.Const(sqrt2Pi)), p, s))
	h := k.Mul(a, a)
	l := k.FMS(a, a, h)
	t = k.FMA(h, k.Const(-0.5*log2e), k.Const(magic))
	n = k.Sub(t, k.Const(magic))
	r = k.FNMA(n, k.Const(ln2High), k.Mul(h, k.Const(-0.5)))
	r = k.FNMA(n, k.Const(ln2Low), r)
	r = k.FMA(l, k.Const(-0.5), r)
	quotient = expQuotient(k, r)
	tail = k.Scale(k.FMA(quotient, k.Mul(r, ratio), ratio), n, t, gaussBias)
	return tail, quotient, r, n, t
}

// normal: Phi(x) of Phi(-|x|)
func normal(k *vec.Kernel, x, tail *vec.Value) *vec.Value {
	return k.Select(k.Less(x, k.Const(0)), tail, k.Sub(k.Const(1), tail))
}

// gelu: x * Phi(x)
func gelu(k *vec.Kernel, x *vec.Value) *vec.Value {
	tail, _, _, _, _ := normalTail(k, x)
	return k.Mul(k.Greatest(k.Const(-16), x), normal(k, x, tail))
}

// geluSlope: Phi(x) + x*phi(x)
func geluSlope(k *vec.Kernel, load func() *vec.Value) *vec.Value {
	tail, quotient, r, n, t := normalTail(k, load())
	density := k.Scale(k.FMA(quotient, r, k.Const(1)), n, t, gaussBias)
	v := k.Mul(clamp(k, load(), 16), k.Const(invSqrt2Pi))
	return k.FMA(v, density, normal(k, load(), tail))
}

// geluTanhExp: a = -|x|, bounded, and e^(-|2u|), 2u = 2*sqrt(2/pi)*(x + 0.044715*x^3) in two parts
func geluTanhExp(k *vec.Kernel, x *vec.Value) (a, e *vec.Value) {
	const (
		magic   = rounding + 127 + gaussBias
		c1      = 0x1.2444f2p-4
		c1Low   = 0x1.49b16ap-29
		c0      = 0x1.988p+0
		c0Low   = 0x1.14cf5p-14
		ln2Top  = 0x1.62e4p-1
		ln2Rest = 0x1.7f7d1cp-20
	)
	a = k.Greatest(k.Const(-11), negAbs(k, x))
	x2 := k.Mul(a, a)
	x2Low := k.FMS(a, a, x2)
	b := k.FMA(x2, k.Const(c1), k.Const(c0))
	bLow := k.FMA(x2, k.Const(c1), k.Sub(k.Const(c0), b))
	bLow = k.FMA(x2Low, k.Const(c1), k.Add(k.FMA(x2, k.Const(c1Low), bLow), k.Const(c0Low)))
	t := k.FMA(k.Mul(a, b), k.Const(log2e), k.Const(magic))
	n := k.Sub(t, k.Const(magic))
	r := k.FMS(a, b, k.Mul(n, k.Const(ln2Top)))
	r = k.FNMA(n, k.Const(ln2Rest), r)
	r = k.FMA(a, bLow, r)
	return a, k.Scale(expPolynomial(k, r), n, t, gaussBias)
}

func geluTanh(k *vec.Kernel, x *vec.Value) *vec.Value {
	a, e := geluTanhExp(k, x)
	return timesLogistic(k, x, a, e)
}

func geluTanhSlope(k *vec.Kernel, load func() *vec.Value) *vec.Value {
	_, e := geluTanhExp(k, load())
	return logisticSlope(k, load, e, func() *vec.Value {
		v := clamp(k, load(), 11)
		return k.Mul(v, k.FMA(k.Mul(v, v), k.Const(0x1.b6676cp-3), k.Const(0x1.988454p+0)))
	})
}

// dst = (x-m) - l
func logSoftmax(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	m, l := k.Scalar("m"), k.Scalar("l")
	k.Each(4, func() { k.Store(dst, k.Sub(k.Sub(k.Load(x), m), l)) })
}

// dx = fma(-exp(y), s, dy)
func logSoftmaxBackward(k *vec.Kernel) {
	dx, dy, y := k.Out("dx"), k.In("dy"), k.In("y")
	s := k.Scalar("s")
	k.Each(4, func() { k.Store(dx, k.FNMA(exp(k, k.Load(y)), s, k.Load(dy))) })
}
