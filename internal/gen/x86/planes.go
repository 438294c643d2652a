package x86

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// Planes emits the copy of pixels into planes: plane i has, in each place, element i
// of the place's group of 2 or 4.
func (t *Target) Planes(group int) {
	t.Function(fmt.Sprint("Planes", group, t.Suffix()))
	t.SignatureExpr(vec.PlanesSignature)
	t.Attributes(attr.NOSPLIT)
	dst, src, stride, vectors, pixels := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI
	plane := strides{reg.RDI, reg.R8}
	from, to, left := reg.R9, reg.R10, reg.R11
	t.MOVQ(t.addr("dst"), dst)
	t.MOVQ(t.addr("src"), src)
	t.MOVQ(t.addr("plane"), plane.one)
	t.MOVQ(t.addr("stride"), stride)
	t.MOVQ(t.addr("vectors"), vectors)
	t.MOVQ(t.addr("pixels"), pixels)
	t.SHLQ(operand.U8(2), plane.one)
	t.SHLQ(operand.U8(2), stride)
	t.LEAQ(operand.Mem{Base: plane.one, Index: plane.one, Scale: 2}, plane.three)
	t.Label("pixel")
	t.MOVQ(src, from)
	t.MOVQ(dst, to)
	t.MOVQ(vectors, left)
	t.Label("vector")
	x := t.v(0)
	t.VMOVUPS(operand.Mem{Base: from}, x)
	for i := range group {
		from := [...]uint64{0xa0, 0xf5} // elements 0 0 2 2, and 1 1 3 3
		if group == 4 {
			from = [...]uint64{0x55 * uint64(i), 0x55 * uint64(i)}
		}
		t.VPERMILPS(operand.U8(from[i%2]), x, t.v(vec.Reg(1+i)))
	}
	for i := range group {
		t.VMOVUPS(t.v(vec.Reg(1+i)), plane.at(to, i, 0))
	}
	bytes := operand.I32(int32(4 * t.Lanes()))
	t.ADDQ(bytes, from)
	t.ADDQ(bytes, to)
	t.SUBQ(operand.I32(1), left)
	t.JNE(operand.LabelRef("vector"))
	t.ADDQ(stride, src)
	t.LEAQ(plane.at(dst, group, 0), dst)
	t.SUBQ(operand.I32(1), pixels)
	t.JNE(operand.LabelRef("pixel"))
	t.End()
}
