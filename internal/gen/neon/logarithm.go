package neon

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// The parts of a number come from its bits, which is short if all lanes are
// positive and normal; other vectors take a longer way behind the routine.

// significand emits m in [0.75, 1.5), x = m * 2^k: x - k<<23 as integers.
func (t *Target) significand(m, x, unusual, less, upper V, tmp func() vec.Reg) {
	a, y, b := V(tmp()), V(tmp()), V(tmp())
	reduce := func(x V) {
		t.op("VADD V%d.S4, V%d.S4, V%d.S4", less, x, a)
		t.op("VAND V%d.B16, V%d.B16, V%d.B16", upper, a, a)
		t.op("VSUB V%d.S4, V%d.S4, V%d.S4", a, x, m)
	}
	t.unless(unusual, a, "significand", func() {
		t.normalize(y, a, x, b)
		t.word("FCMGE0", b, x, 0)
		reduce(y)
		t.word("ORN", m, m, b) // NaN unless x >= 0
	}, func() { reduce(x) })
}

// exponent emits k of x = m * 2^k: the difference of the exponent fields.
func (t *Target) exponent(k, x, m, unusual V, tmp func() vec.Reg) {
	y, small, c := V(tmp()), V(tmp()), V(tmp())
	difference := func(x, k V) {
		t.op("VSUB V%d.S4, V%d.S4, V%d.S4", m, x, k)
		t.op("WORD $0x%08x // %s", shiftWord(k, k, 23), shiftText(k, k, 23))
		t.word("SCVTF", k, k, 0)
	}
	t.unless(unusual, c, "exponent", func() {
		t.normalize(y, small, x, c)
		difference(y, y)
		t.Constant(vec.Reg(c), 0x41c00000) // 24
		t.op("VAND V%d.B16, V%d.B16, V%d.B16", c, small, c)
		t.word("FSUB", y, y, c)
		t.Constant(vec.Reg(c), 0xff800000)
		t.word("FCMEQ0", small, x, 0)
		t.word("BIT", y, c, small)
		t.word("FNEG", c, c, 0)
		t.word("FCMEQ", small, x, c)
		t.word("BIT", y, c, small)
		t.move(k, y)
	}, func() { difference(x, k) })
}

// normalize emits y = x, times 2^24 where x < 2^-126, which it notes in small.
func (t *Target) normalize(y, small, x, c V) {
	t.Constant(vec.Reg(c), 0x00800000)
	t.word("FCMGT", small, c, x)
	t.Constant(vec.Reg(c), 0x4b800000)
	t.word("FMUL", y, x, c)
	t.word("BIF", y, x, small)
}

// unless emits usual, and rare out of line for vectors with a negative lane in
// unusual.
func (t *Target) unless(unusual, a V, name string, rare, usual func()) {
	odd, done := t.label(name+"_odd"), t.label(name+"_done")
	t.word("UMAXV", a, unusual, 0)
	t.op("FMOVS F%d, R%d", a, scratch)
	t.op("TBNZ $31, R%d, %s", scratch, odd)
	usual()
	t.Label(done)
	t.rare = append(t.rare, func() {
		t.Label(odd)
		rare()
		t.Jump(done)
	})
}
