package neon

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// significand emits m in [0.75, 1.5), x = m * 2^k: bits(y) - k<<23 for the
// normalized y, and NaN unless x >= 0.
func (t *Target) significand(m, x V, tmp func() vec.Reg) {
	y, a, b := V(tmp()), V(tmp()), V(tmp())
	t.normalize(y, a, x, b)
	t.Constant(vec.Reg(a), 0x3f400000)
	t.op("VSUB V%d.S4, V%d.S4, V%d.S4", a, y, a)
	t.Constant(vec.Reg(b), 0xff800000)
	t.op("VAND V%d.B16, V%d.B16, V%d.B16", b, a, a)
	t.word("FCMGE0", b, x, 0)
	t.op("VSUB V%d.S4, V%d.S4, V%d.S4", a, y, m)
	t.word("ORN", m, m, b)
}

// exponent emits k of x = m * 2^k: the difference of the exponent fields of the
// normalized x and of m, and an infinity where x is a zero or one.
func (t *Target) exponent(k, x, m V, tmp func() vec.Reg) {
	y, small, c := V(tmp()), V(tmp()), V(tmp())
	t.normalize(y, small, x, c)
	t.op("VSUB V%d.S4, V%d.S4, V%d.S4", m, y, y)
	t.op("WORD $0x%08x // %s", shiftWord(y, y, 23), shiftText(y, y, 23))
	t.word("SCVTF", y, y, 0)
	t.Constant(vec.Reg(c), 0x41c00000) // 24
	t.op("VAND V%d.B16, V%d.B16, V%d.B16", c, small, c)
	t.word("FSUB", y, y, c)
	t.Constant(vec.Reg(c), 0xff800000)
	t.word("FCMEQ0", small, x, 0)
	t.word("BIT", y, c, small)
	t.word("FNEG", c, c, 0)
	t.word("FCMEQ", small, x, c)
	t.move(k, y)
	t.word("BIT", k, c, small)
}

// normalize emits y = x, times 2^24 where x < 2^-126, which it notes in small.
func (t *Target) normalize(y, small, x, c V) {
	t.Constant(vec.Reg(c), 0x00800000)
	t.word("FCMGT", small, c, x)
	t.Constant(vec.Reg(c), 0x4b800000)
	t.word("FMUL", y, x, c)
	t.word("BIF", y, x, small)
}
