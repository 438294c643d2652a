package x86

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// Pack emits the copy of a panel of two vectors of columns into consecutive
// rows.
func (t *Target) Pack() {
	t.Function("Pack" + t.Suffix())
	t.SignatureExpr(vec.PackSignature)
	t.Attributes(attr.NOSPLIT)
	dst, src, stride, rows := reg.RAX, reg.RBX, reg.RCX, reg.RDX
	t.MOVQ(t.addr("dst"), dst)
	t.MOVQ(t.addr("src"), src)
	t.MOVQ(t.addr("stride"), stride)
	t.MOVQ(t.addr("rows"), rows)
	t.SHLQ(operand.U8(2), stride)
	bytes := 4 * t.Lanes()
	t.Label("row")
	for v := range vec.Reg(2) {
		t.VMOVUPS(operand.Mem{Base: src, Disp: bytes * int(v)}, t.v(v))
	}
	for v := range vec.Reg(2) {
		t.VMOVUPS(t.v(v), operand.Mem{Base: dst, Disp: bytes * int(v)})
	}
	t.ADDQ(stride, src)
	t.ADDQ(operand.I32(int32(2*bytes)), dst)
	t.SUBQ(operand.I32(1), rows)
	t.JNE(operand.LabelRef("row"))
	t.End()
}
