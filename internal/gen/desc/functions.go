package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// Constants of the polynomials; the references in package kernels have the same.
const (
	log2e   = 0x1.715476p+0
	ln2High = 0x1.62e43p-1
	ln2Low  = -0x1.05c61p-29

	exp2 = 0x1.fffffcp-2
	exp3 = 0x1.555492p-3
	exp4 = 0x1.5558b8p-5
	exp5 = 0x1.1239aap-7
	exp6 = 0x1.6a4508p-10

	sqrt2Pi    = 0x1.40d932p+1
	invSqrt2Pi = 0x1.988454p-2

	rounding = 12582912 // 1.5 * 2^23
	sign     = 1 << 31
)

// horner returns ((c[0]*x + c[1])*x + ..) + c[n], each step one fma.
func horner(k *vec.Kernel, x *vec.Value, c ...float32) *vec.Value {
	p := k.Const(c[0])
	for _, c := range c[1:] {
		p = k.FMA(p, x, k.Const(c))
	}
	return p
}

func abs(k *vec.Kernel, x *vec.Value) *vec.Value { return k.AndNot(k.Bits(sign), x) }

func negAbs(k *vec.Kernel, x *vec.Value) *vec.Value { return k.Or(x, k.Bits(sign)) }

// clamp returns x in [-bound, bound].
func clamp(k *vec.Kernel, x *vec.Value, bound float32) *vec.Value {
	return k.Greatest(k.Const(-bound), k.Least(k.Const(bound), x))
}

// expReduce returns r = x - n*ln 2 and t = magic + n.
func expReduce(k *vec.Kernel, x *vec.Value, magic float32) (r, n, t *vec.Value) {
	t = k.FMA(x, k.Const(log2e), k.Const(magic))
	n = k.Sub(t, k.Const(magic))
	r = k.FNMA(n, k.Const(ln2High), x)
	return k.FNMA(n, k.Const(ln2Low), r), n, t
}

// expQuotient returns (e^r - 1)/r for |r| <= ln 2 / 2.
func expQuotient(k *vec.Kernel, r *vec.Value) *vec.Value {
	return horner(k, r, exp6, exp5, exp4, exp3, exp2, 1)
}

// expPolynomial returns e^r for |r| <= ln 2 / 2.
func expPolynomial(k *vec.Kernel, r *vec.Value) *vec.Value {
	return k.FMA(expQuotient(k, r), r, k.Const(1))
}

// expNonPositive returns e^x for x <= 0.
func expNonPositive(k *vec.Kernel, x *vec.Value) *vec.Value {
	return expBounded(k, k.Greatest(k.Const(-104), x))
}

// expBounded returns e^x for x in [-104, 0].
func expBounded(k *vec.Kernel, x *vec.Value) *vec.Value {
	const bias = 32
	r, n, t := expReduce(k, x, rounding+127+bias)
	return k.Scale(expPolynomial(k, r), n, t, bias)
}

// relu: x < 0 ? +0 : x
func relu(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	zero := k.Const(0)
	k.Each(4, func() {
		k.Store(dst, k.Greatest(zero, k.Load(x)))
	})
}

// dx = y > 0 ? dy : +0
func reluBackward(k *vec.Kernel) {
	dx, dy, y := k.Out("dx"), k.In("dy"), k.In("y")
	zero := k.Const(0)
	k.Each(4, func() {
		k.Store(dx, k.Keep(k.Less(zero, k.Load(y)), k.Load(dy)))
	})
}

// tanh: with E = e^(-2|x|) = s(1+2p), ((1-E)/2) / ((1+E)/2) and the sign of x
func tanh(k *vec.Kernel, v *vec.Value) *vec.Value {
	magic := k.Const(rounding + 127)
	a := k.Greatest(k.Const(-9.1), negAbs(k, v))
	t := k.FMA(a, k.Const(2*log2e), magic)
	n := k.Sub(t, magic)
	r := k.FNMA(n, k.Const(ln2High/2), a)
	r = k.FNMA(n, k.Const(ln2Low/2), r)
	q := horner(k, r, 32*exp6, 16*exp5, 8*exp4, 4*exp3, 2*exp2)
	p := k.FMA(k.Mul(r, r), q, r)
	s := k.ShiftLeft(t, 23)
	h := k.FNMA(s, p, k.FMA(s, k.Const(-0.5), k.Const(0.5)))
	d := k.FMA(s, p, k.FMA(s, k.Const(0.5), k.Const(0.5)))
	return k.CopySign(k.Div(h, d), v)
}

// v = x[i,j] + bias[j];  dst[i,j] = v < 0 ? +0 : v
func biasReLU(k *vec.Kernel) {
	biased(k, func(v *vec.Value) *vec.Value { return k.Greatest(k.Const(0), v) })
}

// dst[i,j] = tanh(x[i,j] + bias[j])
func biasTanh(k *vec.Kernel) {
	biased(k, func(v *vec.Value) *vec.Value { return tanh(k, v) })
}

func biased(k *vec.Kernel, activation func(*vec.Value) *vec.Value) {
	dst, x, bias := k.Out("dst"), k.In("x"), k.In("bias")
	k.Rows(4, nil, bias, []*vec.Slice{dst, x}, []*vec.Slice{bias}, func() {}, func() {
		k.Store(dst, activation(k.Add(k.Load(x), k.Load(bias))))
	})
}

// dx = dy * (1 - y*y)
func tanhBackward(k *vec.Kernel) {
	dx, dy, y := k.Out("dx"), k.In("dy"), k.In("y")
	k.Each(4, func() {
		v := k.Load(y)
		k.Store(dx, k.Mul(k.Load(dy), k.FNMA(v, v, k.Const(1))))
	})
}
