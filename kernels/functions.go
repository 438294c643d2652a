package kernels

import "math"

// Polynomials shared by the references. The assembly does the same operations
// in the same order; the constants are exact float32 values.
const (
	log2e   = 0x1.715476p+0
	ln2High = 0x1.62e43p-1
	ln2Low  = -0x1.05c61p-29 // ln2High + ln2Low = ln 2 to 48 bits

	exp2 = 0x1.fffffcp-2
	exp3 = 0x1.555492p-3
	exp4 = 0x1.5558b8p-5
	exp5 = 0x1.1239aap-7
	exp6 = 0x1.6a4508p-10
)

// maxOr returns l where x < l and x elsewhere; a NaN in x stays.
func maxOr(l, x float32) float32 {
	if x < l {
		return l
	}
	return x
}

// minOr returns h where x > h and x elsewhere; a NaN in x stays.
func minOr(h, x float32) float32 {
	if x > h {
		return h
	}
	return x
}

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// negAbs returns -|x|.
func negAbs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) | 1<<31) }

// withSign returns y with the sign of x.
func withSign(y, x float32) float32 {
	return math.Float32frombits(math.Float32bits(y)&^(1<<31) | math.Float32bits(x)&(1<<31))
}

// horner32 returns ((c[0]*x + c[1])*x + ..) + c[n], each step one fma.
func horner32(x float32, c ...float32) float32 {
	p := c[0]
	for _, c := range c[1:] {
		p = fma32(p, x, c)
	}
	return p
}

// Adding 1.5*2^23 + bias to a number of small magnitude rounds it to an
// integer n and leaves n + bias in the low bits of the sum, from where a shift
// by 23 makes it the exponent of 2^n. Multiplying by that power keeps a NaN;
// adding n to an exponent field would not.
const rounding = 12582912 // 1.5 * 2^23

// shifted returns the float with the bits of t shifted left by 23: 2^(n+bias-127).
func shifted(t float32) float32 { return math.Float32frombits(math.Float32bits(t) << 23) }

// expReduce returns r = x - n*ln 2 and t = magic + n.
func expReduce(x, magic float32) (t, r float32) {
	t = fma32(x, log2e, magic)
	n := t - magic
	r = fnma32(n, ln2High, x)
	return t, fnma32(n, ln2Low, r)
}

// expQuotient returns (e^r - 1)/r for |r| <= ln 2 / 2.
func expQuotient(r float32) float32 { return horner32(r, exp6, exp5, exp4, exp3, exp2, 1) }

// expPolynomial returns e^r for |r| <= ln 2 / 2.
func expPolynomial(r float32) float32 { return fma32(expQuotient(r), r, 1) }

// exp32 returns e^x, with an error below 0.9 ulp: 2^n is multiplied in as two
// factors, so that only a result below the normal range is rounded once more.
func exp32(x float32) float32 {
	t, r := expReduce(maxOr(-104, minOr(89, x)), rounding+254)
	all := math.Float32bits(t) << 23
	half := math.Float32bits(t) >> 1 << 23
	p := float32(expPolynomial(r) * math.Float32frombits(half))
	return float32(p * math.Float32frombits(all-half))
}

// expNonPositive returns e^x for x <= 0, with an error below 0.9 ulp; results
// below the normal range are rounded once.
func expNonPositive(x float32) float32 { return expBounded(maxOr(-104, x)) }

// expBounded returns e^x for x in [-104, 0].
func expBounded(x float32) float32 {
	t, r := expReduce(x, rounding+127+32)
	return float32(float32(expPolynomial(r)*shifted(t)) * 0x1p-32)
}

// tanh32 returns tanh x: with E = e^(-2|x|), ((1-E)/2) / ((1+E)/2) with the
// sign of x, both halves from E = s(1+2p) apart.
func tanh32(x float32) float32 {
	const magic = rounding + 127
	a := maxOr(-9.1, negAbs(x))
	t := fma32(a, 2*log2e, magic)
	n := t - magic
	r := fnma32(n, ln2High/2, a)
	r = fnma32(n, ln2Low/2, r)
	q := horner32(r, 32*exp6, 16*exp5, 8*exp4, 4*exp3, 2*exp2)
	p := fma32(float32(r*r), q, r)
	s := shifted(t)
	h := fnma32(s, p, fma32(s, -0.5, 0.5))
	d := fma32(s, p, fma32(s, 0.5, 0.5))
	return withSign(float32(h/d), x)
}

// log32 returns the natural logarithm of x = m * 2^k, m in [0.75, 1.5), as
// k*ln 2 + log m, with an error below 0.93 ulp. One float is enough of ln 2: what
// it lacks is a sixteenth of an ulp of the result at most. Where x is 0 or
// infinite, k is infinite and m is 1.
func log32(x float32) float32 {
	var k, m float32
	switch {
	case x == 0:
		k, m = float32(math.Inf(-1)), 1
	case x > math.MaxFloat32:
		k, m = x, 1
	case !(x > 0):
		return float32(math.NaN())
	default:
		if x < minNormal {
			x, k = float32(x*0x1p24), -24
		}
		bits := int32(math.Float32bits(x))
		e := (bits - 0x3f400000) >> 23
		k += float32(e)
		m = math.Float32frombits(uint32(bits - e<<23))
	}
	f := m - 1
	q := horner32(f, -0x1.71d8f8p-5, 0x1.acf52cp-4, -0x1.0d9c38p-3, 0x1.28822cp-3,
		-0x1.54edaap-3, 0x1.996984p-3, -0x1.000048p-2, 0x1.5555a4p-2, -0.5)
	return fma32(k, ln2High, fma32(float32(f*f), q, f))
}

// rsqrt32 is the correctly rounded 1/sqrt(x): no quotient lies so near the
// middle between two floats that rounding to float64 on the way matters.
func rsqrt32(x float32) float32 { return float32(1 / math.Sqrt(float64(x))) }

// erf32 returns the error function: an odd polynomial near 0, 1 - e^(-g(|x|))
// elsewhere.
func erf32(x float32) float32 {
	t := abs32(x)
	if t < 0.9277 {
		p := horner32(float32(x*x), -0x1.38fda4p-11, 0x1.46fb7ap-8, -0x1.b681aap-6,
			0x1.ce19e6p-4, -0x1.8126e4p-2, 0x1.06eba6p-3)
		return withSign(fma32(p, t, t), x)
	}
	c := minOr(4, t)
	g := horner32(c, 0x1.82a74ap-17, -0x1.558e7ep-12, 0x1.defd82p-9, -0x1.85bb94p-6,
		0x1.b3445cp-4, 0x1.453036p-1, 0x1.077b2cp-3)
	g = fma32(g, c, c)
	const magic = rounding + 127
	t = fnma32(g, log2e, magic)
	r := fnma32(t-magic, ln2High, -g) // one part of ln 2 does: e^(-g) is below 0.2
	return withSign(fnma32(expPolynomial(r), shifted(t), 1), x)
}

// softplus32 returns log(1 + e^x) as max(x, 0) + log(1 + e^(-|x|)).
func softplus32(x float32) float32 {
	return maxOr(0, x) + log1p32(expNonPositive(negAbs(x)))
}

// log1p32 returns log(1 + e) for e in [0, 1].
func log1p32(e float32) float32 {
	q := horner32(e, 0x1.1139b4p-9, -0x1.c0a61p-7, 0x1.59013p-5, -0x1.54f25ep-4, 0x1.ff295ap-4,
		-0x1.4a72c4p-3, 0x1.978b56p-3, -0x1.ffc59ep-3, 0x1.5553b6p-2, -0x1.fffff8p-2)
	return fma32(float32(e*e), q, e)
}

// gate returns e where x < 0 and 1 elsewhere: with e = e^(-|z|) for a z of the
// sign of x, gate/(1+e) is the logistic function of z.
func gate(x, e float32) float32 {
	if x < 0 {
		return e
	}
	return 1
}

func sigmoid32(x float32) float32 {
	e := expNonPositive(negAbs(x))
	return float32(gate(x, e) / (e + 1))
}

// timesLogistic returns x times the logistic function of z, where e = e^(-|z|) and
// a = -|x|, which is bounded where e is 0.
func timesLogistic(x, a, e float32) float32 {
	if x < 0 {
		x = float32(a * e)
	}
	return float32(x / (e + 1))
}

// silu32 returns x * sigmoid(x), and -0 at -Inf.
func silu32(x float32) float32 {
	a := maxOr(-104, negAbs(x))
	return timesLogistic(x, a, expBounded(a))
}

// logisticSlope returns the derivative of v * s, s = sigmoid(z(v)), where the
// slope of z is w: s + v*w*s*(1-s).
func logisticSlope(x, e, vw float32) float32 {
	s := float32(gate(x, e) / (e + 1))
	c := float32(e * s) // 1-s
	if x < 0 {
		c = 1 - s
	}
	return fma32(float32(vw*c), s, s)
}

func siluSlope32(x float32) float32 {
	return logisticSlope(x, expNonPositive(negAbs(x)), maxOr(-104, minOr(104, x)))
}

// normalTail returns E = Phi(-|x|) and G = e^(-x*x/2). E = G*R with R = P/(c*a*P + S)
// of a = |x|, c the root of 2*pi: P and S are polynomials with positive
// coefficients, and the more a*P outweighs S, the more the error of P cancels. The
// square of a is exact in two parts; G*R is rounded once by way of
// G = (1 + r*q) * 2^n.
func normalTail(x float32) (tail, density float32) {
	const magic = rounding + 127 + 40
	a := minOr(14.8, abs32(x))
	p := horner32(a, 0x1.66f1fcp-8, 0x1.95b112p-5, 0x1.ac2766p-3, 0x1.e38024p-2, 0.5)
	s := horner32(a, 0x1.c1684ep-7, 0x1.fe8ddp-4, 0x1.f4a46ap-2, 1)
	ratio := float32(p / fma32(float32(a*sqrt2Pi), p, s))
	h := float32(a * a)
	l := fma32(a, a, -h)
	t := fma32(h, -0.5*log2e, magic)
	n := t - magic
	r := fnma32(n, ln2High, float32(h*-0.5))
	r = fnma32(n, ln2Low, r)
	r = fma32(l, -0.5, r)
	q := expQuotient(r)
	power := shifted(t)
	tail = fma32(q, float32(r*ratio), ratio)
	density = fma32(q, r, 1)
	return float32(float32(tail*power) * 0x1p-40), float32(float32(density*power) * 0x1p-40)
}

// normal32 returns Phi(x) from E = Phi(-|x|).
func normal32(x, tail float32) float32 {
	if x < 0 {
		return tail
	}
	return 1 - tail
}

func gelu32(x float32) float32 {
	tail, _ := normalTail(x)
	return float32(maxOr(-16, x) * normal32(x, tail))
}

// geluSlope32 returns Phi(x) + x*phi(x).
func geluSlope32(x float32) float32 {
	tail, density := normalTail(x)
	v := float32(maxOr(-16, minOr(16, x)) * invSqrt2Pi)
	return fma32(v, density, normal32(x, tail))
}

const (
	sqrt2Pi    = 0x1.40d932p+1
	invSqrt2Pi = 0x1.988454p-2
)

// geluTanhExp returns a = -|x|, at least -11, and e^(-|2u|) for
// 2u = 2*sqrt(2/pi)*(x + 0.044715*x^3). The factor of a is kept in two parts: its
// rounding would be multiplied by |2u|.
func geluTanhExp(x float32) (a, e float32) {
	const (
		magic   = rounding + 127 + 40
		c1      = 0x1.2444f2p-4 // 2*sqrt(2/pi)*0.044715
		c1Low   = 0x1.49b16ap-29
		c0      = 0x1.988p+0 // 12 bits of 2*sqrt(2/pi), so that c0-b is exact
		c0Low   = 0x1.14cf5p-14
		ln2Top  = 0x1.62e4p-1
		ln2Rest = 0x1.7f7d1cp-20
	)
	a = maxOr(-11, negAbs(x))
	x2 := float32(a * a)
	x2Low := fma32(a, a, -x2)
	b := fma32(x2, c1, c0)
	bLow := fma32(x2, c1, c0-b)
	bLow = fma32(x2Low, c1, fma32(x2, c1Low, bLow)+c0Low)
	t := fma32(float32(a*b), log2e, magic)
	n := t - magic
	r := fma32(a, b, -float32(n*ln2Top))
	r = fnma32(n, ln2Rest, r)
	r = fma32(a, bLow, r)
	return a, float32(float32(expPolynomial(r)*shifted(t)) * 0x1p-40)
}

func geluTanh32(x float32) float32 {
	a, e := geluTanhExp(x)
	return timesLogistic(x, a, e)
}

func geluTanhSlope32(x float32) float32 {
	const (
		c0 = 0x1.988454p+0 // 2*sqrt(2/pi)
		c1 = 0x1.b6676cp-3 // 3*0.044715 times that
	)
	_, e := geluTanhExp(x)
	v := maxOr(-11, minOr(11, x))
	w := fma32(float32(v*v), c1, c0)
	return logisticSlope(x, e, float32(v*w))
}
