package x86

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// The divider takes 10 cycles for a quotient of 16 lanes and 12 to 19 for a
// root, while the FMA units idle. AVX-512 therefore takes some of the vectors of
// a block through an estimate, a correction to full precision, and a last step
// on the exact residual, which yields the correctly rounded result, the same
// bits: it is proved for every pair of significands within the estimate's bound
// of 2^-14, except for results of which a bit test finds every candidate. A
// vector with such a lane, with a divisor outside [2^-20, 1], with an infinity or a
// NaN, is done again by the divider. The powers of two keep the residuals above the
// subnormal range.

const (
	newtonQuotients = 3 // every third quotient is an estimate's
	dividerRoots    = 4 // every fourth root is the divider's
)

// greaterUnsigned is the predicate "not less or equal" of VPCMPUD.
const greaterUnsigned = 6

// nanOrInf selects the two kinds of NaN and both infinities in VFPCLASSPS.
const nanOrInf = 0x99

// stepQuotient emits w - step*(m/d) in the register of w.
func (t *Target) stepQuotient(w reg.VecPhysical, args []vec.Operand, copy int, tmp func() vec.Reg) {
	if from := t.v(args[0].Reg); from != w {
		t.VMOVAPS(from, w)
	}
	step, scaled, m, d := t.v(args[1].Reg), t.v(args[2].Reg), t.v(args[3].Reg), t.v(args[4].Reg)
	q := t.v(tmp())
	exact := func() {
		t.VDIVPS(d, m, q)
		t.VFNMADD231PS(q, step, w)
	}
	if !t.Wide || copy%newtonQuotients != newtonQuotients-1 {
		exact()
		return
	}
	a, y, e := t.v(tmp()), t.v(tmp()), t.v(tmp())
	t.VMULPS_BCST(t.constant(0x4b800000), m, a) // m * 2^24
	t.VRCP14PS(d, q)
	t.VBROADCASTSS(t.constant(0x3f800000), e)
	t.VFNMADD231PS(q, d, e) // e = 1 - d*q, the error of the estimate
	t.VMOVAPS(e, y)
	t.VFMADD213PS(e, e, y) // e + e^2
	t.VFMADD213PS(q, q, y) // y = 1/d
	t.VMULPS(y, a, q)
	t.VFNMADD231PS(q, d, a) // a - d*q, exact
	t.VFMADD231PS(y, a, q)
	t.VPTESTNMD_BCST(t.constant(0x007fffc0), y, reg.K6)
	t.VFPCLASSPSZ(operand.U8(nanOrInf), q, reg.K7)
	t.KORW(reg.K6, reg.K7, reg.K7)
	const least, one = 0x35800000, 0x3f800000 // 2^-20 and 1: d must lie between
	t.VPSUBD_BCST(t.constant(least), d, e)
	t.VPCMPUD_BCST(operand.U8(greaterUnsigned), t.constant(one-least), e, reg.K6)
	t.finish("quotient", exact, func() { t.VFNMADD231PS(q, scaled, w) })
}

// rootSum emits sqrt(v*c) + e.
func (t *Target) rootSum(d reg.VecPhysical, args []vec.Operand, copy int, tmp func() vec.Reg) {
	v, c, scaled, e := t.v(args[0].Reg), t.v(args[1].Reg), t.v(args[2].Reg), t.v(args[3].Reg)
	exact := func() {
		t.VMULPS(c, v, d)
		t.VSQRTPS(d, d)
		t.VADDPS(e, d, d)
	}
	if !t.Wide || copy%dividerRoots == 0 {
		exact()
		return
	}
	x, g, h, r := t.v(tmp()), t.v(tmp()), t.v(tmp()), t.v(tmp())
	t.VMULPS(scaled, v, x) // v*c * 2^24
	t.VRSQRT14PS(x, h)
	t.VMULPS(h, x, g)                           // g = sqrt(x)
	t.VMULPS_BCST(t.constant(0x3f000000), h, h) // h = 1/(2 sqrt(x))
	t.VBROADCASTSS(t.constant(0x3f000000), r)   // r = 1/2 - h*g
	t.VFNMADD231PS(g, h, r)                     //
	t.VFMADD231PS(r, g, g)                      // g + g*r
	t.VFMADD231PS(r, h, h)                      // h + h*r
	t.VFNMADD231PS(g, g, x)                     // x - g*g, exact
	t.VPTESTMD(v, v, reg.K7)                    // v = 0 has the root 0
	t.VFMADD213PS_Z(g, h, reg.K7, x)            // s = g + h*(x-g*g)
	t.VPTESTNMD_BCST(t.constant(0x007ffffe), x, reg.K7, reg.K6)
	t.VFPCLASSPSZ(operand.U8(nanOrInf), x, reg.K7)
	t.finish("root", exact, func() {
		t.VMOVAPS(e, d)
		t.VFMADD231PS_BCST(t.constant(0x39800000), x, d) // s * 2^-12 + e
	})
}

// finish emits usual, unless a bit of K6 or K7 is set: then exact, out of line.
func (t *Target) finish(kind string, exact, usual func()) {
	t.labels++
	again, done := fmt.Sprintf("%s_again%d", kind, t.labels), fmt.Sprintf("%s_done%d", kind, t.labels)
	t.KORTESTW(reg.K6, reg.K7)
	t.JNE(operand.LabelRef(again))
	usual()
	t.Label(done)
	t.rare = append(t.rare, func() {
		t.Label(again)
		exact()
		t.Jump(done)
	})
}
