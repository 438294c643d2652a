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

// Adding 1.5*2^23 + bias to a number of small magnitude rounds it to an
// integer n and leaves n + bias in the low bits of the sum, from where a shift
// by 23 makes it the exponent of 2^n. Multiplying by that power keeps a NaN;
// adding n to an exponent field would not.

// expNonPositive returns e^x for x <= 0, with an error below 0.9 ulp; results
// below the normal range are rounded once.
func expNonPositive(x float32) float32 {
	const magic = 12582912 + 127 + 32
	x = maxOr(-104, x)
	t := fma32(x, log2e, magic)
	n := t - magic
	r := fnma32(n, ln2High, x)
	r = fnma32(n, ln2Low, r)
	p := fma32(exp6, r, exp5)
	p = fma32(p, r, exp4)
	p = fma32(p, r, exp3)
	p = fma32(p, r, exp2)
	p = fma32(p, r, 1)
	p = fma32(p, r, 1)
	s := math.Float32frombits(math.Float32bits(t) << 23)
	return float32(float32(p*s) * 0x1p-32)
}

// tanh32 returns tanh x: with E = e^(-2|x|), ((1-E)/2) / ((1+E)/2) with the
// sign of x, both halves from E = s(1+2p) apart.
func tanh32(x float32) float32 {
	const magic = 12582912 + 127
	bits := math.Float32bits(x)
	a := maxOr(-9.1, math.Float32frombits(bits|1<<31)) // -|x|
	t := fma32(a, 2*log2e, magic)
	n := t - magic
	r := fnma32(n, ln2High/2, a)
	r = fnma32(n, ln2Low/2, r)
	q := fma32(32*exp6, r, 16*exp5)
	q = fma32(q, r, 8*exp4)
	q = fma32(q, r, 4*exp3)
	q = fma32(q, r, 2*exp2)
	p := fma32(float32(r*r), q, r)
	s := math.Float32frombits(math.Float32bits(t) << 23)
	h := fnma32(s, p, fma32(s, -0.5, 0.5))
	d := fma32(s, p, fma32(s, 0.5, 0.5))
	y := math.Float32bits(float32(h / d))
	return math.Float32frombits(y&^(1<<31) | bits&(1<<31))
}

// log32 returns the natural logarithm of a positive normal x, with an error
// below 0.92 ulp.
func log32(x float32) float32 {
	bits := int32(math.Float32bits(x))
	k := (bits - 0x3f400000) >> 23 // x = m * 2^k, m in [0.75, 1.5)
	m := math.Float32frombits(uint32(bits - k<<23))
	f := m - 1
	q := float32(-0x1.71d8f8p-5)
	for _, c := range [...]float32{
		0x1.acf52cp-4, -0x1.0d9c38p-3, 0x1.28822cp-3, -0x1.54edaap-3,
		0x1.996984p-3, -0x1.000048p-2, 0x1.5555a4p-2, -0.5,
	} {
		q = fma32(q, f, c)
	}
	s := fma32(float32(f*f), q, float32(float32(k)*ln2Low))
	return fma32(float32(k), ln2High, f+s)
}
