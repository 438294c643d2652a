package x86

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// AVX-512 has instructions for the parts of a number. On AVX2 they come from its
// bits, which is short if all lanes are positive and normal; other vectors take a
// longer way behind the routine.

// mantissa75NaN makes VGETMANTPS return [0.75, 1.5), and NaN for negative numbers.
const mantissa75NaN = 0x0f

// unusual emits numbers that are negative where x is not positive, normal and
// finite.
func (t *Target) unusual(d reg.VecPhysical, args []vec.Operand, mem func(vec.Operand) operand.Op, tmp func() vec.Reg) {
	if t.Wide {
		return
	}
	x, a := t.v(args[0].Reg), t.v(tmp())
	t.VPADDD(mem(args[1]), x, a)
	t.VPADDD(mem(args[2]), x, d)
	t.VPOR(a, d, d)
}

// flags is the general register of unless: the last one, which no kernel with a
// logarithm reaches.
var flags = gps[len(gps)-1].As32()

// unless emits usual, and rare out of line for vectors with an unusual lane.
func (t *Target) unless(unusual reg.VecPhysical, name string, rare, usual func()) {
	t.labels++
	odd, done := fmt.Sprintf("%s_odd%d", name, t.labels), fmt.Sprintf("%s_done%d", name, t.labels)
	t.VMOVMSKPS(unusual, flags)
	t.TESTL(flags, flags)
	t.JNE(operand.LabelRef(odd))
	usual()
	t.Label(done)
	t.rare = append(t.rare, func() {
		t.Label(odd)
		rare()
		t.Jump(done)
	})
}

// normalize emits y = x, times 2^24 where x < 2^-126, which it notes in small.
func (t *Target) normalize(x, y, small reg.VecPhysical) {
	t.VCMPPS(operand.U8(lessOrdered), t.constant(0x00800000), x, small)
	t.VMULPS(t.constant(0x4b800000), x, y)
	t.VBLENDVPS(small, y, x, y)
}

// significand emits m in [0.75, 1.5), x = m * 2^k.
func (t *Target) significand(m reg.VecPhysical, args []vec.Operand, mem func(vec.Operand) operand.Op, tmp func() vec.Reg) {
	x := t.v(args[0].Reg)
	if t.Wide {
		t.VGETMANTPS(operand.U8(mantissa75NaN), x, m)
		return
	}
	a, b, c := t.v(tmp()), t.v(tmp()), t.v(tmp())
	reduce := func(x reg.VecPhysical) { // x - k<<23
		t.VPADDD(mem(args[2]), x, a)
		t.VPAND(mem(args[3]), a, a)
		t.VPSUBD(a, x, m)
	}
	t.unless(t.v(args[1].Reg), "significand", func() {
		t.normalize(x, b, c)
		t.VXORPS(a, a, a)
		t.VCMPPS(operand.U8(notGreaterEqual), a, x, c)
		reduce(b)
		t.VORPS(c, m, m)
	}, func() { reduce(x) })
}

// exponent emits k of x = m * 2^k.
func (t *Target) exponent(k reg.VecPhysical, args []vec.Operand, tmp func() vec.Reg) {
	x, m := t.v(args[0].Reg), t.v(args[1].Reg)
	a, b, c := t.v(tmp()), t.v(tmp()), t.v(tmp())
	if t.Wide {
		t.VGETEXPPS(x, a)
		t.VGETEXPPS(m, b)
		t.VSUBPS(b, a, k)
		return
	}
	difference := func(x, k reg.VecPhysical) {
		t.VPSUBD(m, x, k)
		t.VPSRAD(operand.U8(23), k, k)
		t.VCVTDQ2PS(k, k)
	}
	t.unless(t.v(args[2].Reg), "exponent", func() {
		t.normalize(x, b, c)
		difference(b, b)
		t.VANDPS(t.constant(0x41c00000), c, c) // 24
		t.VSUBPS(c, b, b)
		t.VXORPS(a, a, a)
		t.VCMPPS(operand.U8(equalOrdered), a, x, a)
		t.VBLENDVPS(a, t.constant(0xff800000), b, b)
		t.VCMPPS(operand.U8(equalOrdered), t.constant(0x7f800000), x, a)
		t.VBLENDVPS(a, x, b, k)
	}, func() { difference(x, k) })
}
